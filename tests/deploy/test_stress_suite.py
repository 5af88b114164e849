"""Blocks of the stress suite: frames of any span give the same ticks, labels mean what they say, and files keep their word."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.stress_blocks import block_of
from deploy.stress_files import MANIFEST, SuiteError, digest, read_suite, write_suite
from features.channel import ChannelKernel
from feeds.stress.plan import MECHANISMS, StressSession, sessions
from feeds.stress.session import feed_frames, long_frames, simulate
from models.evaluation.blocks import TickBlock
from models.evaluation.truth import TruthSettings, cost_bps, cost_ratio, runs, ticks
from schemas.events import TickStatus

pytestmark = pytest.mark.slow

SUITE = sessions(7, quick=True)
SETTINGS = TruthSettings()
UNSOUND = TickStatus.STALE | TickStatus.BID_EMPTY | TickStatus.ASK_EMPTY | TickStatus.LOCKED | TickStatus.CROSSED


def some(mechanism: str, count: int) -> list[StressSession]:
    return [session for session in SUITE if session.mechanism == mechanism][:count]


@pytest.fixture(scope="module")
def blocks() -> dict[str, list[TickBlock]]:
    return {mechanism: [block_of(session) for session in some(mechanism, 2)] for mechanism in MECHANISMS}


def held_stress(block: TickBlock) -> list[int]:
    """Return the first rows of what the truth calls stress: cost beyond three medians for a second."""
    found = runs(cost_ratio(cost_bps(block, SETTINGS), SETTINGS) > SETTINGS.ratio)
    held = found[found[:, 1] - found[:, 0] + 1 >= ticks(SETTINGS.hold_s)]
    return [first for first in held[:, 0].tolist() if first >= ticks(SETTINGS.warmup_s)]


@pytest.mark.parametrize("mechanism", [name for name, m in MECHANISMS.items() if m.kind == "crisis"])
def test_cost_rises_after_the_onset_of_a_crisis_and_not_before(
    mechanism: str, blocks: dict[str, list[TickBlock]]
) -> None:
    for block in blocks[mechanism]:
        assert block.labels is not None
        stressed = held_stress(block)
        assert stressed, block.name
        assert stressed[0] >= block.labels.onset_tick, block.name


@pytest.mark.parametrize("mechanism", [name for name, m in MECHANISMS.items() if m.kind != "crisis"])
def test_cost_stays_where_it_was_in_calm_and_in_hard_negatives(
    mechanism: str, blocks: dict[str, list[TickBlock]]
) -> None:
    assert [held_stress(block) for block in blocks[mechanism]] == [[], []]


def test_a_crisis_breaks_after_its_precursor_not_with_it(blocks: dict[str, list[TickBlock]]) -> None:
    for mechanism in ("large_seller", "slow_crisis", "layering"):
        for session, block in zip(some(mechanism, 2), blocks[mechanism], strict=True):
            lead_s = (held_stress(block)[0] - session.onset_tick) / 10
            assert lead_s > 0.5 * session.story["precursor_s"], block.name


def test_what_negatives_do_is_extraordinary(blocks: dict[str, list[TickBlock]]) -> None:
    for block in blocks["macro_jump"]:
        assert np.nanmax(np.abs(block.column("mid_return_10s_bps"))) > 15
    for block in blocks["auction"]:
        assert np.any(block.status & TickStatus.HALTED)
    for session, block in zip(some("quiet_deep_book", 2), blocks["quiet_deep_book"], strict=True):
        rate, onset = block.column("trade_rate"), session.onset_tick
        assert rate[onset + 500 : onset + 1000].mean() < 0.5 * rate[1000:onset].mean()
        depth = block.column("depth_total_10")
        assert depth[onset + 500 : onset + 1000].mean() > 0.8 * depth[1000:onset].mean()


def test_books_are_whole_and_uncrossed_at_every_tick_of_every_session(blocks: dict[str, list[TickBlock]]) -> None:
    for block in (block for held in blocks.values() for block in held):
        assert not np.any(block.status & UNSOUND), block.name
        assert np.all(block.ref_price > 0)
        assert np.all(block.column("spread_ticks") >= 1)


@pytest.mark.parametrize("mechanism", ["stale_feed", "auction"])
def test_frames_of_a_second_give_the_ticks_of_frames_that_a_feed_sends(mechanism: str) -> None:
    session = some(mechanism, 1)[0]
    events = simulate(session)
    rows = []
    for frames in (feed_frames(session, events), long_frames(session, events)):
        kernel = ChannelKernel(session.channel_id)
        results = [kernel.apply(frame) for frame in frames]
        rows.append(
            [np.concatenate([getattr(one, name) for one in results]) for name in ("tick_ns", "status", "values")]
        )
        counts = kernel.counters()
        assert counts["events"] == len(events)
        assert not counts["unknown_order"]
        assert not counts["bad_event"]
        assert not counts["gaps"]
    for short, long in zip(*rows, strict=True):
        assert np.array_equal(short, long, equal_nan=short.dtype.kind == "f")


def test_written_suites_are_read_back_and_equal_seeds_have_equal_digests(tmp_path: Path) -> None:
    chosen = [some("fat_finger", 1)[0], some("auction", 1)[0]]
    written = list(write_suite(tmp_path / "one", chosen, seed=7, quick=True))
    list(write_suite(tmp_path / "two", chosen, seed=7, quick=True))
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()
    again = list(read_suite(tmp_path / "one"))
    assert [digest(block) for block in again] == [digest(block) for block in written]
    assert [block.labels for block in again] == [block.labels for block in written]


def test_a_changed_block_and_a_missing_manifest_are_refused(tmp_path: Path) -> None:
    first, second = some("fat_finger", 2)
    list(write_suite(tmp_path, [first, second], seed=7, quick=True))
    folder = tmp_path / "blocks"
    (folder / f"{second.name}.parquet").replace(folder / f"{first.name}.parquet")
    with pytest.raises(SuiteError, match=first.name):
        list(read_suite(tmp_path))
    with pytest.raises(SuiteError, match=MANIFEST):
        list(read_suite(folder))


def test_help_of_the_command_says_what_it_writes() -> None:
    result = CliRunner().invoke(main, ["stress-suite", "--help"])
    assert result.exit_code == 0
    assert "--quick" in result.output
