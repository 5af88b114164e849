"""vnpy_riskmanager's own engine and its five compiled rules, with the platform around them stubbed.

Invariant: a check is ``RiskEngine.check_allowed`` over the rules that the package itself finds and loads, and they must be the
compiled ones. All in its favour: the platform's event queue, which each check feeds, drops what it gets, and no order
is told back to the rules, so their sets stay small. The package writes its settings below the home folder, so the driver
starts this with a temporary one.
"""

from collections.abc import Callable
from typing import Final

from vnpy.trader.constant import Direction, Exchange, Offset, OrderType, Product
from vnpy.trader.event import EVENT_LOG
from vnpy.trader.object import ContractData, OrderRequest
from vnpy_riskmanager import RiskEngine

from benchmarks.peers.rounds import Engine, serve

RULES: Final = 5
NEVER: Final = 2**31 - 1
GATEWAY: Final = "SINK"


class Platform:
    """The part of vnpy's main engine and event engine that its risk engine asks for."""

    def __init__(self) -> None:
        self.contract = ContractData(
            gateway_name=GATEWAY,
            symbol="TIDE",
            exchange=Exchange.NASDAQ,
            name="Tide",
            product=Product.EQUITY,
            size=1,
            pricetick=0.01,
            max_volume=500,
        )
        self.contracts = {self.contract.vt_symbol: self.contract}
        self.refusals: list[object] = []
        self.get_contract: Callable[[str], ContractData | None] = self.contracts.get

    def register(self, kind: str, handler: object) -> None:
        """Take a subscription; nothing is ever published."""

    def put(self, event: object) -> None:
        """Drop an event; a refusal's log counts."""
        if getattr(event, "type", "") == EVENT_LOG:
            self.refusals.append(event)

    def send_order(self, request: OrderRequest, gateway_name: str) -> str:
        """Be there to be wrapped."""
        del request, gateway_name
        return "1"

    def write_log(self, msg: str, level: int = 0, source: str = "") -> None:
        """Fail when a rule could not be loaded."""
        del source
        if level:
            raise RuntimeError(msg)


def prepare() -> Engine:
    """Return the rule chain with limits that the orders respect."""
    platform = Platform()
    engine = RiskEngine(platform, platform)
    compiled = [rule for rule in engine.rules.values() if type(rule).__module__.endswith("_cy")]
    if len(compiled) != RULES or len(engine.rules) != RULES:
        raise RuntimeError(f"{len(compiled)} compiled rules of {len(engine.rules)}, {RULES} expected")
    for rule in compiled:
        rule.update_setting({"duplicate_order_limit": NEVER, "order_value_limit": 1_000_000, "order_volume_limit": 500})
    checked = 0

    def orders(count: int) -> list[tuple[OrderRequest, str]]:
        nonlocal checked
        checked += count
        return [(_request(number), GATEWAY) for number in range(count)]

    return Engine(
        name="vnpy_riskmanager",
        orders=orders,
        check=engine.check_allowed,
        settle=lambda _order, _answer: None,
        passed=lambda: checked - len(platform.refusals),
    )


def _request(number: int) -> OrderRequest:
    return OrderRequest(
        symbol="TIDE",
        exchange=Exchange.NASDAQ,
        direction=Direction.LONG,
        type=OrderType.LIMIT,
        volume=100,
        price=round(50.0 - 0.01 * (number % 100), 2),
        offset=Offset.NONE,
    )


if __name__ == "__main__":
    raise SystemExit(serve(prepare))
