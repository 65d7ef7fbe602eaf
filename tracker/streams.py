"""Makes the standard streams usable, whatever the process was started with.

Closed ones lead nowhere, and what an encoding cannot show is escaped.
"""

from __future__ import annotations

import codecs
import os
import sys


def prepare() -> None:
    """Opens the null device for streams that are closed, and sets how text is written.

    Without it the first files that are opened would get the numbers of closed streams, and the
    helper processes would write into them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if not _is_open(number):
            _lead_nowhere(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  # for the process's life
    codecs.register_error("escape", _escape)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="escape")  # type: ignore[union-attr]  # of the interpreter's own class


def harmless(text: str) -> str:
    """Returns text with everything that a terminal may obey, or show as if it stood elsewhere,
    written as JSON writes it; line ends and tabs stay.

    Such characters come from forged logs, other servers' answers and the names of files. JSON
    remains JSON.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _units(c) for c in text)


def flush_or_drop(stream: object) -> None:
    """Writes what a stream holds, or drops it when the stream takes nothing.

    Otherwise the interpreter would try again at its end, and complain.
    """
    try:
        stream.flush()  # type: ignore[attr-defined]  # typed so that tests may put anything there
    except OSError:
        _lead_nowhere(stream.fileno())  # type: ignore[attr-defined]  # likewise
        stream.flush()  # type: ignore[attr-defined]  # likewise


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _lead_nowhere(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(opened, number)
        os.close(opened)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Writes characters as JSON does, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _units(error.object[error.start : error.end]), error.end


def _units(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
