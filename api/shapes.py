"""Declares how the older versions write values of `tracker.ports`; each version has its own form.

Values of long lists are formatted by hand, because that is faster. Only names of clients need
escaping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from api.openapi.shapes import Schema
    from tracker.ports import IssuedKey, Peer, TorrentSummary


class Shapes(Protocol):
    @property
    def detailed_errors(self) -> bool:
        """True when the text of a failed command includes the reason."""
        ...

    def summary(self, torrent: TorrentSummary) -> str:
        """Formats an item of the listing: a whole JSON object."""
        ...

    def peer(self, peer: Peer) -> str: ...

    @property
    def peer_schema(self) -> Schema: ...

    def key(self, issued: IssuedKey) -> str: ...

    @property
    def key_schema(self) -> Schema: ...
