"""`tracker token` sends these requests and prints these lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.tracker.cli.api_server import Api, run

if TYPE_CHECKING:
    import pytest

TOKEN = {
    "token": 3, "label": "anna", "scope": "read", "state": "valid",
    "issued": "2027-01-15T08:00:00.000000Z", "valid_until": None, "last_used": None, "revoked": None,
}  # fmt: skip


def test_add(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`token add` prints only the token, so that a script can take it."""
    api.answer = json.dumps({**TOKEN, "text": "Secret"}).encode()
    arguments = ("anna", "--scope", "read", "--until", "2030-01-31T00:00:00Z", "--reason", "new")
    assert run(capsys, "token", "add", "--config", config, *arguments) == (0, "Secret\n", "")
    (sent,) = api.requests
    assert (sent.method, sent.path) == ("POST", "/api/v2/tokens")
    until = "2030-01-31T00:00:00Z"
    assert json.loads(sent.body) == {"label": "anna", "scope": "read", "until": until}
    assert sent.headers["x-reason"] == "new"


def test_revoke(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`token revoke` takes a number, or the label of a token in force."""
    api.answer = json.dumps({"tokens": [TOKEN]}).encode()
    told = run(capsys, "token", "revoke", "anna", "7", "--config", config, "--reason", "left")
    assert told == (0, "revoked anna\nrevoked 7\n", "")
    assert [(one.method, one.path) for one in api.requests[1:]] == [
        ("DELETE", "/api/v2/tokens/3"), ("DELETE", "/api/v2/tokens/7"),
    ]  # fmt: skip
    code, _, error = run(capsys, "token", "revoke", "bert", "--config", config, "--reason", "left")
    assert (code, error) == (1, "tracker: bert: no access token with this label is in force\n")


def test_a_token_with_a_dash(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A token or a key that begins with a minus is no option."""
    api.answer = b'{"keys":[{"key_ref":7}],"next":null}'
    key = "-" + "k" * 31
    told = run(capsys, "key", "revoke", key, "--config", config, "--token", "-MyAccessToken")
    assert told == (0, f"revoked {key}\n", "")
    assert api.requests[-1].headers["authorization"] == "Bearer -MyAccessToken"


def test_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, separated by tabs."""
    api.answer = json.dumps({"tokens": [TOKEN]}).encode()
    told = run(capsys, "token", "list", "--config", config)
    assert told == (0, "3\tanna\tread\tvalid\tnever\tnever\n", "")
