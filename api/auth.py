"""Checks access tokens, in the query or as a bearer token (contract, section 1.1).

A token may read and change, or read only. The log records a token's label with every change. The
token itself is written nowhere.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.errors import invalid_query, rejection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quart import Request

READING: Final = ("GET", "HEAD")
"""The methods that a read-only token may use."""

PROVED: Final = "proved"
"""The name, in a connection's state, of the function that exempts it from giving way."""

BLANKS: Final = " \t"
"""The characters to strip around a header's value.

`str.strip` would strip half of an `à` too, because headers arrive as Latin-1.
"""


@frozen
class Grant:
    """The rights of a token: all methods, or those of `READING`; addresses of peers, or not."""

    label: str
    writes: bool
    addresses: bool


class Tokens:
    """Holds the configured tokens, and finds the token of a request.

    `tokens` maps a label to its token; without tokens every request is refused. `scopes` maps a
    label to `read` or `full`; a label without an entry has the full scope. `addresses` maps a label
    to whether it may see addresses of peers; a label without an entry may.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        scopes: Mapping[str, str] | None = None,
        addresses: Mapping[str, bool] | None = None,
    ) -> None:
        scopes, addresses = scopes or {}, addresses or {}
        self._grants = [
            (
                _digest(token),
                Grant(label, scopes.get(label, "full") == "full", addresses.get(label, True)),
            )
            for label, token in tokens.items()
        ]

    def label(self, request: Request) -> str:
        """Returns the label of the token in `request`.

        Raises `Refusal` if the token is missing, unknown, or may not use this method.
        """
        grant = self.find(presented_token(request))
        if grant is None:
            raise rejection("token not valid")
        if not grant.writes and request.method not in READING:
            raise rejection("unauthorized")
        return grant.label

    def writes(self, label: str) -> bool:
        """Tells whether the token with this label may change things."""
        return any(grant.writes for _, grant in self._grants if grant.label == label)

    def addresses(self, label: str) -> bool:
        """Tells whether the token with this label may see addresses of peers."""
        return any(grant.addresses for _, grant in self._grants if grant.label == label)

    def find(self, token: str) -> Grant | None:
        """Finds the rights of `token`; None = the token is unknown or empty.

        Compares it with every token, so that the time does not depend on the result. Compares
        digests, so that the time does not depend on lengths either.
        """
        digest = _digest(token)
        matches = [grant for known, grant in self._grants if hmac.compare_digest(known, digest)]
        return matches[0] if matches and token else None


def keep_connection(request: Request, *, writes: bool) -> None:
    """Exempts the connection from giving way to newcomers, because its client has a valid token.

    `writes`: the token may change things; for others the server has a bound.
    """
    keep = request.scope.get("state", {}).get(PROVED)
    if keep is not None:
        keep(writes=writes)


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


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
