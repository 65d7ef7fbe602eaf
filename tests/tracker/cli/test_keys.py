"""`tracker key` and `tracker whitelist` send these requests and print these lines."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from tests.tracker.cli.api_server import HASHES, ISSUED, KEY, SHOWN, Api, run

KEY_HASH = sha256(KEY.encode()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ([], {}),
        (["--permanent"], {}),
        (["--seconds", "60"], {"seconds": 60}),
        (["--seconds", "0", "--key", KEY], {"key": KEY, "seconds": 0}),
        (["--owner", "anna", "--label", "für zuhause"], {"owner": "anna", "label": "für zuhause"}),
    ],
    ids=["default", "permanent", "seconds", "given", "names"],
)
def test_key_add(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    form: dict[str, object],
) -> None:
    """`key add` prints only the key, so that a script can take it."""
    api.answer = json.dumps(ISSUED).encode()
    assert run(capsys, "key", "add", "--config", config, *arguments) == (0, f"{KEY}\n", "")
    (sent,) = api.requests
    assert (sent.method, sent.path) == ("POST", "/api/v2/keys")
    assert json.loads(sent.body) == form
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == "Bearer Token1"
    assert "x-reason" not in sent.headers


def test_key_add_json(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the API's whole answer in one line."""
    api.answer = json.dumps(ISSUED, indent=1).encode()
    code, out, _ = run(capsys, "--config", config, "key", "add", "--json")
    assert code == 0
    assert out.count("\n") == 1
    assert json.loads(out) == ISSUED


@pytest.mark.parametrize(
    ("arguments", "requests", "out"),
    [
        (["key", "revoke", "7"], [("DELETE", "keys/7")], "revoked 7\n"),
        (
            ["whitelist", "add", HASHES[0].upper(), HASHES[1]],
            [("PUT", f"whitelist/{one}") for one in HASHES],
            "".join(f"whitelisted {one}\n" for one in HASHES),
        ),
        (
            ["factor", "end", "4", "5"],
            [("DELETE", "factors/4"), ("DELETE", "factors/5")],
            "ended 4\nended 5\n",
        ),
        (
            ["whitelist", "remove", "--json", *HASHES],
            [("DELETE", f"whitelist/{one}") for one in HASHES],
            "".join(f'{{"delisted":"{one}"}}\n' for one in HASHES),
        ),
    ],
    ids=["revoke", "whitelist", "factor", "delist"],
)
def test_each_change_is_one_request_with_the_reason(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    requests: list[tuple[str, str]],
    out: str,
) -> None:
    """Each argument makes one request with the reason, and prints one line."""
    arguments = [*arguments, "--config", config, "--reason", "gone – für immer"]
    assert run(capsys, *arguments) == (0, out, "")
    assert [(one.method, one.path) for one in api.requests] == [
        (method, f"/api/v2/{path}") for method, path in requests
    ]
    for one in api.requests:
        assert one.headers["x-reason"].encode("latin-1").decode() == "gone – für immer"


def test_a_key_is_looked_up_by_its_hash(
    api: Api, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client finds a key by its hash and then uses its number, so that no URL holds the key."""
    api.answers = {
        f"GET /api/v2/keys?key_hash={KEY_HASH}&limit=200": {"keys": [SHOWN], "next": None},
        "POST /api/v2/keys/7/rotate": ISSUED,
    }
    assert run(capsys, "--config", config, "key", "rotate", KEY) == (0, f"{KEY}\n", "")
    code, out, _ = run(capsys, "--config", config, "key", "rotate", "7", "--json")
    assert (code, json.loads(out)) == (0, ISSUED)
    assert run(capsys, "--config", config, "key", "revoke", KEY) == (0, f"revoked {KEY}\n", "")
    assert all(KEY not in one.path for one in api.requests)
    assert api.requests[-1].method == "DELETE"


@pytest.mark.parametrize("found", [[], [{**SHOWN, "state": "revoked"}]], ids=["none", "revoked"])
def test_an_unknown_or_revoked_key_cannot_be_revoked(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], found: list[object]
) -> None:
    api.answer = json.dumps({"keys": found, "next": None}).encode()
    code, _, err = run(capsys, "key", "revoke", KEY, "--config", config)
    assert (code, err) == (1, "tracker: that key was never issued, or is revoked already\n")
    assert len(api.requests) == 1


def test_key_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`key list` reads page after page with the filters in every request, and prints one key in
    each line."""
    path = "GET /api/v2/keys?owner=an%26na&state=valid&limit=200"
    named = {**SHOWN, "key_ref": 8, "valid_until": "2027-01-01T00:00:00.000000Z", "owner": "an&na"}
    api.answers = {
        path: {"keys": [SHOWN], "next": 7},
        f"{path}&after=7": {"keys": [named], "next": None},
    }
    arguments = ["--config", config, "key", "list", "--owner", "an&na", "--state", "valid"]
    lines = "7\tvalid\tpermanent\t-\t-\t\n8\tvalid\t2027-01-01T00:00:00.000000Z\t-\tan&na\t\n"
    assert run(capsys, *arguments) == (0, lines, "")
    code, out, _ = run(capsys, *arguments, "--json")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, [SHOWN, named])


def test_key_show(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is found by its hash, also a revoked one; it has a line for each member."""
    digest = sha256(KEY.encode()).hexdigest()
    revoked = {**SHOWN, "state": "revoked"}
    api.answers = {
        f"GET /api/v2/keys?key_hash={digest}&limit=200": {"keys": [revoked], "next": None},
        "GET /api/v2/keys/7": revoked,
    }
    lines = "key_ref 7\nstate revoked\nvalid_until -\nowner -\nlabel -\n"
    assert run(capsys, "--config", config, "key", "show", KEY) == (0, lines, "")


def test_whitelist_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`whitelist list` prints a torrent in each line, with its label."""
    rows = [{"info_hash": one, "label": f"a {at}"} for at, one in enumerate(HASHES)]
    page = {"torrents": rows, "next": None}
    api.answers = {"GET /api/v2/torrents?whitelisted=true&limit=200": page}
    lines = "".join(f"{one}\ta {at}\n" for at, one in enumerate(HASHES))
    assert run(capsys, "--config", config, "whitelist", "list") == (0, lines, "")


def test_whitelist_stops_at_the_first_refusal(
    api: Api, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a refusal no further hash is sent, and the refused one is not printed."""
    api.status, api.answer = 500, b"no"
    assert run(capsys, "whitelist", "add", *HASHES, "--config", config)[:2] == (1, "")
    assert len(api.requests) == 1
