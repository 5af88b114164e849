// The charts of one instrument on one time axis: mid with own orders, spread, depth, score over tiers, largest order.

/* global uPlot */
import { clock, el, number } from "./format.js";

const SYNC = "tidegate";
const UTC = (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const TIER_FILL = ["--tier-0-wash", "--tier-1-wash", "--tier-2-wash", "--tier-3-wash"];

/** Charts that share `view` ({from, to} in seconds) and `series` (columns). */
export class Charts {
  constructor(root, { view, series, onRange, onPin }) {
    this.root = root;
    this.view = view;
    this.series = series;
    this.onRange = onRange;
    this.onPin = onPin;
    this.plots = [];
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(root);
    this.build();
  }

  close() {
    this.watch.disconnect();
    this.plots.forEach((plot) => plot.destroy());
  }

  restyle() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [];
    this.root.replaceChildren();
    this.build();
  }

  build() {
    const line = (label, ink, more = {}) => ({ label, stroke: () => color(ink), width: 1.25, points: { show: false }, spanGaps: false, ...more });
    const area = (ink, wash, label) => line(label, ink, { fill: () => color(wash) });
    this.add("mid", "Mid and own orders", 186, [line("mid", "--ink-1", { width: 1.5 }), line("low", "--none"), line("high", "--none")],
      { bands: [{ series: [3, 2], fill: () => color("--range") }], draw: (plot) => this.drawOrders(plot) });
    this.add("spread", "Spread, bp", 78, [area("--line-a", "--line-a-wash", "spread")], { floor: 0 });
    this.add("depth", "Depth within five levels, lots", 88, [line("bid", "--line-b"), line("ask", "--line-c", { dash: [4, 3] })], { floor: 0 });
    this.add("score", "Score S = −log₁₀ p, over the tier in force", 104, [line("score", "--ink-1")], { floor: 0, least: 8, under: (plot) => this.drawTiers(plot) });
    this.add("limit", "Largest order, lots", 84, [line("limit", "--ink-1", { paths: uPlot.paths.stepped({ align: 1 }), width: 1.75 })], { floor: 0, isLast: true });
    this.refresh();
  }

  add(name, title, height, lines, more) {
    const box = el("div", { class: "chart", id: `chart-${name}`, role: "group" });
    box.setAttribute("aria-label", title);
    box.append(el("div", { class: "caption" }, el("span", {}, title), el("output", { id: `read-${name}` })));
    this.root.append(box);
    const axis = (side) => ({ stroke: () => color("--ink-3"), grid: { stroke: () => color("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif", ...side });
    const options = {
      width: Math.max(200, this.root.clientWidth), height: more.isLast ? height + 22 : height, tzDate: UTC, padding: [20, 8, more.isLast ? 0 : 5, 0],
      legend: { show: false }, cursor: { sync: { key: SYNC }, drag: { x: true, y: false, setScale: false }, points: { size: 5 }, focus: { prox: -1 } },
      scales: { x: { time: true, range: () => [this.view.from, this.view.to] }, y: { range: (plot, low, high) => bounds(low, high, more) } },
      axes: [axis({ size: more.isLast ? 22 : 0, values: (plot, at) => at.map((s) => (more.isLast ? clock(s * 1000, 0) : "")), space: 84 }), axis({ size: 58, values: (plot, at) => labels(at), space: 24 })],
      series: [{}, ...lines],
      bands: more.bands,
      hooks: { drawClear: [(plot) => (more.under || this.drawTiersFaintly.bind(this))(plot)], draw: [more.draw || (() => {}), (plot) => this.drawPin(plot)],
        setSelect: [(plot) => this.onSelect(plot)], setCursor: [(plot) => this.onCursor(plot)] },
    };
    const plot = new uPlot(options, [[], ...lines.map(() => [])], box);
    plot.over.addEventListener("click", () => plot.cursor.left >= 0 && this.onPin(plot.posToVal(plot.cursor.left, "x")));
    plot.over.addEventListener("wheel", (event) => this.onWheel(plot, event), { passive: false });
    plot.over.addEventListener("dblclick", () => this.onRange(null));
    this.plots.push(plot);
    this.byName = { ...this.byName, [name]: plot };
  }

  /** Draw again from the series; called at most once a frame. */
  refresh() {
    const { market, scores, limits } = this.series;
    const data = {
      mid: [market.t, market.mid, market.low, market.high], spread: [market.t, market.spread], depth: [market.t, market.bid, market.ask],
      score: [scores.t, scores.score], limit: [limits.t, limits.qty],
    };
    for (const [name, plot] of Object.entries(this.byName)) plot.setData(data[name], true);
  }

  resize() {
    const width = Math.max(200, this.root.clientWidth);
    for (const plot of this.plots) if (plot.width !== width) plot.setSize({ width, height: plot.height });
  }

  onSelect(plot) {
    if (plot.select.width > 6) this.onRange({ from: plot.posToVal(plot.select.left, "x"), to: plot.posToVal(plot.select.left + plot.select.width, "x") });
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  onWheel(plot, event) {
    if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return; // the page scrolls
    event.preventDefault();
    const { from, to } = this.view;
    const width = to - from;
    if (event.ctrlKey) {
      const at = plot.posToVal(event.offsetX, "x");
      const by = event.deltaY > 0 ? 1.25 : 0.8;
      this.onRange({ from: at - (at - from) * by, to: at + (to - at) * by });
    } else {
      const by = ((event.deltaX || event.deltaY) / plot.width) * width;
      this.onRange({ from: from + by, to: to + by });
    }
  }

  onCursor(plot) {
    const box = plot.root.parentElement.querySelector("output");
    const at = plot.cursor.idx;
    if (at == null || plot.cursor.left < 0) {
      if (box.textContent) box.textContent = "";
      return;
    }
    const values = plot.data.slice(1, plot === this.byName.depth ? 3 : 2).map((column) => number(column[at]));
    box.textContent = `${clock(plot.data[0][at] * 1000)}  ${values.join(" / ")}`;
  }

  drawTiers(plot) {
    this.eachTier(plot, (pen, tier, left, right) => {
      pen.fillStyle = color(TIER_FILL[tier]);
      pen.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
    });
  }

  drawTiersFaintly(plot) {
    plot.ctx.save();
    plot.ctx.globalAlpha = 0.35;
    this.drawTiers(plot);
    plot.ctx.restore();
  }

  eachTier(plot, draw) {
    const { t, tier } = this.series.tiers;
    const end = plot.bbox.left + plot.bbox.width;
    plot.ctx.save();
    for (let at = 0; at < t.length; at += 1) {
      const left = Math.max(plot.bbox.left, plot.valToPos(t[at], "x", true));
      const right = Math.min(end, at + 1 < t.length ? plot.valToPos(t[at + 1], "x", true) : end);
      if (right > left && tier[at] > 0) draw(plot.ctx, tier[at], left, right);
    }
    plot.ctx.restore();
  }

  drawPin(plot) {
    if (this.view.pin == null || this.view.pin < this.view.from || this.view.pin > this.view.to) return;
    const x = Math.round(plot.valToPos(this.view.pin, "x", true)) + 0.5;
    const pen = plot.ctx;
    pen.save();
    pen.strokeStyle = color("--accent");
    pen.lineWidth = devicePixelRatio;
    pen.beginPath();
    pen.moveTo(x, plot.bbox.top);
    pen.lineTo(x, plot.bbox.top + plot.bbox.height);
    pen.stroke();
    pen.restore();
  }

  drawOrders(plot) {
    const pen = plot.ctx;
    const ratio = devicePixelRatio;
    pen.save();
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    let lastLabel = -Infinity;
    for (const order of this.series.orders) {
      if (order.t < this.view.from || order.t > this.view.to) continue;
      const x = plot.valToPos(order.t, "x", true);
      const at = order.price ?? nearest(this.series.market, order.t);
      if (at == null) continue;
      const y = Math.min(plot.bbox.top + plot.bbox.height - 8 * ratio, Math.max(plot.bbox.top + 8 * ratio, plot.valToPos(at, "y", true)));
      const isRefused = order.verdict !== "ACCEPT";
      pen.strokeStyle = color(isRefused ? "--refused" : "--passed");
      pen.fillStyle = pen.strokeStyle;
      pen.lineWidth = (isRefused ? 2.25 : 1.5) * ratio;
      pen.beginPath();
      const r = (isRefused ? 5 : 4) * ratio;
      if (isRefused) {
        pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r); pen.moveTo(x - r, y + r); pen.lineTo(x + r, y - r);
      } else {
        const up = order.side === "BUY" ? -1 : 1;
        pen.moveTo(x - r, y + r * up * -1); pen.lineTo(x + r, y + r * up * -1); pen.lineTo(x, y + r * up); pen.closePath();
      }
      pen.stroke();
      if (isRefused && x - lastLabel > 70 * ratio) {
        lastLabel = x;
        const text = `${order.qty} refused${order.limit == null ? "" : `, limit ${order.limit}`}`;
        const wide = pen.measureText(text).width;
        const isLeft = x + wide + 10 * ratio > plot.bbox.left + plot.bbox.width;
        pen.fillText(text, isLeft ? x - wide - 9 * ratio : x + 9 * ratio, y - 8 * ratio);
      }
    }
    pen.restore();
  }
}

function bounds(low, high, { floor, least }) {
  if (low == null || high == null) return [0, 1];
  const room = Math.max((high - low) * 0.08, Math.abs(high) * 1e-5, 1e-9);
  return [floor ?? low - room, Math.max(high + room, least ?? -Infinity)];
}

/** Values of an axis with as many decimals as tell them apart. */
function labels(at) {
  const step = at.length > 1 ? Math.abs(at[1] - at[0]) : 1;
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  return at.map((value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}

function nearest(market, t) {
  const at = market.t.findIndex((one) => one >= t);
  return market.mid[at < 0 ? market.mid.length - 1 : at];
}
