"""Formats the JSON of version 1.

Both `updated` fields of a peer are Unix milliseconds, although the second one's name says `ago`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.openapi import shapes
from api.replies import encode

if TYPE_CHECKING:
    from api.openapi.shapes import Schema
    from tracker.ports import IssuedKey, Peer, TorrentSummary

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class V1Shapes:
    detailed_errors: bool = True
    peer_schema: Schema = shapes.PEER
    key_schema: Schema = shapes.ISSUED

    def summary(self, torrent: TorrentSummary) -> str:
        return (
            f'{{"info_hash":"{torrent.info_hash.hex()}","seeders":{torrent.seeders},'
            f'"completed":{torrent.completed},"leechers":{torrent.leechers}}}'
        )

    def peer(self, peer: Peer) -> str:
        return (
            f'{{"peer_id":{{"id":"0x{peer.peer_id.hex()}","client":{encode(peer.client)}}},'
            f'"peer_addr":"{peer.address}",'
            f'"updated":{peer.updated_ms},"updated_milliseconds_ago":{peer.updated_ms},'
            f'"uploaded":{peer.uploaded},"downloaded":{peer.downloaded},"left":{peer.left},'
            f'"event":"{peer.event}"}}'
        )

    def key(self, issued: IssuedKey) -> str:
        until_us = issued.valid_until_us
        return encode(
            {
                "key": issued.key,
                "valid_until": None if until_us is None else until_us // 1_000_000,
                "expiry_time": None if until_us is None else expiry_time(until_us),
            }
        )


def expiry_time(unix_us: int) -> str:
    """Prints `2023-03-28 13:25:00.058 UTC`. The fraction has six digits, three, or none."""
    moment = _EPOCH + timedelta(microseconds=unix_us)
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + _fraction(moment.microsecond) + " UTC"


def _fraction(micros: int) -> str:
    if not micros:
        return ""
    millis, rest = divmod(micros, 1000)
    return f".{micros:06}" if rest else f".{millis:03}"
