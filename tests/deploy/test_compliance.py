"""The compliance matrix: its shape, what counts as covered, and that no rule of the gate and no requirement is left out."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploy.compliance import (
    ComplianceError,
    Matrix,
    Outcome,
    Requirement,
    find_tests,
    read_requirements,
    run_tests,
)
from deploy.compliance_page import FAMILIES, page
from gate._native import RULES

IDS = {
    *(f"S{number}" for number in range(1, 10)),
    *("M12", "M13", "M14", "M15(1)", "M15(2)", "M15(3)", "M15(4-6)", "M16", "M17"),
    *(f"F1.{number}" for number in range(1, 9)),
    *("F4.1", "F4.2", "F5.1"),
}
SAMPLE = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_each(n): pass

@pytest.mark.parametrize("n", [1, 2])
def test_one_of_two(n): assert n == 1

def test_fine(): pass
def test_wrong(): assert False
def test_skipped(): pytest.skip("no tool")

class TestThings:
    def test_inside(self): pass
"""


def requirement(*tests: str) -> Requirement:
    return Requirement("S1", "title", control="control", tests=tests)


def test_matrix_has_every_requirement_once() -> None:
    assert {one.id for one in read_requirements()} == IDS


def test_every_rule_of_the_gate_answers_some_requirement_and_no_other_is_named() -> None:
    named = {rule for one in read_requirements() for rule in one.rules}
    written = Path(__file__).parents[2].joinpath("deploy/reference/compliance.toml").read_text()
    assert named <= set(RULES), named - set(RULES)
    assert not [rule for rule in RULES if rule not in written]


@pytest.mark.slow
def test_every_named_test_exists() -> None:
    requirements = read_requirements()
    outcomes = find_tests(requirements, Path(__file__).parents[2])
    assert not [test for test, outcome in outcomes.items() if outcome is Outcome.MISSING]
    assert not Matrix(requirements, outcomes).uncovered


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_sample.py").write_text(SAMPLE)
    return tmp_path


@pytest.mark.slow
def test_named_tests_get_their_own_outcome_and_files_and_parameters_their_worst(tree: Path) -> None:
    (tree / "tests/test_broken.py").write_text("import no_such_module\ndef test_x(): pass\n")
    wanted = {
        "tests/test_sample.py::test_each": Outcome.PASSED,
        "tests/test_sample.py::test_one_of_two": Outcome.FAILED,
        "tests/test_sample.py::test_fine": Outcome.PASSED,
        "tests/test_sample.py::test_wrong": Outcome.FAILED,
        "tests/test_sample.py::test_skipped": Outcome.SKIPPED,
        "tests/test_sample.py::TestThings::test_inside": Outcome.PASSED,
        "tests/test_sample.py::test_fin": Outcome.MISSING,
        "tests/test_sample.py": Outcome.FAILED,
        "tests/test_broken.py::test_x": Outcome.MISSING,
        "tests/no_such.py::test_at_all": Outcome.MISSING,
    }
    assert run_tests([requirement(*wanted)], tree) == wanted


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.FAILED, Outcome.MISSING])
def test_one_test_that_shows_nothing_uncovers_the_requirement(outcome: Outcome) -> None:
    one = requirement("a", "b")
    matrix = Matrix((one,), {"a": Outcome.PASSED, "b": outcome})
    assert matrix.uncovered == (one,)
    assert not matrix.covered


def test_requirement_without_tests_is_not_covered_and_a_duty_of_people_is_neither() -> None:
    bare, duty = requirement(), Requirement("S8", "review", organisational="people sign")
    matrix = Matrix((bare, duty), {})
    assert (matrix.covered, matrix.uncovered, matrix.organisational) == ((), (bare,), (duty,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[requirement]\n", "TOMLDecodeError"),
        ("x = 1", "requirement"),
        ('[[requirement]]\nid = "S1"\ntitle = "t"\ncontrol = "c"\nrules = []\n', "requirement 1: tests is missing"),
        ('[[requirement]]\nid = "S1"\ntitle = "t"\norganisational = "o"\ntests = []\n', "tests may not stand here"),
        ('[[requirement]]\nid = "S1"\ntitle = ""\norganisational = "o"\n', "title is ''"),
        ('[[requirement]]\nid = "S1"\ntitle = "t"\ncontrol = "c"\nrules = "r"\ntests = []\n', "rules is 'r'"),
        ('[[requirement]]\nid = "S1"\ntitle = "t"\norganisational = "o"\n' * 2, "ids stand twice: S1"),
    ],
)
def test_matrix_of_another_shape_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(ComplianceError, match=words) as raised:
        read_requirements(path)
    assert str(path) in str(raised.value)


class Words(HTMLParser):
    """Collects the text of a page and the tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_shows_every_requirement_escaped_and_loads_nothing_from_elsewhere() -> None:
    requirements = read_requirements()
    outcomes = {test: Outcome.PASSED for one in requirements for test in one.tests}
    odd = Requirement("S99", "a < b & c", control="c", tests=("tests/x.py::test_y",))
    html = page(Matrix((*requirements, odd), outcomes | {odd.tests[0]: Outcome.SKIPPED}), source="commit abc")
    words = Words()
    words.feed(html)
    text = " ".join(words.text)
    assert not words.open
    assert all(one.title in text for one in (*requirements, odd))
    assert text.count("not covered") == 2
    assert "skipped" in text
    assert not [word for word in ("http:", "https:", "src=", "<script", "<link") if word in html]
    assert {one.id[0] for one in requirements} == set(FAMILIES)
