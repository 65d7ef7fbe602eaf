"""Tests the pages Log and Event over a fake API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from api.console import asking, kinds
from api.console.api import ProblemError
from tests.api.console.fakes import Browser, FakeApi
from tracker.times import parse, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH = "b6256c5f8e8f5c7c0f0b50a43d52ae7c5662dea5"
HOSTILE = "<script>alert(1)</script>"
BEGIN_US = parse("2026-11-30T10:00:00Z") or 0


def event(seq: int, **more: Any) -> dict[str, Any]:
    by = {"token": "anna", "reason": HOSTILE}
    said = {"seq": seq, "time": rfc3339(BEGIN_US + seq * 1_000_000), "type": "key_revoked"}
    return {**said, "key_ref": seq, "by": by, **more}


def announce(seq: int, **more: Any) -> dict[str, Any]:
    said = {"info_hash": HASH, "peer_id": "2d7142343633302d" + "30" * 12, "event": "none",
            "uploaded": 0, "downloaded": 5 << 30, "left": None, "label": HOSTILE}  # fmt: skip
    return event(seq, type="announced", owner="anna", **said, **more)


def test_an_announce_in_words() -> None:
    said = f"anna, {HOSTILE}, goes on, up 0 B, down 5.00 GiB, left –, qBittorrent 4.6.3"
    assert kinds.in_words(announce(7)) == said


@define
class FakeLog(FakeApi):
    """Answers questions about events from a log of `size[0]` events, as the API does."""

    size: list[int] = field(factory=list)

    def _answer(
        self, method: str, path: str, query: Mapping[str, Any] | None, names: Mapping[str, object]
    ) -> Any:
        if path != "/api/v2/events":
            return super()._answer(method, path, query, names)
        given = query or {}
        first = max(self._place(given.get("from", 0)), int(given.get("after") or -1) + 1)
        last = self._place(given.get("to", self.size[0] - 1))
        wanted = range(first, min(last, self.size[0] - 1) + 1)
        if "last" in given:
            before = given.get("before")
            wanted = range(self.size[0] if before is None else before)
            tail = wanted[-int(given["last"]) :]
            previous = tail[0] if tail and tail[0] else None
            return {"events": list(map(event, tail)), "previous": previous, "end": self.size[0]}
        part = list(wanted)[: int(given["limit"])]
        following = part[-1] if part and part[-1] != wanted[-1] else None
        return {"events": list(map(event, part)), "next": following, "end": self.size[0]}

    def _place(self, text: object) -> int:
        """Returns the first event of a place: events are a second apart."""
        time_us = parse(str(text))
        return int(str(text)) if time_us is None else max(0, (time_us - BEGIN_US) // 1_000_000)


def shown(text: str) -> list[int]:
    """Returns the numbers of the events in a page, in its order."""
    return [int(seq) for seq in re.findall(r'<li id="e(\d+)"', text)]


def tail_after(text: str) -> int:
    """Returns the event after which the tail of a page asks on."""
    found = re.search(r'id="tail".*?after=(\d+)', text, re.DOTALL)
    assert found
    return int(found[1])


async def test_the_newest_come_first() -> None:
    browser = Browser(FakeLog(size=[250]))
    await browser.sign_in()
    text = await browser.text("/log")
    assert shown(text) == list(range(249, 149, -1))
    assert HOSTILE not in text
    earlier = await browser.text("/log?before=150")
    assert shown(earlier) == list(range(149, 49, -1))
    assert shown(await browser.text("/log?before=50")) == list(range(49, -1, -1))


async def test_pages_from_a_place_tile_the_log() -> None:
    browser = Browser(FakeLog(size=[250]))
    await browser.sign_in()
    text, found = await browser.text("/log?from=0"), []
    while True:
        found += shown(text)
        later = re.search(r'rel="next" href="([^"]*)"', text)
        if later is None:
            break
        text = await browser.text(later[1].replace("&amp;", "&"))
    assert found == list(range(250))


async def test_the_tail_has_no_gap_and_no_double() -> None:
    """Polls, a pause and going on hand over every event once, whatever comes meanwhile."""
    log = FakeLog(size=[10])
    browser = Browser(log)
    await browser.sign_in()
    text = await browser.text("/log")
    seen = shown(text)
    for count, more in ((10, ""), (300, ""), (300, ""), (301, "&pause=1"), (350, ""), (350, "")):
        log.size[0] = count
        part = await browser.text(f"/log?poll=1&after={tail_after(text)}{more}", hx_request="true")
        assert ("hx-trigger" in part) == (more == "")
        seen = shown(part) + seen
        text = part
    assert seen == list(range(349, -1, -1))


async def test_the_tail_goes_on_after_a_sign_in() -> None:
    """The address that a poll without session leads back to is a page that goes on from there."""
    browser = Browser(FakeLog(size=[250]))
    await browser.sign_in()
    text = await browser.text("/log?poll=1&after=240")
    assert shown(text) == [*range(249, 240, -1)]
    assert tail_after(text) == 249
    assert "every 2s" in text
    assert 'href="/log?before=241"' in text


@pytest.mark.parametrize("query", ["from=never", "before=x", f"before={'9' * 30}"])
async def test_no_place_in_the_log(query: str) -> None:
    browser = Browser(FakeLog(size=[5]))
    await browser.sign_in()
    assert (await browser.get(f"/log?{query}")).status_code == 422


async def test_filters_stay_in_links_and_command() -> None:
    browser = Browser(FakeLog(size=[250]))
    await browser.sign_in()
    text = await browser.text(f"/log?type=key_revoked&type=a%22b&info_hash={HASH}")
    assert "type=key_revoked&amp;type=a%22b&amp;info_hash=" + HASH in text
    assert (
        f"tracker events --type key_revoked --type &#39;a&#34;b&#39; --info-hash {HASH} --last 100 --follow"
        in text
    )


async def test_kinds_lead_to_their_events() -> None:
    """The counts of all pages add up."""
    begin, until = "2026-11-30T09:59:00.000000Z", "2026-11-30T10:05:00.000000Z"

    class Counting(FakeApi):
        async def get(self, path: str, query: Any = None, **names: object) -> Any:
            if path != "/api/v2/events/counts":
                return await super().get(path, query, **names)
            assert (query["from"], query["to"][:20]) == (begin, "2026-11-30T10:04:59.")
            assert query["step"] == 30
            more = query.get("after") is None
            types = {"announced": 200, "tick": 1} if more else {"announced": 49}
            counts = [{"from": begin, "until": until, "types": types}]
            return {"counts": counts, "next": 7 if more else None, "end": 9}

    browser = Browser(Counting())
    await browser.sign_in()
    text = await browser.text("/log/kinds?from=2026-11-30T09:59:00Z&until=2026-11-30T10:05:00Z")
    assert "250 events" in text
    assert (
        f"tracker events --count --from {begin} --to 2026-11-30T10:04:59.999999Z --step 30" in text
    )
    assert 'href="/log?type=announced&amp;from=2026-11-30T' in text
    assert 'href="/log?from=2026-11-30T' in text
    assert (await browser.get("/log/kinds?from=5m+ago&until=10m+ago")).status_code == 400


EXPLAINED = {
    "settings_seq": 2,
    "peer": {"why": HOSTILE},
    "rules": [{"rule": "key", "answer": "passed", "settings": {"private": True}}],
    "before": {"swarm": {"seeders": 1}, "peer": None},
    "after": {"swarm": {"seeders": 2}, "peer": {"left": 5}},
    "numbers": {"uploaded": {"announced": 7, "base": 0}, "time": {"why": "It seeds."}},
    "reply": {"interval": 120},
    "peers": [{"seq": 3, "address": None, "pseudonym": HOSTILE, "port": 1, "peer_id": "00"}],
    "withheld": None,
}


async def test_an_announce_is_explained() -> None:
    announced = announce(7, prev_seq=3, user_agent=HOSTILE)
    fake = FakeApi(
        {
            "/api/v2/events": {"events": [announced], "next": None, "previous": None, "end": 9},
            "/api/v2/announces/7/explain": EXPLAINED,
        }
    )
    browser = Browser(fake)
    await browser.sign_in()
    text = await browser.text("/events/7")
    assert HOSTILE not in text
    for part in ('href="/events/3"', 'href="/events/6"', 'href="/events/8"', f"/torrents/{HASH}",
                 "It seeds.", "swarm seeders", "Show addresses", "still to download", ", peer id ",
                 "2 min (120 s)"):  # fmt: skip
        assert part in text
    fake.asked.clear()
    answer = await browser.ask("POST", "/events/7", {"reason": "ticket 7"})
    assert answer.status_code == 200
    looks = [asked[1].partition("?")[0] for asked in fake.asked if asked[2] == "ticket 7"]
    assert looks == ["/api/v2/events", "/api/v2/announces/7/explain"]
    assert (await browser.ask("POST", "/events/7", {"reason": " "})).status_code == 422


async def test_an_explanation_comes_late_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a moment comes by itself, or by a link; who cancels asks nothing."""
    monkeypatch.setattr(asking, "QUICK_SECONDS", 0.0)
    fake = FakeApi(
        {
            "/api/v2/events": {"events": [announce(7, prev_seq=None)], "next": None, "end": 8},
            "/api/v2/announces/7/explain": EXPLAINED,
        }
    )
    browser = Browser(fake)
    await browser.sign_in()
    text = await browser.text("/events/7")
    assert 'hx-get="/events/7?wait=1"' in text
    assert 'href="/events/7?wait=0"' in text
    assert "What it says" in text
    fake.asked.clear()
    text = await browser.text("/events/7?wait=0")
    assert "hx-get" not in text
    assert 'href="/events/7?wait=1"' in text
    assert not [one for one in fake.asked if "explain" in one[1]]
    for path in ("/events/7?wait=1", "/events/7.json"):
        assert "It seeds." in await browser.text(path)


async def test_an_explanation_that_takes_too_long_leaves_the_event() -> None:
    announced = announce(7, prev_seq=None)
    fake = FakeApi(
        {
            "/api/v2/events": {"events": [announced], "next": None, "previous": None, "end": 8},
            "/api/v2/announces/7/explain": ProblemError(503, "Busy", "ask again"),
        }
    )
    browser = Browser(fake)
    await browser.sign_in()
    text = await browser.text("/events/7")
    assert "explanation: ask again" in text
    assert "What it says" in text


@pytest.mark.parametrize("seq", ["9", "x", "1" * 40])
async def test_no_such_event(seq: str) -> None:
    browser = Browser(
        FakeApi({"/api/v2/events": {"events": [], "next": None, "previous": None, "end": 8}})
    )
    await browser.sign_in()
    assert (await browser.get(f"/events/{seq}")).status_code == 404
