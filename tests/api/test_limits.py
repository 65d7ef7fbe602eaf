"""Tests the ASGI layer that bounds requests, around an application without bounds."""

from __future__ import annotations

import pytest

from api.limits import Limited

LIMIT = 10


class Greedy:
    """Reads a whole body as an application and keeps its pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def __call__(self, _scope, receive, _send) -> None:
        more = True
        while more:
            event = await receive()
            self.pieces.append(event["body"])
            more = event["more_body"]
        assert (await receive())["type"] == "http.disconnect"


def chunk(body: bytes, *, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


LAST = chunk(b"", more=False)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ([LAST], 0),
        ([chunk(b"x" * 10), LAST], 10),
        ([chunk(b"x" * 11), LAST], 11),
        ([chunk(b"x" * 12, more=False)], 11),
        ([chunk(b"x" * 1000)] * 50 + [LAST], 11),
        ([chunk(b"x")] * 500, 11),
    ],
)
async def test_body_is_cut(events, kept):
    """The application sees one byte too many and the end; the rest is read and dropped."""
    incoming = iter([*events, {"type": "http.disconnect"}])

    async def receive():
        return next(incoming)

    app = Greedy()
    scope = {"type": "http", "path": "/", "query_string": b""}
    await Limited(app, LIMIT)(scope, receive, None)
    assert len(b"".join(app.pieces)) == kept
    assert next(incoming, None) is None


@pytest.mark.parametrize(
    ("target", "query"),
    [(each, b"") for each in ("", "*", "stats", "x:80", "http://[/x", "http://host")]
    + [("/", b"&" * 2000)],
)
async def test_invalid_target(target, query):
    """A target that is not a path, or has very many parameters, gets 400, without a call of the
    application.
    """
    sent = []

    async def send(event) -> None:
        sent.append(event)

    scope = {"type": "http", "path": target, "query_string": query}
    await Limited(None, LIMIT)(scope, None, send)
    assert [event.get("status") for event in sent] == [400, None]
