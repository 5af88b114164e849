// One instrument: what happened on one time axis, why, what the limits were, and what people can do about it.

import { Charts } from "./charts.js";
import { openCommand } from "./commands.js";
import { clock, el, lots, NONE, number, price, TIER_WORDS } from "./format.js";
import { Navigator } from "./navigator.js";
import { alertLine, pips } from "./overview.js";
import { ask } from "./session.js";
import { doubt, FLAG, onChange, store, symbolOf } from "./store.js";
import { Why } from "./why.js";

const SPANS = [["1 min", 60], ["5 min", 300], ["15 min", 900], ["1 h", 3600]];
const LIVE_KEEP = 6000;
const BECAUSE = { tier: "by tier", stale: "stale column: book not trusted", expired: "stale column: nothing heard", no_state: "no state yet", halted: "by its tier", killed: "killed by a person", restricted: "by a person" };

/** Fill `main` with the page of an instrument. */
export function instrumentPage(main, id) {
  const page = new Instrument(main, id);
  return { close: () => page.close(), keys: page.keys(), restyle: () => { page.charts.restyle(); page.navigator.draw(); } };
}

class Instrument {
  constructor(main, id) {
    this.id = id;
    this.scope = `instrument:${id}`;
    this.isLive = true;
    this.width = 300;
    this.view = { from: 0, to: 1, pin: null, last: 0 };
    this.series = empty();
    this.fetched = empty();
    this.live = [];
    this.build(main);
    this.why = new Why(this.whyBox, id);
    this.charts = new Charts(this.chartBox, { view: this.view, series: this.series, onRange: (range) => this.setRange(range), onPin: (s) => this.pin(s) });
    this.navigator = new Navigator(this.navBox, { view: this.view, onRange: (range) => this.setRange(range) });
    this.note("Asking the history…");
    this.stop = onChange((kind, data) => this.take(kind, data));
    this.timers = [setInterval(() => this.head(), 200), setInterval(() => this.loadWhole(), 15000)];
    this.begin();
    this.frame();
  }

  close() {
    this.closed = true;
    this.stop();
    this.timers.forEach(clearInterval);
    clearTimeout(this.later);
    this.charts.close();
    this.navigator.close();
    this.why.close();
  }

  build(main) {
    const button = (id, text, kind, key) => el("button", { type: "button", id, class: kind === "KILL" ? "danger" : "", title: `${text} (${key})`, onclick: () => openCommand(kind, { scope: this.scope }) }, `${text}…`);
    this.title = el("h1", {}, symbolOf(this.id));
    this.badge = el("span", { class: "badge", id: "tier" });
    this.facts = el("dl", { class: "facts" });
    this.fact = {};
    for (const [name, label] of [["score", "Score"], ["mid", "Mid"], ["spread", "Spread, bp"], ["depth", "Depth bid / ask"], ["limit", "Largest order"], ["valid", "State valid"], ["model", "Model"]]) {
      this.fact[name] = el("dd", { id: `fact-${name}` }, NONE);
      this.facts.append(el("div", {}, el("dt", {}, label), this.fact[name]));
    }
    this.doubtful = el("p", { class: "doubt", role: "status", hidden: true });
    this.spans = SPANS.map(([label, s]) => el("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => this.follow(s) }, label));
    this.all = el("button", { type: "button", class: "quiet", onclick: () => this.setRange(null) }, "All");
    this.liveButton = el("button", { type: "button", class: "quiet", id: "live", "aria-pressed": "true", title: "Follow live (l)", onclick: () => this.follow(this.width) }, "Live");
    this.range = el("output", { class: "range" });
    this.chartBox = el("div", { class: "charts", id: "charts" });
    this.navBox = el("div");
    this.whyBox = el("section", { class: "why", id: "why", "aria-label": "Why" });
    this.orders = el("tbody");
    this.alerts = el("ol", { class: "alerts" });
    main.append(
      el("section", { class: "head" }, el("div", { class: "name" }, this.title, this.badge), this.facts,
        el("div", { class: "actions" }, button("release", "Release", "RELEASE", "r"), button("halt", "Halt", "RESTRICT", "h"), button("open", "Open again", "UNRESTRICT", ""), button("kill", "Kill", "KILL", "k"))),
      this.doubtful,
      el("div", { class: "instrument" },
        el("section", { "aria-label": "History" }, el("div", { class: "tools" }, this.liveButton, this.spans, this.all, el("span", { class: "spring" }), this.range), this.chartBox, this.navBox),
        el("aside", { "aria-label": "Why, orders and alerts" }, el("h2", {}, "Why"), this.whyBox, el("h2", {}, "Own orders"),
          el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Own orders" }, el("table", { class: "orders", id: "orders" }, el("thead", {}, el("tr", {}, ["Time", "Side", "Lots", "Answer", "By"].map((text) => el("th", { scope: "col" }, text)))), this.orders)),
          el("h2", {}, "Alerts"), this.alerts)));
  }

  keys() {
    const command = (kind) => () => openCommand(kind, { scope: this.scope });
    const move = (by) => () => this.setRange({ from: this.view.from + by * (this.view.to - this.view.from), to: this.view.to + by * (this.view.to - this.view.from) });
    const zoom = (by) => () => {
      const [middle, half] = [(this.view.from + this.view.to) / 2, ((this.view.to - this.view.from) / 2) * by];
      this.setRange({ from: middle - half, to: middle + half });
    };
    return { r: command("RELEASE"), h: command("RESTRICT"), k: command("KILL"), l: () => this.follow(this.width), ArrowLeft: move(-0.2), ArrowRight: move(0.2),
      "+": zoom(0.6), "=": zoom(0.6), "-": zoom(1.6), 0: () => this.setRange(null), Escape: () => { if (this.view.pin == null) location.hash = "#/"; else this.pin(null); } };
  }

  async begin() {
    await this.loadWhole();
    if (this.closed) return;
    const whole = this.navigator.data.t;
    if (whole.length) this.width = Math.min(Math.max(30, whole.at(-1) - whole[0]), 300);
    if (this.isLive && this.view.pin == null) this.follow(this.width); // unless somebody has looked elsewhere meanwhile
    this.head();
  }

  async loadWhole() {
    try {
      const to = Math.max(store.marketMs, 1) * 1e6;
      const found = await ask(`/v1/risk/${this.id}/history?from_ns=0&points=1&series=market`);
      if (found.first_ns == null) return this.note("The history holds nothing of this instrument yet.");
      const last = Math.max(found.last_ns, Math.min(to, found.last_ns + 60e9));
      const first = Math.max(found.first_ns, last - 86400e9); // the newest day; older days by the address of the service
      const whole = seriesOf(await ask(`/v1/risk/${this.id}/history?from_ns=${ns(first)}&to_ns=${ns(last)}&points=600`));
      if (this.closed) return;
      this.navigator.data = whole.market;
      this.navigator.tiers = whole.tiers;
      this.isStale = true;
    } catch (error) {
      this.note(`History: ${error.message}`);
    }
    return undefined;
  }

  async load() {
    const { from, to } = this.view;
    const width = to - from;
    const points = Math.max(200, Math.round(this.chartBox.clientWidth * 2));
    const path = `/v1/risk/${this.id}/history?from_ns=${ns((from - width / 2) * 1e9)}&to_ns=${ns((to + width / 2) * 1e9)}&points=${points}`;
    this.loadedAt = Date.now();
    this.asked?.abort();
    this.asked = new AbortController();
    try {
      const found = await ask(path, { signal: this.asked.signal });
      if (this.closed) return;
      this.fetched = seriesOf(found);
      this.merge();
      this.showOrders();
      if (this.fetched.market.t.length) this.note("");
    } catch (error) {
      if (error.name !== "AbortError") this.note(`History: ${error.message}`);
    }
  }

  loadSoon(ms = 120) {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.load(), ms);
  }

  follow(seconds) {
    this.width = seconds;
    this.isLive = true;
    this.pin(null);
    this.moveToNow();
    this.loadSoon(0);
  }

  /** Show a range, or everything where it is null; this ends following. */
  setRange(range) {
    const [first, last] = [this.navigator.first, this.navigator.last];
    const wanted = range || { from: first, to: last };
    const width = Math.min(Math.max(2, wanted.to - wanted.from), Math.max(10, last - first));
    const to = Math.min(Math.max(wanted.to, first + width), Math.max(last, first + width));
    Object.assign(this.view, { from: to - width, to });
    this.width = width;
    this.isLive = false;
    this.isStale = true;
    this.loadSoon();
  }

  moveToNow() {
    const last = Math.max(this.navigator.data.t.at(-1) ?? 0, this.live.at(-1)?.t ?? 0, 1);
    Object.assign(this.view, { from: last - this.width, to: last, last });
    this.isStale = true;
  }

  /** Ask why at a time, which is marked in every chart; null = why now. */
  pin(s) {
    if (s != null && !this.series.market.t.length) return; // nothing is drawn that could be meant
    this.view.pin = s;
    this.why.at(s == null ? null : ns(s * 1e9));
    this.isStale = true;
  }

  take(kind, data) {
    if (kind === "names") this.title.textContent = symbolOf(this.id);
    if (kind === "states") {
      const row = data.find((one) => one.instrument_id === this.id);
      if (row) this.takeRow(row);
    }
    if (kind === "decision" && data.instrument_id === this.id) this.loadSoon(700); // history is a moment behind
    if (kind === "alert" && data.instrument_id === this.id) this.showAlerts();
  }

  takeRow(row) {
    if (row.tick_ms == null || row.tick_ms / 1000 <= (this.live.at(-1)?.t ?? 0)) return;
    this.live.push({ t: row.tick_ms / 1000, ...row });
    if (this.live.length > LIVE_KEEP) this.live.splice(0, 1000);
    if (this.isLive) this.moveToNow();
    if (Date.now() - (this.loadedAt || 0) > 60000) this.loadSoon(0);
    this.merge();
    this.why.touch();
  }

  /** Put what arrived since after what was fetched. */
  merge() {
    const { market, scores, limits, tiers, orders } = this.fetched;
    const last = market.t.at(-1) ?? 0;
    const fresh = this.live.filter((row) => row.t > last && row.t <= this.view.to + 1);
    const join = (old, pick) => old.concat(fresh.map(pick));
    const blocked = (row) => (row.flags & FLAG.HALTED ? 0 : row.max_order_qty);
    Object.assign(this.series.market, { t: join(market.t, (r) => r.t), mid: join(market.mid, (r) => r.mid), low: join(market.low, (r) => r.mid), high: join(market.high, (r) => r.mid),
      spread: join(market.spread, (r) => r.spread_bps), bid: join(market.bid, (r) => r.depth_bid_5), ask: join(market.ask, (r) => r.depth_ask_5) });
    Object.assign(this.series.scores, { t: join(scores.t, (r) => r.t), score: join(scores.score, (r) => r.score) });
    Object.assign(this.series.limits, { t: join(limits.t, (r) => r.t), qty: join(limits.qty, blocked) });
    let before = tiers.tier.at(-1);
    const turns = fresh.filter((row) => row.tier !== before && ((before = row.tier), true));
    Object.assign(this.series.tiers, { t: tiers.t.concat(turns.map((r) => r.t)), tier: tiers.tier.concat(turns.map((r) => r.tier ?? 0)) });
    this.series.orders = orders;
    this.charts.series = this.series;
    this.isStale = true;
  }

  frame() {
    if (this.closed) return;
    if (this.isStale && performance.now() - (this.drawnAt || 0) > 90) { // ten times a second is what the eye takes
      this.isStale = false;
      this.drawnAt = performance.now();
      this.charts.refresh();
      this.navigator.draw();
      this.range.textContent = `${clock(this.view.from * 1000, 0)} – ${clock(this.view.to * 1000, 0)} UTC`;
      this.liveButton.setAttribute("aria-pressed", String(this.isLive));
      this.spans.forEach((one, at) => one.setAttribute("aria-pressed", String(this.isLive && SPANS[at][1] === this.width)));
    }
    requestAnimationFrame(() => this.frame());
  }

  head() {
    const row = store.rows.get(this.id);
    const why = doubt(row);
    const tier = row?.tier ?? -1;
    if (this.badge.dataset.tier !== String(tier)) {
      this.badge.dataset.tier = String(tier);
      this.badge.replaceChildren(pips(tier), tier < 0 ? "No state yet" : TIER_WORDS[tier]);
    }
    this.badge.toggleAttribute("data-doubt", Boolean(why));
    this.doubtful.hidden = !why;
    if (this.doubtful.textContent !== why) this.doubtful.textContent = why && `${why[0].toUpperCase()}${why.slice(1)}.`;
    if (!row) return;
    const left = Math.max(0, row.valid_for_ms - (performance.now() - row.heardAt));
    const shown = { score: number(row.score, 2), mid: price(row.mid), spread: number(row.spread_bps, 2), depth: `${number(row.depth_bid_5, 0)} / ${number(row.depth_ask_5, 0)}`,
      limit: row.because === "unset" ? "unset, which blocks" : `${lots(row.max_order_qty, row.flags & FLAG.HALTED)} · ${BECAUSE[row.because]}`, valid: left ? `${(left / 1000).toFixed(1)} s` : "expired", model: `${row.model_id || NONE}${row.flags & FLAG.DEGRADED ? " (without the network)" : ""}` };
    for (const [name, text] of Object.entries(shown)) if (this.fact[name].textContent !== text) this.fact[name].textContent = text;
    if (this.alertsShown == null) this.showAlerts();
  }

  showAlerts() {
    const found = store.alerts.filter((one) => one.instrument_id === this.id).slice(0, 30);
    this.alertsShown = found.length;
    this.alerts.replaceChildren(...(found.length ? found.map(alertLine) : [el("li", { class: "none" }, "No alert yet.")]));
  }

  showOrders() {
    const newest = [...this.fetched.orders].reverse().slice(0, 80);
    const line = (one) => el("tr", { "data-verdict": one.verdict, "data-order": one.order_id }, el("td", {}, clock(one.t * 1000)), el("td", {}, (one.side || NONE).toLowerCase()), el("td", { class: "n" }, one.qty == null ? NONE : String(one.qty)),
      el("td", {}, one.verdict === "ACCEPT" ? "passed" : `${one.verdict === "PEND" ? "waits" : "refused"}: ${one.reason.replaceAll("_", " ")}${one.limit == null ? "" : ` (limit ${one.limit})`}`), el("td", {}, one.enforcers.join(", ").replaceAll("enforce_orders", "flink")));
    this.orders.replaceChildren(...(newest.length ? newest.map(line) : [el("tr", {}, el("td", { colSpan: 5, class: "none" }, "No order of ours in this window."))]));
  }

  note(text) {
    this.charts.root.dataset.note = text;
  }
}

const ns = (value) => BigInt(Math.max(0, Math.round(value))).toString();
const seconds = (column) => column.map((one) => one / 1e9);

function empty() {
  return { market: { t: [], mid: [], low: [], high: [], spread: [], bid: [], ask: [] }, scores: { t: [], score: [] }, limits: { t: [], qty: [] }, tiers: { t: [], tier: [] }, orders: [] };
}

/** What `/history` answers, in seconds and by chart; one order answered twice alike is one mark. */
function seriesOf(found) {
  const made = empty();
  const { market, scores, orders } = found;
  if (market) Object.assign(made.market, { t: seconds(market.ts_ns), mid: market.mid.map((one) => one || null), low: market.mid_low.map((one) => one || null), high: market.mid_high.map((one) => one || null), spread: market.spread_bps, bid: market.depth_bid_5, ask: market.depth_ask_5 });
  if (scores) {
    const t = seconds(scores.ts_ns);
    Object.assign(made.scores, { t, score: scores.score });
    Object.assign(made.limits, { t, qty: scores.max_order_qty });
    t.forEach((one, at) => {
      if (at && scores.tier[at] === scores.tier[at - 1]) return;
      made.tiers.t.push(one);
      made.tiers.tier.push(Number(scores.tier[at]));
    });
  }
  const marks = new Map();
  (orders?.ts_ns || []).forEach((at, n) => {
    const one = Object.fromEntries(Object.entries(orders).map(([name, column]) => [name, column[n]]));
    const key = `${one.account_id}/${one.order_id}/${one.verdict}/${one.reason}`;
    const held = marks.get(key);
    if (held) held.enforcers.push(one.enforcer);
    else marks.set(key, { ...one, t: at / 1e9, enforcers: [one.enforcer] });
  });
  made.orders = [...marks.values()];
  return made;
}
