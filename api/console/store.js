// What is known now: the newest row of every instrument, the newest alerts and decisions. Pages draw from here, once a frame.

const KEEP = 400;
export const FLAG = { LATCHED: 1, STALE: 2, DEGRADED: 4, HALTED: 8, EXPIRED: 16 };

export const store = {
  columns: {},
  rows: new Map(), // instrument id -> row, as an object by column
  symbols: new Map(),
  channels: new Map(),
  alerts: [], // newest first
  decisions: [], // newest first
  health: null,
  marketMs: 0,
  version: 0,
};

const listeners = new Set();
/** Call `listener(kind, data)` for everything that comes; returns how to stop. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
const tell = (kind, data) => listeners.forEach((listener) => listener(kind, data));

/** Take one event of the stream. */
export function take(kind, data) {
  if (kind === "columns") {
    store.columns = Object.fromEntries(data.map((name, at) => [name, at]));
    store.names = data;
  } else if (kind === "states") {
    store.marketMs = Math.max(store.marketMs, data.market_ns / 1e6);
    const changed = data.rows.map(rowOf);
    for (const row of changed) store.rows.set(row.instrument_id, row);
    store.version += 1;
    tell("states", changed);
  } else if (kind === "alert" || kind === "decision") {
    const list = kind === "alert" ? store.alerts : store.decisions;
    const key = kind === "alert" ? (one) => one.alert_id : (one) => `${one.order_id}/${one.enforcer}/${one.decision_id}`;
    if (list.some((one) => key(one) === key(data))) return;
    list.unshift(data);
    list.length = Math.min(list.length, KEEP);
    tell(kind, data);
  } else {
    if (kind === "health") store.health = data;
    tell(kind, data);
  }
}

function rowOf(values) {
  const row = {};
  for (let at = 0; at < store.names.length; at += 1) row[store.names[at]] = values[at];
  row.heardAt = performance.now();
  return row;
}

/** Take the names of `/v1/instruments`. */
export function takeNames(instruments) {
  for (const one of instruments) {
    store.symbols.set(one.instrument_id, one.symbol);
    store.channels.set(one.instrument_id, one.channel_id);
  }
  tell("names", null);
}

export const symbolOf = (id) => store.symbols.get(id) || String(id);

/** Why a row cannot be trusted as it stands: "" when it can. */
export function doubt(row) {
  if (!row || row.tier == null) return "no state yet";
  if (row.flags & FLAG.EXPIRED || performance.now() - row.heardAt > row.valid_for_ms) return "expired: the stale column applies";
  if (row.flags & FLAG.STALE) return "book not trusted: the stale column applies";
  return "";
}

/** Strain of the market: mean score, capped at 6, of what is fresh, and what the scorer says of channels as a whole; null = nothing. */
export function systemic() {
  let sum = 0;
  let count = 0;
  let score = null;
  let tier = 0;
  for (const row of store.rows.values()) {
    if (doubt(row) || row.score == null) continue;
    sum += Math.min(6, Math.max(0, row.score));
    count += 1;
    if (row.systemic_score) score = Math.max(score ?? 0, row.systemic_score);
    tier = Math.max(tier, row.systemic_tier || 0);
  }
  return { mean: count ? sum / count : null, score, tier };
}
