"""Formats the JSON of the un-prefixed API.

A peer is a pair, ids have no `0x`, and `updated` is Unix seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from api.openapi import shapes
from api.replies import encode

if TYPE_CHECKING:
    from api.openapi.shapes import Schema
    from tracker.ports import IssuedKey, Peer, TorrentSummary


@frozen
class LegacyShapes:
    detailed_errors: bool = False
    peer_schema: Schema = shapes.OLD_PEER
    key_schema: Schema = shapes.OLD_ISSUED

    def summary(self, torrent: TorrentSummary) -> str:
        return (
            f'{{"info_hash":"{torrent.info_hash.hex()}","completed":{torrent.completed},'
            f'"seeders":{torrent.seeders},"leechers":{torrent.leechers}}}'
        )

    def peer(self, peer: Peer) -> str:
        return (
            f'[{{"id":"{peer.peer_id.hex()}","client":{encode(peer.client)}}},'
            f'{{"ip":"{peer.address}","updated":{peer.updated_ms // 1000},'
            f'"uploaded":{peer.uploaded},"downloaded":{peer.downloaded},"left":{peer.left},'
            f'"event":"{peer.event}"}}]'
        )

    def key(self, issued: IssuedKey) -> str:
        until_us = issued.valid_until_us
        valid_until = None if until_us is None else until_us // 1_000_000
        return encode({"key": issued.key, "valid_until": valid_until})
