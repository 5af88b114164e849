// Overview: every instrument as a cell, grouped by tier, worst first; beside it alerts, health and what waits for people.

import { openCommand } from "./commands.js";
import { clock, el, lots, NONE, number, price, span, TIER_WORDS, TIERS } from "./format.js";
import { ask } from "./session.js";
import { doubt, FLAG, onChange, store, symbolOf, systemic } from "./store.js";

const ALERTS_SHOWN = 60;
const COLLATOR = new Intl.Collator("en", { numeric: true });
const LARGE_UP_TO = 40; // so few instruments have room for more
const PAST_POINTS = 240; // of the systemic score, two a second

/** Fill `main` with the overview. */
export function overviewPage(main) {
  const page = new Overview(main);
  return { close: () => page.close(), keys: page.keys(), restyle: () => page.drawStrain() };
}

class Overview {
  constructor(main) {
    this.cells = new Map();
    this.dirty = new Set(store.rows.keys());
    this.filter = "";
    this.past = [];
    this.build(main);
    this.stop = onChange((kind, data) => this.take(kind, data));
    this.timers = [setInterval(() => this.slow(), 500), setInterval(() => this.askHealth(), 10000)];
    this.askHealth();
    this.frame();
    this.slow();
    this.showAlerts();
  }

  close() {
    this.closed = true;
    this.stop();
    this.timers.forEach(clearInterval);
  }

  build(main) {
    this.counts = el("div", { class: "counts", role: "group", "aria-label": "Instruments by tier" });
    this.tallies = [3, 2, 1, 0].map((tier) => {
      const count = el("b", {}, "0");
      this.counts.append(el("a", { class: "tally", href: `#tier-${tier}`, "data-tier": String(tier), onclick: (event) => this.jump(event, tier) }, pips(tier), el("span", {}, TIER_WORDS[tier]), count));
      return [tier, count];
    });
    this.strain = el("b", { id: "strain" }, NONE);
    this.whole = el("b", { id: "systemic" }, NONE);
    this.strainLine = el("canvas", { width: 180, height: 28, role: "img" });
    this.strainLine.setAttribute("aria-label", "Mean score of the last two minutes");
    this.search = el("input", { type: "search", id: "filter", placeholder: "Filter  /", "aria-label": "Filter instruments", oninput: () => this.refilter() });
    const top = el("section", { class: "strip" }, this.counts,
      el("div", { class: "figure", title: "Mean score of all fresh instruments, each capped at 6" }, el("span", {}, "Mean score"), this.strain, this.strainLine), el("div", { class: "figure", title: "What the scorer says of the channels as a whole; no member is below it" }, el("span", {}, "Systemic"), this.whole), el("span", { class: "spring" }), this.search);
    this.groups = [3, 2, 1, 0, -1].map((tier) => {
      const grid = el("div", { class: "grid", role: "list" });
      const head = el("h2", { id: `tier-${tier}` }, pips(tier), tier < 0 ? "No state yet" : TIER_WORDS[tier]);
      const group = el("section", { class: "tier", "data-tier": String(tier), hidden: true }, head, grid);
      return { tier, grid, group };
    });
    this.nothing = el("div", { class: "empty", id: "nothing" }, el("h1", {}, "No instrument has been heard of yet"), el("p", {}, "As soon as ", el("code", {}, "risk.states"), " or ", el("code", {}, "features.ticks"), " carry something, it appears here. ", el("code", {}, "tidegate simulate flash_crash"), " sends a session."));
    this.tiers = el("div", { class: "tiers", id: "tiers" }, this.nothing, this.groups.map((one) => one.group));
    this.alerts = el("ol", { class: "alerts", id: "alerts" });
    this.health = el("div", { class: "health", id: "health" });
    main.append(el("h1", { class: "unseen" }, "Overview"), top, el("div", { class: "overview" },
      this.tiers,
      el("aside", { "aria-label": "Alerts and health" }, el("h2", {}, "Alerts"), this.alerts, el("h2", {}, "Health"), this.health,
        el("button", { type: "button", class: "danger", id: "kill-firm", onclick: () => openCommand("KILL", { scope: "firm" }) }, "Kill…"))));
  }

  keys() {
    const move = (across, down) => () => this.move(across, down);
    return { "/": () => this.search.focus(), ArrowLeft: move(-1, 0), ArrowRight: move(1, 0), ArrowUp: move(0, -1), ArrowDown: move(0, 1),
      k: () => openCommand("KILL", { scope: "firm" }), Escape: () => { this.search.value = ""; this.refilter(); } };
  }

  take(kind, data) {
    if (kind === "states") for (const row of data) this.dirty.add(row.instrument_id);
    else if (kind === "names") {
      for (const id of store.rows.keys()) this.dirty.add(id);
      this.alertsDirty = true;
    }
    else if (kind === "alert") this.alertsDirty = true;
  }

  frame() {
    if (this.closed) return;
    if (this.dirty.size) {
      for (const id of this.dirty) this.drawCell(store.rows.get(id));
      this.dirty.clear();
    }
    if (this.alertsDirty) {
      this.alertsDirty = false;
      this.showAlerts();
    }
    requestAnimationFrame(() => this.frame());
  }

  drawCell(row) {
    let cell = this.cells.get(row.instrument_id);
    if (!cell) {
      cell = this.makeCell(row.instrument_id);
      this.cells.set(row.instrument_id, cell);
    }
    const tier = row.tier ?? -1;
    if (cell.tier !== tier || cell.root.dataset.name !== symbolOf(row.instrument_id)) {
      cell.tier = tier;
      this.place(cell);
    }
    const why = doubt(row);
    const mark = row.because === "killed" || row.because === "restricted" ? "✕" : row.flags & FLAG.LATCHED ? "⊘" : row.flags & FLAG.DEGRADED ? "◇" : "";
    put(cell, "symbol", symbolOf(row.instrument_id));
    put(cell, "score", why && tier < 0 ? NONE : number(row.score, 1));
    put(cell, "mark", why ? "?" : mark);
    put(cell, "limit", row.because === "unset" ? "unset" : lots(row.max_order_qty, row.flags & FLAG.HALTED));
    if (this.isLarge) put(cell, "more", `${price(row.mid)}, spread ${number(row.spread_bps, 1)} bp`);
    const state = `${tier}${why ? " doubt" : ""}`;
    if (cell.state !== state) {
      cell.state = state;
      cell.root.dataset.tier = String(tier);
      cell.root.toggleAttribute("data-doubt", Boolean(why));
      cell.root.title = why;
      cell.parts.told.textContent = `, ${tier < 0 ? "no state" : TIER_WORDS[tier]}${why ? `, ${why}` : ""}`;
    }
  }

  makeCell(id) {
    const parts = { symbol: el("span", { class: "symbol" }), score: el("span", { class: "score" }), limit: el("span", { class: "limit" }), mark: el("span", { class: "mark", "aria-hidden": "true" }), more: el("span", { class: "more" }), told: el("span", { class: "unseen" }) };
    const root = el("a", { class: "cell", href: `#/instrument/${id}`, "data-id": String(id) }, parts.symbol, parts.mark, parts.score, parts.limit, parts.more, parts.told);
    const item = el("div", { role: "listitem" }, root);
    return { id, root, item, parts, shown: {}, tier: null };
  }

  place(cell) {
    const group = this.groups.find((one) => one.tier === cell.tier);
    const name = symbolOf(cell.id);
    const after = [...group.grid.children].find((item) => COLLATOR.compare(item.firstChild.dataset.name, name) > 0);
    const focused = document.activeElement === cell.root; // a browser takes the focus from what moves: a change of tier must not
    cell.root.dataset.name = name;
    cell.item.hidden = !this.matches(cell);
    group.grid.insertBefore(cell.item, after || null);
    if (focused) cell.root.focus({ preventScroll: true });
  }

  matches(cell) {
    return !this.filter || `${symbolOf(cell.id)} ${cell.id} ${store.channels.get(cell.id) || ""}`.toLowerCase().includes(this.filter);
  }

  refilter() {
    this.filter = this.search.value.trim().toLowerCase();
    for (const cell of this.cells.values()) cell.item.hidden = !this.matches(cell);
    this.slow();
  }

  slow() {
    const counts = new Map(this.groups.map((one) => [one.tier, 0]));
    for (const row of store.rows.values()) {
      counts.set(row.tier ?? -1, counts.get(row.tier ?? -1) + 1);
      const cell = this.cells.get(row.instrument_id);
      if (cell && Boolean(doubt(row)) !== cell.root.hasAttribute("data-doubt")) this.dirty.add(row.instrument_id);
    }
    const isLarge = store.rows.size <= LARGE_UP_TO;
    if (isLarge !== this.isLarge) {
      this.isLarge = isLarge;
      this.tiers.dataset.size = isLarge ? "large" : "small";
      for (const id of store.rows.keys()) this.dirty.add(id);
    }
    for (const { tier, group, grid } of this.groups) group.hidden = ![...grid.children].some((item) => !item.hidden);
    for (const [tier, count] of this.tallies) put({ shown: count, parts: { textContent: count } }, "textContent", String(counts.get(tier)));
    this.nothing.hidden = store.rows.size > 0;
    const { mean, score, tier } = systemic();
    this.strain.textContent = number(mean, 2);
    this.whole.replaceChildren(pips(tier), ` ${score == null ? TIER_WORDS[tier] : `${TIER_WORDS[tier]}, S ${number(score, 1)}`}`);
    this.past.push(mean);
    if (this.past.length > PAST_POINTS) this.past.shift();
    this.drawStrain();
    this.showHealth();
  }

  drawStrain() {
    const canvas = this.strainLine;
    const style = getComputedStyle(document.documentElement);
    const ratio = devicePixelRatio || 1;
    canvas.width = 180 * ratio;
    canvas.height = 28 * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const top = Math.max(1, ...this.past.map((one) => one ?? 0));
    pen.strokeStyle = style.getPropertyValue("--ink-2");
    pen.lineWidth = 1.25;
    pen.beginPath();
    this.past.forEach((one, at) => {
      if (one == null) return;
      const x = 180 - (this.past.length - 1 - at) * (180 / PAST_POINTS);
      const y = 26 - (one / top) * 23;
      if (at === 0 || this.past[at - 1] == null) pen.moveTo(x, y);
      else pen.lineTo(x, y);
    });
    pen.stroke();
  }

  showAlerts() {
    const shown = store.alerts.slice(0, ALERTS_SHOWN);
    this.alerts.replaceChildren(...(shown.length ? shown.map(alertLine) : [el("li", { class: "none" }, "No alert yet.")]));
  }

  async askHealth() {
    try {
      [this.quality, this.models] = await Promise.all([ask("/v1/quality"), ask("/v1/models")]);
      this.historyFault = "";
    } catch (error) {
      this.historyFault = error.message;
    }
    if (!this.closed) this.showHealth();
  }

  showHealth() {
    const feed = store.health?.feed;
    const lines = [];
    const line = (name, value, state = "good") => lines.push([name, value, state]);
    if (!feed) line("Topics", "not told yet", "unsure");
    else line("Topics", feed.connected ? (feed.caught_up ? "read live" : `${feed.behind} behind`) : feed.failure || "not connected", feed.connected ? (feed.caught_up ? "good" : "unsure") : "bad");
    const channels = new Map();
    for (const row of store.rows.values()) {
      const name = store.channels.get(row.instrument_id) || "?";
      const one = channels.get(name) || { all: 0, silent: 0, ms: 0 };
      one.all += 1;
      one.silent += doubt(row) ? 1 : 0;
      one.ms = Math.max(one.ms, row.tick_ms || 0);
      channels.set(name, one);
    }
    for (const [name, one] of channels) if (!one.ms) line(`Feed ${name}`, `${one.all} never heard`, "unsure");
    else line(`Feed ${name}`, one.silent ? `${one.silent} of ${one.all} silent since ${clock(one.ms, 0)}` : `${one.all} fresh`, one.silent ? (one.silent === one.all ? "bad" : "unsure") : "good");
    for (const [name, one] of Object.entries(this.models?.now || {})) line(`Model ${name}`, one.degraded ? `${one.degraded} of ${one.instruments} without the network` : `${one.instruments} scored`, one.degraded ? "unsure" : "good");
    const writer = this.quality?.processes.history;
    if (this.historyFault) line("History", this.historyFault, "bad");
    else if (writer) line("History", writer.ended || writer.age_ms > 15000 ? `writer silent for ${span(writer.age_ms)}` : `${writer.lag_messages} behind`, writer.ended || writer.age_ms > 15000 ? "bad" : "good");
    const letters = (this.quality?.dead_letters || []).reduce((sum, one) => sum + Number(one.letters), 0);
    if (this.quality) line("Dead letters", String(letters), letters ? "unsure" : "good");
    const lost = (this.quality?.unrecorded_decisions || []).reduce((sum, one) => sum + Number(one.unrecorded), 0);
    if (this.quality) line("Unrecorded decisions", String(lost), lost ? "bad" : "good");
    const looking = this.quality?.processes.quality;
    if (looking && (looking.ended || looking.age_ms > 180000)) line("Data quality", `worker silent for ${span(looking.age_ms)}`, "unsure");
    for (const one of this.quality?.expectations || []) {
      const worst = one.failing.some((fault) => fault.severity === "critical") ? "bad" : "unsure";
      const names = one.failing.map((fault) => `${fault.expectation} since ${clock(Number(fault.failing_since_ns) / 1e6, 0)}`);
      line(`Rows of ${one.table.replaceAll("_", " ")}`, names.length ? `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}` : `${one.expectations} expectations hold`, names.length ? worst : "good");
    }
    const text = JSON.stringify(lines);
    if (text === this.healthText) return;
    this.healthText = text;
    this.health.replaceChildren(el("dl", {}, lines.map(([name, value, state]) => el("div", { "data-state": state }, el("dt", {}, name), el("dd", {}, value)))));
  }

  jump(event, tier) {
    event.preventDefault();
    const group = this.groups.find((one) => one.tier === tier);
    group.group.scrollIntoView({ block: "start", behavior: "smooth" });
    group.grid.querySelector("a")?.focus({ preventScroll: true });
  }

  move(across, down) {
    const cells = [...document.querySelectorAll("#tiers .tier:not([hidden]) .grid > :not([hidden]) > a")];
    const at = cells.indexOf(document.activeElement);
    if (at < 0) return cells[0]?.focus();
    if (across) return cells[at + across]?.focus();
    const here = cells[at].getBoundingClientRect();
    const side = cells.filter((cell) => (down > 0 ? cell.getBoundingClientRect().top > here.top + 4 : cell.getBoundingClientRect().top < here.top - 4));
    const rows = side.map((cell) => ({ cell, box: cell.getBoundingClientRect() }));
    rows.sort((a, b) => Math.abs(a.box.top - here.top) - Math.abs(b.box.top - here.top) || Math.abs(a.box.left - here.left) - Math.abs(b.box.left - here.left));
    return rows[0]?.cell.focus();
  }
}

/** Write a text only where it changed. */
function put(cell, part, text) {
  if (part === "textContent") {
    if (cell.parts.textContent.textContent !== text) cell.parts.textContent.textContent = text;
    return;
  }
  if (cell.shown[part] === text) return;
  cell.shown[part] = text;
  cell.parts[part].textContent = text;
}

/** The tier as a shape beside its colour: none to three bars. */
export function pips(tier) {
  return el("span", { class: "pips", "data-tier": String(tier), "aria-hidden": "true" }, [1, 2, 3].map((one) => el("i", { class: one <= tier ? "on" : "" })));
}

/** One alert as a line. */
export function alertLine(alert) {
  const tier = TIERS.indexOf(alert.tier);
  const kind = alert.kind.toLowerCase().replaceAll("_", " ");
  return el("li", { "data-tier": String(tier) }, el("time", {}, clock(alert.ts_ns / 1e6)), pips(tier),
    el("a", { href: `#/instrument/${alert.instrument_id}` }, symbolOf(alert.instrument_id)), el("span", { class: "kind" }, kind), el("span", { class: "said" }, alert.message));
}
