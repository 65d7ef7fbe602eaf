"""Types of arguments that are times, and the options for a part of the log.

People type times as `parse_typed` in `tracker/times.py` reads them, in every command.
"""

from __future__ import annotations

import argparse
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tracker.cli.output import CannotError
from tracker.ports import LogPart, Moment
from tracker.times import DAY_US, parse, parse_typed, rfc3339, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EXAMPLES = "2026-11-21T20:24:00Z, 07:02, 'yesterday 20:15' or '10m ago'"


def moment(text: str) -> Moment:
    """An argument's type: a sequence number, or a time, UTC where it names no zone; none of them =
    now.
    """
    if text == "now":
        return Moment()
    if ".." in text:
        raise argparse.ArgumentTypeError("expected one moment, and not an interval")
    if re.fullmatch(r"[0-9]{1,19}", text):
        return Moment(seq=int(text))
    return Moment(time_us=_typed(text, "a sequence number or a time", _EXAMPLES, ahead=False))


def at(text: str) -> str | None:
    """An argument's type: a sequence number or a time that has come, as the API takes them; None =
    now, which is later than the last event, so that the API knows it by no time.
    """
    found = moment(text)
    if found.seq is not None:
        return str(found.seq)
    return None if found.time_us is None else rfc3339(found.time_us)


def when(text: str) -> str:
    """An argument's type: a time to come, as the API takes it; UTC where it names no zone."""
    examples = "2027-01-31T23:59:59Z, 07:02, tomorrow or +3d"
    return text if parse(text) else rfc3339(_typed(text, "a time", examples, ahead=True))


def past(text: str) -> str:
    """An argument's type: a time that has come, as the API takes it; UTC where it names no zone."""
    return text if parse(text) else rfc3339(_typed(text, "a time", _EXAMPLES, ahead=False))


def date(text: str) -> int:
    """An argument's type: a date in UTC, as days since 1970; of a time it is the date."""
    examples = "2026-11-21, yesterday or '90 days ago'"
    return _typed(text, "a date", examples, ahead=False) // DAY_US


def length(text: str) -> int:
    """An argument's type: a length of time in seconds, from 259200, 72h, 1h30m or 3d."""
    if re.fullmatch(r"[0-9]{1,10}", text):
        return int(text)
    try:
        return seconds_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a time such as 72h, 3d or 3600") from None


def interval(text: str) -> tuple[Moment | None, Moment | None]:
    """Parses `A..B`, `A..` or `..B`: two moments; None = the end of the log on that side.

    Raises `ArgumentTypeError`.
    """
    first, dots, last = text.partition("..")
    if not dots or text == "..":
        raise argparse.ArgumentTypeError("expected an interval such as 100..200 or -2h..now")
    return (moment(first) if first else None), (moment(last) if last else None)


def _typed(text: str, what: str, examples: str, *, ahead: bool) -> int:
    try:
        return parse_typed(text, time.time_ns() // 1000, ahead=ahead)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {what} such as {examples}") from None


# A part of the log.


def add_part(parser: argparse.ArgumentParser, begin: str, end: str, *, at: str = "") -> None:
    """Adds `--from`, `--to` and `--at A..B`, which set `first` and `last`; None = not given.

    `begin` and `end`: their help. `at`: the help of `--at MOMENT`, where that may also be one
    moment, in the member `at`.
    """
    for name, dest, text in (("--from", "first", begin), ("--to", "last", end)):
        parser.add_argument(name, dest=dest, metavar="SEQ|TIME", type=moment, help=text)
    both = "both at once: --from A --to B"
    parser.add_argument(
        "--at", metavar="SEQ|TIME|A..B" if at else "A..B", action=_AtAction,
        help=f"{at}; A..B: {both}" if at else both, const=bool(at),
    )  # fmt: skip


def part_of(options: argparse.Namespace) -> LogPart:
    """Returns the part that `add_part` read. An end that is a time is included.

    Raises `CannotError` for two seqs, or two times, of which the second is the smaller.
    """
    first, last = options.first or Moment(), options.last or Moment()
    if options.first == Moment():  # now
        first = Moment(time_us=time.time_ns() // 1000)
    if last.is_before(first):
        raise CannotError("--to is before --from")
    return LogPart(first=first.seq or 0, last=last.seq, from_us=first.time_us, to_us=last.time_us)


def add_moments(parser: argparse.ArgumentParser, text: str, *, needed: bool = True) -> None:
    """Adds two moments, `A B` or `A..B`, which set `first` and `last`.

    Unless they are `needed`, both may be missing: None.
    """
    parser.add_argument(
        "moments", metavar="A..B", nargs="+" if needed else "*", action=_TwoAction,
        help=f"A..B or A B: {text}; each a sequence number or a time",
    )  # fmt: skip
    parser.set_defaults(first=None, last=None)


class _AtAction(argparse.Action):
    """Sets `first` and `last`, or `at` where one moment may be given (`const`)."""

    def __call__(
        self, _parser: object, options: argparse.Namespace, value: Any, _option: object = None
    ) -> None:
        with _naming(self, value):
            if self.const and ".." not in value:
                options.at = moment(value)
            else:
                options.first, options.last = interval(value)


class _TwoAction(argparse.Action):
    """Sets `first` and `last` from one interval or two moments."""

    def __call__(
        self,
        _parser: object,
        options: argparse.Namespace,
        values: Sequence[str] | Any,
        _option: object = None,
    ) -> None:
        if not values:
            return
        with _naming(self, " ".join(values)):
            one = len(values) == 1 and ".." in values[0]
            found = interval(values[0]) if one else tuple(map(moment, values))
            if len(found) != 2 or None in found:
                raise argparse.ArgumentTypeError("expected two moments, A B or A..B")
            options.first, options.last = found


@contextmanager
def _naming(action: argparse.Action, value: str) -> Iterator[None]:
    """Puts the argument and its value before what is wrong with it."""
    try:
        yield
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentError(action, f"{value!r}: {error}") from None
