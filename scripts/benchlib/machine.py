"""Describes the machine (processor, kernel, Python, file system), and waits until it is idle."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchlib.servers import opentracker_command, tracker_command

if TYPE_CHECKING:
    from collections.abc import Iterable


def describe(log_folder: Path) -> dict[str, str]:
    """Returns the facts in the order in which they are printed."""
    return {
        "processor": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tracker": _first_line([tracker_command(), "--version"]),
        "opentracker": _opentracker_version(),
        "log on": _file_system(log_folder),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def two_cores() -> bool:
    return {0, 1} <= os.sched_getaffinity(0)


def wait_quiet(patience: float, limit: float = 0.05) -> bool:
    """Waits until cores 0 and 1 were idle for half a second; returns false if they never were."""
    deadline = time.monotonic() + patience
    while (busy := _busy_share(0.5, (0, 1))) > limit and time.monotonic() < deadline:
        time.sleep(0.2)
    return busy <= limit


def _busy_share(seconds: float, cores: Iterable[int]) -> float:
    before = {core: _idle(core) for core in cores}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return max(1 - (_idle(core) - idle) / took for core, idle in before.items())


def _idle(core: int) -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return (int(ticks[3]) + int(ticks[4])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _opentracker_version() -> str:
    if opentracker_command() is None:
        return "not installed"
    return _first_line(["dpkg-query", "-W", "-f", "${Version}", "opentracker"])


def _file_system(folder: Path) -> str:
    return _first_line(["stat", "-f", "-c", "%T", str(folder)])


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "unknown"
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else "unknown"
