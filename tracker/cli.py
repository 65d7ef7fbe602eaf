"""The command line. Exit codes: 0 done, 1 cannot start or go on as asked, 2 wrong usage, 3 the log is damaged
or cannot be written."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventlog import LogError, LogLockedError, LogUnusableError, Reader
from tracker import narrate
from tracker.config import ConfigError, load
from tracker.domain import events
from tracker.domain.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.secrets import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANNOT = 1
LOG_DAMAGED = 3

_FOLLOW_SECONDS = 0.1


def main(arguments: list[str] | None = None) -> int:
    # Started in the background of a script, Python would have been told to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        # The reader of our output left (`tracker events | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except ConfigError as error:
        return _fail(CANNOT, str(error))
    except (LogLockedError, LogUnusableError) as error:
        return _fail(CANNOT, str(error))
    except (LogError, ReplayError, CodecError) as error:
        return _fail(LOG_DAMAGED, str(error))
    except BrokenPipeError:
        raise
    except (SecretError, OSError) as error:
        return _fail(CANNOT, str(error))


def _fail(code: int, text: str) -> int:
    print(f"tracker: {text}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tracker",
        description="A BitTorrent tracker whose only source of truth is an append-only log.",
    )
    parser.add_argument("--version", action="version", version=version_line())
    _add_config(parser)
    parser.set_defaults(run=serve)
    commands = parser.add_subparsers(metavar="COMMAND")
    _add_serve(commands)
    _add_events(commands)
    return parser


def _add_config(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="configuration file (default: ./tracker.toml, or what the environment says)",
    )


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser("serve", help="run the tracker (what happens without a command)")
    _add_config(parser, argparse.SUPPRESS)
    parser.set_defaults(run=serve)


def _add_events(commands: Any) -> None:
    parser = commands.add_parser(
        "events",
        help="print the log, one JSON object a line",
        description="Print the events of the log, one JSON object a line. Works beside a running tracker.",
    )
    _add_config(parser, argparse.SUPPRESS)
    parser.add_argument(
        "--log", metavar="FOLDER", type=Path, help="the log, instead of the configured one"
    )
    parser.add_argument("--follow", action="store_true", help="go on as events come")
    parser.add_argument("--info-hash", metavar="HASH", type=_info_hash, help="only of this torrent")
    parser.add_argument(
        "--type", action="append", choices=events.EVENT_TYPES, metavar="TYPE",
        help=f"only of this type, may be repeated: {', '.join(events.EVENT_TYPES)}",
    )  # fmt: skip
    parser.add_argument("--from", dest="first", metavar="SEQ|TIME", type=_moment, help="begin here")
    parser.add_argument(
        "--to", dest="last", metavar="SEQ|TIME", type=_moment, help="end here, inclusive"
    )
    parser.set_defaults(run=print_events)


def version_line() -> str:
    return f"swarmlog {version()} (pure Python)"


def version() -> str:
    return metadata.version("swarmlog")


# serve


def serve(options: argparse.Namespace) -> int:
    loaded = load(options.config)
    _log_to_stdout(loaded.config.logging.threshold)
    print(loaded.source, flush=True)
    log = logging.getLogger("tracker")
    for warning in loaded.warnings:
        log.warning("%s", warning)
    # The process brings trio and all the sockets: other commands do without.
    from tracker import process

    # Until the process has its own way to stop: nothing is being written yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with _progress() as progress:
            process.run(loaded.config, version(), progress)
    except process.StartError as error:
        return _fail(CANNOT, str(error))
    return 0


_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


def _log_to_stdout(threshold: str) -> None:
    logging.basicConfig(
        stream=sys.stdout,
        level=_LEVELS[threshold],
        format="%(asctime)sZ [%(name)s][%(levelname)s] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.Formatter.converter = time.gmtime


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar while the log is replayed, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # a tenth of a second, for a terminal only
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Replaying the log", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done == total:
                bar.stop()

        yield report


# events


def print_events(options: argparse.Namespace) -> int:
    folder = options.log or Path(load(options.config).config.event_log.path)
    wanted = _filter(options)
    first = options.first if isinstance(options.first, int) else 0
    reader = Reader(folder, first)
    while True:
        done = _print_new(reader, wanted, options.last)
        sys.stdout.flush()
        if done or not options.follow:
            return 0
        time.sleep(_FOLLOW_SECONDS)


def _print_new(
    reader: Reader, wanted: Callable[[dict[str, Any]], bool], last: int | str | None
) -> bool:
    """Print what the reader has now; whether the end that was asked for is reached."""
    for frame in reader.frames():
        for event in narrate.narrate(frame):
            if _past(event, last):
                return True
            if wanted(event):
                sys.stdout.write(narrate.line(event) + "\n")
            if event["seq"] == last:
                return True
    return False


def _filter(options: argparse.Namespace) -> Callable[[dict[str, Any]], bool]:
    types = set(options.type or ())

    def wanted(event: dict[str, Any]) -> bool:
        return (
            (not types or event["type"] in types)
            and (options.info_hash is None or event.get("info_hash") == options.info_hash)
            and not _before(event, options.first)
        )

    return wanted


def _before(event: dict[str, Any], moment: int | str | None) -> bool:
    if isinstance(moment, str):
        return bool(event["time"] < moment)
    return moment is not None and event["seq"] < moment


def _past(event: dict[str, Any], moment: int | str | None) -> bool:
    if isinstance(moment, str):
        return bool(event["time"] > moment)
    return moment is not None and event["seq"] > moment


def _info_hash(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        raise argparse.ArgumentTypeError("expected 40 hexadecimal digits")
    return text.lower()


def _moment(text: str) -> int | str:
    """A sequence number, or a time as events show it (they compare as text)."""
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            "expected a sequence number or a time such as 2026-11-21T20:24:00Z"
        ) from None
