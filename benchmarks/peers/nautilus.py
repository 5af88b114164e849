"""NautilusTrader's RiskEngine as its users run it: real engine, message bus, cache, portfolio and cash account.

Invariant: a check is ``RiskEngine.execute`` of a ``SubmitOrder`` made beforehand, and the endpoint of its execution engine
is a sink that counts. All in its favour: its order rate is never reached (so its throttle reads no clock), it logs
nothing, and neither the order, nor the command, nor anything after the engine is timed.
"""

import itertools
from typing import Final

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType, OrderSide
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import AccountId, ClientOrderId, InstrumentId, StrategyId, Symbol, TraderId
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.model.orders import LimitOrder
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.engine import RiskEngine

from benchmarks.peers.rounds import Engine, serve

ORDER_RATE: Final = "1000000000/00:00:01"
TRADER: Final = TraderId("TRADER-1")
STRATEGY: Final = StrategyId("S-1")
INSTRUMENT: Final = InstrumentId.from_str("TIDE.XNAS")
QTY: Final = Quantity.from_int(100)
CASH: Final = 100_000_000


class Sink:
    """Stands where the execution engine would be."""

    def __init__(self) -> None:
        self.received = 0

    def take(self, _command: object) -> None:
        """Count what came through."""
        self.received += 1


def prepare() -> Engine:
    """Return the engine with one share to trade, an account that can pay for it, and a largest order value."""
    clock, cache = LiveClock(), Cache(database=None)
    bus = MessageBus(trader_id=TRADER, clock=clock)
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    config = RiskEngineConfig(max_order_submit_rate=ORDER_RATE, max_notional_per_order={str(INSTRUMENT): 1_000_000})
    engine = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock, config=config)
    sink = Sink()
    bus.register(endpoint="ExecEngine.execute", handler=sink.take)
    cache.add_instrument(
        Equity(
            instrument_id=INSTRUMENT,
            raw_symbol=Symbol("TIDE"),
            currency=USD,
            price_precision=2,
            price_increment=Price.from_str("0.01"),
            lot_size=Quantity.from_int(1),
            max_quantity=Quantity.from_int(500),
            min_quantity=Quantity.from_int(1),
            ts_event=0,
            ts_init=0,
        )
    )
    cache.add_account(_cash_account())
    numbers = itertools.count(1)
    return Engine(
        name="NautilusTrader",
        orders=lambda count: [(_command(next(numbers)),) for _ in range(count)],
        check=engine.execute,
        settle=lambda _order, _answer: None,
        passed=lambda: sink.received,
    )


def _command(number: int) -> SubmitOrder:
    order = LimitOrder(
        trader_id=TRADER,
        strategy_id=STRATEGY,
        instrument_id=INSTRUMENT,
        client_order_id=ClientOrderId(f"O-{number}"),
        order_side=OrderSide.BUY,
        quantity=QTY,
        price=Price(50.0 - 0.01 * (number % 100), 2),
        init_id=UUID4(),
        ts_init=0,
    )
    return SubmitOrder(trader_id=TRADER, strategy_id=STRATEGY, order=order, command_id=UUID4(), ts_init=0)


def _cash_account() -> object:
    balance = AccountBalance(Money(CASH, USD), Money(0, USD), Money(CASH, USD))
    return AccountFactory.create(
        AccountState(
            account_id=AccountId("XNAS-1"),
            account_type=AccountType.CASH,
            base_currency=USD,
            reported=True,
            balances=[balance],
            margins=[],
            info={},
            event_id=UUID4(),
            ts_event=0,
            ts_init=0,
        )
    )


if __name__ == "__main__":
    raise SystemExit(serve(prepare))
