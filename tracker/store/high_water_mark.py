"""Keeps the high-water mark: a note, apart from the log, of how far the log was durable.

    <secrets_path>/reached/<log id>.json    two lines of 512 bytes, each filled up with spaces
    {"number": grows by one with each note, "seq": number of events, "tag": chain value of the frame
     before that place, in hexadecimal, "time_us": a date, "digest": history digest of the newest
     sealed segment, "sealed_to": the event after it, "tagged_from": first event of the first
     segment with tags, "check": CRC-32 of the line without this field}

A note goes into the line that does not hold the newest one, in place. So a power cut leaves one of
the two, and no note takes new space, because a full disk must not end what the note is for.
Versions before format 2 wrote one line, with `seq`, `crc` (the header_crc of the frame) and
`time_us`.

A log cannot know that it once was longer. The mark shows when an older copy took its place, or when
its end was cut off. It is never ahead of the log, because it says only what was on stable storage.
It is written before the first frame with a tag, so such frames without a mark are no accident.
There is one for each log that these secrets ever served. Blocking.
"""

from __future__ import annotations

import json
import logging
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, cast
from zlib import crc32

from attrs import frozen

from eventlog import (
    NO_CHAIN,
    NO_DIGEST,
    WENT_ON,
    LogCorruptError,
    LogError,
    NotAFileError,
    base_seq_of,
    border,
    chain_of,
    first_seq,
    holds_frame,
    list_segments,
    lost_its_end,
    make_folder,
    open_header,
    parse_json,
    read_file,
    read_identity,
    seal_path,
    segments_of,
    write_all,
    write_new,
)
from tracker.times import rfc3339

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import End, EventLog

log = logging.getLogger("tracker")

FOLDER = "reached"
LINE_BYTES = 512
"""Bytes of a line, so that the two lie in different sectors of any disk."""


@frozen
class Mark:
    """`seq` events were durable; the last of them ended the frame of this chain value."""

    seq: int
    chain: bytes
    time_us: int  # a date
    number: int = 0
    digest: bytes = NO_DIGEST  # history digest of the newest sealed segment
    sealed_to: int = 0  # the event after it; the segments before have seals
    tagged_from: int | None = None  # first event with a tag; None: no note of that


@frozen
class Older:
    """The finding that a log is not the one served last."""

    seq: int  # number of events that the log had; 0 = not known, or none is missing
    what: str
    advice: str


class OlderLogError(LogError):
    """The log is not the one that was served last."""

    def __init__(self, path: Path, older: Older) -> None:
        super().__init__(
            f"{path}: {older.what}. Nothing was changed; {older.advice}, or start with `tracker serve "
            "--accept-older-log`: what is missing is lost then, and its numbers are given again"
        )


ADVICE = "restore the newest copy of the log"
NO_NOTE = (
    "restore `reached` from a backup of the secrets, and the newest copy of the log: nobody can say without the note "
    "whether the log lost its end"
)
NOT_THERE = "is its disk mounted? Restore the newest copy of the log, or move the secrets away too to begin anew"
RESTORE_SEALS = "restore the seals from a backup of the log"


def mark_path(secrets: Path, log_id: bytes) -> Path:
    return secrets / FOLDER / f"{log_id.hex()}.json"


def read(secrets: Path, log_id: bytes) -> Mark | None:
    """Reads the mark of a log; None without one, or where `problem` says why it is none."""
    return _read(mark_path(secrets, log_id))


def problem(secrets: Path, log_id: bytes) -> str:
    """Says why the mark of a log cannot be read; "" = it can, or there is none."""
    try:
        _parsed(mark_path(secrets, log_id))
    except FileNotFoundError:
        pass
    except (OSError, NotAFileError, ValueError) as error:
        return f"does not say how far the log was: {error}"
    return ""


def _read(path: Path) -> Mark | None:
    try:
        return _parsed(path)
    except (OSError, NotAFileError, ValueError):
        return None


def _parsed(path: Path) -> Mark:
    """Returns the newer note in a file. Raises `ValueError` where it has none, `OSError`."""
    found, why = [], ValueError("it is empty")
    for line in read_file(path).splitlines():
        if not line.strip():
            continue
        try:
            found.append(_note(line))
        except ValueError as error:
            why = error  # a power cut may have come in the middle of this line
    if not found:
        raise why
    return max(found, key=lambda one: one.number)


def _note(line: bytes) -> Mark:
    with border(ValueError):
        content = cast("dict[str, Any]", parse_json(line))
        if "crc" in content:  # of a version before format 2
            numbers = content["seq"], content["time_us"]
            found = Mark(numbers[0], chain_of(content["crc"]), numbers[1])
        else:
            if content.pop("check") != _check(content):
                raise ValueError("its checksum does not match")
            numbers = tuple(content[name] for name in ("seq", "time_us", "number", "sealed_to"))
            tagged_from = content["tagged_from"]
            numbers += () if tagged_from is None else (tagged_from,)
            found = Mark(
                content["seq"],
                bytes.fromhex(content["tag"]),
                content["time_us"],
                content["number"],
                bytes.fromhex(content["digest"]),
                content["sealed_to"],
                tagged_from,
            )
        if any(type(each) is not int or each < 0 for each in numbers):
            raise TypeError("it has other values than numbers")
        if len(found.chain) != len(NO_CHAIN):
            raise ValueError("its tag has another length")
        return found


def _check(content: dict[str, Any]) -> str:
    return f"{crc32(json.dumps(content).encode()):08x}"


def write(secrets: Path, log_id: bytes, mark: Mark) -> None:
    """Writes a mark, durably, in place of the one before the last. Raises `OSError`.

    `number` must be one more than that of the last mark.
    """
    content: dict[str, Any] = {
        "number": mark.number,
        "seq": mark.seq,
        "tag": mark.chain.hex(),
        "time_us": mark.time_us,
        "digest": mark.digest.hex(),
        "sealed_to": mark.sealed_to,
        "tagged_from": mark.tagged_from,
    }
    line = json.dumps({**content, "check": _check(content)}).encode()
    line = line.ljust(LINE_BYTES - 1) + b"\n"
    path = mark_path(secrets, log_id)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe has no reader to wait for
    except FileNotFoundError:
        return _make(path, line, mark.number)
    try:
        whole = os.fstat(descriptor).st_size == 2 * LINE_BYTES
        if whole:
            write_all(descriptor, [line], mark.number % 2 * LINE_BYTES)
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if not whole:
        _make(path, line, mark.number)
    return None


def _make(path: Path, line: bytes, number: int) -> None:
    """Makes the file anew with one note. Raises `OSError`."""
    make_folder(path.parent, 0o700)
    empty = b"\n".rjust(LINE_BYTES)
    write_new(path, empty + line if number % 2 else line + empty, 0o600)


def note(secrets: Path, event_log: EventLog, time_us: int) -> Mark:
    """Notes how far a log is durable. Raises `LogError`, `OSError`."""
    before = read(secrets, event_log.log_id)
    mark = next_mark(before, event_log, time_us)
    write(secrets, event_log.log_id, mark)
    return mark


def next_mark(before: Mark | None, event_log: EventLog, time_us: int) -> Mark:
    """Makes the mark that comes after another one, at a log time. Raises `LogError`, `OSError`.

    It has the date, because people read it.
    """
    seq, chain = event_log.end
    digest, sealed_to = event_log.sealed
    known = before is not None and before.tagged_from is not None
    tagged_from = before.tagged_from if before is not None and known else tagged_since(event_log)
    number = 0 if before is None else before.number + 1
    date_us = max(0, time_us - event_log.pool.lead_us)
    return Mark(seq, chain, date_us, number, digest, sealed_to, tagged_from)


def tagged_since(event_log: EventLog) -> int:
    """Returns the first event of the first segment with tags; where there is none yet, the next
    event, because the next segment has tags. Raises `LogError`, `OSError`.
    """
    found = first_tagged(event_log.path)
    return event_log.recovery.next_seq if found is None else found


def first_tagged(log_path: Path) -> int | None:
    """Finds the first event of the first segment with tags; None = there is no such segment.

    Raises `LogFormatError`, `OSError`.
    """
    return next((base_seq_of(path) for path in segments_of(log_path) if _format(path) > 1), None)


def _format(path: Path) -> int:
    """Returns the format of a segment; 0 for a damaged header, which opening the log judges."""
    try:
        return open_header(path).format
    except LogCorruptError:
        return 0


# Comparing.


def differs(
    secrets: Path, log_path: Path, log_id: bytes, mark: Mark | None, seq: int, *, held: bool
) -> Older | None:
    """Says why a log of `seq` events is not the one served last, by its mark; None = it is.

    `held`: it has the mark's frame, or that was removed with the oldest events. Raises `LogError`,
    `OSError`.
    """
    if mark is None:
        return _without_note(secrets, log_path, log_id)
    then = f"the log was served up to event {mark.seq - 1} ({rfc3339(mark.time_us)})"
    if seq < mark.seq:
        what = f"{then} and ends before event {seq}: this is an older copy, or its end was cut off"
        return Older(mark.seq, what, ADVICE)
    if not held:
        what = f"{then} and holds other events now: this is another copy"
        return Older(mark.seq, what, ADVICE)
    return _untagged(log_path, mark, seq) or _unsealed(log_path, mark)


def _without_note(secrets: Path, log_path: Path, log_id: bytes) -> Older | None:
    if first_tagged(log_path) is None:
        return None
    what = problem(secrets, log_id) or "is missing, and the log was served with one"
    return Older(0, f"{mark_path(secrets, log_id)} {what}", NO_NOTE)


def _untagged(log_path: Path, mark: Mark, seq: int) -> Older | None:
    """Finds events without tags among those that had tags.

    Opening the log finds a segment without tags after one with them.
    """
    since = mark.tagged_from
    if since is None or seq <= since:
        return None
    found = first_tagged(log_path)
    if found is not None and found <= max(since, first_seq(log_path)):
        return None
    return Older(0, f"events from {since} on have no tags, and had them", ADVICE)


def _unsealed(log_path: Path, mark: Mark) -> Older | None:
    """Finds a segment that was sealed, and whose seal is gone."""
    for path, following in pairwise(segments_of(log_path)):
        if base_seq_of(following) <= mark.sealed_to and not os.path.lexists(seal_path(path)):
            what = f"the seal of {path.name} is missing, and was there when the log was noted"
            return Older(0, what, RESTORE_SEALS)
    return None


def compare(secrets: Path, log_path: Path, log_id: bytes, end: End) -> Older | None:
    """Compares a log that ends at `end` with its mark; None = it is the log that was served last.

    Raises `LogError` and `OSError` when the log cannot be read.
    """
    mark, seq = read(secrets, log_id), end[0]
    if lost_its_end(log_path) and (mark is None or mark.seq <= seq):
        what = f"the log ends with event {seq - 1}, and not there: {WENT_ON}"
        return Older(seq + 1, what, ADVICE)
    held = (
        mark is None
        or end == (mark.seq, mark.chain)
        or (seq >= mark.seq and holds_frame(log_path, mark.seq, mark.chain))
    )
    found = differs(secrets, log_path, log_id, mark, seq, held=held)
    if found is None and mark is None and (what := problem(secrets, log_id)):
        log.warning("%s %s", mark_path(secrets, log_id), what)
    return found


def replaced(secrets: Path, log_path: Path) -> Older | None:
    """Finds that there is no log, or one that these secrets never served, and that they served
    another one.

    Else a log of format 1, which anybody can make, could take the place of one with tags. Call it
    before anything is made in the log's folder. Raises `LogError`, `OSError`.
    """
    empty = not ((log_path / "seg").is_dir() and list_segments(log_path / "seg"))
    log_id = read_identity(log_path) if (log_path / "identity.json").exists() else None
    if log_id is None and not empty:
        return None  # opening the log tells of the missing identity
    if log_id is not None and (
        read(secrets, log_id) is not None
        or (not empty and os.path.lexists(mark_path(secrets, log_id)))
    ):
        return None  # `compare` judges it
    for path in sorted((secrets / FOLDER).glob("*.json")):
        mark = _read(path)
        if mark is None or mark.seq:
            events = f"of {mark.seq} events " if mark else ""
            there = "there is no log" if empty else f"{log_path} is a log without a note"
            what = f"{there}, and one {events}was served with the secrets in {secrets}"
            return Older(0, what, NOT_THERE if empty else ADVICE)
    return None


def refuse(log_path: Path, older: Older) -> NoReturn:
    """Raises `OlderLogError`: nothing may be appended to this log."""
    raise OlderLogError(log_path, older)
