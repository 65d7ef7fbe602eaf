"""Tests all paths of version 2: tokens, scopes, problem documents, cursors."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve

from api.app import create_app
from api.auth import Tokens
from tests.api.asking import TOKEN, ask, problem, rejected
from tracker.ports import LogUnavailableError

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"

TOKENS = Tokens({"admin": "MyAccessToken", "watch": "MayRead"}, {"watch": "read"})
READ = "token=MayRead"


@pytest.fixture
def app(ports):
    return create_app(ports, TOKENS)


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/keys", "/api/v2/nothing", "/api/v2/keys/x"])
@pytest.mark.parametrize(
    ("token", "header", "challenge"),
    [
        ("", None, 'Bearer realm="tracker"'),
        ("", "Basic TXlBY2Nlc3NUb2tlbg==", 'Bearer realm="tracker"'),
        (TOKEN, "Basic x", 'Bearer realm="tracker"'),
        ("token=", None, 'Bearer realm="tracker", error="invalid_token"'),
        ("token=wrong", None, 'Bearer realm="tracker", error="invalid_token"'),
        ("", "Bearer", 'Bearer realm="tracker", error="invalid_token"'),
        (TOKEN, "Bearer wrong", 'Bearer realm="tracker", error="invalid_token"'),
    ],
)
async def test_unauthorized(app, path, token, header, challenge):
    """A bad token gives 401 with a challenge on any path, so that its client learns no paths."""
    headers = {} if header is None else {"Authorization": header}
    answer = await ask(app, "GET", path, token=token, **headers)
    assert problem(answer)["title"] == "Unauthorized"
    assert (answer.status, answer.headers["www-authenticate"]) == (401, challenge)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_bearer(app, scheme):
    """The name of a scheme may be in any case."""
    answer = await ask(app, "GET", "/api/v2/keys", token="", Authorization=f"{scheme} MayRead")
    assert answer.status == 200


async def test_two_tokens(app):
    """A token twice in the query is a bad request."""
    answer = await ask(app, "GET", "/api/v2/keys", token=f"{TOKEN}&{TOKEN}")
    assert problem(answer)["detail"] == "token: given more than once"
    assert answer.status == 400


READS = [
    ("/api/v2/keys", 200),
    ("/api/v2/keys/1", 404),
    ("/api/v2/accounts/1", 404),
    ("/api/v2/factors", 200),
    ("/api/v2/factors/1", 404),
    ("/api/v2/whitelist", 200),
    (f"/api/v2/whitelist/{HASH}", 404),
    ("/api/v1/stats", 200),
    ("/api/v1/torrents", 200),
    ("/api/v1/keys/reload", 200),
    ("/api/stats", 200),
    (f"/api/torrent/{HASH}", 200),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "status"), READS)
async def test_read_token_reads(app, method, path, status):
    """A read token may use every GET of all three versions."""
    assert (await ask(app, method, path, token=READ)).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v2/keys"),
        ("POST", "/api/v2/keys/import"),
        ("PATCH", "/api/v2/keys/1"),
        ("DELETE", "/api/v2/keys/1"),
        ("POST", "/api/v2/keys/1/rotate"),
        ("POST", "/api/v2/factors"),
        ("DELETE", "/api/v2/factors/1"),
        ("POST", "/api/v2/accounts/1/corrections"),
        ("POST", "/api/v2/whitelist"),
        ("PUT", f"/api/v2/whitelist/{HASH}"),
        ("DELETE", f"/api/v2/whitelist/{HASH}"),
        ("POST", "/api/v2/nothing"),
    ],
)
async def test_read_token_changes_nothing(app, commands, method, path):
    """A change with a read token gives 403, before any other check."""
    answer = await ask(app, method, path, token=READ)
    scope = "moderator" if "whitelist" in path or method + path[-7:] == "DELETE/keys/1" else "full"
    detail = f"this needs an access token of scope {scope}; this one has read"
    assert problem(answer)["detail"] == detail
    assert answer.status == 403
    assert answer.headers["www-authenticate"].endswith(
        'error="insufficient_scope", scope="' + scope + '"'
    )
    assert commands.actors == []


@pytest.mark.parametrize("prefix", ["/api/v1", "/api"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/key/60"),
        ("DELETE", "/key/" + "x" * 32),
        ("POST", f"/whitelist/{HASH}"),
        ("DELETE", f"/whitelist/{HASH}"),
    ],
)
async def test_read_token_in_the_older_versions(app, commands, prefix, method, path):
    """The older versions refuse a change with a read token in the text that their clients know."""
    answer = await ask(app, method, prefix + path, token=READ)
    assert tuple(answer) == rejected("unauthorized")
    assert commands.actors == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v2", 404),
        ("GET", "/api/v2/", 404),
        ("GET", "/api/v2/nothing", 404),
        ("GET", "/api/v2/keys/", 404),
        ("GET", "/api/v2/keys/one", 404),
        ("GET", "/api/v2/keys/0", 404),
        ("GET", "/api/v2/keys/99999999999", 404),
        ("PUT", "/api/v2/keys", 405),
        ("OPTIONS", "/api/v2/keys", 405),
        ("POST", f"/api/v2/whitelist/{HASH}", 405),
        ("GET", "/api/v2/whitelist/nonsense", 400),
        ("GET", "/api/v2/keys?stat=valid", 400),
        ("GET", "/api/v2/keys?state=odd", 400),
        ("GET", "/api/v2/keys?state=valid&state=valid", 400),
        ("GET", "/api/v2/keys?limit=0", 400),
        ("GET", "/api/v2/keys?limit=1001", 400),
        ("GET", "/api/v2/keys?limit=", 400),
        ("GET", "/api/v2/keys?after=x", 400),
        ("GET", "/api/v2/keys?after=-1", 400),
        ("GET", "/api/v2/keys?key_hash=ab", 400),
        ("GET", "/api/v2/keys?%ff=1", 400),
        ("GET", "/api/v2/whitelist?after=ab", 400),
        ("GET", "/api/v2/keys/1?att=1", 400),
        ("GET", f"/api/v2/whitelist/{HASH}?att=1", 400),
        ("GET", "/api/v2/accounts/1?att=1", 400),
        ("GET", "/api/v2/factors/1?att=1", 400),
        ("GET", "/api/v2/docs?att=1", 400),
        ("GET", "/api/v2/openapi.json?att=1", 400),
    ],
)
async def test_refused(app, method, path, status):
    """Every error is a problem document."""
    answer = await ask(app, method, path)
    assert answer.status == status
    assert problem(answer)["detail"]


async def test_allowed_methods(app):
    """A 405 names the allowed methods."""
    answer = await ask(app, "PUT", "/api/v2/keys")
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_large_body(app):
    """A large body gives 413, and the connection ends."""
    body = b" " * (64 * 1024 + 1)
    answer = await ask(app, "POST", "/api/v2/keys", body=body, content_type="application/json")
    assert problem(answer)["title"] == "Content Too Large"
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("failure", ["", "disk full"])
async def test_log_unavailable(app, commands, failure):
    """A change that the log cannot record gives 503, because the client may try again."""
    commands.failure = LogUnavailableError(failure)
    answer = await ask(app, "PUT", f"/api/v2/whitelist/{HASH}")
    assert problem(answer)["detail"] == (failure or "the event log cannot take it now")
    assert answer.status == 503


async def test_long_reason(app):
    """A reason that the log cannot hold is a bad request."""
    answer = await ask(app, "PUT", f"/api/v2/whitelist/{HASH}", x_reason="x" * 501)
    detail = "X-Reason has to be printable text in one line, at most 500 characters"
    assert problem(answer)["detail"] == detail


async def test_unexpected_error(ports, caplog):
    """A defect gives the client a bare 500; only the log has the traceback."""

    class Broken:
        def now(self):
            raise RuntimeError("secret detail")

    app = create_app(evolve(ports, live=Broken()), TOKENS)
    answer = await ask(app, "GET", "/api/v2/keys")
    assert problem(answer) == {"title": "Internal Server Error", "status": 500}
    assert "secret detail" in caplog.text


async def test_slow_command(ports, autojump_clock):
    """A request that takes too long gives 408."""
    del autojump_clock

    class Stuck:
        async def revoke_key_ref(self, *_: object):
            await trio.sleep_forever()

    app = create_app(evolve(ports, commands=Stuck()), TOKENS)
    answer = await ask(app, "DELETE", "/api/v2/keys/1")
    assert problem(answer)["status"] == 408
