"""Checks that the records of a frame are as every tracker writes them.

Replay looks only at what the state needs. This looks at the rest: counts, times, codes, zeros, the
form of the JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from tracker.domain import events
from tracker.domain.clients import MOST
from tracker.domain.events import codec
from tracker.domain.events.announce import NOT_RECORDED
from tracker.store import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame

_EVENTS = range(len(events.EVENT_NAMES))
_PROTOCOLS = range(len(events.PROTOCOL_NAMES))


class RecordChecks:
    """Takes the frames in log order, because it compares times from one to the next."""

    def __init__(self) -> None:
        self.time_us = 0  # of the last record

    def problems(self, frame: Frame) -> Iterator[tuple[int, str]]:
        """Yields the number of each wrong event and what is wrong; unknown frames are not
        judged.
        """
        header = frame.header
        if not frames.known(frame):
            return
        try:
            frame = frames.newest(frame)
        except codec.CodecError as error:
            yield header.base_seq, str(error)
            return
        if self._wrong_size(frame):
            what = f"{header.records} records of kind {header.kind} do not have this length"
            yield header.base_seq, what
        else:
            for number, (time_us, problem) in enumerate(self._records(frame), header.base_seq):
                if problem:
                    yield number, problem
                if time_us < self.time_us:
                    yield number, "log time goes back"
                self.time_us = max(self.time_us, time_us)

    def _wrong_size(self, frame: Frame) -> bool:
        header = frame.header
        protected = codec.PROTECTED.size if header.kind == events.ANNOUNCE else 0
        if len(frame.protected) != protected * header.records:
            return True
        if header.kind == events.ADMIN:
            records = list(_admin_records(frame.plain))
            whole = sum(map(len, records)) == len(frame.plain)
            return len(records) != header.records or not whole
        return len(frame.plain) != codec.RECORD_SIZES[header.kind] * header.records

    def _records(self, frame: Frame) -> Iterator[tuple[int, str]]:
        """Yields time and problem ("" = none) of each record."""
        if frame.header.kind == events.ANNOUNCE:
            for row in codec.PLAIN.iter_unpack(frame.plain):
                yield row[0], _announce_problem(row[11], row[12], row[13])
        elif frame.header.kind == events.ADMIN:
            for record in _admin_records(frame.plain):
                yield codec.ADMIN.unpack_from(record)[3], _admin_problem(record)
        else:
            try:
                for one in codec.decode_records(frame.header.kind, frame.plain):
                    yield one.time_us, ""
            except codec.CodecError as error:  # a text that is none
                yield self.time_us, str(error)


def _announce_problem(what: int, rule: int, client: int) -> str:
    if what & 0x0F not in _EVENTS or what >> 4 not in _PROTOCOLS:
        return f"an announce of event and protocol {what:#04x}, unknown to this version"
    if client > MOST and client != NOT_RECORDED:
        return f"an announce of client {client}, beyond all numbers of clients"
    return (
        "" if rule in events.RULE_NAMES else f"an announce by rule {rule}, unknown to this version"
    )


def _admin_records(plain: memoryview) -> Iterator[bytes]:
    """Splits an admin frame into records with head and padding.

    The last may be cut off, and bytes that are too few for a head are left out.
    """
    offset = 0
    while offset < len(plain):
        head = plain[offset : offset + codec.ADMIN.size]
        if len(head) < codec.ADMIN.size:
            return
        size = codec.ADMIN.unpack(head)[0]
        end = offset + codec.ADMIN.size + size + (-size % 16)
        yield bytes(plain[offset:end])
        offset = end


def _admin_problem(record: bytes) -> str:
    size, kind, schema, time_us = codec.ADMIN.unpack_from(record)
    try:
        body = record[codec.ADMIN.size : codec.ADMIN.size + size]
        data = json.loads(body, parse_float=_refuse, parse_constant=_refuse)
        if not isinstance(data, dict):
            return "an admin event whose JSON is no object"
        canonical = codec.encode_admin(kind, time_us, data, schema)
    except (ValueError, RecursionError):
        return "an admin event whose JSON cannot be read"
    if canonical != record:
        return "an admin event that is not in canonical form"
    return ""


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
