"""What an API version decides: how the values of `tracker.ports` look as JSON text.

Shapes format by hand what is listed by the thousand; only client names need escaping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from api.openapi.shapes import Schema
    from tracker.ports import IssuedKey, Peer, TorrentSummary


class Shapes(Protocol):
    @property
    def detailed_errors(self) -> bool:
        """Whether the text of a failed command goes on to say why."""
        ...

    def summary(self, torrent: TorrentSummary) -> str:
        """A whole object, an item of the listing."""
        ...

    def peer(self, peer: Peer) -> str: ...

    @property
    def peer_schema(self) -> Schema: ...

    def key(self, issued: IssuedKey) -> str: ...

    @property
    def key_schema(self) -> Schema: ...
