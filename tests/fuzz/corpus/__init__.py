"""Small recordings of each format, made anew from a dice, and where their numbers stand."""

import importlib
from typing import Final, Protocol, cast

from tests.fuzz.damage import Case, Dice

CORPORA: Final = {
    "binance": "tests.fuzz.corpus.binance",
    "consolidated": "tests.fuzz.corpus.consolidated",
    "databento": "tests.fuzz.corpus.databento",
    "itch": "tests.fuzz.corpus.itch",
    "lobster": "tests.fuzz.corpus.lobster",
    "tape": "tests.fuzz.corpus.tape",
}
"""Format of ``feeds.formats`` → module with ``sound`` and ``recorded``."""


class Corpus(Protocol):
    """What a corpus module holds."""

    def sound(self, dice: Dice) -> Case:
        """Return a recording without a fault, some records long."""

    def recorded(self, marketdata: str) -> list[Case]:
        """Return the first kilobytes of recordings below a folder; empty where there are none."""


def corpus_of(form: str) -> Corpus:
    return cast("Corpus", importlib.import_module(CORPORA[form]))
