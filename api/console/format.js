// Numbers and times as people read them; nothing here knows the page.

export const TIERS = ["NORMAL", "ELEVATED", "HIGH_ALERT", "CRITICAL"];
export const TIER_WORDS = ["Normal", "Elevated", "High alert", "Critical"];
export const NONE = "–";

const two = (n) => String(n).padStart(2, "0");

/** Event time as HH:MM:SS, with tenths unless told otherwise, UTC. */
export function clock(ms, digits = 1) {
  if (ms == null) return NONE;
  const at = new Date(ms);
  const rest = digits ? "." + String(at.getUTCMilliseconds()).padStart(3, "0").slice(0, digits) : "";
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}${rest}`;
}

/** Date of an event time, UTC. */
export const day = (ms) => (ms == null ? "" : new Date(ms).toISOString().slice(0, 10));

/** A number with as many digits as a person can use. */
export function number(value, digits) {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (digits != null) return value.toFixed(digits);
  const size = Math.abs(value);
  if (size >= 10000) return Math.round(value).toLocaleString("en-US");
  if (size >= 100) return value.toFixed(1);
  if (size >= 10) return value.toFixed(2);
  return value.toFixed(size >= 0.1 || size === 0 ? 2 : 4);
}

/** A price with the decimals of its size. */
export const price = (value) => number(value, value != null && Math.abs(value) < 10 ? 4 : 2);

/** A share as a percentage. */
export const percent = (value) => (value == null ? NONE : `${Math.round(value * 100)} %`);

/** A span of time in its two largest units. */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86400)} d`;
}

/** Lots of one order as the limits allow: 0 is halted, null is unset (which blocks). */
export const lots = (qty, halted) => (halted ? "halted" : qty == null ? "unset" : qty > 1e15 ? "unlimited" : qty.toLocaleString("en-US"));

/** A feature's name in words. */
export const words = (name) => name.replaceAll("_", " ");

/** An element with attributes and children; text is text, never markup. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("data-") || name.startsWith("aria-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}
