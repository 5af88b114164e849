"""What scores windows, and how it is set. A back end may have no answer; it never has a wrong or a late one.

Invariant: ``score`` returns what the network says of exactly these windows, or ``None``. Whoever asks combines the measures
that did answer, so a tick is judged by the simple stack alone, and marked as degraded, within the same tick. *Not taken:*
a fallback inside the back end, which would hide from the calibration whose answer it is.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from models.detectors.views import F32, Ids

LOCAL: Final = "local"
REMOTE: Final = "remote"
CPU: Final = "cpu"
CUDA: Final = "cuda"


class ServingError(ValueError):
    """A back end that cannot be used as it is set, or an answer that is not one; the message says why."""


@dataclass(slots=True)
class ServingCounts:
    """What became of the ticks that a back end was asked, since it was opened; their sum is the number of ticks.

    Attributes:
        answers: Answered in time.
        deadlines_missed: Asked, not answered in time.
        errors: Asked, and refused, broken off or answered with something that is no answer.
        absent: Not asked: the server did not answer before, and is being tried in the background.
    """

    answers: int = 0
    deadlines_missed: int = 0
    errors: int = 0
    absent: int = 0


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Which back end, and how.

    Attributes:
        back_end: ``local`` (ONNX Runtime in this process) or ``remote`` (Open Inference Protocol v2 over HTTP).
        provider: ``cpu`` or ``cuda``, of ``local``.
        url: ``http://host:port`` or ``https://host:port``, of ``remote``.
        deadline_ms: A tick waits no longer than this for ``remote``.

    Raises:
        ServingError: A value that none of them takes.
    """

    back_end: str = LOCAL
    provider: str = CPU
    url: str = ""
    deadline_ms: float = 20.0

    def __post_init__(self) -> None:
        if self.back_end not in {LOCAL, REMOTE}:
            raise ServingError(f"score back end {self.back_end!r}: {LOCAL} or {REMOTE}")
        if self.provider not in {CPU, CUDA}:
            raise ServingError(f"score provider {self.provider!r}: {CPU} or {CUDA}")
        if not self.deadline_ms > 0:
            raise ServingError(f"score deadline of {self.deadline_ms} ms: it must be more than 0")


class WindowScorer(Protocol):
    """A back end at work. One thread asks it at a time."""

    @property
    def counts(self) -> ServingCounts:
        """Return what became of the ticks so far."""

    @property
    def trouble(self) -> str:
        """Return why there was no answer last; empty while all is well. For logs and health pages."""

    def score(self, windows: F32, instrument_id: Ids) -> F32 | None:
        """Return the parts of each window's error, or ``None`` when there is no answer in time.

        Args:
            windows: ``(k, WINDOW, features)`` float32 robust scores.
            instrument_id: ``(k,)`` uint32.

        Returns:
            ``(k, features)`` float32, never negative; the error is their sum.
        """

    def close(self) -> None:
        """Let go of connections and threads."""
