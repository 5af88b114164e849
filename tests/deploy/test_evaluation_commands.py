"""The benchmark from the outside: who joins from a folder of their own, who cheats is caught, what is kept is what README shows."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.block_cache import cached, key_of
from deploy.cli import main
from deploy.results import BEGIN, END, ResultsError, rewritten
from feeds.tape.parse import TRADES_HEADER
from models.evaluation.blocks import TickBlock
from tests.models.evaluation.made import block_of, suite

pytestmark = pytest.mark.slow

JOINS = '''
import numpy as np

class WideSpread:
    """Knows nothing of Tidegate: numpy and the protocol alone."""

    name = "wide spread"
    tried = 40

    def fit(self, past):
        self.usual = np.nanmedian(np.concatenate([block.column("spread_bps") for block in past]))

    def score(self, block):
        return np.log(np.maximum(block.column("spread_bps"), 0.01) / self.usual)


class Tomorrow:
    """Reads five seconds ahead."""

    name = "tomorrow"

    def fit(self, past):
        pass

    def score(self, block):
        cost = block.column("sell_cost_bps")
        return np.append(cost[50:], np.full(50, cost[-1]))
'''
MEASURED = {"recall", "median_lead_s", "false_episodes_per_day", "budget_ratio", "flaps_per_day"}


@pytest.fixture
def outsider(tmp_path: Path) -> Path:
    """A detector's file in a folder that is not of this repository, nor where Python looks."""
    file = tmp_path / "elsewhere" / "mine.py"
    file.parent.mkdir()
    file.write_text(JOINS)
    return file


@pytest.fixture
def small_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(seed: int, *, quick: bool) -> list[TickBlock]:
        del seed, quick
        return suite()

    monkeypatch.setattr("deploy.commands.stress_benchmark.stress_blocks", made)


@pytest.mark.usefixtures("small_suite")
def test_a_detector_joins_from_a_file_elsewhere_and_a_cheater_is_named(outsider: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "out", tmp_path / "kept"
    found = CliRunner().invoke(
        main,
        ["stress-benchmark", "--quick", "--no-own", "--detector", f"{outsider}:WideSpread", "--detector",
         f"{outsider}:Tomorrow", "--out", str(out), "--keep", str(kept)],
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    last = json.loads(found.stdout.splitlines()[-1])
    assert set(last) == MEASURED | {"name", "seed", "suite"}
    assert (last["name"], last["seed"], last["suite"]) != ("tomorrow", 7, "stress-quick")
    assert last["recall"] == 1.0
    report = json.loads((out / "leaderboard-quick.json").read_text())
    rows = {row["name"]: row for row in report["detectors"]}
    assert rows["wide spread"]["fault"] is None
    assert rows["wide spread"]["equal_rate"][1]["recall"]["value"] == 1.0
    assert "with the rows from" in rows["tomorrow"]["fault"]
    assert "tomorrow (looks ahead: out)" in found.output
    assert report["tried"]["configurations_of_detectors_by_their_makers_word"] == 40 + 7
    page = (out / "leaderboard-quick.md").read_text()
    assert "| wide spread | 8/8, 19.9 |" in page
    small = json.loads((kept / "stress_quick.json").read_text())
    assert small["shipped"] == last
    joined = "--detector mine.py:WideSpread --detector mine.py:Tomorrow"
    assert small["run"]["command"] == f"tidegate stress-benchmark --seed 7 --quick --no-own {joined}"
    assert {"command", "date", "machine", "load_before", "load_after", "seconds"} == set(small["run"])


@pytest.mark.usefixtures("small_suite")
def test_readme_is_rewritten_from_what_was_kept_and_only_between_its_markers(
    outsider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.detectors.SHIPPED", "wide spread")
    kept, page = tmp_path / "kept", tmp_path / "README.md"
    run = CliRunner().invoke
    asked = ["stress-benchmark", "--quick", "--no-own", "--detector", f"{outsider}:WideSpread", "--out", str(tmp_path)]
    assert run(main, [*asked, "--keep", str(kept)]).exit_code == 0
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rewrite = ["results", "--from", str(kept), "--readme", str(page)]
    assert run(main, [*rewrite, "--check"]).exit_code == 1
    assert run(main, rewrite).exit_code == 0
    first = page.read_text()
    assert first.startswith(f"before\n{BEGIN}\n")
    assert first.endswith(f"{END}\nafter\n")
    assert "old" not in first
    assert "| **wide spread** (shipped) | 1.00 [" in first
    for baseline in ("volatility only", "spread/depth EWMA-z", "CUSUM on depth", "VPIN"):
        assert f"| {baseline} (baseline) | " in first
    assert "canary" not in first.partition("|---|")[2]
    assert run(main, rewrite).exit_code == 0
    assert page.read_text() == first
    assert run(main, [*rewrite, "--check"]).exit_code == 0


def test_a_tape_walks_forward_with_its_truths_and_what_its_calm_time_costs(tmp_path: Path) -> None:
    tape, out, kept = tmp_path / "coinbase_trades_2025-10-10_ADA-USD.csv", tmp_path / "out", tmp_path / "kept"
    midnight_us, lines = 1_760_054_400_000_000, [TRADES_HEADER.decode()]
    for second in range(1, 7_200):
        price = 8_000 + second % 3 - (900 if 6_000 <= second < 6_010 else 0)
        us = midnight_us + second * 1_000_000
        lines.append(f"coinbase,ADA-USD,{us},{us},{second},{'buy' if second % 2 else 'sell'},{price / 10_000:.4f},3.5")
    tape.write_text("\n".join(lines) + "\n")
    asked = [
        "backtest",
        f"tape={tape}",
        "--no-own",
        "--folds",
        "2",
        "--seconds",
        "7200",
        "--out",
        str(out),
        "--keep",
        str(kept),
    ]
    found = CliRunner().invoke(main, [*asked, "--cache", str(tmp_path / "blocks")])
    assert found.exit_code == 0, found.output
    last = json.loads(found.stdout.splitlines()[-1])
    assert {name.partition(", ")[2].partition(" (")[0] for name in last["recordings"]} == {"price truth", "flash truth"}
    assert all(set(line) == MEASURED | {"name", "seed", "suite"} for line in last["recordings"].values())
    flash = json.loads((kept / "backtest_tape-coinbase_trades_2025-10-10_ADA-USD-flash.json").read_text())
    (event,) = flash["events"]
    assert event["impact_ns"] == (midnight_us + 6_000 * 1_000_000) * 1_000 + 100_000_000
    assert flash["run"]["command"].startswith("tidegate backtest tape=coinbase_trades_2025-10-10_ADA-USD.csv --folds 2")
    calm = json.loads((kept / "calm_tape-coinbase_trades_2025-10-10_ADA-USD.json").read_text())
    assert calm["role"] == "baseline"
    assert calm["whole"]["days"] > 0.1
    assert [day["date"] for day in calm["whole"]["by_day"]] == ["2025-10-10"]
    again = CliRunner().invoke(main, [*asked, "--cache", str(tmp_path / "blocks")])
    assert again.stdout == found.stdout


@pytest.mark.parametrize("page", ["nothing", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_its_markers_once_in_order_is_refused(page: str) -> None:
    with pytest.raises(ResultsError, match="once each"):
        rewritten(page, "section", path=Path("README.md"))


def test_kept_blocks_are_the_same_and_another_argument_or_file_is_another_entry(tmp_path: Path) -> None:
    made = suite()[6:10]
    calls: list[int] = []

    def make() -> list[TickBlock]:
        calls.append(1)
        return made

    first, second = (cached(tmp_path / "kept", key_of("a", 1), make) for _ in range(2))
    assert len(calls) == 1
    for one, other in zip(first, second, strict=True):
        assert (one.name, one.instrument_id, one.labels) == (other.name, other.instrument_id, other.labels)
    for one, other in zip(made, second, strict=True):
        assert one.labels == other.labels
        assert (one.values == other.values).all()
        assert (one.tick_ns == other.tick_ns).all()
        assert (one.ref_price == other.ref_price).all()
    file = tmp_path / "input"
    file.write_text("1")
    keys = {key_of("a", 1), key_of("a", 2), key_of("a", 1, files=[file])}
    file.write_text("2")
    assert len(keys | {key_of("a", 1, files=[file])}) == 4
    assert cached(None, "any", lambda: [block_of()])[0].name == "made"
