"""Makes the standard streams usable, whatever the process was started with.

Closed ones lead nowhere, and what an encoding cannot show is escaped. A terminal or pipe that
nobody reads keeps no process from serving (`never_wait`), and none from ending (`end`).
"""

from __future__ import annotations

import atexit
import codecs
import os
import select
import signal
import sys
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn, TextIO

END_SECONDS = 1.0
"""Seconds that the end of a process waits for the reader of its output."""
MOST_WAITING = 4096
"""Lines that wait for a reader at most, about 500 KB; later ones are dropped."""


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


def never_wait(*names: str) -> None:
    """Makes these standard streams (`stdout`, `stderr`) such that no writer waits for a reader."""
    for name in names:
        plain = getattr(sys, name)
        queued = QueuedStream(plain)
        setattr(sys, name, queued)
        atexit.register(setattr, sys, name, plain)  # the interpreter's end knows no other threads
        atexit.register(queued.flush)


class QueuedStream:
    """A standard stream whose writers do not wait. Where a write might, a thread makes it, and all
    later ones, from a queue.

    When the queue is full, and when the system takes nothing, text is dropped. A line tells later
    how many lines are missing.
    """

    def __init__(self, plain: TextIO, most: int = MOST_WAITING) -> None:
        self._plain = plain
        self._most = most
        self._queue: SimpleQueue[bytes | Event] = SimpleQueue()
        self._missing = 0  # lines that were dropped and not told of
        self._thread: Thread | None = None
        self._stuck = False  # the last flush was in vain
        self.encoding, self.errors = plain.encoding, plain.errors or "replace"
        self.fileno, self.isatty = plain.fileno, plain.isatty

    def write(self, text: str) -> int:
        if self._queue.qsize() >= self._most:
            self._missing += text.count("\n")
            return len(text)
        self._put(text.encode(self.encoding, self.errors))
        return len(text)

    def flush(self) -> None:
        """Waits until all is written, but not for a reader that does not read: after
        `END_SECONDS` it goes on, and then at once until somebody reads again.
        """
        if self._thread is not None:
            written = Event()
            self._put(written)
            self._stuck = not written.wait(0 if self._stuck else END_SECONDS)

    def _put(self, item: bytes | Event) -> None:
        if self._thread is None:
            if isinstance(item, bytes) and self._has_room(len(item)):
                self._write_all([item])
                return
            thread = Thread(target=self._serve, daemon=True)
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # no thread is to be had, so who writes waits after all
                self._write_all([item])
                return
        self._queue.put(item)

    def _has_room(self, size: int) -> bool:
        """Tells whether a write of this size does not wait. A terminal does not tell."""
        if size > select.PIPE_BUF or self.isatty():
            return False
        return bool(select.select([], [self.fileno()], [], 0)[1])

    def _serve(self) -> None:
        """Writes what waits, in large pieces, because each call costs a turn of this thread."""
        while True:
            items = [self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get())
            self._write_all(items)

    def _write_all(self, items: list[bytes | Event]) -> None:
        data = b"".join(item for item in items if isinstance(item, bytes))
        missing = self._missing
        try:
            self._write(data + (b"(%d earlier lines are missing)\n" % missing if missing else b""))
            self._missing -= missing
        except OSError:  # a full disk, or a reader that has left
            self._missing += data.count(b"\n")
        for item in items:
            if isinstance(item, Event):
                item.set()

    def _write(self, data: bytes) -> None:
        number = self.fileno()
        while data:
            try:
                data = data[os.write(number, data) :]
            except BlockingIOError:  # whoever started us made it so
                select.select([], [number], [])


def end() -> None:
    """Writes what the standard streams hold, or drops it when nobody reads for `END_SECONDS`, so
    that a signal ends the process.
    """
    with impatient():
        for stream in (sys.stdout, sys.stderr):
            flush_or_drop(stream)


@contextmanager
def impatient() -> Iterator[None]:
    """Lets a write that waits for a reader raise `TimeoutError` after `END_SECONDS`."""
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, END_SECONDS, END_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _give_up(*_: object) -> NoReturn:
    raise TimeoutError


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
