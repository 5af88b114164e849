"""Mutated recordings through readers, frame cutter and kernel: ``python -m tests.fuzz.readers --format itch --seconds 60``.

Input N of a seed is always the same bytes. A worker process reads them one by one from memory (tmpfs); it may die, run on or
grow, and is then replaced, and the input that it held is the finding. The last line is JSON; the exit status is 1 where
anything was found. Rejected: a coverage-guided fuzzer (the readers are Python, and the C below has its own drivers).
"""

import argparse
import faulthandler
import functools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from feeds.formats import FORMATS
from tests.fuzz.corpus import CORPORA, corpus_of
from tests.fuzz.damage import Case, damaged
from tests.fuzz.findings import FOUND, Finding, fault_of, folder_of, keep, kept, listed
from tests.fuzz.native_build import NATIVE_VARIABLE, ROOT, build_extension, load_extension, sanitized_environment

INPUT_CPU_S: Final = 5
INPUT_WALL_S: Final = 60
"""Without an answer for so long the worker is stuck in C, where no signal handler of Python runs."""

MEMORY_BYTES_MAX: Final = 4 << 30
GROWTH_MB_MAX: Final = 200
DAMAGED_EACH: Final = 16
"""Inputs made of one sound recording: making it costs more than damaging it."""

WARM_INPUTS: Final = 2_000
_RECORDED: Final = 0.25
_NUMBER, _DONE, _REFUSED, _EVENTS, _WARM_MB, _LAST_MB = range(6)


class TooSlowError(BaseException):
    """An input took more processor time than any may; no handler of errors may take it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run of one format: inputs ``first`` up to ``first + inputs``, for at most ``seconds``."""

    form: str
    seed: int
    seconds: float
    first: int = 0
    inputs: int = 1 << 62
    use_recordings: bool = True


def input_of(plan: Plan, number: int, recorded: list[Case]) -> tuple[str, dict[str, bytes]]:
    """Return the name to open, empty for the folder, and the files of input ``number``."""
    case = _case_of(plan.form, plan.seed, number // DAMAGED_EACH)
    dice = Random(f"{plan.form} {plan.seed} input {number}")
    if recorded and dice.random() < _RECORDED:
        case = dice.choice(recorded)
    return case.target, damaged(case, dice)


@functools.lru_cache(maxsize=1)
def _case_of(form: str, seed: int, number: int) -> Case:
    return corpus_of(form).sound(Random(f"{form} {seed} case {number}"))


def run(plan: Plan) -> dict[str, Any]:
    """Run one format; return what was counted."""
    shutil.rmtree(FOUND / plan.form, ignore_errors=True)
    FOUND.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    shared: Any = context.Array("q", 6, lock=False)
    started, first = time.monotonic(), plan.first
    while True:
        left = Plan(
            plan.form,
            plan.seed,
            plan.seconds - (time.monotonic() - started),
            first,
            plan.inputs - (first - plan.first),
            plan.use_recordings,
        )
        if left.seconds <= 0 or left.inputs <= 0:
            break
        worker = context.Process(target=_work, args=(left, shared))
        worker.start()
        ended = _watch(worker, shared)
        if ended == "":
            break
        _keep_lost(plan, shared[_NUMBER], ended)
        first = shared[_NUMBER] + 1
    grown = shared[_LAST_MB] - shared[_WARM_MB]
    if grown > GROWTH_MB_MAX:
        keep(Finding(plan.form, "law memory", f"grew by {grown} MB over the inputs", _again(plan, 0, 10**6)), {})
    findings = kept(plan.form)
    return {
        "format": plan.form, "seed": plan.seed, "inputs": shared[_DONE], "refused": shared[_REFUSED], "events": shared[_EVENTS],
        "seconds": round(time.monotonic() - started, 1), "rss_mb": [shared[_WARM_MB], shared[_LAST_MB]],
        "crashes": len(findings), "findings": listed(findings),
    }  # fmt: skip


def _watch(worker: Any, shared: Any) -> str:
    """Wait for a worker; return how it died, empty when it came to its end."""
    seen, since = -1, time.monotonic()
    while worker.is_alive():
        worker.join(0.5)
        if shared[_NUMBER] != seen:
            seen, since = shared[_NUMBER], time.monotonic()
        elif time.monotonic() - since > INPUT_WALL_S:
            worker.kill()
            worker.join()
            return f"no answer within {INPUT_WALL_S} s"
    return "" if worker.exitcode == 0 else f"the process died with status {worker.exitcode}"


def _keep_lost(plan: Plan, number: int, how: str) -> None:
    same = next((finding for finding in kept(plan.form) if finding.fault == how), None)
    if same is not None:
        same.count += 1
        keep(same, {})
        return
    _, files = input_of(plan, number, _recorded(plan))
    keep(Finding(plan.form, how, f"input {number} of seed {plan.seed}", _again(plan, number, 1)), files)


def _again(plan: Plan, first: int, inputs: int) -> str:
    command = f"python -m tests.fuzz.readers --format {plan.form} --seed {plan.seed} --first {first} --inputs {inputs}"
    recordings = "" if plan.use_recordings else " --no-recordings"
    return command + recordings + (" --asan" if NATIVE_VARIABLE in os.environ else "")


def _recorded(plan: Plan) -> list[Case]:
    place = os.environ.get("TIDEGATE_MARKETDATA")
    return corpus_of(plan.form).recorded(place) if place and plan.use_recordings else []


def _work(plan: Plan, shared: Any) -> None:
    with (FOUND / f"{plan.form}.log").open("a") as log, tempfile.TemporaryDirectory(dir=_memory()) as folder:
        os.dup2(log.fileno(), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a panic of the vendor's library is told there each time
        faulthandler.enable(log)
        if NATIVE_VARIABLE not in os.environ:  # the sanitizers reserve terabytes of addresses
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        signal.signal(signal.SIGPROF, _too_slow)
        _loop(plan, shared, Path(folder) / "input")


def _loop(plan: Plan, shared: Any, folder: Path) -> None:
    recorded = _recorded(plan)
    counts = {finding.fault: finding for finding in kept(plan.form)}  # of workers before this one
    until = time.monotonic() + plan.seconds
    for number in range(plan.first, plan.first + plan.inputs):
        if time.monotonic() > until:
            break
        shared[_NUMBER] = number
        target, files = input_of(plan, number, recorded)
        error = _tried(plan.form, _written(folder, files) / target, shared)
        shared[_DONE] += 1
        if error is not None:
            fault = fault_of(error)
            if fault in counts:
                counts[fault].count += 1
            else:
                detail = f"input {number} of seed {plan.seed}: {error}"[:400].replace(str(folder), "")
                repeat = f"python -m tests.fuzz.readers --format {plan.form} --repeat {{}} --target '{target}'"
                at = folder_of(plan.form, fault).relative_to(ROOT)
                counts[fault] = Finding(plan.form, fault, detail, repeat.format(at))
                keep(counts[fault], files)
        if number % 200 == 0 or shared[_DONE] == WARM_INPUTS:
            shared[_LAST_MB] = _resident_mb()
            if shared[_DONE] <= WARM_INPUTS:
                shared[_WARM_MB] = shared[_LAST_MB]
    for finding in counts.values():
        keep(finding, {})


def _tried(form: str, path: Path, shared: Any) -> BaseException | None:
    from tests.fuzz.judge import judge

    try:
        signal.setitimer(signal.ITIMER_PROF, INPUT_CPU_S)
        verdict = judge(form, path)
    except BaseException as error:  # a panic of the vendor's library and TooSlowError are none of Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    shared[_REFUSED] += verdict.refused
    shared[_EVENTS] += verdict.events
    return None


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {INPUT_CPU_S} s of processor time")


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def _repeat(form: str, folder: Path, target: str) -> None:
    from tests.fuzz.judge import judge

    print(judge(form, folder / "input" / target))


def main(arguments: list[str]) -> int:
    given = _arguments(arguments)
    if given.asan and NATIVE_VARIABLE not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            environment = sanitized_environment(build_extension(Path(folder)), FOUND / "asan")
            command = [sys.executable, "-m", "tests.fuzz.readers", *arguments]
            return subprocess.run(command, env=environment, check=False).returncode
    load_extension()
    forms = given.format or sorted(FORMATS)
    if missing := [form for form in forms if form not in CORPORA]:
        raise SystemExit(f"fuzz: no corpus for {', '.join(missing)}: write tests/fuzz/corpus/<format>.py")
    if given.repeat:
        _repeat(forms[0], given.repeat, given.target)
        return 0
    sizes = given.first, given.inputs, not given.no_recordings
    found = [run(Plan(form, given.seed, given.seconds, *sizes)) for form in forms]
    inputs = {one["format"]: one["inputs"] for one in found}
    findings = [finding for one in found for finding in one.pop("findings")]
    crashes = sum(one["crashes"] for one in found)
    print(
        json.dumps({"inputs": inputs, "crashes": crashes, "asan": given.asan, "readers": found, "findings": findings})
    )
    return int(crashes > 0)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.readers")
    parser.add_argument(
        "--format", action="append", choices=sorted(CORPORA), help="default: every one of feeds.formats"
    )
    parser.add_argument("--seconds", type=float, default=60, help="for each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="at most so many for each format")
    parser.add_argument("--no-recordings", action="store_true", help="do not start from $TIDEGATE_MARKETDATA")
    parser.add_argument("--asan", action="store_true", help="with the kernel built under ASan and UBSan")
    parser.add_argument("--repeat", type=Path, help="judge the input of a finding's folder")
    parser.add_argument("--target", default="", help="with --repeat: the file of it to open")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
