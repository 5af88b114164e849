"""The SQL function's body: an answer always comes, says whose it is, and networks are opened once and closed in time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from features.spec import SCORED_NAMES
from models.detectors.views import F32, Ids
from models.folder import ModelFolder
from models.inference import OPEN_MAX, OpenNetworks, score_bytes
from models.model_files import ModelError
from models.serving.interface import ServingCounts, WindowScorer
from models.viewed import encode_viewed
from models.wire import decode_scores
from schemas.errors import MessageError
from schemas.ticks import Ticks, encode_ticks
from tests.models.test_wire import viewed

COUNT = len(SCORED_NAMES)
Make = Callable[..., Ticks]


class Given:
    """Says the newest tick's squares; nothing when told so."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent, self.closed, self.trouble = silent, False, ""
        self._counts = ServingCounts()

    @property
    def counts(self) -> ServingCounts:
        return self._counts

    def score(self, windows: F32, instrument_id: Ids) -> F32 | None:
        assert len(windows) == len(instrument_id)
        if self.silent:
            self._counts.errors += 1
            return None
        self._counts.answers += 1
        return np.asarray(windows[:, -1] ** 2)

    def close(self) -> None:
        self.closed = True


def networks(scorer: WindowScorer | None) -> OpenNetworks:
    return OpenNetworks(lambda name: (f"id of {name}", scorer))


def unused() -> tuple[str, ModelFolder]:
    raise AssertionError("viewed ticks name their model")


def test_rows_with_an_opinion_get_the_networks_parts_and_others_none() -> None:
    ticks = viewed(4)
    found = decode_scores(score_bytes(encode_viewed(ticks), networks(Given()), unused))
    assert (found.model_id, found.degraded) == ("id of default", False)
    assert np.array_equal(found.parts[1::2], ticks.views.window[1::2, -1] ** 2)
    assert not found.parts[::2].any()


@pytest.mark.parametrize("scorer", [Given(silent=True), None], ids=["no answer", "no network"])
def test_without_an_answer_the_scores_say_so(scorer: Given | None) -> None:
    found = decode_scores(score_bytes(encode_viewed(viewed(4)), networks(scorer), unused))
    assert found.degraded
    assert found.parts.shape == (4, COUNT)


def test_no_rows_with_an_opinion_ask_nobody() -> None:
    ticks, scorer = viewed(4), Given()
    cold = replace(ticks, views=replace(ticks.views, opined=np.zeros(4, np.bool_)))
    assert not decode_scores(score_bytes(encode_viewed(cold), networks(scorer), unused)).degraded
    assert scorer.counts.answers == 0


def test_plain_tick_messages_are_scaled_by_the_model_in_force(model: ModelFolder, make_ticks: Make) -> None:
    values = np.random.Generator(np.random.PCG64(2)).random((120, 1, COUNT)) * 3
    raw = encode_ticks(make_ticks(values))
    found = decode_scores(score_bytes(raw, networks(Given()), lambda: ("default", model)))
    assert found.parts.shape == (120, COUNT)
    assert found.parts[-1].any()


def test_other_bytes_and_other_features_are_refused(model: ModelFolder, make_ticks: Make) -> None:
    with pytest.raises(MessageError):
        score_bytes(b"nothing of ours", networks(Given()), unused)
    other = make_ticks(np.zeros((1, 1, COUNT)), spec_hash="f" * 16)
    with pytest.raises(MessageError, match="wrong_features"):
        score_bytes(encode_ticks(other), networks(Given()), lambda: ("default", model))


def test_networks_are_opened_once_and_the_oldest_is_closed() -> None:
    opened: dict[str, Given] = {}

    def open_one(name: str) -> tuple[str, WindowScorer | None]:
        opened[name] = Given()
        return name, opened[name]

    held = OpenNetworks(open_one)
    for name in ("a", "b", "a", "c", "a"):
        held.of(name)
    assert list(opened) == ["a", "b", "c"]
    assert [one.closed for one in opened.values()] == [False, True, False]
    assert OPEN_MAX == 2


def test_folder_that_cannot_be_used_is_no_network() -> None:
    def broken(name: str) -> tuple[str, WindowScorer | None]:
        raise ModelError(f"{name}: damaged")

    assert OpenNetworks(broken).of("bad") == ("bad", None)


def test_counts_are_those_of_all_open_networks() -> None:
    held = networks(Given())
    for name in ("a", "b"):
        score_bytes(encode_viewed(replace(viewed(4), model=name)), held, unused)
    assert held.counts().answers == 4  # one value behind both names, counted for each
