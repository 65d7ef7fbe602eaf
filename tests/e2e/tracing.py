"""Makes system calls fail: strace injects errors into a running tracker's threads, or kills it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def why_not() -> str:
    """Returns why strace cannot be used here, or "" when it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            with attached([process.pid], "fdatasync", "error=EIO"):
                return ""
        except AssertionError as error:
            return f"strace may not trace: {error}".splitlines()[0]
        finally:
            process.kill()


@contextmanager
def attached(threads: list[int], call: str, fault: str, *options: str) -> Iterator[None]:
    """Injects `fault` while the context lasts.

    It is written as for strace: `error=EIO:when=3`, `signal=KILL:when=1`. `when` counts calls in
    each thread. With the option `-f` it is injected into all threads of a process, and into the
    processes that it starts.
    """
    places = [word for thread in threads for word in ("-p", str(thread))]
    command = ["strace", *options, "-o", os.devnull, "-e", f"inject={call}:{fault}", *places]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for _ in threads:
                said = process.stderr.readline()
                assert "attached" in said, said
            yield
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE)


def workers(pid: int) -> list[int]:
    """Returns a process's threads except the first. One of them writes the log."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid]
