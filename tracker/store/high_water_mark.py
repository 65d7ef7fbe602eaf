"""Keeps the high-water mark: a note, apart from the log, of how far the log was durable.

    <secrets_path>/reached/<log id>.json
    {"seq": number of events, "chain": chain value of the frame before that place, in hexadecimal,
     "time_us": log time}

Earlier versions wrote `crc`, the header_crc of that frame, in the place of `chain`.

A log cannot know that it once was longer. The mark shows when an older copy took its place. After a
crash it is some minutes behind the log; it is never ahead of it, because it says only what was on
stable storage. There is one for each log that these secrets ever served. Blocking, except `keep`.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn, cast

import trio
from attrs import frozen

from eventlog import (
    NO_CHAIN,
    WENT_ON,
    LogError,
    NotAFileError,
    RepeatedWarning,
    border,
    chain_of,
    holds_frame,
    in_thread,
    lost_its_end,
    make_folder,
    parse_json,
    read_file,
    write_new,
)
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import End, EventLog

log = logging.getLogger("tracker")

FOLDER = "reached"
NOTE_SECONDS = 300.0
"""Seconds between two notes."""


@frozen
class Mark:
    """`seq` events were durable; the last of them ended the frame of this chain value."""

    seq: int
    chain: bytes
    time_us: int  # log time


@frozen
class Older:
    """The finding that a log is not the one served last."""

    seq: int  # number of events that the log had when it was noted
    what: str


class OlderLogError(LogError):
    """The log is not the one that was served last."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: {what}. Nothing was appended; {ADVICE}, or start with `tracker serve --accept-older-log`: what is "
            "missing is lost then, and its numbers are given again"
        )


ADVICE = "restore the newest copy of the log"


def mark_path(secrets: Path, log_id: bytes) -> Path:
    return secrets / FOLDER / f"{log_id.hex()}.json"


def read(secrets: Path, log_id: bytes) -> Mark | None:
    """Reads the mark of a log; None without one, or, with a warning, for a file that is none."""
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
    except FileNotFoundError:
        return None
    except (OSError, NotAFileError, ValueError) as error:
        log.warning("%s does not say how far the log was: %s", path, error)
        return None


def _parsed(path: Path) -> Mark:
    with border(ValueError):
        content = cast("dict[str, Any]", parse_json(read_file(path)))
        seq, time_us = content["seq"], content["time_us"]
        chain = bytes.fromhex(content["chain"]) if "chain" in content else chain_of(content["crc"])
        if any(type(each) is not int or each < 0 for each in (seq, time_us)):
            raise TypeError("it has other values than numbers")
        if len(chain) != len(NO_CHAIN):
            raise ValueError("its chain value has another length")
        return Mark(seq, chain, time_us)


def note(secrets: Path, event_log: EventLog, time_us: int) -> None:
    """Writes how far the log is durable. Raises `OSError`."""
    seq, chain = event_log.end
    path = mark_path(secrets, event_log.log_id)
    make_folder(path.parent, 0o700)
    write_new(
        path,
        json.dumps({"seq": seq, "chain": chain.hex(), "time_us": time_us}).encode() + b"\n",
        0o600,
    )


async def keep(secrets: Path, event_log: EventLog, now_us: Callable[[], int]) -> None:
    """Notes the mark when all appended so far is durable, then every few minutes."""
    trouble = RepeatedWarning(log, "The high-water mark is written again")
    await event_log.wait_durable(event_log.next_seq - 1)
    while True:
        try:
            await in_thread(note, secrets, event_log, now_us())
        except OSError as error:
            trouble.warn("The high-water mark cannot be written, trying again: %s", error)
        else:
            trouble.over()
        await trio.sleep(NOTE_SECONDS)


def differs(mark: Mark, next_seq: int, *, held: bool) -> str:
    """Says what is wrong with a log of `next_seq` events; "" = nothing.

    `held`: it has the mark's frame.
    """
    then = f"the log was served up to event {mark.seq - 1} ({rfc3339(mark.time_us)})"
    if next_seq < mark.seq:
        return (
            f"{then} and ends before event {next_seq}: this is an older copy, or its newest file is"
        )
    return "" if held else f"{then} and holds other events now: this is another copy"


def compare(secrets: Path, log_path: Path, log_id: bytes, end: End) -> Older | None:
    """Compares a log that ends at `end` with its mark; None = it is the log that was served last.

    Raises `LogError` and `OSError` when the log cannot be read.
    """
    mark = read(secrets, log_id)
    seq = end[0]
    if lost_its_end(log_path) and (mark is None or mark.seq <= seq):
        return Older(seq + 1, f"the log ends with event {seq - 1}, and not there: {WENT_ON}")
    if mark is None:
        _warn_of_another(secrets, log_path, end[0])
        return None
    held = end == (mark.seq, mark.chain) or (
        seq >= mark.seq and holds_frame(log_path, mark.seq, mark.chain)
    )
    what = differs(mark, seq, held=held)
    return Older(mark.seq, what) if what else None


def refuse(log_path: Path, older: Older) -> NoReturn:
    """Raises `OlderLogError`: nothing may be appended to this log."""
    raise OlderLogError(log_path, older.what)


def _warn_of_another(secrets: Path, log_path: Path, next_seq: int) -> None:
    if next_seq or not (secrets / FOLDER).is_dir():
        return
    for path in sorted((secrets / FOLDER).glob("*.json")):
        mark = _read(path)
        if mark is not None:
            log.warning(
                "A new log begins in %s, but another one of %d events was served with these secrets: is its disk there?",
                log_path,
                mark.seq,
            )
            return
