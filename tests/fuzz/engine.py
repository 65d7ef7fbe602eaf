"""A small fuzzer: changes valid inputs, keeps those that reach new lines, tells what goes wrong.

All choices come from a seeded generator. How many inputs there is time for depends on the machine.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random
    from types import CodeType, FrameType

    Run = Callable[[bytes], object]

MOST_SECONDS = 5
"""Seconds of processor time after which an input takes too long."""
MOST_KIB = 256 << 10
"""Kibibytes of memory that an input may take."""
MOST_BYTES = 1 << 16
"""Longest input: more than any datagram, head or line that the tracker reads."""
MOST_KEPT = 2000
"""Inputs to keep beside the seeds."""
MOST_TRIES = 300
"""Tries to make an input that was found smaller."""
_TIRED = 300
"""Calls of a function in a row without a new line, after which its lines are no longer watched."""

ROOT = Path(__file__).parents[2]
_OURS = tuple(f"{ROOT}/{name}/" for name in ("tracker", "eventlog", "api"))
_NUMBERS = (0, 1, 2, 15, 16, 127, 128, 255, 256, 32_767, 65_535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
_TEXTS = (b"\0", b"\n", b"\r\n", b"\xff", b"%", b"%00", b"%zz", b"=", b"&", b"?", b"/", b'"', b"\\", b"-", b"+", b" ", b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xd9\xa3", b"\xc2\xb2", b"nan", b"1e999", b"9" * 25, b"9" * 5000, b"[" * 3000, b"null", b"true", b"{}", b"\\ud800", b"..")  # fmt: skip


_BYTES = [bytes([one]) for one in range(256)]
_AT_ONCE = 256
"""Inputs of the simple kind between two looks at the time."""


class TooMuchError(BaseException):
    """An input takes too long or too much memory. No `except Exception` swallows it."""


@define
class Lines:
    """Notes which lines of ours were run; compiled modules have none."""

    new: bool = False
    _seen: set[tuple[CodeType, int]] = field(factory=set)
    _idle: dict[CodeType, int] = field(factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        self.new = False
        before = sys.gettrace()
        sys.settrace(self._entered)
        try:
            yield
        finally:
            sys.settrace(before)

    def _entered(self, frame: FrameType, _event: str, _value: object) -> Any:
        code = frame.f_code
        calls = self._idle.get(code)
        if calls is None:
            calls = 0 if code.co_filename.startswith(_OURS) else _TIRED
        if calls >= _TIRED:
            self._idle[code] = _TIRED
            return None
        self._idle[code] = calls + 1
        return self._ran

    def _ran(self, frame: FrameType, event: str, _value: object) -> Any:
        place = frame.f_code, frame.f_lineno
        if event == "line" and place not in self._seen:
            self._seen.add(place)
            self._idle[frame.f_code] = 0
            self.new = True
        return self._ran


@define
class Hunt:
    """What came of a target: how many inputs, those kept, and what goes wrong, by place."""

    inputs: int = 0
    kept: list[bytes] = field(factory=list)
    slowest: float = 0.0  # seconds of processor time
    slow: bytes = b""  # the input that took them
    found: dict[str, tuple[str, bytes]] = field(factory=dict)


def hunt(
    run: Run, seeds: list[bytes], words: Sequence[bytes], chance: Random, seconds: float, more: int
) -> Hunt:
    """Gives a target the seeds, and then what it makes of them until the time is over.

    Then it gives it so many more inputs, simpler ones and without a look at lines, which is many
    times as fast.
    """
    lines, result = Lines(), Hunt()
    inputs, kept = list(seeds), result.kept
    until = time.monotonic() + seconds
    while time.monotonic() < until or result.inputs < len(seeds):
        first = result.inputs < len(seeds)
        data = seeds[result.inputs] if first else mutated(inputs, words, chance)
        result.inputs += 1
        with lines.watched():
            what = wrong(run, data)
        _note(run, data, what, result)
        if lines.new and not what and not first and len(kept) < MOST_KEPT:
            inputs.append(data)
            kept.append(data)
    last, most = result.inputs + more, 0.0
    while result.inputs < last:
        some = [altered(inputs, words, chance) for _ in range(min(_AT_ONCE, last - result.inputs))]
        result.inputs += len(some)
        before = time.process_time()
        try:
            with bounded():
                for data in some:
                    run(data)
        except (Exception, TooMuchError):  # one of them, or all together
            for data in some:
                _note(run, data, wrong(run, data), result)
        spent = time.process_time() - before
        if spent > 1.1 * most:
            most = max(most, spent)
            for data in some:
                # Three times, because other work on the machine disturbs.
                took = min(_seconds(run, data) for _ in range(3))
                if took > result.slowest:
                    result.slowest, result.slow = took, data
    return result


def _note(run: Run, data: bytes, what: str, result: Hunt) -> None:
    place = what.partition(": ")[0]
    if what and place not in result.found:
        result.found[place] = what, _smaller(run, data, place)


def _seconds(run: Run, data: bytes) -> float:
    before = time.process_time()
    with suppress(Exception):
        run(data)
    return time.process_time() - before


def wrong(run: Run, data: bytes) -> str:
    """Runs a target on one input. Returns what went wrong and where; "" = nothing."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with bounded():
            run(data)
    except (Exception, TooMuchError) as error:
        return _named(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return f"too much memory: {grown} KiB" if grown > MOST_KIB else ""


@contextmanager
def bounded() -> Iterator[None]:
    """Raises `TooMuchError` when the block takes more than `MOST_SECONDS` of processor time."""
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_long(_number: int, _frame: object) -> None:
    raise TooMuchError(f"it takes more than {MOST_SECONDS} s")


signal.signal(signal.SIGVTALRM, _too_long)  # once, because it takes as long as a short input


def _named(error: BaseException) -> str:
    """Names an error by its type, its text and the last lines of ours."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = [
        f"{Path(one.filename).relative_to(ROOT)}:{one.lineno}"
        for one in traceback.extract_tb(error.__traceback__)
        if one.filename.startswith(str(ROOT)) and "/.venv/" not in one.filename
    ]
    return f"{type(error).__name__} at {' > '.join(places[-3:])}: {str(error)[:120]!r}"


def _smaller(run: Run, data: bytes, place: str) -> bytes:
    """Cuts pieces out of an input as long as the same goes wrong at the same place."""
    size, tries = len(data) // 2, 0
    while size and tries < MOST_TRIES and "TooMuch" not in place:
        at = 0
        while at < len(data) and tries < MOST_TRIES:
            shorter = data[:at] + data[at + size :]
            tries += 1
            if wrong(run, shorter).partition(": ")[0] == place:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def mutated(inputs: list[bytes], words: Sequence[bytes], chance: Random) -> bytes:
    """Returns one of the inputs after one to five changes; `words` mean something to the target."""
    data = chance.choice(inputs)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        data = _changed(data, inputs, words, chance)
    return data[:MOST_BYTES]


def altered(inputs: list[bytes], words: Sequence[bytes], chance: Random) -> bytes:
    """Returns one of the inputs after one to four simple changes, in a tenth of the time."""
    number = chance.getrandbits(64)
    data = inputs[number % len(inputs)]
    for _ in range(1 + (number >> 62)):
        number = chance.getrandbits(64)
        at = number % (len(data) + 1)
        number >>= 24
        how, number = number & 7, number >> 3
        if how < 2:  # a byte
            data = data[:at] + _BYTES[number & 255] + data[at + 1 :]
        elif how == 2:  # a bit
            if at < len(data):
                data = data[:at] + _BYTES[data[at] ^ 1 << (number & 7)] + data[at + 1 :]
        elif how < 5:  # a word, or a text that many parsers dislike, for as many bytes or none
            word = words[number % len(words)] if how == 3 else _TEXTS[number % len(_TEXTS)]
            data = data[:at] + word + data[at + (len(word) if number & 1 << 32 else 0) :]
        elif how == 5:  # less
            data = data[:at] + data[at + (number & 63) :]
        elif how == 6:  # the end of another
            other = inputs[number % len(inputs)]
            data = data[:at] + other[(number >> 16) % (len(other) + 1) :]
        else:  # some of it again
            data = data[:at] + data[max(0, at - (number & 63)) :]
    return data[:MOST_BYTES]


def _changed(data: bytes, inputs: list[bytes], words: Sequence[bytes], chance: Random) -> bytes:
    at, end = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
    how = chance.randrange(11)
    if how == 0 and data:  # a bit
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    if how == 1:  # bytes
        return (
            data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at + chance.randrange(9) :]
        )
    if how == 2:  # a binary number, at a multiple of its size mostly
        size = chance.choice((1, 2, 4, 8))
        at -= at % size if chance.random() < 0.8 else 0
        number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
        order = chance.choice(("big", "little"))
        return data[:at] + number.to_bytes(size, order) + data[at + size :]
    if how == 3:  # a decimal number
        return (
            data[:at] + b"%d" % (chance.choice(_NUMBERS) + chance.choice((-1, 0, 1))) + data[end:]
        )
    if how in (4, 5) and words:  # a word
        return data[:at] + chance.choice(words) + data[chance.choice((at, end)) :]
    if how == 6:  # a text that many parsers dislike
        return data[:at] + chance.choice(_TEXTS) + data[chance.choice((at, at + 1, end)) :]
    if how == 7:  # a splice of two inputs
        other = chance.choice(inputs)
        cut = chance.randrange(len(other) + 1)
        return data[:at] + other[cut : cut + chance.choice((8, 64, len(other)))] + data[chance.choice((at, end)) :]  # fmt: skip
    if how == 8:  # a cut
        return data[:at] + data[end:] if chance.random() < 0.7 else data[:end]
    if how == 9:  # a repetition
        return data[:end] + data[at:end] * chance.choice((1, 2, 20, 300)) + data[end:]
    return data[:at] + data[at:end][::-1] + data[end:]
