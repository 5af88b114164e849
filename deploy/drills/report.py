"""What a drill tells: its steps with seconds, what was compared, how long the loop was silent, and the verdict."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.drills.outputs import Compared

Tell = Callable[[str], None]


class DrillError(RuntimeError):
    """A drill could not go on; the message says at which step."""


@dataclass(slots=True)
class Report:
    """One drill.

    Attributes:
        name: Of the drill.
        tell: Takes each line as it happens.
        steps: What was done and the seconds that it took.
        compared: Kind of message to the comparison with the undisturbed run.
        checks: What else had to hold, and whether it did.
        facts: Numbers worth knowing.
        recovery_s: Disturbance to the longest silence of the loop, or what else the drill says, in seconds.
    """

    name: str
    tell: Tell = lambda _line: None
    steps: list[tuple[str, float]] = field(default_factory=list)
    compared: dict[str, Compared] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    recovery_s: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Time one step and tell it."""
        begun = time.monotonic()
        yield
        self.steps.append((what, round(time.monotonic() - begun, 1)))
        self.tell(f"[drill {self.name}] {self.steps[-1][1]:5.1f} s  {what}")

    def check(self, what: str, *, holds: bool) -> None:
        """Note something that had to hold."""
        self.checks[what] = holds
        self.tell(f"[drill {self.name}] {'holds' if holds else 'FAILS'}    {what}")

    @property
    def passed(self) -> bool:
        """Return whether everything is equal and holds."""
        return all(one.equal for one in self.compared.values()) and all(self.checks.values())

    def plain(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "drill": self.name,
            "passed": self.passed,
            "steps": [{"what": what, "seconds": seconds} for what, seconds in self.steps],
            "compared": {name: one.plain() for name, one in self.compared.items()},
            "checks": self.checks,
            "recovery_s": self.recovery_s,
            "facts": self.facts,
        }

    def lines(self) -> list[str]:
        """Return the end of the report for people; the steps were told as they happened."""
        found = [
            f"{one.count} {name} compared with the undisturbed run: {one.different} different, {one.missing} missing, "
            f"{one.extra} extra, {one.repeats} repeats of which {one.unequal_repeats} unequal"
            for name, one in self.compared.items()
        ]
        found += [f"recovery, {what}: {seconds:.1f} s" for what, seconds in self.recovery_s.items()]
        found += [f"{name}: {value}" for name, value in self.facts.items()]
        return [*found, f"drill {self.name}: {'passed' if self.passed else 'FAILED'}"]
