"""Tells which client a request of the API comes from, also behind reverse proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.forwarding import Proxies, parse_address

if TYPE_CHECKING:
    from quart import Request

__all__ = ["Proxies", "client_address"]


def client_address(proxies: Proxies, request: Request) -> str:
    """Returns the address of the client that sent `request`; "" = it used the Unix socket.

    The header counts only if a trusted proxy sent it. An IPv4 address is returned in its own form,
    not mapped to IPv6.
    """
    scope_client = request.scope.get("client")
    peer = parse_address(scope_client[0]) if scope_client else None
    if proxies.trusts(peer):
        peer = proxies.client(",".join(request.headers.getlist(proxies.header)))[0] or peer
    return str(peer or "")
