"""What a figure was measured on: a benchmark says it in its first line."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Name the processor, the system and the load."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return (
        f"{cpu}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}"
    )
