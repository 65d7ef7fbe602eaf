"""Who may use the API: access tokens, in the query or as a bearer (contract, section 1.1).

All tokens have full rights. The label of the one that was used goes into the log with every change;
its value goes nowhere.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from api.errors import invalid_query, rejection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quart import Request


class Tokens:
    """The configured tokens, label to value. An empty mapping refuses every token."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._digests = [(label, _digest(token)) for label, token in tokens.items()]

    def label(self, request: Request) -> str:
        """The label of the token that `request` carries. Raises `Refusal`."""
        label = self._find(presented_token(request))
        if label is None:
            raise rejection("token not valid")
        return label

    def _find(self, token: str) -> str | None:
        """Compare with every token whatever the outcome; digests hide the lengths as well."""
        digest = _digest(token)
        matches = [label for label, known in self._digests if hmac.compare_digest(known, digest)]
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
    return _as_utf8(token.strip())


def _as_utf8(header_value: str) -> str:
    """Headers arrive as Latin-1; configured tokens are UTF-8."""
    return header_value.encode("latin-1", "replace").decode(errors="replace")


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()
