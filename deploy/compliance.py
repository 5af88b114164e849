"""The compliance matrix: requirements of regulators and best practice, the rules that answer them, the tests that show it.

Invariant: a requirement counts as covered only when it names tests and every one of them was found, ran and passed (or, when
nothing shall run, was found). A duty of people is listed apart and never counts as covered. A skipped test shows nothing.
Rejected: markers on tests, because then nobody could read the matrix without running pytest, and a requirement without
any test would be in no list at all.
"""

import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

MATRIX: Final = Path(__file__).parent / "reference/compliance.toml"
_COVERED_KEYS: Final = {"id", "title", "control", "rules", "tests", "people"}
_DUTY_KEYS: Final = {"id", "title", "organisational"}


class ComplianceError(Exception):
    """The matrix cannot be read, or the tests cannot be collected or run; the message says where."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of the matrix. Either ``control``, ``rules`` and ``tests`` are set, or ``organisational`` is."""

    id: str
    title: str
    control: str = ""
    rules: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    people: str = ""
    organisational: str = ""


class Outcome(Enum):
    """What became of a named test; the worst of its parameters counts."""

    PASSED = "passed"
    FOUND = "found"
    SKIPPED = "skipped"
    FAILED = "failed"
    MISSING = "missing"

    @property
    def shows(self) -> bool:
        """Whether it shows that the requirement is met (FOUND: as far as was asked)."""
        return self in {Outcome.PASSED, Outcome.FOUND}


@dataclass(frozen=True, slots=True)
class Matrix:
    """The requirements in the order of the file, and the outcome of each test that they name."""

    requirements: tuple[Requirement, ...]
    outcomes: dict[str, Outcome]

    def is_covered(self, requirement: Requirement) -> bool:
        """Say whether every named test shows it."""
        return bool(requirement.tests) and all(self.outcomes[test].shows for test in requirement.tests)

    @property
    def covered(self) -> tuple[Requirement, ...]:
        """Requirements that tests show to be met."""
        return tuple(one for one in self.requirements if self.is_covered(one))

    @property
    def organisational(self) -> tuple[Requirement, ...]:
        """Requirements that are duties of people."""
        return tuple(one for one in self.requirements if one.organisational)

    @property
    def uncovered(self) -> tuple[Requirement, ...]:
        """Requirements that neither code nor people answer: none may be left."""
        return tuple(one for one in self.requirements if not one.organisational and not self.is_covered(one))


def read_requirements(path: Path = MATRIX) -> tuple[Requirement, ...]:
    """Read the matrix.

    Raises:
        ComplianceError: no TOML, a key unknown or missing, an id twice, a requirement with both or neither kind of answer.
    """
    try:
        tables = tomllib.loads(path.read_text())["requirement"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ComplianceError(f"{path}: {type(error).__name__}: {error}") from error
    read = tuple(_requirement(table, f"{path}: requirement {number}") for number, table in enumerate(tables, 1))
    ids = [one.id for one in read]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ComplianceError(f"{path}: ids stand twice: {', '.join(twice)}")
    return read


def find_tests(requirements: Iterable[Requirement], root: Path) -> dict[str, Outcome]:
    """Say of each named test whether pytest finds it: FOUND or MISSING. Nothing is run."""
    named = _named(requirements)
    files = sorted({test.partition("::")[0] for test in named if (root / test.partition("::")[0]).is_file()})
    listed = _pytest(root, "--collect-only", "-q", "--continue-on-collection-errors", *files) if files else ""
    found = [line.strip() for line in listed.splitlines() if "::" in line and not line.startswith("ERROR")]
    return {test: Outcome.FOUND if any(_is_of(node, test) for node in found) else Outcome.MISSING for test in named}


def run_tests(requirements: Iterable[Requirement], root: Path) -> dict[str, Outcome]:
    """Run each named test once and say what became of it."""
    found = find_tests(requirements, root)
    present = [test for test, outcome in found.items() if outcome is Outcome.FOUND]
    if not present:
        return found
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        words = _pytest(root, "-q", "-o", "junit_family=xunit2", f"--junitxml={report}", *present)
        if not report.exists():
            raise ComplianceError(f"pytest wrote no report:\n{words[-2_000:]}")
        cases = {_node(case): _outcome(case) for case in ET.parse(report).getroot().iter("testcase")}  # noqa: S314 - ours
    worst_last = list(Outcome)
    ran = {test: [outcome for node, outcome in cases.items() if _is_of(node, _dotted(test))] for test in present}
    return found | {test: max(results, key=worst_last.index, default=Outcome.MISSING) for test, results in ran.items()}


def _requirement(table: dict[str, Any], place: str) -> Requirement:
    keys = set(table)
    wanted = _DUTY_KEYS if "organisational" in keys else _COVERED_KEYS
    if unknown := sorted(keys - wanted):
        raise ComplianceError(f"{place}: {', '.join(unknown)} may not stand here")
    if missing := sorted(wanted - keys - {"people"}):
        raise ComplianceError(f"{place}: {', '.join(missing)} is missing")
    for key, value in table.items():
        wrong = (
            not all(isinstance(item, str) and item for item in value)
            if key in {"rules", "tests"} and isinstance(value, list)
            else not (isinstance(value, str) and value) or key in {"rules", "tests"}
        )
        if wrong:
            raise ComplianceError(
                f"{place}: {key} is {value!r}; a text was expected, of rules and tests a list of texts"
            )
    texts = {key: value for key, value in table.items() if isinstance(value, str)}
    return Requirement(**texts, rules=tuple(table.get("rules", ())), tests=tuple(table.get("tests", ())))


def _named(requirements: Iterable[Requirement]) -> list[str]:
    return list(dict.fromkeys(test for one in requirements for test in one.tests))


def _pytest(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def _is_of(node: str, test: str) -> bool:
    """Say whether a node is the named test, one of its parameters, or within the named file or class."""
    return node == test or node.startswith((f"{test}[", f"{test}::"))


def _dotted(test: str) -> str:
    """Write a node id as JUnit reports do: ``tests/gate/test_x.py::T::t`` is ``tests.gate.test_x::T::t``."""
    path, _, rest = test.partition("::")
    return "::".join(part for part in (path.removesuffix(".py").replace("/", "."), rest) if part)


def _node(case: ET.Element) -> str:
    """Return a test case's dotted node id; a class, which the report adds to the module by a dot, is cut off again."""
    words = case.get("classname", "").split(".")
    depth = next((number for number, word in enumerate(words, 1) if word.startswith("test_")), len(words))
    return "::".join([".".join(words[:depth]), *words[depth:], case.get("name", "")])


def _outcome(case: ET.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome.FAILED
    return Outcome.SKIPPED if case.find("skipped") is not None else Outcome.PASSED
