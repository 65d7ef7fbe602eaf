"""Runs `tracker` in processes that are forked from one that has imported it.

Importing takes most of a short command's time and of a start's, and the tests run hundreds of both.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import connection, forkserver, get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from threading import Lock
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_context = get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.e2e.forked", "tracker.cli.events", "tracker.process.run", "api.serve", "api.app"]
)
_asking = Lock()  # because two threads must not read the exit code of one process
elsewhere = False
"""Tells whether this thread is in another network than the process that all are forked from."""


def start() -> None:
    """Starts the process that all others are forked from; they run in its network."""
    forkserver.ensure_running()


class Forked:
    """A process that runs `tracker` with these arguments. `output` has both its outputs.

    It has the methods of `subprocess.Popen` that the tests use.
    """

    def __init__(
        self, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str]
    ) -> None:
        reader, writer = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=_main, args=(arguments, folder, environment, writer)
        )
        with _asking:
            self._process.start()
        writer.close()
        self.output: IO[str] = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        with _asking:
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("tracker", timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], deadline: float
) -> CompletedProcess[str]:
    """Runs `tracker` with these arguments to its end, as `python -m tracker` does."""
    with TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdout", "stderr")]
        process = _context.Process(target=_main, args=(arguments, folder, environment, files))
        with _asking:
            process.start()
        connection.wait([process.sentinel], deadline)
        with _asking:
            code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            raise TimeoutError(arguments)
        output, errors = (file.read_text("utf-8") for file in files)
        return CompletedProcess(arguments, code, output, errors)


def _main(
    arguments: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    outputs: list[Path] | connection.Connection,
) -> None:
    from tracker import streams  # not in the process of the tests
    from tracker.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if isinstance(outputs, list):
        opened = [os.open(file, os.O_WRONLY | os.O_CREAT) for file in outputs]
    else:
        opened = [outputs.fileno()] * 2
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *opened)):
        os.dup2(descriptor, number)
    if not isinstance(outputs, list):
        outputs.close()  # so that the output ends with the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for its life
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    streams.prepare()
    code = main(list(arguments))
    atexit._run_exitfuncs()  # a forked process ends without them
    sys.exit(code)
