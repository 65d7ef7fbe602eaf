"""Two members of staff with access tokens of their own: what each may do, and until when."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from tests.e2e.clients import announce_target, api, ask, get, torrent
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

HASH = torrent(0x77)


def test_two_members_of_staff(new_tracker: Callable[..., Tracker]) -> None:
    """Each change has its author's label. A revoked token is refused at once, its stream ends, and
    both hold over a kill; the token is in no file.
    """
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private", "listed")
    tracker.start()
    anna = issued(tracker, "anna", "full")
    bert = issued(tracker, "bert", "moderator")
    key = ask(tracker, "POST", "/api/v2/keys", {"owner": "carl"}, token=anna).json["key"]
    path = f"/api/v2/whitelist/{HASH.hex()}"
    assert ask(tracker, "PUT", path, token=bert, x_reason="checked").status == 201
    target = announce_target(HASH, 1, 6001, left=0)
    assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")
    for method, refused in (("POST", "/api/v2/keys"), ("GET", "/api/v2/tokens")):
        assert ask(tracker, method, refused, token=bert, x_reason="why").status == 403
    seen = ask(tracker, "GET", "/api/v2/accounts/1/peers", token=bert, x_reason="why").json
    assert [one["address"] for one in seen["peers"]] == [None]
    change = {"settings": {"policy.max_peers": 9}}
    assert ask(tracker, "PATCH", "/api/v2/settings", change, token=bert, x_reason="x").status == 403
    assert ask(tracker, "PATCH", "/api/v2/settings", change, token=anna, x_reason="x").status == 200

    stream = HTTPConnection(*tracker.api, timeout=DEADLINE)
    try:
        headers = {"Authorization": f"Bearer {bert}"}
        stream.request("GET", "/api/v2/events/stream", headers=headers)
        body = stream.getresponse()
        done = tracker.command("token", "revoke", "bert", "--reason", "he left", "--token", anna)
        assert (done.returncode, done.stdout) == (0, "revoked bert\n"), done
        assert b"token_revoked" not in body.read()  # the stream ends, and before that event
    finally:
        stream.close()
    assert ask(tracker, "DELETE", path, token=bert).status == 401

    tracker.kill()
    tracker.start()
    assert ask(tracker, "DELETE", path, token=bert).status == 401
    assert ask(tracker, "DELETE", path, token=anna, x_reason="sorry").status == 204
    authors = [
        (one["type"], one["by"]["token"])
        for one in api(tracker, "/api/v2/events?limit=1000")["events"]
        if "by" in one
    ]
    assert authors == [
        ("token_issued", "admin"), ("token_issued", "admin"), ("key_issued", "anna"),
        ("torrent_whitelisted", "bert"), ("settings_changed", "anna"), ("token_revoked", "anna"),
        ("torrent_delisted", "anna"),
    ]  # fmt: skip
    listed = tracker.command("token", "list", "--json", "--token", anna).stdout.splitlines()
    states = [
        (one["label"], one["state"], bool(one["last_used"])) for one in map(json.loads, listed)
    ]
    assert states == [("anna", "valid", True), ("bert", "revoked", True)]
    used = [one["label"] for one in tracker.events("--type", "token_used")]
    assert sorted(used) == ["anna", "bert"]  # once a day
    for file in tracker.folder.rglob("*"):
        if file.is_file():
            assert not any(text.encode() in file.read_bytes() for text in (anna, bert)), file


def issued(tracker: Tracker, label: str, scope: str) -> str:
    done = tracker.command("token", "add", label, "--scope", scope, "--reason", "joined")
    assert done.returncode == 0, done
    text = done.stdout.strip()
    assert len(text) == 48
    return text
