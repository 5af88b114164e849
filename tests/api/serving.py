"""A world behind a real port, and messages that go on arriving."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import uvicorn

from deploy.local.ports import free_ports
from schemas import codec, topics
from schemas.records import Tier
from schemas.ticks import encode_ticks
from tests.api.session import state_of, ticks_at
from tests.api.worlds import World


@contextmanager
def served(world: World, port: int | None = None) -> Iterator[str]:
    """Serve a world; yield its address."""
    chosen = port or free_ports(1)[0]
    config = uvicorn.Config(world.app, host="127.0.0.1", port=chosen, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server starts"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{chosen}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def going_on(world: World, *, instruments: int = 4, hz: float = 10.0, crash: bool = True) -> Iterator[None]:
    """Let ticks of every instrument arrive ``hz`` times a second, and a state of each every second."""
    stopping = threading.Event()
    rng = np.random.default_rng(11)

    def run() -> None:
        begin_ns, begin = world.services.view.market_ns(), time.monotonic()
        step = 0
        while not stopping.wait(max(0.0, begin + step / hz - time.monotonic())):
            step += 1
            tick_ns = begin_ns + int(step * 1e9 / hz) // 100_000_000 * 100_000_000
            world.feed(
                [(topics.FEATURES_TICKS, encode_ticks(ticks_at(130.0 if crash else 0.0, tick_ns, instruments, rng)))]
            )
            some = range(1 + step % 10, instruments + 1, 10) if instruments >= 20 else range(1, instruments + 1)
            if instruments >= 20 or step % 10 == 1:
                states = []
                for one in some:
                    tier = Tier.CRITICAL if one == 1 and crash else _tier_of(one) if instruments >= 20 else Tier.NORMAL
                    score = (0.3, 3.9, 5.2, 7.4)[tier] + float(abs(rng.normal(0, 0.2)))
                    state = state_of(one, tick_ns, tier, before=tier, score=score)
                    states.append((topics.RISK_STATES, codec.encode(topics.RISK_STATES, state)))
                world.feed(states)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(10)


def _tier_of(number: int) -> Tier:
    return Tier.HIGH_ALERT if number % 97 == 0 else Tier.ELEVATED if number % 31 == 0 else Tier.NORMAL
