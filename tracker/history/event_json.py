"""Makes the JSON objects, one for each event, that the API serves and `tracker events` prints."""

from __future__ import annotations

import json
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Any

from tracker.domain import events
from tracker.domain.events import announce, codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.store import frames
from tracker.store.address_keys import day_of, pseudonym
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame, Header
    from tracker.store.address_keys import Keyring


def narrate(frame: Frame, keys: Keyring | None = None) -> Iterator[dict[str, Any]]:
    """Yields the events of a frame in order, with `seq`, `time` (a date), `log_time` where it is
    another, `type` and every field. With `keys` announces have the `pseudonym` of their address.

    If this version does not know the frame, it yields one object for all events, because it cannot
    tell where each begins. Raises `CodecError`.
    """
    header = frame.header
    if not frames.known(frame):
        yield _unknown(frame)
        return
    with frames.reading(header.base_seq):
        for seq, (time_us, name, body) in enumerate(
            _bodies(frames.newest(frame), keys), header.base_seq
        ):
            yield {"seq": seq, **_times(header, time_us), "type": name, **body}


def _times(header: Header, time_us: int) -> dict[str, str]:
    """Shows the date of an event, and its log time where that is another."""
    if not header.lead_us:
        return {"time": rfc3339(time_us)}
    return {"time": rfc3339(max(1, time_us - header.lead_us)), "log_time": rfc3339(time_us)}


def line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _unknown(frame: Frame) -> dict[str, Any]:
    header = frame.header
    return {
        "seq": header.base_seq,
        **_times(header, header.time_us),
        "type": codec.UNKNOWN,
        "kind": header.kind,
        "schema": header.schema,
        "events": header.records,
        "plain": frame.plain.hex(),
        "sealed": frame.protected.hex(),
    }


Body = tuple[int, str, dict[str, Any]]
"""Log time, `type` and the fields after it."""


def _bodies(frame: Frame, keys: Keyring | None) -> Iterator[Body]:
    kind = frame.header.kind
    if kind == events.ANNOUNCE:
        return _announced(frame, keys)
    if kind == events.ADMIN:
        return _admin(frame)
    records = codec.decode_records(kind, frame.plain)
    return ((one.time_us, one.name, one.shown()) for one in records)


def _announced(frame: Frame, keys: Keyring | None) -> Iterator[Body]:
    secret = None
    if keys is not None and len(frame.protected):
        secret = keys.pseudonyms(day_of(frame.header.time_us))
    for row, protected in codec.decode_announces(frame.plain, frame.protected):
        (
            time_us, info_hash, id_head, uploaded, downloaded, left, key_ref, prev_seq, numwant,
            flags, listener, what, rule, client,
        ) = row  # fmt: skip
        # If the protected part cannot be read, only the first 8 bytes of the peer_id are known.
        address, id_tail, port, key_hash = protected or (None, b"", None, None)
        body = {
            "info_hash": info_hash.hex(),
            "peer_id": (id_head + id_tail).hex(),
            "address": _address(address, what >> 4),
            "port": int.from_bytes(port, "big") if port is not None else None,
            "uploaded": uploaded,
            "downloaded": downloaded,
            "left": None if left == events.LEFT_UNKNOWN else left,
            "event": events.EVENT_NAMES[what & 0x0F],
            "numwant": None if flags & events.FLAG_NUMWANT_ABSENT else numwant,
            "compact": not flags & events.FLAG_DICTIONARIES,
            "protocol": events.PROTOCOL_NAMES[what >> 4],
            "listener": listener,
            "key_ref": key_ref or None,
            "client_key_hash": key_hash,
            "prev_seq": prev_seq or None,
            "rule": events.RULE_NAMES.get(rule, rule),
        }
        if keys is not None:
            body["pseudonym"] = pseudonym(secret, address).hex() if secret and address else None
        if client != announce.NOT_RECORDED:
            body["client"] = client or None
        yield time_us, announce.NAME, body


def _address(address: bytes | None, path: int) -> str | None:
    if address is None:
        return None
    v6 = path in (events.HTTP6, events.UDP6)
    return inet_ntop(AF_INET6, address) if v6 else inet_ntop(AF_INET, address[12:])


def _admin(frame: Frame) -> Iterator[Body]:
    for record in codec.decode_admin(bytes(frame.plain)):
        if record.known:
            yield record.time_us, ADMIN_EVENTS[record.type].name, record.data
        else:
            body = {"kind": events.ADMIN, "admin_type": record.type, "schema": record.schema}
            yield record.time_us, codec.UNKNOWN, {**body, "data": record.data}
