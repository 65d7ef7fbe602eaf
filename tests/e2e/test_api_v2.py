"""Tests version 2 of the API of a real tracker: its answers, before and after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce_target, ask, bdecode, body, get, torrent
from tests.e2e.process import lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.clients import Reply
    from tests.e2e.process import Tracker

TORRENT = torrent(0xAB)
HASH = TORRENT.hex()
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
GIVEN = {"key": KEY, "owner": "anna"}


@pytest.fixture
def private(new_tracker: Callable[..., Tracker]) -> Tracker:
    """Starts a private tracker with an additional token that may only read."""
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    tracker.add_read_token("MayRead")
    return tracker.start()


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
    assert ask(private, "POST", "/api/v2/keys").json["key_ref"] == 1

    def ask_all() -> list[Reply]:
        return [
            ask(private, "POST", path, form, idempotency_key=f"request {number}")
            for number, (path, form) in enumerate(REPEATED)
        ]

    first = ask_all()
    assert {answer.status for answer in first} == {200, 201}
    assert len({answer.json["key"] for answer in first}) == len(REPEATED)
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
    assert not any(answer.json["key"] in str(events) for answer in first)


def refused(tracker: Tracker, key: str) -> bool:
    target = announce_target(TORRENT, 1, 6881, left=1).replace("announce", f"announce/{key}", 1)
    return "failure reason" in bdecode(body(get(tracker.http[0], target)))


def test_keys(private: Tracker) -> None:
    """A key is issued, used, rotated, used, and revoked by its number."""
    issued = ask(private, "POST", "/api/v2/keys", GIVEN).json
    assert (issued["account"], issued["last_used"], issued["account_last_seen"]) == (1, None, None)
    assert not refused(private, KEY)
    used = ask(private, "GET", "/api/v2/keys/1", token="MayRead").json
    assert used["last_used"] == used["account_last_seen"] is not None
    rotated = ask(private, "POST", "/api/v2/keys/1/rotate").json
    assert (rotated["account"], rotated["owner"], rotated["last_used"]) == (1, "anna", None)
    assert rotated["account_last_seen"] == used["last_used"]
    assert refused(private, KEY)
    assert not refused(private, rotated["key"])
    old, new = ask(private, "GET", "/api/v2/keys").json["keys"]
    assert old["last_used"] == used["last_used"] < new["last_used"] == new["account_last_seen"]
    assert old["account_last_seen"] == new["last_used"]
    assert ask(private, "DELETE", "/api/v2/keys/2").compared == (204, None, "")
    assert refused(private, rotated["key"])
    assert ask(private, "GET", "/api/v1/stats").json["leechers"] == 0
    listed = ask(private, "GET", "/api/v2/keys?owner=anna").json["keys"]
    assert [(key["key_ref"], key["state"]) for key in listed] == [(1, "revoked"), (2, "revoked")]


def test_import_and_whitelist(private: Tracker) -> None:
    """An import is one event a key, with its author; a refused import appends none."""
    keys = [{"key": f"{number:032}", "label": "moved"} for number in range(3)]
    answer = ask(private, "POST", "/api/v2/keys/import", {"keys": keys}, x_reason="moving")
    assert (answer.status, answer.json) == (201, {"key_refs": [1, 2, 3]})
    assert answer.content_type == "application/json"
    again = ask(private, "POST", "/api/v2/keys/import", {"keys": [GIVEN, keys[1]]})
    assert (again.status, again.json["detail"]) == (409, "keys[1]: exists already")
    hashes = [torrent(number).hex() for number in range(150)]
    answer = ask(private, "POST", "/api/v2/whitelist", {"info_hashes": hashes})
    assert answer.json == {"added": 150, "present": 0}
    page = ask(private, "GET", "/api/v2/whitelist?limit=149", token="MayRead").json
    rest = ask(private, "GET", f"/api/v2/whitelist?after={page['next']}").json
    assert page["whitelist"] + rest["whitelist"] == sorted(hashes)
    assert ask(private, "PATCH", "/api/v2/keys/2", {"label": None}).json["label"] is None
    events = private.events("--type", "key_issued", "--type", "key_changed")
    assert [event["key_ref"] for event in events] == [1, 2, 3, 2]
    assert (events[0]["by"]["reason"], events[0]["by"]["token"]) == ("moving", "admin")
    private.kill()
    private.restart()
    assert ask(private, "GET", "/api/v2/keys/2").json["label"] is None
    assert ask(private, "GET", "/api/v2/whitelist?limit=1000").json["whitelist"] == sorted(hashes)


def test_a_repeated_import(private: Tracker) -> None:
    """A repeated import gets the same answer, even after a restart; another body is refused."""
    form = {"keys": [{"key": f"{number:032}", "seconds": 3600} for number in range(200)]}

    def import_keys(form: object, name: str = "moving day") -> Reply:
        return ask(private, "POST", "/api/v2/keys/import", form, idempotency_key=name)

    first = import_keys(form)
    assert (first.status, first.json) == (201, {"key_refs": list(range(1, 201))})
    assert first.content_type == "application/json"
    assert import_keys(form) == first
    private.kill()
    private.restart()
    assert ask(private, "DELETE", "/api/v2/keys/7").status == 204
    assert import_keys(form) == first
    other = import_keys({"keys": form["keys"][:-1]})
    assert (other.status, other.content_type) == (422, "application/problem+json")
    again = import_keys(form, "another day")
    assert (again.status, again.json["detail"]) == (409, "keys[0]: exists already")
    issued = ask(private, "POST", "/api/v2/keys", idempotency_key="moving day")
    assert (issued.status, issued.content_type) == (422, "application/problem+json")
    assert len(private.events("--type", "key_issued")) == 200


def test_read_token(private: Tracker) -> None:
    """A read token reads everything and changes nothing, in all versions."""
    for path in ("/api/v2/keys", "/api/v1/stats", "/api/torrents"):
        assert ask(private, "GET", path, token="MayRead").status == 200
    changed = ask(private, "PUT", f"/api/v2/whitelist/{HASH}", token="MayRead")
    assert (changed.status, changed.content_type) == (403, "application/problem+json")
    older = ask(private, "POST", "/api/v1/key/60?token=MayRead", token="")
    assert (older.status, older.body) == (
        500,
        'Unhandled rejection: Err { reason: "unauthorized" }',
    )
    assert private.events("--type", "key_issued", "--type", "torrent_whitelisted") == []
