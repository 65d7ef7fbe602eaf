"""Tests the screen Torrent over a fake API: peers, balance, curve, moments, and its forms."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from api.console.helpers import following, sorting, torrent_curve, with_query
from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import EVENTS, HASH, HOSTILE, LATER, SANCTION, STAY, WHEN

GIB = 1 << 30
LONG_AGO = "2020-01-15T08:00:00.000000Z"
TORRENT = {
    "info_hash": HASH, "label": HOSTILE, "size": 4 * GIB, "size_at_least": False, "seeders": 1,
    "leechers": 1, "completed": 2, "whitelisted": True, "uploader": HOSTILE, "added": WHEN,
    "site_id": 7, "tags": [HOSTILE],
}  # fmt: skip
AT = f"/api/v2/torrents/{HASH}"


def peer(account: int | None, seq: int, left: int, **more: Any) -> dict[str, Any]:
    return {
        "account": account, "owner": HOSTILE, "peer_id": b"-qB4630-aaaaaaaaaaaa".hex(),
        "client": "<i>", "uploaded": seq * GIB, "downloaded": 0, "left": left, "last_seq": seq,
        "role": "leecher" if left else "seeder", "last_time": WHEN, "last_announce": WHEN,
        "due": LATER, "overdue_seconds": 0, "upload_rate": 5, "download_rate": None, "address": None, "pseudonym": "aa",
        **more,
    }  # fmt: skip


def answers(**more: Any) -> dict[str, Any]:
    day = {"date": "2027-01-15", "uploaded": 9 * GIB, "downloaded": 4 * GIB, "most_seeders": 3,
           "most_leechers": 2, "completed": 1}  # fmt: skip
    gone = {"account": 9, "owner": None, "downloaded": GIB, "last_seen": LONG_AGO}
    return {
        AT: TORRENT,
        f"/api/v2/swarms/{HASH}": {"peers": [peer(8, 6, GIB), peer(7, 5, 0)], "next": None},
        f"{AT}/peers": {"peers": [peer(7, 5, 0), peer(8, 6, GIB)], "next": None, "seeders": 1,
                        "leechers": 1},
        f"{AT}/series": {"days": [day], "next": None},
        f"{AT}/accounts": {"accounts": [gone, gone | {"last_seen": LATER}], "next": None},
        "/api/v2/settings": {"settings": {"interval": 1800}},
        f"/api/v2/blacklist/{HASH}": SANCTION,
        "/api/v2/stays": {"stays": [STAY, STAY | {"account": None, "left": None}], "next": None},
        **more,
    }  # fmt: skip


async def data(path: str = f"/torrents/{HASH}", **more: Any) -> dict[str, Any]:
    browser = Browser(FakeApi(answers(**more)))
    await browser.sign_in()
    where, _, query = path.partition("?")
    assert "<script>alert" not in await browser.text(path)
    found: dict[str, Any] = json.loads(await browser.text(f"{where}.json?{query}"))
    return found


async def test_peers_as_staff_reads_them() -> None:
    """Seeders first, with percent and locations; a peer without a rate has a dash."""
    shown = await data()
    seeder, leecher = shown["peers"]
    assert (seeder["percent"], leecher["percent"]) == ("100 %", "75 %")
    assert (seeder["upload_rate"], seeder["download_rate"]) == (5, None)
    assert (seeder["places"], seeder["where"]) == (1, "aa")
    assert (seeder["overdue"], leecher["overdue"]) == (False, False)
    assert seeder["stays"] == f"/stays?account=7&info_hash={HASH}"
    assert seeder["ledger"] == f"/members/7/ledger?info_hash={HASH}"
    assert not shown["last_seeder"]


async def test_the_balance_names_silent_leechers() -> None:
    """One went with 3 of 4 GiB left; another one announced not long ago."""
    shown = await data()
    assert [(one["account"], one["left"]) for one in shown["silent"]] == [(9, 3 * GIB)]
    assert shown["balance"] == {
        "up": 9 * GIB, "down": 4 * GIB, "unexplained": 5 * GIB, "silent": 1, "silent_left": 3 * GIB,
    }  # fmt: skip


async def test_the_first_screen_does_not_wait_for_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come as a fragment, or by a link without scripts; that page waits for them."""
    real = FakeApi.get

    slow = [True]

    async def late(self: FakeApi, path: str, *given: Any, **names: Any) -> Any:
        if "/swarms/" in path and slow:
            slow.pop()
            await trio.sleep_forever()
        return await real(self, path, *given, **names)

    monkeypatch.setattr(FakeApi, "get", late)
    browser = Browser(FakeApi(answers()))
    await browser.sign_in()
    first = await browser.text(f"/torrents/{HASH}")
    assert f'hx-get="/torrents/{HASH}/peers"' in first
    assert "qBittorrent" not in first
    assert "qBittorrent" in await browser.text(f"/torrents/{HASH}/peers")


@pytest.mark.parametrize("part", ["", "/peers", "/time", "/handed"])
async def test_a_torrent_by_its_label(part: str) -> None:
    """A name keeps its capitals; what is asked then goes by the info hash that it has."""
    torrent = answers()[f"/api/v2/torrents/{HASH}"]
    browser = Browser(FakeApi(answers() | {"/api/v2/torrents/label%3ADebian%20%C3%89": torrent}))
    await browser.sign_in()
    text = await browser.text(f"/torrents/label:Debian%20%C3%89{part}")
    assert f'href="/torrents/{HASH}/snatches"' in text


async def test_a_moment_and_another_one() -> None:
    """The window lies around the moment and within the log; the diff goes forward."""
    joined = {"type": "peer_joined", **peer(7, 5, 0)}
    ends = {"events": [EVENTS["events"][0], {"seq": 8, "time": "2027-01-16T08:00:00.000000Z"}],
            "end": 9, "next": None}  # fmt: skip
    more = {"/api/v2/events": ends, "/api/v2/diff": {"changes": [joined, {"type": "count"}]}}
    api = FakeApi(answers(**more))
    browser = Browser(api)
    await browser.sign_in()
    path = f"/torrents/{HASH}/time?at=1800003600&span=hour&with=2027-01-15+08:10"
    page = await browser.text(path)
    assert "<script>alert" not in page
    assert "peer joined" in page
    assert 'value="1800003600"' in page
    asked = {
        urlsplit(target).path: parse_qs(urlsplit(target).query) for _, target, _, _ in api.asked
    }
    assert asked["/api/v2/stays"]["from"] == ["2027-01-15T08:30:00.000000Z"]
    assert asked["/api/v2/stays"]["to"] == ["2027-01-15T09:30:00.000000Z"]
    assert asked[f"{AT}/peers"]["at"] == [LATER]
    assert asked["/api/v2/diff"]["from"] == ["2027-01-15T08:10:00.000000Z"]
    assert asked["/api/v2/diff"]["to"] == [LATER]
    answer = await browser.get(f"/torrents/{HASH}/time?at=someday")
    assert answer.status_code == 422


async def test_snatches_and_replies() -> None:
    row = {"account": 7, "owner": HOSTILE, "client": {"peer_id_prefix": "-qB4630-", "user_agent": ""},
           "completed_at": WHEN, "last_seen": WHEN, "uploaded": 1, "downloaded": 2,
           "seeding_seconds": 3}  # fmt: skip
    shown = await data(
        f"/torrents/{HASH}/snatches", **{f"{AT}/accounts": {"accounts": [row], "next": 7}}
    )
    assert shown["snatches"][0]["client"] == "qBittorrent 4.6.3"
    reply = {"time": WHEN, "seq": 5, "account": 7, "owner": HOSTILE, "info_hash": HASH,
             "peers": [{"address": None, "pseudonym": "aa", "port": 5, "peer_id": "ff" * 20, "seq": 4}]}  # fmt: skip
    replies = {"replies": [reply, reply | {"info_hash": "00" * 20}], "next": None, "unread": []}
    received = await data(
        f"/torrents/{HASH}/handed?account=7", **{"/api/v2/accounts/7/received": replies}
    )
    assert [(one["peer"], one["by"]) for one in received["handed"]] == [("aa", 4)]
    left_out = await data(f"/torrents/{HASH}/handed?account=7&wait=0")
    assert (left_out["handed"], left_out["handed_late"]) == ([], True)
    api = FakeApi(answers(**{"/api/v2/handed": {**replies, "next": 9}}))
    browser = Browser(api)
    await browser.sign_in()
    await browser.text(f"/torrents/{HASH}/handed?address=192.0.2.1&reason=ticket+7")
    form = {"address": "192.0.2.1", "reason": "ticket 7"}
    answer = await browser.ask("POST", f"/torrents/{HASH}/handed", form)
    assert 'name="after" value="9"' in await answer.get_data(as_text=True)
    looks = [one for one in api.asked if one[1].startswith("/api/v2/handed")]
    assert looks == [("GET", "/api/v2/handed?limit=100&address=192.0.2.1", "ticket 7", "")]


@pytest.mark.parametrize(
    ("path", "method", "target", "body"),
    [
        ("whitelist", "PUT", f"/api/v2/whitelist/{HASH}", None),
        ("whitelist/end", "DELETE", f"/api/v2/whitelist/{HASH}", None),
        ("blacklist", "PUT", f"/api/v2/blacklist/{HASH}", {"public": True}),
        ("blacklist/end", "DELETE", f"/api/v2/blacklist/{HASH}", None),
        ("voids", "POST", "/api/v2/hit-and-run/voids", {"info_hash": HASH}),
    ],
)
async def test_a_change(path: str, method: str, target: str, body: Any) -> None:
    api = FakeApi({target: {"seq": 70}})
    browser = Browser(api)
    await browser.sign_in()
    form = {"reason": "ticket 7", "public": "1", "back": f"/torrents/{HASH}"}
    answer = await browser.ask("POST", f"/torrents/{HASH}/{path}", form)
    assert answer.status_code == 303
    assert api.asked[-1][:3] == (method, target, "ticket 7")
    assert api.sent == [body]


def test_a_curve_goes_on_over_days_without_change() -> None:
    days = [{"date": "2026-12-01", "most_seeders": 4, "most_leechers": 1},
            {"date": "2027-01-10", "most_seeders": 2, "most_leechers": 0}]  # fmt: skip
    drawn = torrent_curve(days, "2027-01-15T08:00:00Z", 30)
    assert drawn.count("<polyline") == 2
    assert "seeders: at most 4; leechers: at most 1" in drawn


def test_links_keep_the_other_parameters() -> None:
    here = "/x?state=violated&sort=a&after=3"
    assert following(here, 9) == "/x?state=violated&sort=a&after=9"
    assert following(here, None) is None
    assert with_query(here, sort=None, after=None, state=None) == "/x"
    assert sorting(here, "a", "a", "A", "number")["href"] == "/x?state=violated&sort=-a"
    assert sorting(here, "-a", "a", "A", "number")["sorted"] == "descending"
