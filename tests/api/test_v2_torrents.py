"""Tests torrents and the facts about them in version 2."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import JSON, ask

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
ONE, FACTS, MANY = f"/api/v2/torrents/{HASH}", f"/api/v2/torrents/{HASH}/facts", "/api/v2/torrents"
SAID = {
    "label": "Debian 13", "size": 4_000_000_000, "site_id": 77, "uploader": "anna",
    "added": "2027-01-31T23:00:00.000000Z", "tags": ["linux", "é"],
}  # fmt: skip
NOTHING = dict.fromkeys(SAID) | {"tags": []}
COUNTS = {
    "info_hash": HASH,
    "seeders": 0,
    "completed": 0,
    "leechers": 0,
    "size_at_least": False,
    "whitelisted": False,
}


async def send(app, method, path, body=None, **headers):
    """Sends a request. Returns status and document."""
    data = b"" if body is None else json.dumps(body).encode()
    answer = await ask(app, method, path, body=data, content_type=JSON, **headers)
    return answer.status, json.loads(answer.body) if answer.body else None


async def test_facts(app, commands):
    """Facts are said, shown, replaced as a whole and taken back; the author is recorded."""
    assert (await send(app, "GET", ONE))[0] == 404
    said = {**SAID, "added": "2027-02-01T00:00:00+01:00", "tags": ["linux", "é", "linux"]}
    assert await send(app, "PUT", FACTS, said) == (200, COUNTS | SAID)
    assert commands.actors[-1].token == "admin"
    assert await send(app, "GET", ONE) == (200, COUNTS | SAID)
    fewer = {"size": 1, "tags": [], "label": None}
    assert await send(app, "PUT", FACTS, fewer) == (200, COUNTS | NOTHING | {"size": 1})
    assert await send(app, "DELETE", FACTS) == (204, None)
    assert [(await send(app, "DELETE", FACTS))[0], (await send(app, "GET", ONE))[0]] == [404, 404]


async def test_many(app):
    """Those whose facts stay are skipped; without facts, all are taken back."""
    many = [{"info_hash": HASH.upper(), **SAID}, {"info_hash": "0" * 40, "size": 0}]
    for changed, unchanged in ((2, 0), (0, 2)):
        answer = await send(app, "POST", MANY, {"torrents": many})
        assert answer == (200, {"changed": changed, "unchanged": unchanged})
    assert (await send(app, "GET", ONE))[1] == COUNTS | SAID
    forget = await send(app, "POST", MANY, {"torrents": [{"info_hash": HASH}, many[1]]})
    assert forget == (200, {"changed": 1, "unchanged": 1})
    assert (await send(app, "GET", ONE))[0] == 404


BAD = {
    "nothing": ({}, "expected at least one of: label, size"),
    "no number": ({"size": "1"}, "size: expected a whole number"),
    "too large": ({"size": 2**63}, "size: expected a whole number"),
    "negative": ({"site_id": -1}, "site_id: expected a whole number"),
    "control": ({"label": "a\nb"}, "label: expected 1 to 200 printable characters"),
    "long": ({"uploader": "x" * 201}, "uploader: expected 1 to 200"),
    "no time": ({"added": "yesterday"}, "added: expected a time"),
    "no list": ({"tags": "linux"}, "tags: expected a list of at most 32 tags"),
    "many tags": ({"tags": ["x"] * 33}, "tags: expected a list of at most 32 tags"),
    "no tag": ({"tags": ["x", None]}, "tags: expected texts"),
    "long tag": ({"tags": ["x" * 65]}, "expected 1 to 64 printable characters"),
    "unknown": ({"colour": "red"}, "colour: unknown member; known here: label"),
}


@pytest.mark.parametrize(("facts", "text"), BAD.values(), ids=BAD.keys())
async def test_bad_facts_are_named(app, commands, facts, text):
    """The problem names the member, and in a list its place; nothing changes."""
    status, document = await send(app, "PUT", FACTS, facts)
    assert (status, text in document["detail"]) == (422, True)
    if facts:
        many = [{"info_hash": "0" * 40}, {"info_hash": HASH, **facts}]
        status, document = await send(app, "POST", MANY, {"torrents": many})
        assert (status, document["detail"].startswith("torrents[1].")) == (422, True)
    assert commands.actors == []


@pytest.mark.parametrize("torrents", [[], None, [7], [{}], [{"info_hash": "xyz"}], [{}] * 1001])
async def test_bad_lists_are_refused(app, torrents):
    status, document = await send(app, "POST", MANY, {"torrents": torrents})
    assert (status, document["detail"].startswith("torrents")) == (422, True)
