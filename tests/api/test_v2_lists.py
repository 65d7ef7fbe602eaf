"""Tests the lists of version 2: their parameters, their pages, and names in place of numbers."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import attrs
import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import NOW_US, TOTALS
from tracker.ports import Account, ListCursor, ListQuery, NewKey, TorrentFacts

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)
TIME = "2023-03-28T12:25:00.058085Z"
MOST, LEAST = 2**66, -(2**66)


async def get(app, target):
    answer = await ask(app, "GET", f"/api/v2{target}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


ASKED = [
    ("/accounts", ListQuery(limit=100)),
    (
        "/accounts?sort=-ratio&min_ratio=0.5&max_ratio=1&search=An&owner=anna&after=1500:7&limit=9",
        ListQuery(
            bounds=(("ratio_permille", 500, MOST), ("ratio_permille", LEAST, 1000)),
            equal=(("owner", "anna"),), search="An", sort="ratio_permille", descending=True,
            after=ListCursor(1500, 7), limit=9,
        ),
    ),
    (
        f"/accounts?sort=owner&after=a:b:7&max_last_seen={TIME}&min_seeding_seconds=3",
        ListQuery(
            bounds=(("seeding_us", 3_000_000, MOST), ("last_us", LEAST, NOW_US)), sort="owner",
            empty="", after=ListCursor("a:b", 7), limit=100,
        ),
    ),
    ("/keys?account=7&state=valid&sort=label&after=:0", ListQuery(
        equal=(("state", "valid"), ("account", 7)), sort="label", empty="", after=ListCursor("", 0),
        limit=100,
    )),
    (
        f"/torrents?sort=-added&after={NOW_US}:{HASH}&label=x&uploader=y&site_id=3&whitelisted=true",
        ListQuery(
            equal=(("label", "x"), ("uploader", "y"), ("site_id", 3), ("whitelisted", True)),
            sort="added_us", descending=True, after=ListCursor(NOW_US, RAW), limit=100,
        ),
    ),
    (
        f"/swarms?max_seeders=0&min_leechers=1&after={HASH.upper()}",
        ListQuery(
            bounds=(("seeders", LEAST, 0), ("leechers", 1, MOST)), after=ListCursor(0, RAW),
            limit=100,
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "query"), ASKED)
async def test_questions(app, live, target, query):
    """Each parameter reaches the state."""
    live.queries.clear()
    await get(app, target)
    assert live.queries == [query]


@pytest.mark.parametrize("sort", ["account", "-account", "owner", "-owner", "uploaded", "-ratio"])
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages(app, commands, sort, limit):
    """The pages of every order have each row once."""
    amounts = attrs.asdict(TOTALS)
    for number, owner in enumerate(["anna", None, "a:1", "ä", "anna"], 1):
        commands.accounts[number] = Account(
            number,
            owner=owner,
            **{**amounts, "uploaded": number % 2, "credited_downloaded": number},
        )
    found, after = [], ""
    while after is not None:
        query = {"sort": sort, "limit": limit} | ({"after": after} if after != "" else {})
        page = await get(app, f"/accounts?{urlencode(query)}")
        assert len(page["accounts"]) <= limit
        found += [one["account"] for one in page["accounts"]]
        after = page["next"]
    wanted = {
        "account": [1, 2, 3, 4, 5], "-account": [5, 4, 3, 2, 1], "owner": [2, 3, 1, 5, 4],
        "-owner": [4, 5, 1, 3, 2], "uploaded": [2, 4, 1, 3, 5], "-ratio": [1, 2, 3, 4, 5],
    }  # fmt: skip
    assert found == wanted[sort]


async def test_torrents(app, live, commands):
    """`torrents` has what is known, `swarms` what has peers; a search looks at hash and label."""
    commands.facts[bytes(20)] = TorrentFacts(label="Debian 13", size=7)
    live.add(RAW)
    listed = await get(app, "/torrents")
    assert [one["label"] for one in listed["torrents"]] == ["Debian 13", None]
    assert [one["info_hash"] for one in (await get(app, "/swarms"))["swarms"]] == [HASH]
    for text in ("dEBIAN", "00000"):
        (one,) = (await get(app, f"/torrents?search={text}"))["torrents"]
        assert one == listed["torrents"][0]


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("/accounts?sort=size", "sort: expected one of account, owner, ratio,"),
        ("/accounts?min_ratio=x", "min_ratio: expected a number such as 0.5"),
        ("/accounts?min_ratio=0.1234", "min_ratio: expected a number such as 0.5"),
        ("/accounts?min_owner=a", "min_owner: unknown parameter"),
        ("/accounts?sort=owner&after=7", "after: expected the `next`"),
        ("/accounts?sort=uploaded&after=7", "after: expected the `next`"),
        ("/keys?state=gone", "state: expected one of valid, expired, revoked"),
        ("/torrents?whitelisted=yes", "whitelisted: expected true or false"),
        ("/torrents?after=7", "after: expected the `next`"),
        ("/swarms?peers=1", "peers: unknown parameter"),
    ],
)
async def test_refused(app, target, detail):
    """Each refusal says what was wrong, and what is expected."""
    document = problem(await ask(app, "GET", f"/api/v2{target}"))
    assert (document["status"], document["detail"][: len(detail)]) == (400, detail)


async def test_an_owner_stands_for_an_account(app, commands, log):
    """In paths and queries, also one with a slash."""
    commands.accounts[7] = Account(7, *[0] * 7, None, None, owner="anna")
    assert (await get(app, "/accounts/owner:anna"))["account"] == 7
    commands.add(NewKey("A" * 32, owner="anna"))
    assert (await get(app, "/keys?account=owner:anna"))["keys"] == []
    await get(app, "/cases?account=owner:a%2Fb&state=open")
    assert log.ledgers[-1][0].account == 9
