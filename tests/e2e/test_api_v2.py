"""Version 2 of the API of a real tracker: its answers on the wire, and what survives a restart."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.e2e.clients import announce_target, bdecode, body, get, torrent
from tests.e2e.process import lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

TORRENT = torrent(0xAB)
HASH = TORRENT.hex()
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
GIVEN = {"key": KEY, "owner": "anna"}


@frozen
class Answer:
    status: int
    content_type: str | None
    body: Any  # decoded JSON, or None


def ask(
    tracker: Tracker,
    method: str,
    path: str,
    form: object = None,
    token: str = "MyAccessToken",  # noqa: S107  # of a test
    **headers: str,
) -> Answer:
    """Makes one request. `headers` are given with underscores."""
    connection = HTTPConnection(*tracker.api, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {token}"
        if form is not None:
            sent["Content-Type"] = "application/json"
        text = None if form is None else json.dumps(form)
        connection.request(method, path, text, sent)
        response = connection.getresponse()
        raw = response.read()
        kind = response.headers.get("content-type")
        said = json.loads(raw) if kind and "json" in kind else None
        return Answer(response.status, kind, said)
    finally:
        connection.close()


def configured(tracker: Tracker) -> Tracker:
    """Starts a private tracker with an additional token that may only read."""
    text = tracker.config.read_text().replace("private = false", "private = true")
    tracker.config.write_text(
        text.replace(
            "access_tokens.admin =",
            'token_scopes.watch = "read"\naccess_tokens.watch = "MayRead"\naccess_tokens.admin =',
        )
    )
    return tracker.start()


@pytest.fixture
def private(new_tracker: Callable[..., Tracker]) -> Tracker:
    return configured(new_tracker(lasting_listeners()))


REPEATED: list[tuple[str, object]] = [
    ("/api/v2/keys", {"seconds": 86400, "label": "für zuhause"}),
    ("/api/v2/keys", GIVEN),
    ("/api/v2/keys/1/rotate", None),
    ("/api/v1/keys", {"key": None, "seconds_valid": 86400}),
    ("/api/v1/key/86400", None),
    ("/api/key/86400", None),
]


def test_idempotency_keys(private: Tracker) -> None:
    """A repeated request gets the same key, even after a restart, and is one event."""
    assert ask(private, "POST", "/api/v2/keys").body["key_ref"] == 1

    def ask_all() -> list[Answer]:
        return [
            ask(private, "POST", path, form, idempotency_key=f"request {number}")
            for number, (path, form) in enumerate(REPEATED)
        ]

    first = ask_all()
    assert {answer.status for answer in first} == {200, 201}
    assert len({answer.body["key"] for answer in first}) == len(REPEATED)
    assert ask_all() == first
    private.kill()
    private.restart()
    assert ask_all() == first
    other = ask(private, "POST", "/api/v2/keys", {"seconds": 1}, idempotency_key="request 0")
    assert (other.status, other.content_type) == (422, "application/problem+json")
    assert ask(private, "POST", "/api/v1/key/1", idempotency_key="request 4").status == 500
    events = private.events("--type", "key_issued", "--type", "key_rotated")
    assert len(events) == 1 + len(REPEATED)
    assert [event["by"].get("idempotency_key") for event in events[1:]] == [
        f"request {number}" for number in range(len(REPEATED))
    ]
    assert not any(answer.body["key"] in str(events) for answer in first)


def refused(tracker: Tracker, key: str) -> bool:
    target = announce_target(TORRENT, 1, 6881, left=1).replace("announce", f"announce/{key}", 1)
    return "failure reason" in bdecode(body(get(tracker.http[0], target)))


def test_keys(private: Tracker) -> None:
    """A key is issued, used, rotated, used, and revoked by its number."""
    issued = ask(private, "POST", "/api/v2/keys", GIVEN).body
    assert (issued["account"], issued["last_used"], issued["account_last_seen"]) == (1, None, None)
    assert not refused(private, KEY)
    used = ask(private, "GET", "/api/v2/keys/1", token="MayRead").body
    assert used["last_used"] == used["account_last_seen"] is not None
    rotated = ask(private, "POST", "/api/v2/keys/1/rotate").body
    assert (rotated["account"], rotated["owner"], rotated["last_used"]) == (1, "anna", None)
    assert rotated["account_last_seen"] == used["last_used"]
    assert refused(private, KEY)
    assert not refused(private, rotated["key"])
    old, new = ask(private, "GET", "/api/v2/keys").body["keys"]
    assert old["last_used"] == used["last_used"] < new["last_used"] == new["account_last_seen"]
    assert old["account_last_seen"] == new["last_used"]
    assert ask(private, "DELETE", "/api/v2/keys/2") == Answer(204, None, None)
    assert refused(private, rotated["key"])
    assert ask(private, "GET", "/api/v1/stats").body["leechers"] == 0
    listed = ask(private, "GET", "/api/v2/keys?owner=anna").body["keys"]
    assert [(key["key_ref"], key["state"]) for key in listed] == [(1, "revoked"), (2, "revoked")]


def test_import_and_whitelist(private: Tracker) -> None:
    """An import is one event a key, with its author; a refused import appends none."""
    keys = [{"key": f"{number:032}", "label": "moved"} for number in range(3)]
    answer = ask(private, "POST", "/api/v2/keys/import", {"keys": keys}, x_reason="moving")
    assert answer == Answer(201, "application/json", {"key_refs": [1, 2, 3]})
    again = ask(private, "POST", "/api/v2/keys/import", {"keys": [GIVEN, keys[1]]})
    assert (again.status, again.body["detail"]) == (409, "keys[1]: exists already")
    hashes = [torrent(number).hex() for number in range(150)]
    answer = ask(private, "POST", "/api/v2/whitelist", {"info_hashes": hashes})
    assert answer.body == {"added": 150, "present": 0}
    page = ask(private, "GET", "/api/v2/whitelist?limit=149", token="MayRead").body
    rest = ask(private, "GET", f"/api/v2/whitelist?after={page['next']}").body
    assert page["whitelist"] + rest["whitelist"] == sorted(hashes)
    assert ask(private, "PATCH", "/api/v2/keys/2", {"label": None}).body["label"] is None
    events = private.events("--type", "key_issued", "--type", "key_changed")
    assert [event["key_ref"] for event in events] == [1, 2, 3, 2]
    assert (events[0]["by"]["reason"], events[0]["by"]["token"]) == ("moving", "admin")
    private.kill()
    private.restart()
    assert ask(private, "GET", "/api/v2/keys/2").body["label"] is None
    assert ask(private, "GET", "/api/v2/whitelist?limit=1000").body["whitelist"] == sorted(hashes)


def test_a_repeated_import(private: Tracker) -> None:
    """A repeated import gets the same answer, even after a restart; another body is refused."""
    form = {"keys": [{"key": f"{number:032}", "seconds": 3600} for number in range(200)]}

    def import_keys(form: object, name: str = "moving day") -> Answer:
        return ask(private, "POST", "/api/v2/keys/import", form, idempotency_key=name)

    first = import_keys(form)
    assert first == Answer(201, "application/json", {"key_refs": list(range(1, 201))})
    assert import_keys(form) == first
    private.kill()
    private.restart()
    assert ask(private, "DELETE", "/api/v2/keys/7").status == 204
    assert import_keys(form) == first
    other = import_keys({"keys": form["keys"][:-1]})
    assert (other.status, other.content_type) == (422, "application/problem+json")
    again = import_keys(form, "another day")
    assert (again.status, again.body["detail"]) == (409, "keys[0]: exists already")
    issued = ask(private, "POST", "/api/v2/keys", idempotency_key="moving day")
    assert (issued.status, issued.content_type) == (422, "application/problem+json")
    assert len(private.events("--type", "key_issued")) == 200


def test_read_token(private: Tracker) -> None:
    """A read token reads everything and changes nothing, in all versions."""
    for path in ("/api/v2/keys", "/api/v1/stats", "/api/torrents"):
        assert ask(private, "GET", path, token="MayRead").status == 200
    changed = ask(private, "PUT", f"/api/v2/whitelist/{HASH}", token="MayRead")
    assert (changed.status, changed.content_type) == (403, "application/problem+json")
    connection = HTTPConnection(*private.api, timeout=10)
    connection.request("POST", "/api/v1/key/60?token=MayRead")
    response = connection.getresponse()
    assert (response.status, response.read()) == (
        500,
        b'Unhandled rejection: Err { reason: "unauthorized" }',
    )
    connection.close()
    assert private.events("--type", "key_issued", "--type", "torrent_whitelisted") == []
