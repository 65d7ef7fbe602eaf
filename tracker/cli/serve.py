"""`tracker serve`, and `tracker` alone: runs the tracker."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from typing import TYPE_CHECKING, TextIO

from tracker import build, streams
from tracker.cli.options import add_config
from tracker.cli.output import CANNOT, fail, progress, say, version
from tracker.config import load

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--accept-older-log",
        action="store_true",
        help="go on with a log that is an older copy of what was served: what is missing is lost",
    )
    parser.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    gc.disable()  # it would walk what is imported and loaded; enabled when the tracker runs
    # Until the tracker runs, SIGHUP has no certificates to read again; it would end the process.
    signal.signal(signal.SIGHUP, lambda *_: None)
    if problem := build.stale():
        return fail(CANNOT, problem)
    loaded = load(options.config)
    streams.never_wait("stdout", "stderr")
    _log_to_stdout(loaded.config.logging.threshold)
    say(loaded.source)
    log = logging.getLogger("tracker")
    for warning in loaded.warnings:
        log.warning("%s", warning)
    # Imported here, because trio and all the listeners take time, and other commands do without.
    from tracker.process import run

    # Stops a start before trio handles signals, when nothing is being written yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with progress("Replaying the log") as report:
            # `tracker` without a command has no such option.
            accept = getattr(options, "accept_older_log", False)
            run.run(loaded.config, version(), report, accept_older=accept)
    except run.StartError as error:
        return fail(CANNOT, str(error))
    return 0


_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


class _TextLog(logging.StreamHandler[TextIO]):
    """Writes nothing that a terminal obeys.

    Does not wait for each line, because the tracker must go on when nobody reads them.
    """

    def format(self, record: logging.LogRecord) -> str:
        return streams.harmless(super().format(record))

    def flush(self) -> None:
        pass


def _log_to_stdout(threshold: str) -> None:
    logging.basicConfig(
        handlers=[_TextLog(sys.stdout)],
        level=_LEVELS[threshold],
        format="%(asctime)sZ [%(name)s][%(levelname)s] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.Formatter.converter = time.gmtime
