"""Access tokens: their scopes at every endpoint, and issuing and revoking them."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest

from api.app import create_app, endpoints
from api.auth import Tokens
from api.v2 import problems
from tests.api.asking import JSON, ask, problem, rejected

SCOPES = ("read", "moderator", "full")
TOKENS = Tokens({each: each for each in SCOPES}, {each: each for each in SCOPES})
MODERATED = {
    "DELETE /api/key/{key}",
    "DELETE /api/v1/key/{key}",
    "DELETE /api/v1/whitelist/{info_hash}",
    "DELETE /api/v2/blacklist/{info_hash}",
    "DELETE /api/v2/blocks/{address}/{bits}",
    "DELETE /api/v2/keys/{key_ref}",
    "DELETE /api/v2/whitelist/{info_hash}",
    "DELETE /api/whitelist/{info_hash}",
    "POST /api/v1/whitelist/{info_hash}",
    "POST /api/v2/keys/revoke",
    "POST /api/v2/whitelist",
    "POST /api/whitelist/{info_hash}",
    "PUT /api/v2/blacklist/{info_hash}",
    "PUT /api/v2/blocks/{address}/{bits}",
    "PUT /api/v2/whitelist/{info_hash}",
}
"""The changes that a moderator may make; another one needs the full scope."""
KEPT = {"GET /api/v2/tokens"}
"""What only the full scope may read."""
SHOWING_KEYS = {
    "POST /api/key/{seconds}",
    "POST /api/v1/key/{seconds}",
    "POST /api/v1/keys",
    "POST /api/v2/keys",
    "POST /api/v2/keys/{key_ref}/rotate",
    "POST /api/v2/tokens",
}
"""What replies with a key or a token."""


@pytest.fixture
def app(ports):
    return create_app(ports, TOKENS)


def needed(name: str, method: str) -> str:
    if name in KEPT:
        return "full"
    if name in MODERATED:
        return "moderator"
    return "read" if method == "GET" else "full"


async def test_every_endpoint_with_each_scope(app, ports):
    """A token gets in exactly where its scope suffices, in every version."""
    names = set()
    for row in endpoints(ports, TOKENS):
        name = f"{row.method} {row.path}"
        names.add(name)
        if not row.needs_token:
            continue
        assert row.scope == needed(name, row.method)
        if name in SHOWING_KEYS:
            assert row.scope == "full"
        target = re.sub(r"{\w+}", "1", row.path)
        for scope in SCOPES:
            method = "HEAD" if target.endswith("/stream") else row.method  # a stream has no end
            answer = await ask(app, method, target, token=f"token={scope}")
            enough = SCOPES.index(scope) >= SCOPES.index(row.scope)
            if problems.is_ours(row.path):
                challenge = answer.headers.get("www-authenticate", "")
                assert ("insufficient_scope" in challenge) == (not enough), name
                assert answer.status != 401
                assert enough or answer.status == 403
            else:
                assert (tuple(answer) == rejected("unauthorized")) == (not enough) or (
                    # It shows addresses, to which a moderator has no right.
                    scope == "moderator" and row.path.endswith("/torrent/{info_hash}")
                ), name
    assert names >= MODERATED | KEPT | SHOWING_KEYS


async def issue(app, **members):
    form = {"label": "anna", "scope": "read", **members}
    return await ask(
        app, "POST", "/api/v2/tokens", body=json.dumps(form).encode(), content_type=JSON,
        x_reason="she joined",
    )  # fmt: skip


async def test_a_token_from_issue_to_revocation(ports, commands):
    """The reply to issuing has the token; it works by its scope until it is revoked."""
    app = create_app(ports, Tokens({"admin": "MyAccessToken"}, issued=ports.live.token_of_hash))
    answer = await issue(app, scope="moderator", until="2030-01-31T00:00:00Z")
    made = json.loads(answer.body)
    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["location"] == "/api/v2/tokens/1"
    assert (made["text"], made["valid_until"]) == ("Token1", "2030-01-31T00:00:00.000000Z")
    own = f"token={made['text']}"
    path = f"/api/v2/whitelist/{'ab' * 20}"
    assert (await ask(app, "PUT", path, token=own)).status == 201
    assert commands.actors[-1].token == "anna"
    assert (await ask(app, "POST", "/api/v2/keys", token=own)).status == 403
    listed = json.loads((await ask(app, "GET", "/api/v2/tokens")).body)["tokens"]
    assert [(one["token"], one["label"], one["state"]) for one in listed] == [(1, "anna", "valid")]
    assert listed[0]["last_used"] is not None
    assert "text" not in listed[0]
    assert sha256(b"Token1").hexdigest() not in str(listed)
    assert (await ask(app, "DELETE", "/api/v2/tokens/1", x_reason="she left")).status == 204
    assert (await ask(app, "GET", "/api/v2/keys", token=own)).status == 401


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"label": None}, "label: expected a name"),
        ({"label": " anna"}, "label: expected a name"),
        ({"label": "admin"}, "the configuration has an access token labelled admin"),
        ({"scope": "root"}, "scope: expected one of read, moderator, full"),
        ({"scope": ["read"]}, "scope: expected one of"),
        ({"seconds": 60, "until": "2030-01-31T00:00:00Z"}, "seconds, until: one of the two"),
    ],
)
async def test_refused_tokens(app_of_fakes, members, text):
    """Each says what was wrong."""
    answer = await issue(app_of_fakes, **members)
    assert answer.status == 422
    assert text in problem(answer)["detail"]


@pytest.fixture
def app_of_fakes(ports):
    return create_app(ports, Tokens({"admin": "MyAccessToken"}))


async def test_a_reason_is_needed(app_of_fakes):
    """For both changes."""
    body = json.dumps({"label": "anna", "scope": "read"}).encode()
    for method, path in (("POST", ""), ("DELETE", "/1")):
        answer = await ask(
            app_of_fakes, method, f"/api/v2/tokens{path}", body=body, content_type=JSON
        )
        assert (answer.status, problem(answer)["detail"]) == (422, "X-Reason: missing; say why")
    answer = await ask(app_of_fakes, "DELETE", "/api/v2/tokens/7", x_reason="x")
    assert answer.status == 404


@pytest.mark.parametrize("scope", SCOPES)
async def test_own(app, scope):
    """Every token may ask what it is."""
    answer = await ask(app, "GET", "/api/v2/tokens/own", token=f"token={scope}")
    assert json.loads(answer.body) == {
        "label": scope,
        "scope": scope,
        "addresses": scope != "moderator",
    }
