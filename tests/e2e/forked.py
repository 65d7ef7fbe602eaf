"""Runs commands of `tracker` in processes that are forked from one that has imported it.

Importing takes most of a short command's time, and the tests run hundreds of commands.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import forkserver, get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.e2e.forked", "tracker.cli", "tracker.cli.events"])


def start() -> None:
    """Starts the process that all commands are forked from; they run in its network."""
    forkserver.ensure_running()


def run(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], deadline: float
) -> CompletedProcess[str]:
    """Runs `tracker` with these arguments to its end, as `python -m tracker` does."""
    with TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdout", "stderr")]
        process = _context.Process(target=_main, args=(arguments, folder, environment, files))
        process.start()
        process.join(deadline)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(arguments)
        output, errors = (file.read_text("utf-8") for file in files)
        return CompletedProcess(arguments, process.exitcode, output, errors)


def _main(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], files: list[Path]
) -> None:
    from tracker.cli import main  # not in the process of the tests

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # both are files here
    sys.exit(main(list(arguments)))
