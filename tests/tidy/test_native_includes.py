"""The folders of the gate's C core: who may include whom, as gate/native/README.md says."""

import re
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "gate" / "native"
MAY_INCLUDE = {
    "table": set[str](),
    "order": {"table"},
    "ledger": {"table", "order"},
    "judge": {"table", "order", "ledger"},
    "gate": {"table", "order", "ledger", "judge"},
    "ring": {"order"},
}
FREE = {"python", "bench", "example"}
INCLUDE = re.compile(r'^#include "([a-z_]+)/[a-z_]+\.h"', re.MULTILINE)


def test_every_folder_has_its_line_in_the_table() -> None:
    assert {path.name for path in NATIVE.iterdir() if path.is_dir()} == set(MAY_INCLUDE) | FREE
    text = (NATIVE / "README.md").read_text()
    for folder, others in MAY_INCLUDE.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{folder}/` |")]
        assert set(re.findall(r"`([a-z]+)/`", row.split("|")[3])) == others


@pytest.mark.parametrize("folder", sorted(MAY_INCLUDE))
def test_a_folder_includes_only_what_it_may_and_never_python(folder: str) -> None:
    for source in sorted((NATIVE / folder).glob("*.[ch]")):
        text = source.read_text()
        assert "#include <Python.h>" not in text, source.name
        assert set(INCLUDE.findall(text)) - {folder} <= MAY_INCLUDE[folder], source.name
