"""Tests keys and the whitelist in version 2: every endpoint, and wrong bodies."""

from __future__ import annotations

import json
from hashlib import sha256

import attrs
import pytest

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import LONGEST_S, NOW_US, RANDOM_KEY
from tracker.ports import Actor, NewKey, RepeatedRequestError, RevokedKeyError

KEY = "Xc1L4PbQJSFGlrgSRZl8wxSFAuMa21z7"
OTHER = "B" * 32
HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
FOREVER = {"valid_until": None, "last_used": None, "account_last_seen": None}


def shown(key_ref: int, key: str, state: str = "valid", **more: object) -> dict[str, object]:
    """Returns a key as every answer shows it."""
    return {
        "key_ref": key_ref,
        "key_hash": sha256(key.encode()).hexdigest(),
        "state": state,
        "account": key_ref,
        "owner": None,
        "label": None,
        **FOREVER,
        **more,
    }


def new(key: str, key_ref: int = 1, **more: object) -> dict[str, object]:
    """Returns a key as it is shown once, to whoever issued it."""
    url = f"http://127.0.0.1:7070/announce/{key}"
    return {"key": key, "announce_urls": [url], **shown(key_ref, key, **more)}


async def post(app, path: str, body: object, method: str = "POST", **headers: str):
    return await ask(
        app,
        method,
        f"/api/v2{path}",
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        content_type="application/json",
        **headers,
    )


async def get(app, path: str) -> dict[str, object]:
    answer = await ask(app, "GET", f"/api/v2{path}")
    assert (answer.status, answer.content_type) == (200, JSON)
    return json.loads(answer.body)


# Keys.


@pytest.mark.parametrize(
    ("body", "key", "more"),
    [
        ({}, RANDOM_KEY, {}),
        ({"key": None, "seconds": None, "until": None}, RANDOM_KEY, {}),
        ({"key": KEY}, KEY, {}),
        ({"seconds": 3600}, RANDOM_KEY, {"valid_until": "2023-03-28T13:25:00.058085Z"}),
        ({"until": "2030-01-01T00:00:00Z"}, RANDOM_KEY, {"valid_until": "2030-01-01T00:00:00.000000Z"}),
        ({"until": "2030-01-01T02:30:00.5+02:30"}, RANDOM_KEY, {"valid_until": "2030-01-01T00:00:00.500000Z"}),
        ({"owner": "anna", "label": "für zuhause"}, RANDOM_KEY, {"owner": "anna", "label": "für zuhause"}),
    ],
)  # fmt: skip
async def test_issue(app, body, key, more):
    """Issuing gives 201 with the key, which no other answer holds, and its location."""
    answer = await post(app, "/keys", body)
    assert (answer.status, answer.content_type) == (201, JSON)
    assert json.loads(answer.body) == new(key, **more)
    assert answer.headers["location"] == "/api/v2/keys/1"
    assert answer.headers["cache-control"] == "no-store"
    found = await get(app, "/keys/1")
    assert found == shown(1, key, **more)


async def test_issue_without_a_body(app):
    """An empty request gives a random, permanent key."""
    answer = await ask(app, "POST", "/api/v2/keys")
    assert json.loads(answer.body)["key"] == RANDOM_KEY


FORM = "key: expected 10 to 64 letters, digits, - and _"
WRONG = [
    (b"", "POST", "/keys/import", 400, "the body is not JSON"),
    (b"{", "POST", "/keys", 400, "the body is not JSON"),
    (b"\xff\xfe", "POST", "/keys", 400, "the body is not JSON"),
    (b'{"seconds":NaN}', "POST", "/keys", 400, "the body is not JSON"),
    (b"[" * 60_000, "POST", "/keys", 400, "the body is not JSON"),
    (b'{"seconds":' + b"9" * 5000 + b"}", "POST", "/keys", 400, "the body is not JSON"),
    (b'{"key":null,"key":null}', "POST", "/keys", 422, "more than once"),
    (b"[]", "POST", "/keys", 422, "the body: expected an object"),
    (b"null", "POST", "/keys", 422, "the body: expected an object"),
    ({"sec": 1}, "POST", "/keys", 422, "sec: unknown member; known here: key, seconds, until"),
    ({"key": "short"}, "POST", "/keys", 422, FORM),
    ({"key": "é" * 32}, "POST", "/keys", 422, FORM),
    ({"key": KEY + "/"}, "POST", "/keys", 422, "key: expected"),
    ({"key": 7}, "POST", "/keys", 422, "key: expected"),
    ({"seconds": -1}, "POST", "/keys", 422, "seconds: expected a whole number"),
    ({"seconds": 1.0}, "POST", "/keys", 422, "seconds: expected a whole number"),
    ({"seconds": True}, "POST", "/keys", 422, "seconds: expected a whole number"),
    ({"seconds": 2**64}, "POST", "/keys", 422, "seconds: expected a whole number"),
    ({"seconds": LONGEST_S + 1}, "POST", "/keys", 422, "year 9999"),
    ({"seconds": 1, "until": "2030-01-01T00:00:00Z"}, "POST", "/keys", 422, "one of the two"),
    ({"until": 5}, "POST", "/keys", 422, "until: expected a time"),
    ({"until": "2030-02-30T00:00:00Z"}, "POST", "/keys", 422, "until: expected a time"),
    ({"until": "2030-01-01 00:00:00"}, "POST", "/keys", 422, "until: expected a time"),
    ({"until": "2030-01-01T00:00:00+24:00"}, "POST", "/keys", 422, "until: expected a time"),
    ({"until": "2030-01-01T00:00:00-01:60"}, "POST", "/keys", 422, "until: expected a time"),
    ({"until": "1969-12-31T23:59:59Z"}, "POST", "/keys", 422, "until: expected a time"),
    ({"owner": ""}, "POST", "/keys", 422, "owner: expected 1 to 200"),
    ({"owner": "x" * 201}, "POST", "/keys", 422, "owner: expected 1 to 200"),
    ({"owner": "a\nb"}, "POST", "/keys", 422, "owner: expected 1 to 200"),
    ({"label": "\ud800"}, "POST", "/keys", 422, "label: expected 1 to 200"),
    ({"label": []}, "POST", "/keys", 422, "label: expected 1 to 200"),
    ({"keys": []}, "POST", "/keys/import", 422, "keys: expected a list of 1 to 200"),
    ({"keys": [{}] * 201}, "POST", "/keys/import", 422, "keys: expected a list of 1 to 200"),
    ({"keys": {}}, "POST", "/keys/import", 422, "keys: expected a list of 1 to 200"),
    ({"keys": [7]}, "POST", "/keys/import", 422, "keys[0]: expected an object"),
    ({"keys": [{"key": OTHER}, {"label": "x"}]}, "POST", "/keys/import", 422, "keys[1].key: missing"),
    ({"keys": [{"key": OTHER, "x": 1}]}, "POST", "/keys/import", 422, "keys[0].x: unknown member"),
    ({"keys": [{"key": OTHER, "seconds": ""}]}, "POST", "/keys/import", 422, "keys[0].seconds: expected"),
    ({}, "PATCH", "/keys/1", 422, "label: missing"),
    ({"owner": "x"}, "PATCH", "/keys/1", 422, "owner: unknown member; known here: label"),
    ({"seconds": 1}, "POST", "/keys/1/rotate", 422, "seconds: unknown member; known here: -"),
    ({}, "POST", "/whitelist", 422, "info_hashes: expected a list of 1 to 1000"),
    ({"info_hashes": ["ab"]}, "POST", "/whitelist", 422, "info_hashes[0]: expected 40"),
    ({"info_hashes": [HASH, 7]}, "POST", "/whitelist", 422, "info_hashes[1]: expected 40"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "method", "path", "status", "detail"), WRONG)
async def test_wrong_bodies(app, commands, body, method, path, status, detail):
    """Every wrong body is refused by name, and changes nothing."""
    commands.add(NewKey(KEY))
    if body == b"":
        body = b" "
    answer = await post(app, path, body, method)
    assert answer.status == status
    assert detail in problem(answer)["detail"]
    assert list(commands.issued) == [1]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/keys", "/keys/import", "/whitelist", "/keys/1/rotate"])
async def test_other_media_types(app, path, content_type):
    """Other media types than JSON are refused."""
    headers = {"content_type": content_type} if content_type else {}
    answer = await ask(app, "POST", f"/api/v2{path}", body=b"{}", **headers)
    assert answer.status == 415
    assert problem(answer)["detail"] == "expected a body of application/json"


async def test_issue_twice(app):
    """A given key that is in force gives 409."""
    assert (await post(app, "/keys", {"key": KEY})).status == 201
    answer = await post(app, "/keys", {"key": KEY})
    assert problem(answer)["detail"] == "that key exists already"
    assert answer.status == 409


@pytest.mark.parametrize(
    ("failure", "status"),
    [(RepeatedRequestError, 422), (RevokedKeyError, 410)],
)
@pytest.mark.parametrize("path", ["/keys", "/keys/import", "/keys/1/rotate"])
async def test_refused_repetitions(app, commands, path, failure, status):
    """An idempotency key is refused with another request, and after its key was revoked."""
    commands.failure = failure("the reason")
    body = {"keys": [{"key": KEY}]} if path == "/keys/import" else {}
    answer = await post(app, path, body, idempotency_key="once")
    assert (answer.status, problem(answer)["detail"]) == (status, "the reason")


@pytest.mark.parametrize(
    "path", ["/api/v2/keys", "/api/v1/key/60", "/api/key/60", "/api/v2/keys/1/rotate"]
)
async def test_idempotency_key_of_a_change(app, commands, path):
    """The idempotency key is part of the actor, in all versions."""
    commands.add(NewKey(KEY))
    await ask(app, "POST", path, idempotency_key=" a b ", x_request_id="r", x_reason="why")
    (by,) = commands.actors
    assert by == Actor("admin", by.address, "r", "why", "a b")


async def test_idempotency_key_of_an_import(app, commands):
    """The idempotency key of an import is part of the actor."""
    await post(app, "/keys/import", {"keys": [{"key": KEY}]}, idempotency_key="a", x_reason="why")
    (by,) = commands.actors
    assert (by.token, by.reason, by.idempotency_key) == ("admin", "why", "a")


@pytest.mark.parametrize("value", ["x" * 129, "\xff", "a\tb"])
@pytest.mark.parametrize("version", ["/api/v2/keys", "/api/v1/key/60"])
async def test_unfit_idempotency_key(app, commands, version, value):
    """An idempotency key that the log cannot hold is refused, because it cannot be replaced."""
    answer = await ask(app, "POST", version, idempotency_key=value)
    assert (answer.status, commands.actors) == (400, [])
    assert "Idempotency-Key has to be printable ASCII, at most 128 characters" in answer.body


async def test_list(app, commands):
    """Keys ascend, page by page. `next` is null on the last page."""
    for number in range(5):
        commands.add(NewKey(f"{number:032}"))
    pages, after = [], 0
    while after is not None:
        answer = await get(app, f"/keys?limit=2&after={after}")
        pages.append([key["key_ref"] for key in answer["keys"]])
        after = answer["next"]
    assert pages == [[1, 2], [3, 4], [5]]
    assert await get(app, "/keys?after=5") == {"keys": [], "next": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3]),
        ("owner=anna", [2, 3]),
        ("owner=", []),
        ("state=valid", [1, 3]),
        ("state=revoked&owner=anna", [2]),
        ("state=expired", []),
        ("owner=anna&limit=1", [2]),
        (f"key_hash={sha256(OTHER.encode()).hexdigest().upper()}", [2]),
        (f"key_hash={sha256(OTHER.encode()).hexdigest()}&state=valid", []),
        (f"key_hash={sha256(OTHER.encode()).hexdigest()}&after=2", []),
        (f"key_hash={'0' * 64}", []),
    ],
)
async def test_filters(app, commands, query, found):
    """Keys are filtered by owner, state and SHA-256."""
    for key, owner in ((KEY, None), (OTHER, "anna"), ("C" * 32, "anna")):
        commands.add(NewKey(key, owner=owner))
    await ask(app, "DELETE", "/api/v2/keys/2")
    answer = await get(app, f"/keys?{query}")
    assert [key["key_ref"] for key in answer["keys"]] == found
    assert answer["next"] == (2 if query.endswith("limit=1") else None)


async def test_a_long_list_is_gathered_with_pauses(app, commands):
    """A page that reads many keys is gathered with pauses, and is whole."""
    for number in range(1200):
        commands.add(NewKey(f"{number:032}", owner="anna" if number == 1100 else None))
    answer = await get(app, "/keys?owner=anna")
    assert [key["key_ref"] for key in answer["keys"]] == [1101]
    assert (await get(app, "/keys?limit=1000"))["next"] == 1000


async def test_import(app, commands):
    """An import issues all keys, in their order."""
    keys = [{"key": KEY, "owner": "anna"}, {"key": OTHER, "seconds": 60, "label": "x"}]
    answer = await post(app, "/keys/import", {"keys": keys})
    assert tuple(answer) == (201, JSON, '{"key_refs":[1,2]}')
    assert commands.keys == {KEY, OTHER}


async def test_import_of_a_known_key(app, commands):
    """An import with a known key issues none, and the answer names that key."""
    commands.add(NewKey(KEY))
    answer = await post(app, "/keys/import", {"keys": [{"key": OTHER}, {"key": KEY}]})
    assert (answer.status, problem(answer)["detail"]) == (409, "keys[1]: exists already")
    assert commands.keys == {KEY}


async def test_change(app, commands):
    """A label is set, changed and removed."""
    commands.add(NewKey(KEY))
    for label in ("x", "für zuhause", None):
        answer = await post(app, "/keys/1", {"label": label}, "PATCH")
        assert (answer.status, json.loads(answer.body)) == (200, shown(1, KEY, label=label))


async def test_last_announces(app, commands):
    """A key shows its last announce, and the last one of its account."""
    commands.add(NewKey(KEY))
    info = attrs.evolve(commands.issued[1][1], used_us=NOW_US, account_seen_us=NOW_US + 1_000_000)
    commands.issued[1] = KEY, info
    seen = {
        "last_used": "2023-03-28T12:25:00.058085Z",
        "account_last_seen": "2023-03-28T12:25:01.058085Z",
    }
    assert await get(app, "/keys/1") == shown(1, KEY, **seen)


async def test_revoke(app, commands):
    """Revoking gives 204; the key stays in the list, revoked."""
    commands.add(NewKey(KEY))
    assert tuple(await ask(app, "DELETE", "/api/v2/keys/1")) == (204, None, "")
    assert await get(app, "/keys/1") == shown(1, KEY, "revoked")


async def test_rotate(app, commands):
    """Rotating gives 201 with another key of the same owner; the old one is revoked."""
    commands.add(NewKey(KEY, owner="anna", label="x"))
    answer = await ask(app, "POST", "/api/v2/keys/1/rotate")
    body = json.loads(answer.body)
    assert (answer.status, body["key"], body["key_ref"]) == (201, RANDOM_KEY[::-1], 2)
    assert (body["owner"], body["label"]) == ("anna", "x")
    assert answer.headers["location"] == "/api/v2/keys/2"
    assert (await get(app, "/keys/1"))["state"] == "revoked"


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("PATCH", ""), ("POST", "/rotate")])
async def test_unknown_and_revoked_keys(app, commands, method, path):
    """A number that no key has gives 404, a revoked key 410."""
    body = {"label": None} if method == "PATCH" else {}
    assert (await post(app, f"/keys/1{path}", body, method)).status == 404
    commands.add(NewKey(KEY))
    await ask(app, "DELETE", "/api/v2/keys/1")
    answer = await post(app, f"/keys/1{path}", body, method)
    assert (answer.status, problem(answer)["detail"]) == (410, "that key is revoked")


async def test_issued_again(app):
    """The old number of a key that was issued again gives 410 with the new one."""
    await post(app, "/keys", {"key": KEY})
    await ask(app, "DELETE", "/api/v2/keys/1")
    await post(app, "/keys", {"key": KEY})
    answer = await ask(app, "GET", "/api/v2/keys/1")
    assert (answer.status, problem(answer)["key_ref"]) == (410, 2)


# The whitelist.


async def test_whitelist(app, commands):
    """A torrent is added, found, added again, removed, and gone."""
    path, there = f"/api/v2/whitelist/{HASH.upper()}", f'{{"info_hash":"{HASH}"}}'
    assert tuple(await ask(app, "PUT", path)) == (201, JSON, there)
    assert tuple(await ask(app, "GET", path)) == (200, JSON, there)
    assert tuple(await ask(app, "PUT", path)) == (200, JSON, there)
    assert tuple(await ask(app, "DELETE", path)) == (204, None, "")
    for method in ("GET", "DELETE"):
        answer = await ask(app, method, path)
        assert problem(answer)["detail"] == "that torrent is not on the whitelist"
    assert commands.whitelist == set()


async def test_whitelist_many(app, commands):
    """A torrent that is listed already, or comes twice, is no error."""
    hashes = [HASH, "ab" * 20, HASH.upper()]
    answer = await post(app, "/whitelist", {"info_hashes": hashes})
    assert tuple(answer) == (200, JSON, '{"added":2,"present":0}')
    answer = await post(app, "/whitelist", {"info_hashes": [*hashes, "cd" * 20]})
    assert tuple(answer) == (200, JSON, '{"added":1,"present":2}')
    assert len(commands.whitelist) == 3


async def test_whitelist_list(app, commands):
    """Info hashes ascend, page by page."""
    hashes = [f"{number:02x}" * 20 for number in (9, 1, 5)]
    commands.whitelist.update(bytes.fromhex(each) for each in hashes)
    first = await get(app, "/whitelist?limit=2")
    assert first == {"whitelist": ["01" * 20, "05" * 20], "labels": {}, "next": "05" * 20}
    assert await get(app, f"/whitelist?limit=2&after={first['next']}") == {
        "whitelist": ["09" * 20],
        "labels": {},
        "next": None,
    }
