"""Replies with exactly the bytes and content types of the contract (its section 1, trap 2).

Quart's own `jsonify` puts spaces and sorts; here a body is bytes somebody meant.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from quart_trio.wrappers import TrioResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

JSON: Final = "application/json"
JSON_WITH_CHARSET: Final = "application/json; charset=utf-8"  # keys only
TEXT: Final = "text/plain; charset=utf-8"


class Response(TrioResponse):
    """Without a content type of its own: an empty body has none."""

    default_mimetype = None  # type: ignore[assignment] # Werkzeug, which reads it, allows None


def encode(value: object) -> str:
    """Compact JSON; characters outside ASCII stay as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_text(
    body: str | AsyncIterable[bytes], status: int = 200, content_type: str = JSON
) -> Response:
    """`body` is JSON already: a whole text, or chunks that are sent as they come."""
    return Response(body, status, content_type=content_type)


def text(body: str, status: int = 200) -> Response:
    # A query can smuggle in half a surrogate pair, which has no UTF-8 form.
    return Response(body.encode(errors="replace"), status, content_type=TEXT)


def empty(status: int) -> Response:
    return Response(b"", status)


def ok() -> Response:
    return json_text('{"status":"ok"}')
