// Why an instrument has its tier: the largest causes, each against its own past hour, and where it would be normal again.

import { clock, el, NONE, number, percent, words } from "./format.js";
import { ask } from "./session.js";

const AGAIN_MS = 2000;
const UNITS = { bps: "bp", ticks: "ticks", qty: "lots", rate: "/s", s: "s" };

/** The panel; asks again while it follows, and stands still at a time that was chosen. */
export class Why {
  constructor(root, id) {
    this.root = root;
    this.id = id;
    this.atNs = null;
    this.askedAt = 0;
    root.append(el("p", { class: "none" }, "Asking…"));
  }

  close() {
    this.closed = true;
    clearTimeout(this.later);
  }

  /** Show why at a time (ns as text), or now where it is null. */
  at(ns) {
    this.atNs = ns;
    this.load();
  }

  /** Something new came: ask again, but not too often. */
  touch() {
    if (this.atNs != null || this.later) return;
    this.later = setTimeout(() => { this.later = null; this.load(); }, Math.max(0, AGAIN_MS - (Date.now() - this.askedAt)));
  }

  async load() {
    this.askedAt = Date.now();
    const turn = (this.turn = (this.turn || 0) + 1);
    try {
      const found = await ask(`/v1/risk/${this.id}/why${this.atNs == null ? "" : `?at_ns=${this.atNs}`}`);
      if (!this.closed && turn === this.turn) this.draw(found);
    } catch (error) {
      if (!this.closed && turn === this.turn) this.root.replaceChildren(el("p", { class: "fault" }, error.message));
    }
  }

  draw({ state, causes }) {
    if (!state) {
      this.root.replaceChildren(el("p", { class: "none" }, this.atNs == null ? "No state of this instrument is in the history yet." : "No state at or before this time."));
      return;
    }
    const head = el("p", { class: "at" }, el("b", {}, this.atNs == null ? "Newest state" : "At the mark"), ` ${clock(state.tick_ns / 1e6)}`, el("br", {}), `S ${number(state.score, 2)}: ${state.p > 0.1 ? "an ordinary tick." : `once in ${chance(state.p)} ticks like this; ${percent(state.adverse_share)} of it in the dangerous direction.`}`);
    const back = this.atNs == null ? null : el("button", { type: "button", class: "quiet", onclick: () => this.at(null) }, "Show the newest");
    this.root.replaceChildren(head, ...(back ? [back] : []), el("ol", { class: "causes" }, causes.map((cause, at) => line(cause, at === 0))));
  }
}

function line(cause, isFirst) {
  const unit = UNITS[cause.name.split("_").filter((part) => UNITS[part]).pop()] || "";
  const item = el("li", { "data-adverse": String(cause.adverse) },
    el("div", { class: "cause" }, el("b", {}, words(cause.name)), el("span", { class: "value" }, `${number(cause.value)} ${unit}`), el("span", { class: "z" }, `${cause.z > 0 ? "+" : ""}${number(cause.z, 1)} sd`)),
    el("div", { class: "share" }, share(cause.share), el("span", {}, percent(cause.share))), scale(cause));
  if (cause.unit_low == null) item.append(el("p", { class: "hint" }, "No past hour to compare with."));
  else if (cause.back_to == null) item.append(el("p", { class: "hint" }, `Within its normal range, ${number(cause.unit_low)} to ${number(cause.unit_high)}.`));
  else item.append(el("p", { class: "hint" }, `Normal is ${number(cause.unit_low)} to ${number(cause.unit_high)} ${unit}. Were it back at ${number(cause.back_to)}${isFirst ? "" : " with those above"}, ${percent(cause.left_share)} of the anomaly would be left.`));
  return item;
}

function share(value) {
  const bar = el("span", { class: "meter" }, el("i"));
  bar.firstChild.style.width = `${Math.round(100 * Math.min(1, Math.max(0, value ?? 0)))}%`;
  return bar;
}

/** The normal range as a band, the value as a mark, on a scale that holds both. */
function scale({ value, unit_low: low, unit_mid: middle, unit_high: high }) {
  if (low == null || value == null) return el("span");
  const [first, last] = [Math.min(low, value), Math.max(high, value)];
  const room = (last - first) * 0.06 || 1;
  const at = (one) => `${((one - first + room) / (last - first + 2 * room)) * 100}%`;
  const band = el("i", { class: "band" });
  band.style.left = at(low);
  band.style.right = `calc(100% - ${at(high)})`;
  const mid = el("i", { class: "mid" });
  mid.style.left = at(middle);
  const mark = el("i", { class: "mark" });
  mark.style.left = at(value);
  return el("div", { class: "scale", role: "img", "aria-label": `${number(value)}, normally ${number(low)} to ${number(high)}` }, band, mid, mark);
}

function chance(p) {
  if (p == null || p <= 0) return NONE;
  const times = 1 / p;
  return times >= 1e6 ? `10${[...String(Math.round(Math.log10(times)))].map((one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one]).join("")}` : Math.round(times).toLocaleString("en-US");
}
