"""The C program of docs/embed.md: built without Python, it enforces the limits that this process writes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate._native import LimitTable, scope_hash
from gate.rows import UNLIMITED, AccountRow, InstrumentRow, Limits

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
S = 10**9
FAR_NS = 2**62
LIMITS = Limits(
    order_qty=1_000,
    order_value=10**6 * 10**6,
    long=500,
    short=500,
    band_bps=500,
    band_ticks=100_000,
    period_band_bps=1_000,
    quote_offset_bps=0,
    message_weight=1_000,
    margin=1_000,
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed")
    made = subprocess.run(
        ["make", "embed", f"EMBED={folder}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert made.returncode == 0, made.stderr
    return folder / "embed"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[LimitTable]:
    with LimitTable.create(tmp_path / "limits", 16, 16) as made:
        row = InstrumentRow(
            instrument_id=1,
            envelope=LIMITS,
            dynamic=LIMITS,
            stale_limits=LIMITS,
            ref_price=50 * S,
            ref_low=50 * S,
            ref_high=50 * S,
            ref_until_ns=FAR_NS,
            valid_until_ns=FAR_NS,
            tick_size=10**7,
            lot_nano=S,
            qty_min=1,
            qty_step=1,
        )
        assert made.put(row.pack())
        assert made.put_account(account().pack())
        yield made


def account() -> AccountRow:
    free = dict.fromkeys(("gross_value", "net_value", "instrument_value", "credit", "day_loss", "drawdown"), UNLIMITED)
    counts = dict.fromkeys(
        ("period_value", "basket_value", "open_orders", "messages_per_s", "message_burst"), UNLIMITED
    )
    return AccountRow(
        account=scope_hash("account:A1"),
        **free,
        **counts,
        repeats_max=UNLIMITED,
        period_ns=S,
        duplicate_ns=0,
        class_mask=1,
    )


def run(program: Path, *paths: Path) -> list[str]:
    ended = subprocess.run([program, *paths], capture_output=True, text=True, check=True, timeout=30)
    return ended.stdout.splitlines()


def test_c_program_trades_within_the_limits_that_python_wrote(program: Path, table: LimitTable, tmp_path: Path) -> None:
    assert table.row_count == 1
    assert run(program, tmp_path / "limits") == [
        "bid-1: ACCEPT ok TG-PASS-ALL",
        "position: instrument 1 holds 40, working 60 to buy and 0 to sell",
        "bid-2: REJECT max_order_size TG-SIZE-QTY limit 1000 observed 1000000",
        "ask-1: REJECT self_match TG-FLOW-SELF limit 50000000000 observed 50000000000",
        "bid-3: ACCEPT ok TG-PASS-ALL",
        "position: instrument 1 holds 40, working 20 to buy and 0 to sell",
        "cancel-1: ACCEPT ok TG-PASS-ALL",
        "exit-1: ACCEPT ok TG-PASS-ALL worst price 47500000000",
        "position: instrument 1 holds 0, working 0 to buy and 0 to sell",
        "accepted 3, refused 2",
    ]


def test_kill_from_python_reaches_the_c_program_and_its_cancel_still_passes(
    program: Path, table: LimitTable, tmp_path: Path
) -> None:
    table.kill_firm(True)
    said = run(program, tmp_path / "limits")
    assert said[0] == "bid-1: REJECT killed TG-STOP-KILL"
    assert "cancel-1: ACCEPT ok TG-PASS-ALL" in said


def test_order_ids_of_an_earlier_run_are_remembered_by_the_ledger(
    program: Path, table: LimitTable, tmp_path: Path
) -> None:
    assert table.account_count == 1
    first, second = (run(program, tmp_path / "limits", tmp_path / "ledger") for _ in range(2))
    assert first[0] == "bid-1: ACCEPT ok TG-PASS-ALL"
    assert second[0] == "bid-1: REJECT duplicate_order TG-FLOW-DUPLICATE"


def test_program_without_a_table_says_so(program: Path, tmp_path: Path) -> None:
    ended = subprocess.run([program, tmp_path / "none"], capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert "the gate cannot be opened" in ended.stderr
