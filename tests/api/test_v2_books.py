"""Tests the book in version 2 over a fake log: the calls, and the form of the answers."""

from __future__ import annotations

import pytest

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import NOW_US
from tracker.ports import (
    BookQuery,
    BusyError,
    ListCursor,
    Moment,
    NoMomentError,
    PrunedMomentError,
)

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)
TIME = "2023-03-28T12:25:00.058085Z"
MINE, OTHERS = "/accounts/1/torrents", f"/torrents/{HASH}/accounts"
MOST, LEAST = 2**66, -(2**66)

ASKED = [
    (MINE, (1, None, BookQuery(limit=100))),
    (f"{MINE}?sort=info_hash&after=0:-", (1, None, BookQuery(after=ListCursor(0, None), limit=100))),
    (
        f"{MINE}?sort=-seeding_seconds&after=5000001:{HASH}&limit=7&at=9",
        (1, Moment(seq=9), BookQuery(
            sort="seeding_us", descending=True, after=ListCursor(5_000_001, RAW), limit=7,
        )),
    ),
    (f"{MINE}?info_hash={HASH.upper()}", (1, None, BookQuery(info_hash=RAW, limit=100))),
    (
        f"{MINE}?min_seeding_seconds=3&max_seeding_seconds=4&max_snatched=0&min_last_seen={TIME}",
        (1, None, BookQuery(
            bounds=(
                ("snatched", LEAST, 0), ("seeding_us", 3_000_000, MOST),
                ("seeding_us", LEAST, 4_999_999), ("last_us", NOW_US, MOST),
            ),
            limit=100,
        )),
    ),
    (OTHERS, (RAW, None, BookQuery(limit=100))),
    (
        f"{OTHERS}?sort=-account&after=0:17&account=3&max_completed_at={TIME}",
        (RAW, None, BookQuery(
            descending=True, after=ListCursor(0, 17), account=3,
            bounds=(("completed_us", LEAST, NOW_US),), limit=100,
        )),
    ),
    (
        f"{OTHERS}?sort=credited_downloaded&after=-12:17",
        (RAW, None, BookQuery(
            sort="credited_downloaded", after=ListCursor(-12, 17), limit=100,
        )),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "asked"), ASKED)
async def test_questions(app, live, log, target, asked):
    """Each parameter reaches the book, and each failure has a status of its own."""
    live.commands.accounts[1] = object()
    answer = await ask(app, "GET", f"/api/v2{target}")
    assert (answer.status, answer.content_type) == (200, JSON)
    assert log.ledgers == [asked]
    for failure, status in (
        (BusyError("ask again"), 503),
        (NoMomentError("not there"), 404),
        (PrunedMomentError(77), 410),
    ):
        log.failure = failure
        document = problem(await ask(app, "GET", f"/api/v2{target}"))
        assert (document["status"], document["detail"]) == (status, str(failure))
        assert document.get("first_seq") == (77 if status == 410 else None)


ROW = (
    '"uploaded":1,"downloaded":2,"credited_uploaded":3,"credited_downloaded":-4,"snatched":6,"sessions":9,'
    '"announces":10,"seeding_seconds":5,"partial_seeding_seconds":8,"corrections":0,'
    f'"first_seen":"{TIME}","last_seen":"{TIME}","completed_at":'
)
NAMED = f'{ROW}"{TIME}","client":{{"client":2,"peer_id_prefix":null,"user_agent":null}}'
BODIES = [
    (
        MINE,
        (
            f'{{"torrents":[{{"info_hash":null,"label":null,{ROW}null,"client":null}},'
            f'{{"info_hash":"{"00" * 20}","label":null,{NAMED}}}],"next":"-","since":0,"seq":99}}'
        ),
    ),
    (
        OTHERS,
        f'{{"accounts":[{{"account":7,"owner":"anna",{NAMED}}}],"next":7,"since":40,"seq":99}}',
    ),
]


@pytest.mark.parametrize(("target", "body"), BODIES)
async def test_bodies(app, live, target, body):
    """A row has each member in its place."""
    live.commands.accounts[1] = object()
    assert (await ask(app, "GET", f"/api/v2{target}")).body == body


@pytest.mark.parametrize(
    ("target", "status", "detail"),
    [
        ("/accounts/2/torrents", 404, "no such account"),
        ("/accounts/0/torrents", 404, "account: expected a number"),
        ("/torrents/12/accounts", 400, "info_hash: expected 40 hexadecimal digits"),
        (f"{MINE}?sort=ratio", 400, "sort: expected one of info_hash, uploaded,"),
        (f"{MINE}?sort=", 400, "sort: expected one of"),
        (f"{MINE}?sort=--uploaded", 400, "sort: expected one of"),
        (f"{MINE}?sort=account", 400, "sort: expected one of"),
        (f"{OTHERS}?sort=info_hash", 400, "sort: expected one of account,"),
        (f"{MINE}?sort=uploaded&sort=downloaded", 400, "sort: given more than once"),
        (
            f"{MINE}?sort=uploaded&after={HASH}",
            400,
            "after: expected the `next` of the page before",
        ),
        (f"{MINE}?after=5:17", 400, "after: expected"),
        (f"{MINE}?after=x:{HASH}", 400, "after: expected"),
        (f"{MINE}?after={'9' * 22}:{HASH}", 400, "after: expected"),
        (f"{OTHERS}?after=5:{HASH}", 400, "after: expected"),
        (f"{OTHERS}?after=5:-", 400, "after: expected"),
        (f"{OTHERS}?after=0:{2**32}", 400, "after: expected"),
        (f"{OTHERS}?after=", 400, "after: expected"),
        (f"{MINE}?limit=0", 400, "limit: expected"),
        (f"{MINE}?limit=1001", 400, "limit: expected"),
        (f"{MINE}?min_uploaded=-1", 400, "min_uploaded: expected a whole number"),
        (f"{MINE}?max_uploaded={2**64}", 400, "max_uploaded: expected a whole number"),
        (f"{MINE}?min_seeding_seconds=1h", 400, "min_seeding_seconds: expected a whole number"),
        (f"{MINE}?min_last_seen=yesterday", 400, "min_last_seen: expected a time such as"),
        (f"{MINE}?max_completed_at=7", 400, "max_completed_at: expected a time such as"),
        (f"{MINE}?uploaded=7", 400, "uploaded: unknown parameter; known here: sort, after"),
        (f"{MINE}?account=7", 400, "account: unknown parameter"),
        (f"{MINE}?info_hash=12", 400, "info_hash: expected 40"),
        (f"{OTHERS}?account=-7", 400, "account: expected a whole number"),
        (f"{MINE}?at=yesterday", 400, "at: expected one seq, or a time"),
    ],
)
async def test_refused(app, live, target, status, detail):
    """Each refusal says what was wrong, and what is expected."""
    live.commands.accounts[1] = object()
    document = problem(await ask(app, "GET", f"/api/v2{target}"))
    assert document["status"] == status
    assert document["detail"].startswith(detail) or detail in document["detail"]
