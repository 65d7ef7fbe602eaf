"""Reads an announce from the log, with the events that it brought about before itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from eventlog import NOT_ENCRYPTED
from tracker.domain import events
from tracker.domain.events import announce, codec
from tracker.domain.events.records import AnnounceRefused, ClientNamed, Evicted
from tracker.domain.refusals import NAMES
from tracker.history import event_json
from tracker.ports import NoAnnounceError
from tracker.store import frames
from tracker.store.moments import split
from tracker.times import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventlog import Frame

_REFUSALS = {name: number for number, name in NAMES.items()}

BROUGHT_ABOUT = 2
"""Most events that an announce brings about before itself: its client's number, and an eviction."""


@frozen
class Recorded:
    """An announce, field by field as its record has it."""

    seq: int
    first_seq: int  # of its first event: what it brought about, or itself
    frames: tuple[Frame, ...]  # one for each of its events
    named: ClientNamed | None
    evicted: Evicted | None
    time_us: int  # log time
    info_hash: bytes
    peer_id: bytes  # 20 bytes, or the first 8 if no more can be read
    uploaded: int
    downloaded: int
    left: int
    key_ref: int
    prev_seq: int
    numwant: int
    flags: int
    listener: int
    event: int
    path: int
    rule: int
    client: int
    address: bytes | None  # 4 or 16 bytes; None = it cannot be read
    port: bytes  # 2 bytes; b"" with an address of None
    key_hash: int
    day: int | None  # whose key opens the address; None = it is not encrypted

    @property
    def v6(self) -> bool:
        return self.path in (events.HTTP6, events.UDP6)

    @property
    def udp(self) -> bool:
        return self.path in (events.UDP4, events.UDP6)


@frozen
class Refused:
    """A refused announce, as far as it is an event."""

    seq: int
    time_us: int  # log time
    key_ref: int
    refusal: int
    info_hash: bytes
    event: dict[str, Any]  # as `tracker events` prints it


def read(found: Sequence[Frame], seq: int) -> tuple[list[Frame], Recorded | Refused]:
    """Reads event `seq`, the last one of these frames, which begin a few events before it.

    Returns the frames before the events that it brought about, too. Raises `NoAnnounceError` for
    any other event, and `CodecError`.
    """
    before = [single for frame in found for single in singles(frame)]
    last = before.pop()
    if frames.known(last) and last.header.kind == events.ANNOUNCE:
        one = _announce(seq, before, last)
        return before[: len(before) + 1 - len(one.frames)], one
    event = next(event_json.narrate(last))
    name = event["type"]
    if name == AnnounceRefused.name:  # an admin event in logs of earlier versions
        return before, _refused(seq, event)
    raise NoAnnounceError(
        f"event {seq} is no announce, its type is {name}: `tracker events --from {seq} --to {seq}` prints it"
    )


def _refused(seq: int, event: dict[str, Any]) -> Refused:
    time_us = parse(event.get("log_time", event["time"])) or 0
    refusal = _REFUSALS.get(event["reason"], 0)
    info_hash = bytes.fromhex(event["info_hash"])
    return Refused(seq, time_us, event["key_ref"], refusal, info_hash, event)


def singles(frame: Frame) -> Iterator[Frame]:
    """Splits a frame into its records, as far as it can tell where each begins."""
    rest: Frame | None = frame
    while rest is not None and frames.known(rest) and rest.header.records > 1:
        one, rest = split(rest, rest.header.base_seq + 1)
        yield one
    if rest is not None:
        yield rest


def _announce(seq: int, before: list[Frame], frame: Frame) -> Recorded:
    newest = frames.newest(frame)
    ((row, private),) = codec.decode_announces(newest.plain, newest.protected)
    (
        time_us, info_hash, id_head, uploaded, downloaded, left, key_ref, prev_seq, numwant,
        flags, listener, what, rule, client,
    ) = row  # fmt: skip
    own, evicted, named = [frame], None, None
    rest = list(before)
    if rest and rest[-1].header.kind == Evicted.kind:
        own.insert(0, rest.pop())
        (evicted,) = Evicted.unpack(frames.newest(own[0]).plain)
    if rest and rest[-1].header.kind == ClientNamed.kind:
        (record,) = ClientNamed.unpack(frames.newest(rest[-1]).plain)
        if record.client == client:
            own.insert(0, rest.pop())
            named = record
    address, id_tail, port, key_hash = private or (None, b"", b"", 0)
    v6 = what >> 4 in (events.HTTP6, events.UDP6)
    if address is not None and not v6:
        address = address[len(announce.V4_MAPPED) :]
    epoch = frame.header.key_epoch
    return Recorded(
        seq, seq + 1 - len(own), tuple(own), named, evicted,
        time_us, info_hash, id_head + id_tail, uploaded, downloaded, left, key_ref, prev_seq,
        numwant, flags, listener, what & 0x0F, what >> 4, rule, client, address, port, key_hash,
        None if epoch == NOT_ENCRYPTED else epoch,
    )  # fmt: skip
