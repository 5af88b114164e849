"""How long questions take: the timeline of one instrument over a day, and aggregates over ten million rows.

The store is filled by the database itself: ten instruments that tick for a day (864,000 ticks each, those features set
that the questions read), a state a second, an order every 86 ms. The day has episodes. Each question is asked through a reading
handle with the owner's own limits, as the REST service and analysts ask it, one at a time; the figure is the median of several.
`cpu_ms` is the work, whoever else uses the machine.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from history.database import Reader, Store
from history.migrate import migrate
from history.queries import (
    DecisionFilter,
    Page,
    Span,
    decisions,
    instruments,
    market_timeline,
    orders_on_timeline,
    risk_timeline,
    states_by_minute,
    tier_changes,
    tier_episodes,
)
from history.queries.analyst import question
from history.settings import HistorySettings
from history.statement import Statement
from schemas.units import NS_PER_S

DAY_S: Final = 86_400
T0_NS: Final = 1_768_435_200 * NS_PER_S
"""2026-01-15, midnight."""
INSTRUMENTS: Final = 10
TIMELINE_GOAL_MS: Final = 100

TICKS: Final = """
INSERT INTO ticks (tick_ns, channel_id, instrument_id, status, ref_price, epoch, spec_hash, spread_bps, depth_total_10, depth_bid_5,
                   depth_ask_5, realised_vol_60s, add_rate, cancel_rate, trade_rate, buy_cost_bps, sell_cost_bps, imbalance_l5)
SELECT fromUnixTimestamp64Nano(toInt64({t0} + (number + 1) * 100000000), 'UTC'), 'BENCH', {instrument}, 0,
       50000000000 + 10000000 * toInt64(200 * sin(number / 90000)) + 10000000 * (cityHash64(number) % 3), 1, 'bench',
       2 + (cityHash64(number, 1) % 30) / 10, 1000 + cityHash64(number, 2) % 2000, 400 + cityHash64(number, 3) % 500,
       400 + cityHash64(number, 4) % 500, (cityHash64(number, 5) % 1000) / 1e5, cityHash64(number, 6) % 300,
       cityHash64(number, 7) % 300, cityHash64(number, 8) % 50, 1 + (cityHash64(number, 9) % 40) / 10,
       1 + (cityHash64(number, 10) % 40) / 10, 0.1
FROM numbers({first}, {count})"""
SCORES: Final = """
INSERT INTO scores (tick_ns, instrument_id, channel_id, epoch, model_id, shadow, score, p, adverse_share)
SELECT fromUnixTimestamp64Nano(toInt64({t0} + (number + 1) * 100000000), 'UTC'), {instrument}, 'BENCH', 1, 'bench', 0,
       -log10((1 + cityHash64(number, {instrument}) % 1000000) / 1e6), (1 + cityHash64(number, {instrument}) % 1000000) / 1e6, 0.5
FROM numbers({first}, {count})"""
STATES: Final = """
INSERT INTO risk_states (tick_ns, instrument_id, channel_id, epoch, tier, tier_before, latched, stale, degraded, score, score01, p,
    adverse_share, ref_price, model_id, `causes.name`, `causes.value`, `causes.z`, `causes.share`, `causes.adverse`)
WITH number % 3600 AS s, least(2, greatest(0, toInt64(s / 20) - 150)) AS tier_now,
     if(number = 0, 0, least(2, greatest(0, toInt64(((number - 1) % 3600) / 20) - 150))) AS tier_then
SELECT fromUnixTimestamp64Nano(toInt64({t0} + (number + 1) * 1000000000), 'UTC'), {instrument}, 'BENCH', 1, tier_now, tier_then,
       0, 0, 0, 3 * tier_now, 0.1, pow(10, -3 * tier_now), 0.5, 50000000000, 'bench',
       ['cancel_rate', 'depth_bid_5', 'spread_bps'], [100., 200., 3.], [4., -3., 2.], [0.5, 0.3, 0.1], [true, true, true]
FROM numbers({seconds})"""
DECISIONS: Final = """
INSERT INTO decisions (order_id, enforcer, account_id, instrument_id, ts_event_ns, verdict, reason, `limit`, observed, tier,
    stale, epoch, tick_ns, model_id, score, decision_id, instance, seq, ref_price, action, side, order_type, qty, price)
WITH cityHash64(number) % 100 AS draw
SELECT concat('b-', toString(number)), 'gate', concat('DESK-', toString(number % 20)), 1 + number % {instruments},
       fromUnixTimestamp64Nano(toInt64({t0} + number * intDiv({day_s} * 1000000000, {count_all})), 'UTC'),
       if(draw < 90, 'ACCEPT', 'REJECT'), multiIf(draw < 90, 'ok', draw < 95, 'max_order_size', draw < 98, 'price_band', 'halted'),
       500, 100, draw % 4, 0, 1, fromUnixTimestamp64Nano(toInt64({t0}), 'UTC'), 'bench', 1., concat('b-', toString(number), ':1'),
       'bench', number + 1, 50000000000, 'NEW', if(number % 2 = 0, 'BUY', 'SELL'), 'LIMIT', 10 + number % 400, 50000000000
FROM numbers({first}, {count})"""
CHUNK: Final = 500_000


def fill(store: Store, rows: int) -> None:
    """Store ``rows`` ticks, scores and decisions over the instruments of one day, and their states."""
    per_instrument = rows // INSTRUMENTS
    known: dict[str, Any] = {"t0": T0_NS, "instruments": INSTRUMENTS, "day_s": DAY_S, "count_all": rows}
    for instrument in range(1, INSTRUMENTS + 1):
        store.command(STATES.format(**known, instrument=instrument, seconds=per_instrument // 10))
        for first in range(0, per_instrument, CHUNK):
            part = {**known, "instrument": instrument, "first": first, "count": min(CHUNK, per_instrument - first)}
            store.command(TICKS.format(**part))
            store.command(SCORES.format(**part))
    for first in range(0, rows, CHUNK):
        store.command(DECISIONS.format(**known, first=first, count=min(CHUNK, rows - first)))


def asked(reader: Reader) -> dict[str, Callable[[], Any]]:
    """Return what is timed by name."""
    day, hour = Span(T0_NS, T0_NS + DAY_S * NS_PER_S), Span(T0_NS + 50 * 60 * NS_PER_S, T0_NS + 65 * 60 * NS_PER_S)
    count = "SELECT {what} FROM {table}"
    plain = {
        "ticks_10m_by_hour": count.format(what="toHour(tick_ns) AS h, count(), avg(spread_bps), quantile(0.99)(spread_bps)",
                                          table="ticks_once GROUP BY h"),
        "scores_10m_histogram": count.format(what="floor(score, 1) AS s, count()", table="scores_once GROUP BY s"),
        "decisions_10m_by_reason": count.format(what="account_id, verdict, reason, count(), sum(qty)",
                                                table="decisions_once GROUP BY ALL"),
        "decision_by_order_id": count.format(what="*", table="decisions_once WHERE order_id = 'b-77777'"),
    }  # fmt: skip
    return {
        "day_timeline_changes": lambda: tier_changes(reader, 3, day),
        "day_timeline_episodes": lambda: tier_episodes(reader, 3, day),
        "day_timeline_bands_1m": lambda: states_by_minute(reader, day, 3),
        "day_market_1m": lambda: market_timeline(reader, 3, day, step="1m"),
        "day_states_every_second": lambda: risk_timeline(reader, 3, day),
        "day_market_1s": lambda: market_timeline(reader, 3, day, step="1s"),
        "quarter_hour_ticks": lambda: market_timeline(reader, 3, hour, step="tick"),
        "quarter_hour_orders": lambda: orders_on_timeline(reader, 3, hour),
        "instruments": lambda: instruments(reader),
        "rejects_first_page": lambda: decisions(reader, DecisionFilter(day, 3, verdicts=["REJECT"]), Page(100)),
        "calibration": lambda: reader.table(question("calibration").statement()),
        "tick_state_decision": lambda: reader.table(question("tick_state_decision").statement()),
        **{name: partial(reader.table, Statement(sql)) for name, sql in plain.items()},
    }


def main(argv: list[str] | None = None) -> int:
    """Print the figures as JSON on the last line; exit 1 when the day's timeline misses its goal."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_analyst", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=8_640_000, help="ticks, scores and decisions each; 8,640,000 = a day"
    )
    parser.add_argument("--times", type=int, default=5, help="how often each question is asked")
    arguments = parser.parse_args(argv)
    figures = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = HistorySettings(bootstrap_servers="", data_dir=Path(folder) / "data")
        store = Store(settings)
        migrate(store)
        began_s = time.perf_counter()
        fill(store, arguments.rows)
        filled_s = time.perf_counter() - began_s
        reader = Reader(settings)
        for name, ask in asked(reader).items():
            walls, cpus = [], []
            for _ in range(arguments.times):
                wall_s, cpu_s = time.perf_counter(), time.process_time()
                answer = ask()
                walls.append(time.perf_counter() - wall_s)
                cpus.append(time.process_time() - cpu_s)
            found = getattr(answer, "rows", answer).num_rows
            figures[name] = {"ms": _ms(walls), "cpu_ms": _ms(cpus), "rows": found}
            print(f"{name:26} {figures[name]['ms']:9.1f} ms   {figures[name]['cpu_ms']:9.1f} ms of work   {found} rows")
        reader.close()
        store.close()
    timeline_ms = max(figures[name]["ms"] for name in figures if name.startswith("day_timeline"))
    about = {
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "rows": arguments.rows,
        "fill_s": round(filled_s, 1),
    }
    print(json.dumps({"bench": "analyst", **about, "day_timeline_ms": round(timeline_ms, 1), "questions": figures}))
    return 0 if timeline_ms <= TIMELINE_GOAL_MS else 1


def _ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e3, 1)


if __name__ == "__main__":
    raise SystemExit(main())
