"""Exit codes, printing and progress bars for every command."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tracker import build, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Recovery

CANNOT = 1
LOG_DAMAGED = 3
UNCHECKED = 4
"""The command has done its work, and could not check the tags of the log."""


class CannotError(Exception):
    """The command cannot do its work; the text says why in a line, and is all that is printed."""


def fail(code: int, text: str) -> int:
    """Prints on standard error what went wrong; returns `code`."""
    note(f"tracker: {text}")
    return code


def say(text: str, style: str = "") -> None:
    """Prints a line of the command's result on standard output.

    `style`: codes of ANSI's select graphic rendition, for a terminal only; "" = none. Raises
    `CannotError` when it takes no more, `BrokenPipeError` when its reader left.
    """
    shown = streams.harmless(text)
    try:
        sys.stdout.write(f"\x1b[{style}m{shown}\x1b[0m\n" if style else f"{shown}\n")
    except OSError as error:
        raise _no_output(error) from None


def say_json(value: object) -> None:
    """Prints a JSON value in one line: the shape of `--json` in every command."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def flush() -> None:
    """Sees to it that all lines have been taken. Raises like `say`."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _no_output(error) from None


def _no_output(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return CannotError(f"standard output takes no more: {error.strerror}")


def note(text: str) -> None:
    """Prints a line that is no part of the result on standard error."""
    streams.flush_or_drop(sys.stdout)
    with suppress(OSError):  # then there is nowhere left to say it
        sys.stderr.write(f"{streams.harmless(text)}\n")


def note_recovery(recovery: Recovery) -> None:
    """Notes that the unfinished end of the log was cut off, if it was."""
    if recovery.cut_bytes:
        note(
            f"The log ended in {recovery.cut_bytes} bytes of an unfinished write; "
            f"they were moved to {recovery.quarantine}"
        )


def count(number: int, noun: str) -> str:
    """`1 peer`, `2 peers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def version() -> str:
    from importlib import metadata  # takes a while: it knows how to read mails

    return metadata.version("swarmlog")


def version_line() -> str:
    return f"swarmlog {version()} ({build.build()})"


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows a progress bar on a terminal, and nothing elsewhere.

    Gives a function to call with the amount done and the whole amount (None = unknown). The bar is
    there from the first report to the one that all is done, so that another bar can follow it.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # takes a tenth of a second: for a terminal only
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
