"""Checks access tokens, in the query or as a bearer token (contract, section 1.1).

A token has a scope, and so has each endpoint (`api.endpoint`). The log records a token's label with
every change. The token itself is written nowhere.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.errors import invalid_query, rejection
from tracker.ports import TOKEN_SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from quart import Request

    from tracker.ports import TokenInfo

READING: Final = ("GET", "HEAD")
"""The methods that change nothing."""

PROVED: Final = "proved"
"""The name, in a connection's state, of the function that exempts it from giving way."""

BLANKS: Final = " \t"
"""The characters to strip around a header's value.

`str.strip` would strip half of an `à` too, because headers arrive as Latin-1.
"""


@frozen
class Grant:
    """What a token gives: the author's label, a scope, and addresses of peers or not.

    `issued`: the number of a token that the tracker issued, 0 = one of the configuration.
    """

    label: str
    scope: str
    addresses: bool
    issued: int = 0

    @property
    def writes(self) -> bool:
        return self.scope != "read"

    def may(self, scope: str) -> bool:
        """Tells whether it suffices for an endpoint of this scope."""
        return TOKEN_SCOPES.index(self.scope) >= TOKEN_SCOPES.index(scope)


class Tokens:
    """Holds the configured tokens, and finds the token of a request.

    `tokens` maps a label to its token; without tokens every request is refused. `scopes` maps a
    label to its scope; a label without an entry has the full one. `addresses` maps a label to
    whether it may see addresses of peers; a label without an entry may, unless it is a moderator's.
    `issued` finds a token that the tracker issued by its SHA-256, while it is valid.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        scopes: Mapping[str, str] | None = None,
        addresses: Mapping[str, bool] | None = None,
        issued: Callable[[bytes], TokenInfo | None] | None = None,
    ) -> None:
        scopes, addresses = scopes or {}, addresses or {}
        self._issued = issued
        self._grants = []
        for label, token in tokens.items():
            scope = scopes.get(label, "full")
            right = scope != "moderator" and addresses.get(label, True)
            self._grants.append((digest_of(token), Grant(label, scope, right)))

    def configured(self, label: str) -> bool:
        """Tells whether the configuration has a token with this label."""
        return any(grant.label == label for _, grant in self._grants)

    def find(self, digest: bytes) -> Grant | None:
        """Finds the rights of the token with this digest; None = it is unknown, or not valid now.

        Compares it with every token, so that the time does not depend on the result. Compares
        digests, so that the time does not depend on lengths either.
        """
        matches = [grant for known, grant in self._grants if hmac.compare_digest(known, digest)]
        found = None if self._issued is None else self._issued(digest)
        if hmac.compare_digest(_EMPTY, digest):
            return None
        if matches:
            return matches[0]
        if found is None:
            return None
        return Grant(found.label, found.scope, found.scope == "full", found.number)


def keep_connection(request: Request, *, writes: bool) -> None:
    """Exempts the connection from giving way to newcomers, because its client has a valid token.

    `writes`: the token may change things; for others the server has a bound.
    """
    keep = request.scope.get("state", {}).get(PROVED)
    if keep is not None:
        keep(writes=writes)


def sufficient(grant: Grant | None, scope: str) -> Grant:
    """Raises `Refusal` unless a token suffices for the scope; None = it is not valid."""
    if grant is None:
        raise rejection("token not valid")
    if not grant.may(scope):
        raise rejection("unauthorized")
    return grant


def presented_token(request: Request) -> str:
    """Returns the token of the header or, without that header, of the query. Raises `Refusal`."""
    in_query = request.args.getlist("token")
    if len(in_query) > 1:
        raise invalid_query("duplicate field `token`")
    header = request.headers.get("Authorization")
    if header is not None:
        return _bearer(header)
    if not in_query:
        raise rejection("unauthorized")
    return in_query[0]


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise rejection("unknown token provided")
    return as_utf8(token.strip(BLANKS))


def as_utf8(header_value: str) -> str:
    """Decodes a header's value again, because headers arrive as Latin-1 and tokens are UTF-8."""
    return header_value.encode("latin-1", "replace").decode(errors="replace")


def digest_of(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()


_EMPTY = digest_of("")  # an empty token is none
