"""Runs a server's process on its core, and tells what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

STOP_LIMIT = 20.0  # seconds from SIGTERM to SIGKILL


class ServerError(Exception):
    """A server did not start; the message has the end of its output."""


@contextlib.contextmanager
def running(
    command: Sequence[str],
    output: Path,
    core: int | None,
    environment: Mapping[str, str] = MappingProxyType({}),
    more_cores: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process with its output in a file; always terminates it, then kills it."""
    pin = [] if core is None else ["taskset", "-c", ",".join(map(str, (core, *more_cores)))]
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [*pin, *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def check_alive(process: subprocess.Popen[bytes], output: Path) -> None:
    """Raises ServerError when the process has ended."""
    if process.poll() is not None:
        raise ServerError(f"exit {process.returncode}\n{tail(output)}")


def tail(output: Path) -> str:
    return output.read_text(errors="replace")[-1500:]


def free_port() -> int:
    """Returns a port that is free for TCP; the server itself tries it for UDP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
