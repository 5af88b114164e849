"""The stack: causal, the same live as in a session, honest in calm, awake in a crisis, frozen when told."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import FEATURE_NAMES
from models.detectors.calibration import CalibrationStart
from models.detectors.explain import causes
from models.detectors.stack import Channel, Stack, StackScores, split, ticks_of
from models.detectors.suite import ErosionStackDetector, SharedStack, StackView, detectors, simple_measures
from models.detectors.views import HORIZONS, SETTLED_TICKS, VIEWED_NAMES, WINDOW, Viewer, Views
from models.evaluation.blocks import TickBlock
from models.evaluation.protocol import load
from models.scaling import WINDOW_TICKS, Scaler
from schemas.events import TickStatus
from schemas.ticks import Ticks
from tests.models.detectors.made import WIDE, views

pytestmark = pytest.mark.slow

MakeBlock = Callable[..., TickBlock]
F64 = npt.NDArray[np.float64]


class Live:
    """A channel at work, a message at a time."""

    def __init__(self, stack: Stack) -> None:
        self.scaler, self.viewer, self.channel = Scaler(stack.past.priors, stack.past), Viewer(), Channel(stack)

    def step(self, ticks: Ticks, frozen: npt.NDArray[np.bool_] | None = None) -> tuple[Views, StackScores]:
        views = self.viewer.step(self.scaler.step(ticks), ticks.values)
        return views, self.channel.step(views, frozen)


def live(
    stack: Stack, block: TickBlock, *, frozen: bool | None = None
) -> tuple[Channel, list[Views], list[StackScores]]:
    """Return what a channel sees and says of a session, a tick at a time."""
    work = Live(stack)
    told = None if frozen is None else np.array([frozen])
    found = [work.step(ticks_of(block.part(row, row + 1)), told) for row in range(len(block))]
    return work.channel, [views for views, _ in found], [scores for _, scores in found]


@settings(max_examples=6, deadline=None)
@given(st.integers(620, 790), st.integers(0, 1000))
def test_law_score_does_not_change_when_later_rows_do(stack: Stack, make_block: MakeBlock, cut: int, seed: int) -> None:
    block = make_block(50, 800, crisis_from=700)
    other = make_block(seed + 1000, 800).values
    values = np.concatenate([block.values[:cut], 5 * other[cut:]])
    changed = replace(block, values=values, status=np.where(np.arange(800) < cut, 0, 8).astype(np.uint32))
    before, after = stack.session(block), stack.session(changed)
    assert before.strange[:cut].tobytes() == after.strange[:cut].tobytes()
    assert before.p[:cut].tobytes() == after.p[:cut].tobytes()
    assert np.nanmax(np.abs(before.strange[cut:] - after.strange[cut:])) > 0


def test_channel_says_tick_by_tick_what_a_session_says_at_once(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(51, 900, crisis_from=800)
    whole, (_, _, ticks) = stack.session(block), live(stack, block)
    assert np.concatenate([tick.strange for tick in ticks]) == pytest.approx(whole.strange, rel=1e-6, nan_ok=True)
    assert np.concatenate([tick.share for tick in ticks]) == pytest.approx(whole.share, abs=1e-6)


def test_instruments_of_a_channel_do_not_disturb_each_other(stack: Stack, make_block: MakeBlock) -> None:
    blocks = [make_block(60 + n, 750, instrument=n) for n in (1, 2, 9)]
    work, found = Live(stack), []
    for row in range(750):
        parts = [ticks_of(block.part(row, row + 1)) for block in blocks]
        columns = ("tick_ns", "instrument_id", "status", "ref_price", "values")
        together = replace(parts[0], **{c: np.concatenate([getattr(p, c) for p in parts]) for c in columns})
        found.append(work.step(together)[1].strange)
    for n, block in enumerate(blocks):
        assert np.array(found)[:, n] == pytest.approx(stack.session(block).strange, rel=1e-6, nan_ok=True)


def test_p_of_calm_sessions_is_uniform_and_a_crisis_stands_out(stack: Stack, make_block: MakeBlock) -> None:
    calm = [stack.session(make_block(70 + n, instrument=1 + n % 2)) for n in range(6)]
    # Of the window alone: of slow averages so few sessions hold hardly an independent value, and silence never is.
    p = np.concatenate([one.p[np.isfinite(one.strange), :6] for one in calm])
    for level in (0.5, 0.2, 0.1):
        assert (p <= level).mean(axis=0) == pytest.approx(level, abs=0.08)
    assert ((p <= 0.01).mean(axis=0) < 0.03).all()
    crisis = stack.session(make_block(80, crisis_from=1_000)).strange
    assert crisis[1_060:].min() > 4
    assert np.nanmax(crisis[:1_000]) < 5


def test_same_past_and_seed_give_the_same_scores(stack: Stack, past: list[TickBlock], make_block: MakeBlock) -> None:
    again = Stack(simple_measures(), seed=7)
    again.fit(past)
    block = make_block(52, 700)
    assert again.session(block).strange.tobytes() == stack.session(block).strange.tobytes()


def test_no_opinion_before_the_window_is_full_or_while_the_book_is_stale(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(53, 300)
    block.status[200:210] = int(TickStatus.STALE)
    scores = stack.session(block)
    strange = scores.strange
    assert np.isnan(strange[: WINDOW_TICKS + WINDOW - 1]).all()
    assert np.isfinite(strange[WINDOW_TICKS + WINDOW - 1 : 200]).all()
    assert np.isnan(strange[200:210]).all()
    assert np.isfinite(strange[210:]).all()
    slow = [measure.name.startswith("erosion") for measure in stack.measures]
    assert np.isnan(scores.p[: SETTLED_TICKS - 1, slow]).all()
    assert np.isfinite(scores.p[210:, slow]).all()


def test_nulls_are_ordinary(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(54, 800)
    block.values[:, 3] = np.nan
    assert np.nanmax(stack.session(block).strange) < 6


def test_frozen_channel_learns_nothing(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(55, 800, crisis_from=700)
    frozen, views, _ = live(stack, block, frozen=True)
    learning, _, _ = live(stack, block, frozen=False)
    untouched = Channel(stack)
    assert frozen.score(views[-1]) == untouched.score(views[-1])
    assert learning.score(views[-1]) != untouched.score(views[-1])


def test_channel_goes_on_after_a_restart_bit_for_bit(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(58, 800, crisis_from=700)
    work = Live(stack)
    for row in range(720):
        work.step(ticks_of(block.part(row, row + 1)))
    again = Live(stack)
    again.scaler = Scaler.from_bytes(work.scaler.to_bytes(), stack.past.priors, stack.past)
    again.viewer = Viewer.from_bytes(work.viewer.to_bytes())
    again.channel = Channel.from_bytes(work.channel.to_bytes(), stack)
    for row in range(720, 800):
        ticks = ticks_of(block.part(row, row + 1))
        (_, before), (_, after) = work.step(ticks), again.step(ticks)
        assert before.p.tobytes() == after.p.tobytes()
    assert work.channel.to_bytes() == again.channel.to_bytes()


def test_channel_state_of_another_stack_or_cut_short_is_refused(stack: Stack) -> None:
    raw = Channel(stack).to_bytes()
    for wrong in (b"", raw[:-1], raw + b"x", raw[:6]):
        with pytest.raises(ValueError, match="state"):
            Channel.from_bytes(wrong, stack)


def test_stack_goes_through_arrays_bit_for_bit(stack: Stack, make_block: MakeBlock) -> None:
    again = Stack(simple_measures(), 7)
    for new, measure in zip(again.measures, stack.measures, strict=True):
        new.load(measure.arrays())
    again.restore(stack.past, CalibrationStart.from_arrays(stack.start.arrays()))
    block = make_block(59, 700)
    assert again.session(block).p.tobytes() == stack.session(block).p.tobytes()


def test_only_named_measures_are_combined_and_a_name_of_none_is_refused(
    stack: Stack, past: list[TickBlock], make_block: MakeBlock
) -> None:
    chosen = Stack(simple_measures(), 7, combined=["l2"])
    chosen.fit(past)
    scores = chosen.session(make_block(59, 700))
    known = np.isfinite(scores.strange)
    assert scores.strange[known] == pytest.approx(-np.log10(np.minimum(scores.p[known, 1], 0.99)))
    assert scores.p.shape == stack.session(make_block(59, 700)).p.shape
    for wrong in (["l3"], []):
        with pytest.raises(ValueError, match="cannot combine"):
            Stack(simple_measures(), 7, combined=wrong)


def test_causes_survive_their_re_check(stack: Stack, make_block: MakeBlock) -> None:
    block = make_block(56, 700)
    spread = FEATURE_NAMES.index("spread_bps")
    block.values[690:, spread] = 500.0
    channel, views, ticks = live(stack, block)
    found = causes(views[-1], ticks[-1].share[0], channel.score)
    assert len(found) == 3
    assert VIEWED_NAMES[found[0].feature] == "spread_bps"
    assert found[0].score_drop > 3 * max(abs(cause.score_drop) for cause in found[1:])
    assert found[0].share == ticks[-1].share.max()


def test_nothing_strange_has_no_causes() -> None:
    share: F64 = np.zeros(len(VIEWED_NAMES))
    assert causes(views(slow=np.zeros((1, HORIZONS, WIDE))), share, lambda seen: np.zeros(len(seen))) == ()


def test_views_of_one_stack_share_its_fit(past: list[TickBlock], make_block: MakeBlock) -> None:
    class CountedStack(Stack):
        fits = 0

        def fit(self, past: object) -> None:
            self.fits += 1
            super().fit(past)  # type: ignore[arg-type]

    stack = CountedStack(simple_measures()[:2], 7)
    shared = SharedStack(stack)
    one, both = StackView("max_z", shared, [0]), StackView("both", shared, [0, 1])
    one.fit(past)
    both.fit(past)
    assert stack.fits == 1
    block = make_block(57, 700)
    assert (one.score(block)[650:] != both.score(block)[650:]).any()
    one.fit(past[:-1])
    assert stack.fits == 2


def test_suite_names_every_measure_alone_and_both_stacks() -> None:
    names = [detector.name for detector in detectors()]
    assert names == [
        "max_z", "l2", "mahalanobis", "pca", "forecast", "clusters", "erosion_2s", "erosion_5s", "erosion_20s", "silence",
        "vae", "erosion_stack", "erosion_stack_vae", "simple_stack", "stack",
    ]  # fmt: skip
    assert isinstance(load("models.detectors.suite:ErosionStackDetector"), ErosionStackDetector)


def test_past_is_split_by_rows_in_time_order(past: list[TickBlock]) -> None:
    learned, held_out = split(past)
    assert [*learned, *held_out] == past
    assert len(learned) == 5
    (first,), (second,) = split(past[:1])
    assert (len(first), len(second)) == (900, 600)
    with pytest.raises(ValueError, match="one past session"):
        split([])


def test_stack_that_was_not_fitted_and_a_past_that_is_too_short_are_refused(make_block: MakeBlock) -> None:
    with pytest.raises(ValueError, match="before it was fitted"):
        Stack(simple_measures(), 7).session(make_block(1, 10))
    with pytest.raises(ValueError, match="1000 past rows"):
        Stack(simple_measures(), 7).fit([make_block(1, 200), make_block(2, 200)])
