"""The recovery drill as a user runs it: a killed TaskManager and a restarted broker leave no trace in what is published."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def test_disturbed_runs_publish_the_bytes_of_the_undisturbed_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cli", "verify", "recovery", "--seconds", "24", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["equal"]
    assert report["ticks"] == 24 * 10 * 4
    assert report["states"] > 0
