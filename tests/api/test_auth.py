"""Tests access tokens: every row of the contract's table, on known and unknown paths."""

from __future__ import annotations

import pytest

from api.app import create_app
from api.auth import Tokens
from tests.api.asking import JSON, TEXT, ask, rejected

UNAUTHORIZED = rejected("unauthorized")
NOT_VALID = rejected("token not valid")
UNKNOWN = rejected("unknown token provided")
DUPLICATE = (400, TEXT, "Failed to deserialize query string: duplicate field `token`")

GUARDED = [
    "/api/v1/stats",
    "/api/stats",
    "/api/v1/unknown",
    "/api/unknown",
    "/api/v1/key/3600",  # exists, but not for GET
    "/api/v1/whitelist/nonsense",
]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("", UNAUTHORIZED),
        ("other=1", UNAUTHORIZED),
        ("token=", NOT_VALID),
        ("token=wrong", NOT_VALID),
        ("token=MyAccessToke", NOT_VALID),
        ("token=myaccesstoken", NOT_VALID),
        ("token=%FF%00", NOT_VALID),
        ("token=MyAccessToken&token=MyAccessToken", DUPLICATE),
    ],
)
async def test_query_token_is_refused(app, path, token, answer):
    """A bad token is refused before the path is checked, with the contract's text."""
    assert tuple(await ask(app, "GET", path, token=token)) == answer


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("Basic MyAccessToken", UNKNOWN),
        ("MyAccessToken", UNKNOWN),
        ("BearerMyAccessToken", UNKNOWN),
        ("", UNKNOWN),
        ("Bearer", NOT_VALID),
        ("Bearer wrong", NOT_VALID),
    ],
)
async def test_header_wins_and_is_refused(app, header, answer):
    """A bad Authorization header is refused even beside a good query token."""
    assert tuple(await ask(app, "GET", "/api/v1/stats", Authorization=header)) == answer


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("token=MyAccessToken", {}),
        ("a=1&token=MyAccessToken&b=2", {}),
        ("token=%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C+%D0%BA%D0%BB%D1%8E%D1%87", {}),
        ("", {"Authorization": "Bearer MyAccessToken"}),
        ("", {"Authorization": "bEARER MyAccessToken"}),
        ("token=wrong", {"Authorization": "Bearer MyAccessToken"}),
        ("", {"Authorization": "Bearer пароль ключ"}),
    ],
)
async def test_token_is_accepted(app, query, headers):
    """Any configured token is accepted, anywhere in the query or as a bearer token."""
    assert (await ask(app, "GET", "/api/v1/stats", token=query, **headers)).status == 200


@pytest.mark.parametrize("token", ["voilà", "Å", "для всех", "кенгуРУ", "КЕНГУР"])
async def test_token_that_ends_in_any_letter(ports, token):
    """A letter's last byte may look like a blank, because headers arrive as Latin-1."""
    app = create_app(ports, Tokens({"admin": token}))
    sent = f"Bearer {token} "
    for path in ("/api/v1/stats", "/api/v2/keys"):
        assert (await ask(app, "GET", path, token="", Authorization=sent)).status == 200


async def test_without_tokens_nothing_is_valid(ports):
    """Without configured tokens every token is wrong. An empty token never counts."""
    for tokens in ({}, {"empty": ""}):
        app = create_app(ports, Tokens(tokens))
        assert tuple(await ask(app, "GET", "/api/v1/stats", token="token=")) == NOT_VALID


async def test_refused_change_is_not_made(app, commands):
    """Authentication comes before the command, not after it."""
    await ask(app, "POST", "/api/v1/key/60", token="token=wrong")
    await ask(app, "POST", "/api/whitelist/" + "ab" * 20, token="")
    assert (commands.keys, commands.whitelist) == (set(), set())


async def test_the_address_leads_to_the_documentation(app):
    """The server's address, opened without a token, leads to the page that describes the API."""
    answer = await ask(app, "GET", "/", token="")
    assert (answer.status, answer.headers["location"]) == (302, "api/v2/docs")
    page = await ask(app, "GET", "/api/v2/docs", token="")
    assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
    assert (await ask(app, "GET", "/api/v2/openapi.json", token="")).status == 401


async def test_health_check_needs_no_token(app):
    """Only the exact path of the health check needs no token."""
    answer = await ask(app, "GET", "/api/health_check", token="")
    assert tuple(answer) == (200, JSON, '{"status":"Ok"}')
    assert (await ask(app, "GET", "/api/health_check/x", token="")).status == 500
