// The whole history as one strip under the charts: drag the window, or its edges, to scrub.

import { clock, el } from "./format.js";
import { TIER_FILL } from "./charts.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const HEIGHT = 46;

/** The strip; `view` is shared with the charts, `onRange` is called with what was chosen. */
export class Navigator {
  constructor(root, { view, onRange }) {
    this.view = view;
    this.onRange = onRange;
    this.data = { t: [], mid: [] };
    this.tiers = { t: [], tier: [] };
    this.canvas = el("canvas", { class: "strip-canvas" });
    this.slider = el("div", { class: "navigator", role: "slider", tabIndex: 0, title: "Drag to move through the history" }, this.canvas);
    this.slider.setAttribute("aria-label", "Position in the history");
    this.slider.setAttribute("aria-valuemin", "0");
    this.slider.setAttribute("aria-valuemax", "100");
    root.append(this.slider);
    this.slider.addEventListener("pointerdown", (event) => this.begin(event));
    this.slider.addEventListener("pointermove", (event) => this.drag(event));
    this.slider.addEventListener("pointerup", () => { this.from = null; });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.slider);
  }

  close() {
    this.watch.disconnect();
  }

  get first() { return this.data.t[0] ?? this.view.from; }
  get last() { return Math.max(this.data.t.at(-1) ?? this.view.to, this.view.last ?? 0); }

  x(t) { return ((t - this.first) / Math.max(1, this.last - this.first)) * this.canvas.clientWidth; }
  t(x) { return this.first + (x / Math.max(1, this.canvas.clientWidth)) * (this.last - this.first); }

  begin(event) {
    this.slider.setPointerCapture(event.pointerId);
    const box = this.canvas.getBoundingClientRect();
    const at = event.clientX - box.left;
    const [left, right] = [this.x(this.view.from), this.x(this.view.to)];
    const grip = Math.abs(at - left) < 7 ? "left" : Math.abs(at - right) < 7 ? "right" : at > left && at < right ? "window" : "jump";
    this.from = { at, grip, view: { ...this.view } };
    if (grip === "jump") {
      const half = (this.view.to - this.view.from) / 2;
      this.onRange({ from: this.t(at) - half, to: this.t(at) + half });
      this.from = { at, grip: "window", view: { ...this.view } };
    }
  }

  drag(event) {
    if (!this.from) return;
    const by = this.t(event.clientX - this.canvas.getBoundingClientRect().left) - this.t(this.from.at);
    const { from, to } = this.from.view;
    if (this.from.grip === "left") this.onRange({ from: Math.min(from + by, to - 2), to });
    else if (this.from.grip === "right") this.onRange({ from, to: Math.max(to + by, from + 2) });
    else this.onRange({ from: from + by, to: to + by });
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const width = this.slider.clientWidth;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = color("--sunk");
    pen.fillRect(0, 0, width, HEIGHT);
    this.tiers.t.forEach((t, at) => {
      if (!this.tiers.tier[at]) return;
      pen.fillStyle = color(TIER_FILL[this.tiers.tier[at]]);
      const right = this.tiers.t[at + 1] ?? this.last;
      pen.fillRect(this.x(t), 0, Math.max(1, this.x(right) - this.x(t)), HEIGHT);
    });
    this.line(pen);
    const [left, right] = [this.x(this.view.from), this.x(this.view.to)];
    pen.fillStyle = color("--veil");
    pen.fillRect(0, 0, Math.max(0, left), HEIGHT);
    pen.fillRect(right, 0, Math.max(0, width - right), HEIGHT);
    pen.strokeStyle = color("--accent");
    pen.strokeRect(Math.max(0.5, left), 0.5, Math.min(width - 1, right) - Math.max(0.5, left), HEIGHT - 1);
    pen.fillStyle = color("--accent");
    pen.fillRect(left - 1.5, HEIGHT / 2 - 8, 3, 16);
    pen.fillRect(right - 1.5, HEIGHT / 2 - 8, 3, 16);
    const share = ((this.view.to - this.first) / Math.max(1, this.last - this.first)) * 100;
    this.slider.setAttribute("aria-valuenow", String(Math.round(Math.min(100, Math.max(0, share)))));
    this.slider.setAttribute("aria-valuetext", `${clock(this.view.from * 1000, 0)} to ${clock(this.view.to * 1000, 0)}`);
  }

  line(pen) {
    const { t, mid } = this.data;
    const known = mid.filter((one) => one != null);
    if (!known.length) return;
    const [low, high] = [Math.min(...known), Math.max(...known)];
    pen.strokeStyle = color("--ink-2");
    pen.lineWidth = 1;
    pen.beginPath();
    t.forEach((one, at) => mid[at] != null && pen.lineTo(this.x(one), HEIGHT - 6 - ((mid[at] - low) / Math.max(1e-9, high - low)) * (HEIGHT - 12)));
    pen.stroke();
  }
}
