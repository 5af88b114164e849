"""What was found: one folder per distinct fault, with the input and the command that repeats it."""

import json
import re
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.fuzz.native_build import ROOT

FOUND: Final = ROOT / "build" / "fuzz"


@dataclass(slots=True)
class Finding:
    """One distinct fault.

    Attributes:
        part: ``kernel``, ``gate`` or a format.
        fault: What went wrong and where; two inputs with the same words are one fault.
        detail: Of the first input.
        repeat: Command that shows it again.
        count: Inputs that showed it.
    """

    part: str
    fault: str
    detail: str
    repeat: str
    count: int = 1


def fault_of(error: BaseException) -> str:
    """Return the error's type and the innermost place of ours that is not the fuzzer."""
    law = getattr(error, "law", None)
    if law is not None:
        return f"law {law}"
    ours = ""
    for frame in traceback.extract_tb(error.__traceback__):
        place = Path(frame.filename)
        if place.is_relative_to(ROOT) and not place.is_relative_to(ROOT / ".venv") and "tests" not in place.parts:
            ours = f"{place.relative_to(ROOT)}:{frame.lineno} {frame.name}"
    return f"{type(error).__name__} at {ours or 'no place of ours'}"


def folder_of(part: str, fault: str) -> Path:
    words = re.sub(r"[^A-Za-z0-9]+", "-", fault).strip("-")[:60]
    return FOUND / part / f"{words}-{sha256(fault.encode()).hexdigest()[:6]}"


def keep(finding: Finding, files: dict[str, bytes]) -> None:
    """Write a finding and its input; the first input of a fault stays."""
    folder = folder_of(finding.part, finding.fault)
    (folder / "input").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / "input" / name).write_bytes(data)
    (folder / "finding.json").write_text(json.dumps(asdict(finding), indent=1) + "\n")


def kept(part: str) -> list[Finding]:
    """Return the findings of a part that lie on disk."""
    return [Finding(**json.loads(path.read_text())) for path in sorted((FOUND / part).glob("*/finding.json"))]


def listed(findings: Iterable[Finding]) -> list[dict[str, object]]:
    return [asdict(finding) for finding in findings]
