"""Limits requests before they reach the application: an ASGI layer around any application.

Bodies: the layer cuts a body one byte past the limit and declares it complete. So every version of
Quart refuses it at once, and memory holds no more of it. Quart's own limit suffices in the pinned
version, but later versions check it only when the body is complete.

Targets: the layer answers 400 to a request target that is no path (`OPTIONS *`, a broken absolute
URL), and to a query of very many parameters, because reading them takes the event loop's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from hypercorn.typing import (
        ASGIFramework,
        ASGIReceiveCallable,
        ASGIReceiveEvent,
        ASGISendCallable,
        Scope,
    )

MAX_BODY: Final = 64 * 1024  # the most bytes of a request's body
MAX_PARAMETERS: Final = 2000  # the most in a query; 1,200 info hashes fit into a request's head


class Limited:
    """Passes requests for paths on to `app`, with bodies of at most `max_body` + 1 bytes."""

    def __init__(self, app: ASGIFramework, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "http" and not _is_path(scope["path"]):
            await _refuse(send, b"")
        elif scope["type"] == "http" and scope["query_string"].count(b"&") >= MAX_PARAMETERS:
            await _refuse(send, b"the query has more than %d parameters" % MAX_PARAMETERS)
        else:
            await self._app(scope, _CutBody(receive, self._max_body), send)


def _is_path(target: str) -> bool:
    """Tells whether a target is a path, or an absolute URL with a path."""
    if target.startswith("/"):
        return True
    try:
        return urlsplit(target).path.startswith("/")
    except ValueError:
        return False


async def _refuse(send: ASGISendCallable, text: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(text))]
    if text:
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


class _CutBody:
    def __init__(self, receive: ASGIReceiveCallable, max_body: int) -> None:
        self._receive = receive
        self._room = max_body + 1

    async def __call__(self) -> ASGIReceiveEvent:
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                return event
            if self._room > 0:
                return self._cut(event["body"], more=event["more_body"])

    def _cut(self, body: bytes, *, more: bool) -> ASGIReceiveEvent:
        kept = body[: self._room]
        self._room -= len(kept)
        return {"type": "http.request", "body": kept, "more_body": more and self._room > 0}
