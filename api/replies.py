"""Makes responses with exactly the bytes and content types of the contract (section 1, trap 2).

Quart's own `jsonify` would add spaces and sort members.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from quart import g, has_request_context
from quart_trio.wrappers import TrioResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

JSON: Final = "application/json"
JSON_WITH_CHARSET: Final = "application/json; charset=utf-8"  # of new keys in the older versions
TEXT: Final = "text/plain; charset=utf-8"


class Response(TrioResponse):
    """A response without a default content type, because an empty body has none."""

    default_mimetype = None  # type: ignore[assignment] # Werkzeug reads it and allows None


def encode(value: object) -> str:
    """Encodes compact JSON. Characters outside ASCII stay as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_text(
    body: str | AsyncIterable[bytes], status: int = 200, content_type: str = JSON
) -> Response:
    """Sends `body`, which is JSON already: a whole text, or chunks that are sent one by one."""
    if isinstance(body, str):
        body = opened(body)
    return Response(body, status, content_type=content_type)


def opened(body: str) -> str:
    """Puts the outage that the request asks about into an object of version 2, or its beginning."""
    if not body.startswith("{") or not has_request_context() or "outage_member" not in g:
        return body
    return f"{{{g.outage_member},{body[1:]}"


def text(body: str, status: int = 200) -> Response:
    # A text from a query may hold half a surrogate pair, which has no UTF-8 form.
    return Response(body.encode(errors="replace"), status, content_type=TEXT)


def empty(status: int) -> Response:
    return Response(b"", status)


def ok() -> Response:
    return json_text('{"status":"ok"}')
