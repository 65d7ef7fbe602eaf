"""Tests the ready lists of version 2: what they ask for, and what they show."""

from __future__ import annotations

import json
import time

import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import NOW_US
from tracker.ports import ListCursor, ListQuery, NewKey, RefusedTimes, TorrentFacts

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
TIME = "2023-03-28T12:25:00.058085Z"
MOST, LEAST = 2**66, -(2**66)
DAY_US = 86_400_000_000


async def get(app, target):
    answer = await ask(app, "GET", f"/api/v2/lists/{target}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("no-seeder", ListQuery(
            bounds=(("seeders", LEAST, 0), ("leechers", 1, MOST)), sort="leechers",
            descending=True, limit=100,
        )),
        ("one-seeder?sort=size&max_seeders=7&limit=3", ListQuery(
            bounds=(("seeders", 1, MOST), ("seeders", LEAST, 1)), sort="size", limit=3,
        )),
        ("few-seeders?seeders=5&min_leechers=1", ListQuery(
            bounds=(("seeders", LEAST, 4), ("leechers", 1, MOST)), sort="seeders", limit=100,
        )),
        ("few-seeders", ListQuery(bounds=(("seeders", LEAST, 2),), sort="seeders", limit=100)),
    ],
)  # fmt: skip
async def test_of_the_state(app, live, target, query):
    """A list fills parameters in; those of the request narrow it down, and order it."""
    live.queries.clear()
    await get(app, target)
    assert live.queries == [query]


@pytest.mark.parametrize(
    ("target", "bound", "sort", "descending"),
    [
        ("unseeded", ("last_us", 0, MOST), "last_us", True),
        ("dead?days=7", ("unseeded_us", LEAST, -7 * DAY_US), "unseeded_us", False),
        ("dead", ("unseeded_us", LEAST, -30 * DAY_US), "unseeded_us", False),
        ("seeded-late?hours=3", ("waited_us", 3 * 3_600_000_000, MOST), "added_us", True),
    ],
)
async def test_of_the_book(app, live, log, commands, target, bound, sort, descending):
    """They come from the book, with names and counts of now. Days count back from now."""
    commands.facts[bytes(20)] = TorrentFacts(label="Debian 13")
    live.add(bytes(20))
    before = time.time_ns() // 1000
    body = await get(app, f"{target}{'&' if '?' in target else '?'}after={NOW_US}:{HASH}")
    assert body == {
        "torrents": [{
            "info_hash": "00" * 20, "label": "Debian 13", "added": TIME, "first_seeded": None,
            "last_seeded": None, "unseeded_since": TIME, "waited_seconds": 86_400, "account": 7,
            "owner": "anna", "seeders": 1, "leechers": 0, "completed": 0,
        }],
        "next": f"{NOW_US}:{'00' * 20}", "since": 5, "seq": 99,
    }  # fmt: skip
    ((_, query),) = log.ledgers
    (found,) = query.bounds
    if bound[2] < 0:
        after = time.time_ns() // 1000
        assert before <= found[2] - bound[2] <= after
        found = bound
    assert found == bound
    assert (query.sort, query.descending) == (sort, descending)
    assert query.after == ListCursor(NOW_US, bytes.fromhex(HASH))


async def test_unregistered(app, commands, log):
    """Refusals of torrents are counted by torrent and member, but for keys that nobody has."""
    commands.add(NewKey("A" * 32, owner="anna"))
    commands.add(NewKey("B" * 32))
    torrent, other = bytes.fromhex(HASH), bytes(20)
    log.refusals = {
        (torrent, 1): RefusedTimes(2, NOW_US), (other, 2): RefusedTimes(1, NOW_US),
        (torrent, 2): RefusedTimes(1, NOW_US), (torrent, 9): RefusedTimes(4, NOW_US),
    }  # fmt: skip
    body = await get(app, "unregistered?days=2")
    assert body == {
        "torrents": [
            {"info_hash": HASH, "label": None, "times": 3, "members": [
                {"account": 1, "owner": None, "times": 2, "last": TIME},
                {"account": 2, "owner": None, "times": 1, "last": TIME},
            ]},
            {"info_hash": "00" * 20, "label": None, "times": 1, "members": [
                {"account": 2, "owner": None, "times": 1, "last": TIME},
            ]},
        ],
        "next": None, "end": 0,
    }  # fmt: skip
    part, reason = log.asked[0]
    assert reason == "not_whitelisted"
    assert time.time_ns() // 1000 - part.from_us - 2 * DAY_US < 60_000_000


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("dead?days=x", "days: expected a whole number"),
        ("dead?hours=3", "hours: unknown parameter; known here: sort, after, limit, days, at"),
        ("unseeded?sort=seeders", "sort: expected one of info_hash, added,"),
        ("unregistered?days=-1", "days: expected a whole number"),
        ("unregistered?limit=3", "limit: unknown parameter"),
    ],
)
async def test_refused(app, target, detail):
    document = problem(await ask(app, "GET", f"/api/v2/lists/{target}"))
    assert (document["status"], document["detail"][: len(detail)]) == (400, detail)
