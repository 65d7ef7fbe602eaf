"""Tests unknown paths, wrong methods, HEAD, request ids, and defects of the API itself."""

from __future__ import annotations

import uuid

import pytest
import trio
from attrs import evolve

from api import app as app_module
from api.app import create_app
from api.auth import Tokens
from tests.api.asking import TEXT, ask, rejected

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
TOKENS = Tokens({"a": "MyAccessToken"})


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/stats/",
        "/api/v1//stats",
        "/api/v1/nothing",
        "/api/nothing",
        "/nothing",
        "/static/x",
        f"/api/v1/torrent/{HASH}/",
        f"/api/v1/torrent/{HASH}/x",
        "/api/v1/torrent/a%2Fb",
        "/api/v1/../v1/stats",
    ],
)
async def test_unknown_path(app, path):
    """An unknown path gives 404 without body and content type, and no redirect to a tidier one."""
    assert tuple(await ask(app, "GET", path)) == (404, None, "")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/v1/stats", "GET,HEAD"),
        ("OPTIONS", "/api/v1/stats", "GET,HEAD"),
        ("GET", f"/api/v1/whitelist/{HASH}", "DELETE,POST"),
        ("PUT", f"/api/v1/whitelist/{HASH}", "DELETE,POST"),
        ("GET", "/api/v1/keys", "POST"),
        ("GET", "/api/v1/key/60", "DELETE,POST"),
        ("GET", "/api/key/60", "DELETE,POST"),
        ("DELETE", "/api/torrents", "GET,HEAD"),
        ("POST", "/api/health_check", "GET,HEAD"),
        ("BREW", "/api/v1/stats", "GET,HEAD"),
    ],
)
async def test_wrong_method(app, method, path, allowed):
    """A wrong method gives 405 with an empty body and the allowed methods."""
    answer = await ask(app, method, path)
    assert tuple(answer) == (405, None, "")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/api/v1/stats", "/api/v1/torrents", "/api/health_check"])
async def test_head(app, path):
    """HEAD is answered like GET."""
    assert (await ask(app, "HEAD", path)).status == 200


@pytest.mark.parametrize("path", ["/api/v1/stats", "/api/v1/nothing", "/api/health_check", "/"])
@pytest.mark.parametrize("token", ["", "token=MyAccessToken"])
async def test_request_id(app, path, token):
    """Every answer has the request id of the client, or a random UUID."""
    answer = await ask(app, "GET", path, token=token, x_request_id="abc/1")
    assert answer.headers["x-request-id"] == "abc/1"
    answer = await ask(app, "GET", path, token=token)
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "\xff"])
async def test_unfit_request_id(app, given):
    """A request id that the log cannot hold is replaced."""
    answer = await ask(app, "GET", "/api/v1/stats", x_request_id=given)
    assert uuid.UUID(answer.headers["x-request-id"]).version == 4


async def test_unexpected_error(ports, caplog):
    """A defect gives the client one plain line; only the log has the traceback."""

    class Broken:
        def now(self):
            raise RuntimeError("secret detail")

    answer = await ask(create_app(evolve(ports, live=Broken()), TOKENS), "GET", "/api/stats")
    assert tuple(answer) == rejected("internal error")
    assert "secret detail" in caplog.text


async def test_slow_command(ports, autojump_clock):
    """A request that takes five seconds gives an empty 408."""

    class Stuck:
        async def issue_key(self, *_: object):
            await trio.sleep_forever()

    app = create_app(evolve(ports, commands=Stuck()), TOKENS)
    assert tuple(await ask(app, "POST", "/api/v1/key/60")) == (408, None, "")
    assert autojump_clock.current_time() >= app_module.REQUEST_TIMEOUT


async def test_large_body(app):
    """A body over the limit gives 413 and one line of text."""
    answer = await ask(
        app, "POST", "/api/v1/keys", body=b"x" * (64 * 1024 + 1), content_type="application/json"
    )
    reason = "Failed to buffer the request body: length limit exceeded"
    assert tuple(answer) == (413, TEXT, reason)
