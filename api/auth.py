"""Who may use the API: access tokens, in the query or as a bearer (contract, section 1.1).

A token may read and change, or read only. The label of the one that was used goes into the log with every
change; its value goes nowhere.
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
BLANKS: Final = " \t"
"""What may stand around a header's value. `str.strip` would take half of an `à` too, as headers arrive as Latin-1."""


@frozen
class Grant:
    """What a token allows: everything, or the methods of `READING`."""

    label: str
    writes: bool


class Tokens:
    """The configured tokens, label to value. An empty mapping refuses every token.

    `scopes`: label to `read` or `full`; a label that is not in it has the full scope.
    """

    def __init__(self, tokens: Mapping[str, str], scopes: Mapping[str, str] | None = None) -> None:
        narrowed = scopes or {}
        self._grants = [
            (_digest(token), Grant(label, narrowed.get(label, "full") == "full"))
            for label, token in tokens.items()
        ]

    def label(self, request: Request) -> str:
        """The label of the token that `request` carries, if it may do that. Raises `Refusal`."""
        grant = self.find(presented_token(request))
        if grant is None:
            raise rejection("token not valid")
        if not grant.writes and request.method not in READING:
            raise rejection("unauthorized")
        return grant.label

    def find(self, token: str) -> Grant | None:
        """Compare with every token whatever the outcome; digests hide the lengths as well."""
        digest = _digest(token)
        matches = [grant for known, grant in self._grants if hmac.compare_digest(known, digest)]
        return matches[0] if matches and token else None


def presented_token(request: Request) -> str:
    """The header wins over the query. Raises `Refusal`."""
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
    if scheme != "Bearer":
        raise rejection("unknown token provided")
    return as_utf8(token.strip(BLANKS))


def as_utf8(header_value: str) -> str:
    """Headers arrive as Latin-1; configured tokens are UTF-8."""
    return header_value.encode("latin-1", "replace").decode(errors="replace")


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
