"""Writes and reads what detectors found and staff said about it (docs/adr/0032).

    <log>/cases/list.json       up to which event, and how much of the other file counts
    <log>/cases/timeline.jsonl  one JSON object for each finding and each event of staff

The timeline only grows, and the list is replaced as a whole. What is in the timeline beyond the
list does not count. Both can be deleted: the follower makes them again from what the log still has.
So they have checksums against accidents and no MACs. They hold no addresses. Blocking.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from zlib import crc32

from attrs import define, frozen

from eventlog import (
    NotAFileError,
    border,
    create_file,
    holds_frame,
    make_folder,
    open_file,
    parse_json,
    read_file,
    read_identity,
    write_all,
    write_new,
)
from tracker.domain.detecting.cases import Found, Said
from tracker.domain.detecting.intervals import GRADES, Finding
from tracker.domain.events import codec
from tracker.domain.events.admin import CaseEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER, LIST, TIMELINE = "cases", "list.json", "timeline.jsonl"
FORMAT = 1


class CasesError(Exception):
    """There is no usable list of cases; the text says why."""


class NoCasesError(CasesError):
    """There is none at all."""


@frozen
class Listed:
    """A list: the events below `upto` were looked at."""

    upto: int
    chain: bytes  # of the frame that ends there
    size: int  # bytes of the timeline that count
    crc: int  # CRC-32 of them


@frozen
class Timeline:
    """All that was found and said, in the order in which it was written."""

    listed: Listed
    entries: list[Found | Said]


def there(log: Path) -> bool:
    """Tells whether there are cases of a log."""
    return (log / FOLDER / LIST).exists()


def read_list(log: Path) -> Listed:
    """Reads how far the cases of a log go. Raises `CasesError`, and what reading the log raises."""
    with _opening():
        said: Any = parse_json(read_file(log / FOLDER / LIST))
        if said["format"] != FORMAT or said["log_id"] != read_identity(log).hex():
            raise CasesError("the list of cases is of another format or log")
        return Listed(said["upto"], bytes.fromhex(said["chain"]), said["bytes"], said["crc"])


def read(log: Path, known: Timeline | None = None) -> Timeline:
    """Reads the timeline of a log. Raises what `read_list` raises.

    `known`: as it was read before. If it only grew since, what is new is read and put behind.
    """
    listed = read_list(log)
    begin = known.listed if known else Listed(0, b"", 0, 0)
    with _opening():
        with open_file(log / FOLDER / TIMELINE) as file:
            file.seek(begin.size)
            lines = file.read(max(0, listed.size - begin.size))
        if begin.size + len(lines) != listed.size or crc32(lines, begin.crc) != listed.crc:
            if known:
                return read(log)  # it was made anew
            raise CasesError("the timeline of cases is damaged")
        more = [_entry(parse_json(line)) for line in lines.splitlines()]
    if not holds_frame(log, listed.upto, listed.chain):
        raise CasesError("the cases were made of another history than this log's")
    return Timeline(listed, [*known.entries, *more] if known else more)


@contextmanager
def _opening() -> Iterator[None]:
    """Turns what a file may be into `CasesError`."""
    try:
        with border(CasesError, CasesError, NotAFileError):
            yield
    except FileNotFoundError:
        raise NoCasesError("there are no cases") from None
    except NotAFileError as error:
        raise CasesError(str(error)) from None


def name_of(entry: Found | Said) -> bytes:
    """Returns what tells an entry from all others: two walks over a log find the same once."""
    if isinstance(entry, Said):
        return b"%d" % entry.seq
    bare = entry._replace(seq=0, date_us=0, epoch=0, first=0)
    return blake2b(_line(bare), digest_size=16).digest()


@define
class Writer:
    """Writes the timeline as it grows. It must be the only one."""

    _log: Path
    _listed: Listed | None

    @classmethod
    def open(cls, log: Path, listed: Listed | None) -> Writer:
        """Goes on behind what is `listed`; None = begins anew. Raises `OSError`."""
        folder = log / FOLDER
        make_folder(folder)
        if listed is None:
            (folder / LIST).unlink(missing_ok=True)
            os.close(create_file(folder / TIMELINE))
        return cls(log, listed)

    @property
    def upto(self) -> int:
        """The first event that was not looked at."""
        return self._listed.upto if self._listed else 0

    def write(self, entries: Iterable[Found | Said], upto: int, chain: bytes) -> None:
        """Adds entries, and says that the events below `upto` were looked at. Raises `OSError`."""
        before = self._listed or Listed(0, b"", 0, 0)
        late = (
            each._replace(first=before.upto) if each.seq < before.upto else each for each in entries
        )
        piece = b"".join(_line(each) + b"\n" for each in late)
        folder = self._log / FOLDER
        descriptor = os.open(folder / TIMELINE, os.O_RDWR | os.O_NOFOLLOW)
        try:
            os.ftruncate(descriptor, before.size)
            write_all(descriptor, [piece], before.size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        listed = Listed(upto, chain, before.size + len(piece), crc32(piece, before.crc))
        body = {
            "format": FORMAT, "log_id": read_identity(self._log).hex(), "upto": upto,
            "chain": chain.hex(), "bytes": listed.size, "crc": listed.crc,
        }  # fmt: skip
        write_new(folder / LIST, json.dumps(body).encode())
        self._listed = listed


def _line(entry: Found | Said) -> bytes:
    body: dict[str, Any] = {"seq": entry.seq, "date_us": entry.date_us}
    body |= {"epoch": entry.epoch} if entry.epoch else {}
    body |= {"first": entry.first} if entry.first else {}
    if isinstance(entry, Said):
        body |= {"said": entry.event.number, "data": codec.to_data(entry.event)}
    else:
        finding = entry.finding._asdict()
        info_hash = entry.finding.info_hash
        finding["info_hash"] = info_hash.hex() if info_hash else None
        finding["grade"] = GRADES[entry.finding.grade]
        finding["facts"] = dict(entry.finding.facts)
        body["found"] = finding
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _entry(body: Any) -> Found | Said:
    seq, date_us = int(body["seq"]), int(body["date_us"])
    epoch, first = int(body.get("epoch", 0)), int(body.get("first", 0))
    if "said" in body:
        event = codec.from_data(body["said"], body["data"])
        if not isinstance(event, CaseEvent):
            raise CasesError(f"event {seq} is not about a case")
        return Said(seq, date_us, event, epoch, first)
    said = dict(body["found"])
    if said["info_hash"] is not None:
        said["info_hash"] = bytes.fromhex(said["info_hash"])
    said["grade"], said["evidence"] = GRADES.index(said["grade"]), tuple(said["evidence"])
    finding = Finding(**said)
    texts = finding.detector, finding.unit, *finding.facts
    numbers = (
        finding.account, finding.begin_us, finding.end_us, finding.amount, *finding.evidence,
        *finding.facts.values(),
    )  # fmt: skip
    fits = all(isinstance(each, int) for each in numbers)
    if not fits or not all(isinstance(each, str) for each in texts):
        raise CasesError(f"what event {seq} showed has another shape")
    return Found(seq, date_us, finding, epoch, first)
