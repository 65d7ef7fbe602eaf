"""Describes the machine, chooses cores, waits until they are idle, counts dropped datagrams."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchlib.rivals import RIVALS
from benchlib.servers import tracker_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchlib.rivals import Rival


@dataclass(frozen=True, slots=True)
class Cores:
    """Says which core a server has to itself, and which the load generator. None: it has none."""

    server: int | None
    generator: int | None
    warning: str = ""
    others: tuple[int, ...] = ()  # for the further threads of a server that has some


def choose_cores() -> Cores:
    """Chooses two cores of those that this process may use; not two threads of one if it can."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Cores(
            None,
            None,
            "there is only one core: server and generator share it. The rates say little then.",
        )
    server, others = usable[0], usable[1:]
    apart = [core for core in others if core not in _threads_of_core(server)]
    generator = (apart or others)[0]
    warning = (
        ""
        if apart
        else f"cores {server} and {generator} are two threads of one: the generator slows the server down."
    )
    return Cores(server, generator, warning, tuple(one for one in others if one != generator))


def _threads_of_core(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        ranges = [part.split("-") for part in path.read_text().strip().split(",")]
    except OSError:
        return {core}
    return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}


def describe(log_folder: Path, servers: Sequence[str] = ()) -> dict[str, str]:
    """Returns the facts in the order in which they are printed; `servers` are measured too."""
    return {
        "processor": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tracker": _first_line([tracker_command(), "--version"]),
        **{name: _version(RIVALS[name]) for name in servers if name in RIVALS},
        "log on": _file_system(log_folder),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def wait_quiet(patience: float, limit: float = 0.05) -> bool:
    """Waits until the cores were idle for half a second; returns false if they never were."""
    deadline = time.monotonic() + patience
    chosen = choose_cores()
    cores = [core for core in (chosen.server, chosen.generator) if core is not None]
    while (busy := _busy_share(0.5, cores or [0])) > limit and time.monotonic() < deadline:
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


def _version(rival: Rival) -> str:
    """Returns the version, or the beginning of the binary's SHA-256 if it does not tell one."""
    version = _first_line(list(rival.version)) if rival.version else "unknown"
    if version == "unknown" and (path := rival.command()):
        return f"sha256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"
    return version


def thread_seconds(pid: int) -> dict[str, tuple[float, float]]:
    """Returns the CPU seconds of a process, user and system, by kind of thread: the loop's, the
    receivers', and the others'.
    """
    found = dict.fromkeys(("loop", "receivers", "other threads"), (0.0, 0.0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, rest = (task / "stat").read_text().partition(" (")[2].rpartition(") ")
        except OSError:  # it has ended
            continue
        kind = "receivers" if name == "udp-receiver" else "other threads"
        kind = "loop" if task.name == str(pid) else kind
        user, system = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in rest.split()[11:13])
        found[kind] = found[kind][0] + user, found[kind][1] + system
    return found


def kernel_drops(port: int) -> int:
    """Returns how many datagrams the kernel dropped because the sockets at a port were full."""
    rows = [
        line.split()
        for name in ("udp", "udp6")
        if (path := Path("/proc/net") / name).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return sum(int(row[-1]) for row in rows if int(row[1].rpartition(":")[2], 16) == port)


def _file_system(folder: Path) -> str:
    return _first_line(["stat", "-f", "-c", "%T", str(folder)])


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "unknown"
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else "unknown"
