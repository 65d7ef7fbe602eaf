"""Tests credit factors, accounts and corrections in version 2."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import JSON, ask
from tracker.ports import Account, Correction, InvalidCorrectionError, InvalidFactorError

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
FACTORS = "/api/v2/factors"
CORRECTIONS = "/api/v2/accounts/7/corrections"
BIG = 2**64 - 1

NOW = "2023-03-28T12:25:00.058085Z"
FREELEECH = {
    "factor": 1,
    "seq": 101,
    "account": None,
    "owner": None,
    "group": None,
    "info_hash": HASH,
    "upload_percent": None,
    "download_percent": 0,
    "from": NOW,
    "until": "2027-01-31T23:00:00.000000Z",
    "label": "freeleech",
}


@pytest.fixture
def member(commands):
    """Creates account 7, which was credited with more than it moved."""
    commands.accounts[7] = Account(
        7, 10, 20, 30, BIG, 5_900_000, 2, 1, 1_680_006_300_058_085, None, owner="anna"
    )


async def send(app, method, path, body=None, **headers):
    """Sends a request. Returns status and document."""
    data = b"" if body is None else json.dumps(body).encode()
    answer = await ask(app, method, path, body=data, content_type=JSON, **headers)
    return answer.status, json.loads(answer.body) if answer.body else None


async def test_a_factor(app):
    """A factor is set, shown, listed and ended."""
    terms = {
        "info_hash": HASH.upper(),
        "download_percent": 0,
        "until": "2027-02-01T00:00:00+01:00",
        "label": "freeleech",
    }
    answer = await ask(app, "POST", FACTORS, body=json.dumps(terms).encode(), content_type=JSON)
    assert (answer.status, answer.headers["location"]) == (201, f"{FACTORS}/1")
    assert json.loads(answer.body) == FREELEECH
    assert await send(app, "GET", f"{FACTORS}/1") == (200, FREELEECH)
    assert await send(app, "GET", FACTORS) == (200, {"factors": [FREELEECH], "next": None})
    assert await send(app, "DELETE", f"{FACTORS}/1") == (204, None)
    assert (await send(app, "GET", f"{FACTORS}/1"))[0] == 404
    assert (await send(app, "DELETE", f"{FACTORS}/1"))[0] == 404


async def test_every_term(app):
    """A factor may be for one account, for uploads, and from a later time."""
    terms = {"account": 7, "upload_percent": 10_000, "from": "2027-01-31T23:00:00Z"}
    status, shown = await send(app, "POST", FACTORS, terms)
    assert status == 201
    expected = {"account": 7, "upload_percent": 10_000, "from": "2027-01-31T23:00:00.000000Z"}
    assert {name: shown[name] for name in expected} == expected
    assert (shown["info_hash"], shown["until"], shown["label"]) == (None, None, "")


TOKEN = {
    "token": 1, "seq": 201, "account": 7, "owner": None, "info_hash": HASH, "until": None, "max_bytes": 700,
    "until_completed": True, "label": "", "state": "unused", "freed": 0, "given": NOW, "first_used": None, "over": None,
}  # fmt: skip


async def test_a_freeleech_token(app):
    """A token is given, shown, listed by what it is for, and withdrawn."""
    terms = {"account": 7, "info_hash": HASH, "max_bytes": 700, "until_completed": True}
    path = "/api/v2/freeleech"
    status, given = await send(app, "POST", path, terms)
    assert (status, {**given, "label": ""}) == (201, {**TOKEN, **given, "label": ""})
    assert {
        name: given[name] for name in TOKEN if name not in ("label", "owner")
    }.items() <= TOKEN.items()
    for query, count in (
        ("?account=7", 1),
        ("?account=8", 0),
        (f"?info_hash={HASH}", 1),
        ("?state=used_up", 0),
    ):
        _, listed = await send(app, "GET", path + query)
        assert len(listed["freeleech"]) == count
    assert await send(app, "DELETE", f"{path}/1") == (204, None)
    assert (await send(app, "GET", f"{path}/1"))[1]["state"] == "withdrawn"
    assert [(await send(app, way, f"{path}/2"))[0] for way in ("GET", "DELETE")] == [404, 404]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"info_hash": HASH}, "account: missing"),
        ({"account": 7}, "info_hash: missing"),
        ({"account": 7, "info_hash": "x"}, "info_hash: "),
        ({"account": 7, "info_hash": HASH, "until_completed": 1}, "until_completed: "),
        ({"account": 7, "info_hash": HASH, "max_bytes": -1}, "max_bytes: "),
        ({"account": 7, "info_hash": HASH, "bytes": 1}, "bytes: unknown"),
    ],
)
async def test_bad_freeleech_tokens(app, body, detail):
    """A member that cannot be used is named."""
    status, problem = await send(app, "POST", "/api/v2/freeleech", body)
    assert status == 422
    assert problem["detail"].startswith(detail)


@pytest.mark.usefixtures("member")
async def test_groups(app):
    """An account is put into a group, and a factor is for a group."""
    path = "/api/v2/accounts/7/group"
    assert (await send(app, "PUT", path, {"group": "vip"}))[1]["group"] == "vip"
    assert (await send(app, "PUT", path, {"group": None}))[1]["group"] is None
    assert (await send(app, "PUT", path, {}))[0] == 422
    assert (await send(app, "PUT", "/api/v2/accounts/8/group", {"group": "vip"}))[0] == 404
    _, factor = await send(app, "POST", FACTORS, {"group": "vip", "download_percent": 0})
    assert (factor["group"], factor["account"]) == ("vip", None)


async def test_pages(app):
    """Factors come by number, `limit` of them at a time."""
    for _ in range(3):
        await send(app, "POST", FACTORS, {"upload_percent": 200})
    _, first = await send(app, "GET", f"{FACTORS}?limit=2")
    assert ([one["factor"] for one in first["factors"]], first["next"]) == ([1, 2], 2)
    _, second = await send(app, "GET", f"{FACTORS}?limit=2&after=2")
    assert ([one["factor"] for one in second["factors"]], second["next"]) == ([3], None)


BAD = [
    (FACTORS, {"upload_percent": -1}, "upload_percent: expected a whole number, at most 10000"),
    (FACTORS, {"upload_percent": 1.5}, "upload_percent: expected a whole number, at most 10000"),
    (FACTORS, {"upload_percent": True}, "upload_percent: expected a whole number, at most 10000"),
    (FACTORS, {"download_percent": 10_001}, "download_percent: expected"),
    (FACTORS, {"info_hash": "xx"}, "info_hash: expected 40 hexadecimal digits"),
    (FACTORS, {"info_hash": ""}, "info_hash: expected 40 hexadecimal digits"),
    (FACTORS, {"from": "soon"}, "from: expected a time"),
    (FACTORS, {"until": 5}, "until: expected a time"),
    (FACTORS, {"label": "x" * 101}, "label: expected 1 to 100 printable characters"),
    (FACTORS, {"percent": 1}, "percent: unknown member"),
    (CORRECTIONS, {"uploaded": 1}, "corrects: missing"),
    (CORRECTIONS, {"uploaded": "1", "corrects": 1}, "uploaded: expected a whole number"),
    (CORRECTIONS, {"downloaded": -(2**64), "corrects": 1}, "downloaded: expected a whole number"),
    (CORRECTIONS, {"corrects": -1}, "corrects: expected a whole number"),
]  # fmt: skip


@pytest.mark.usefixtures("member")
@pytest.mark.parametrize(("path", "body", "detail"), BAD)
async def test_bad_bodies(app, commands, path, body, detail):
    """A bad body gives 422 with the member at fault, and reaches no command."""
    status, problem = await send(app, "POST", path, body)
    assert status == 422
    assert problem["detail"].startswith(detail)
    assert commands.actors == []


@pytest.mark.usefixtures("member")
async def test_an_account(app):
    """Raw and credited totals stand side by side. A time without an event is null."""
    assert await send(app, "GET", "/api/v2/accounts/7") == (
        200,
        {
            "account": 7,
            "owner": "anna",
            "group": None,
            "ratio": 0.0,
            "uploaded": 10,
            "downloaded": 20,
            "credited_uploaded": 30,
            "credited_downloaded": BIG,
            "seeding_seconds": 5,
            "partial_seeding_seconds": 0,
            "sessions": 2,
            "snatched": 1,
            "first_seen": NOW,
            "last_seen": None,
            "merged_into": None,
            "merged_at": None,
        },
    )
    assert (await send(app, "GET", "/api/v2/accounts/8"))[0] == 404
    assert (await send(app, "GET", "/api/v2/accounts/anna"))[0] == 404


@pytest.mark.usefixtures("member")
async def test_a_correction(app, commands):
    """Amounts are signed; an absent one is 0. The answer has the totals, the event the reason."""
    body = {"uploaded": -30, "corrects": 55}
    status, shown = await send(app, "POST", CORRECTIONS, body, x_reason="counted twice")
    assert (status, shown["seq"]) == (201, 1001)
    assert (shown["account"]["uploaded"], shown["account"]["credited_uploaded"]) == (10, 0)
    assert commands.corrections == [Correction(7, -30, 0, 55)]
    assert commands.actors[0].reason == "counted twice"
    missing = await send(app, "POST", "/api/v2/accounts/8/corrections", body)
    assert missing[0] == 404


@pytest.mark.usefixtures("member")
async def test_what_a_correction_may_correct(app, commands, log):
    """An event that credits nobody is refused by its type."""
    log.events = [{"seq": 0, "type": "tick"}, {"seq": 1, "type": "announced"}]
    body = {"uploaded": 1, "corrects": 0}
    status, problem = await send(app, "POST", CORRECTIONS, body, x_reason="why")
    expected = "corrects: event 0 is tick; expected an announce, a correction or a factor"
    assert (status, problem["detail"]) == (422, expected)
    assert not commands.corrections
    body["corrects"] = 1
    assert (await send(app, "POST", CORRECTIONS, body, x_reason="why"))[0] == 201


@pytest.mark.usefixtures("member")
@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        (FACTORS, {"upload_percent": 1}, InvalidFactorError("why not")),
        (CORRECTIONS, {"uploaded": 1, "corrects": 1}, InvalidCorrectionError("why not")),
    ],
)
async def test_refused(app, commands, path, body, error):
    """A refused command gives 422 with the tracker's reason."""
    commands.failure = error
    status, problem = await send(app, "POST", path, body)
    assert (status, problem["detail"]) == (422, "why not")
