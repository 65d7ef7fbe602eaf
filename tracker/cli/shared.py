"""What the commands have in common: exit codes, options, printing, progress. Knows no command."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tracker import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Recovery
    from tracker.store.address_keys import Keyring

CANNOT = 1
LOG_DAMAGED = 3


class CannotError(Exception):
    """What was asked for cannot be done; the text says why, in a line, and is all the user sees."""


def fail(code: int, text: str) -> int:
    """Say on standard error what went wrong; returns `code`."""
    note(f"tracker: {text}")
    return code


def say(text: str) -> None:
    """A line of the command's result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """A line for the person who waits, which is no part of the result."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")


def count(number: int, noun: str) -> str:
    """`1 peer`, `2 peers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def add_config(parser: argparse.ArgumentParser, default: str | None = argparse.SUPPRESS) -> None:
    """`--config`; only the outermost parser may have a default, or it would undo what came before."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="configuration file (default: ./tracker.toml, or what the environment says)",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """`--log` and `--secrets`, for commands that read the log; see `log_and_keys`."""
    parser.add_argument(
        "--log", metavar="FOLDER", type=Path, help="the log, instead of the configured one"
    )
    parser.add_argument(
        "--secrets", metavar="FOLDER", type=Path,
        help="the folder with the keys to the addresses; with --log alone they are shown as null",
    )  # fmt: skip


def log_and_keys(options: argparse.Namespace) -> tuple[Path, Keyring | None]:
    """The folder of the log, and the keys to its protected part."""
    from tracker.store.address_keys import Keyring

    path, secrets = log_and_secrets(options)
    return path, Keyring(secrets) if secrets else None


def log_and_secrets(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """The folder of the log, and the one with the secrets that belong to it."""
    from tracker.config import load

    path: Path | None = options.log
    secrets: Path | None = options.secrets
    if path is None:
        config = load(options.config).config.event_log
        path, secrets = Path(config.path), secrets or Path(config.secrets_path)
    return path, secrets


def recovery_noted(recovery: Recovery) -> None:
    """Say that the log's torn end was cut, if it was."""
    if recovery.cut_bytes:
        note(
            f"The log ended in {recovery.cut_bytes} bytes of an unfinished write; "
            f"they were moved to {recovery.quarantine}"
        )


def info_hash(text: str) -> str:
    """An argument's type: 40 hexadecimal digits, in lower case."""
    if not re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        raise argparse.ArgumentTypeError("expected 40 hexadecimal digits")
    return text.lower()


def version() -> str:
    return metadata.version("swarmlog")


def version_line() -> str:
    return f"swarmlog {version()} ({build.build()})"


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, nothing elsewhere. Gives what is to be told how much is done, and how much there is.

    It shows from the first report to the one that all is done, so that one bar can follow another.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # a tenth of a second, for a terminal only
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=None)

    def report(done: int, total: int | None) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    try:
        yield report
    finally:
        bar.stop()
