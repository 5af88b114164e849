"""The compliance matrix as one HTML page: readable on a screen, whole on paper, without anything from elsewhere.

Invariant: the page says of each requirement what the matrix says, and nothing reads as covered that is not; colour is never
the only sign. Rejected: a template engine, for one page.
"""

from html import escape
from typing import Final

from deploy.compliance import Matrix, Outcome, Requirement

FAMILIES: Final = {
    "S": ("SEC Rule 15c3-5", "Market access of broker-dealers, 17 CFR 240.15c3-5"),
    "M": ("MiFID II RTS 6", "Delegated Regulation (EU) 2017/589, articles 12 to 17"),
    "F": ("FIA 2024", "Best practices for automated trading risk controls and system safeguards"),
}
SIGNS: Final = {
    Outcome.PASSED: "✓ passed",
    Outcome.FOUND: "· not run",
    Outcome.SKIPPED: "! skipped",
    Outcome.FAILED: "✗ failed",
    Outcome.MISSING: "✗ missing",
}
STYLE: Final = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6876; --line: #d9dfe5; --good: #17693a; --bad: #a8201a; --back: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 2rem 1.5rem 4rem; color: var(--ink); background: #fff;
       font: 15px/1.45 system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; } h2 { margin: 2.2rem 0 0; font-size: 1.2rem; } h2 + p { margin: 0 0 .6rem; }
p, .soft { color: var(--soft); }
.sums { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 0; padding: 0; list-style: none; }
.sums li { flex: 1 1 9rem; padding: .7rem 1rem; border: 1px solid var(--line); border-radius: 6px; background: var(--back); }
.sums b { display: block; font-size: 1.6rem; line-height: 1.2; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { padding: .6rem .7rem; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); font-size: .8rem; letter-spacing: .04em; text-transform: uppercase; }
tbody tr { border-bottom: 1px solid var(--line); break-inside: avoid; }
th:first-child { width: 6.5rem; } th:nth-child(2) { width: 46%; } td:first-child { font-weight: 600; }
td p { margin: .25rem 0 0; } .rules { margin-top: .45rem; }
code { font: .8em/1.5 ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; }
.rules code { display: inline-block; margin: 0 .25rem .2rem 0; padding: 0 .35rem; border: 1px solid var(--line);
              border-radius: 3px; }
ul.tests { margin: 0; padding: 0; list-style: none; } ul.tests li { margin-bottom: .35rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .sign { font-weight: 600; white-space: nowrap; }
@media print { body { max-width: none; padding: 0; font-size: 10px; } .sums b { font-size: 1.2rem; }
               thead { display: table-header-group; }
               @page { size: A4 landscape; margin: 12mm; } }
"""


def page(matrix: Matrix, *, source: str) -> str:
    """Return the page. ``source`` names the state of the tree that was tested."""
    sums = [
        (len(matrix.covered), "requirements covered by tests", ""),
        (len(matrix.uncovered), "not covered", "bad" if matrix.uncovered else ""),
        (len(matrix.organisational), "duties of people", ""),
        (len(matrix.outcomes), "tests named", ""),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>Tidegate: compliance matrix</title><style>{STYLE}</style></head><body>",
            "<h1>Compliance matrix</h1>",
            f"<p>Which control answers a rule, and which tests show it. Tidegate, {escape(source)}.</p>",
            '<ul class="sums">',
            *(f'<li class="{kind}"><b>{number}</b>{words}</li>' for number, words, kind in sums),
            "</ul>",
            *(_family(letter, matrix) for letter in FAMILIES),
            _duties(matrix),
            "</body></html>\n",
        ]
    )


def _family(letter: str, matrix: Matrix) -> str:
    title, words = FAMILIES[letter]
    rows = [_row(one, matrix) for one in matrix.requirements if one.id[0] == letter and not one.organisational]
    return (
        f"<h2>{title}</h2><p>{words}</p><table><thead><tr><th>Id</th><th>Requirement and control</th><th>Tests</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(one: Requirement, matrix: Matrix) -> str:
    covered = matrix.is_covered(one)
    verdict = "" if covered else '<br><span class="sign bad">✗ not covered</span>'
    rules = "".join(f"<code>{escape(rule)}</code>" for rule in one.rules)
    people = f'<p class="people"><b>Left to people:</b> {escape(one.people)}</p>' if one.people else ""
    tests = "".join(_test(test, matrix.outcomes[test]) for test in one.tests)
    return (
        f'<tr id="{escape(one.id)}"><td>{escape(one.id)}{verdict}</td><td><b>{escape(one.title)}</b><p>{escape(one.control)}</p>'
        f'<div class="rules">{rules}</div>{people}</td><td><ul class="tests">{tests}</ul></td></tr>'
    )


def _test(test: str, outcome: Outcome) -> str:
    path, _, name = test.partition("::")
    words = escape((name or path.rpartition("/")[2].removesuffix(".py")).removeprefix("test_").replace("_", " "))
    kind = "good" if outcome.shows else "bad"
    sign = f'<span class="sign {kind}">{SIGNS[outcome]}</span>'
    return f'<li title="{escape(test)}">{sign} {words}<br><code class="soft">{escape(path)}</code></li>'


def _duties(matrix: Matrix) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.id)}</td><td><b>{escape(one.title)}</b></td><td>{escape(one.organisational)}</td></tr>"
        for one in matrix.organisational
    )
    return (
        "<h2>Duties of people</h2><p>No code can hold these; they are listed here and counted apart.</p>"
        f"<table><thead><tr><th>Id</th><th>Requirement</th><th>Why no test shows it</th></tr></thead><tbody>{rows}</tbody></table>"
    )
