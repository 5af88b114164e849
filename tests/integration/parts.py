"""Processes of ours that a test starts, kills and looks at, each with its settings, log and status in one folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[2]


class Parts:
    """Running processes by name; ``<name>.toml`` is in the folder before one starts."""

    START_S: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def works(self, status: dict[str, Any]) -> bool:
        return bool(status.get("answers"))

    def start(self, name: str, module: str) -> None:
        command = [sys.executable, "-m", module, "--settings", str(self.folder / f"{name}.toml")]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as out:
            self.running[name] = subprocess.Popen(command, cwd=ROOT, stderr=out, env=env)
        pid, deadline = self.running[name].pid, time.monotonic() + self.START_S
        while (status := self.status(name)).get("pid") != pid or not self.works(status):
            assert time.monotonic() < deadline, f"{name} works in time"
            time.sleep(0.1)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(30)

    def status(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)
