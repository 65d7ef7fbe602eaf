"""Tests `at=` in every version: moments that the log holds, and moments that it lacks."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
import trio.testing

from api.app import create_app
from api.auth import Tokens
from api.reads import CACHED
from tests.api.asking import JSON, PROBLEM, TEXT, ask, problem
from tests.api.conftest import TOKENS
from tests.api.fakes import COUNTERS, FakeCommands, FakeLog, FakePast
from tracker.ports import (
    LISTED_AT_ONCE,
    Account,
    BusyError,
    LogPart,
    Moment,
    NoMomentError,
    Outage,
    Peer,
    PrunedMomentError,
    UnreadableLogError,
)

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from api.ports import Ports

HASH = bytes(range(20))
TIME = 1_800_000_000_000_000
SHREDDED = Peer(b"-XX0001-".ljust(20, b"\0"), None, "", TIME // 1000, 1, 2, 3, "Started")


@pytest.fixture
def app(ports: Ports) -> QuartTrio:
    """Builds an application whose present is empty, with a token that may only read."""
    return create_app(ports, Tokens({**TOKENS, "watch": "Read"}, {"watch": "read"}))


MOMENTS = [
    ("0", Moment(seq=0)),
    ("0042", Moment(seq=42)),
    (str(2**63 - 1), Moment(seq=2**63 - 1)),
    ("2027-01-15T08:00:00Z", Moment(time_us=TIME)),
    ("2027-01-15T09:00:00.000001%2B01:00", Moment(time_us=TIME + 1)),
    ("2027-01-15T09:00:00+01:00", Moment(time_us=TIME)),  # as clients send it: unencoded
]


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
async def test_moments(app: QuartTrio, past: FakePast, text: str, moment: Moment) -> None:
    """All versions read a seq or a time. A client may cache the past, but not the present."""
    for path in ("/api/v1/stats", "/api/stats", "/api/v2/settings"):
        answer = await ask(app, "GET", f"{path}?at={text}", token="token=Read")
        assert (answer.status, answer.content_type) == (200, JSON)
        assert answer.headers["cache-control"] == CACHED
        assert "cache-control" not in (await ask(app, "GET", path)).headers
    assert past.moments == [moment] * 3


async def test_outage(app: QuartTrio, past: FakePast) -> None:
    """A reply about a moment in an outage says so in a header, whatever its status and form; in
    version 2 a reply has its ends and reason too.
    """
    past.outage = Outage("killed", None, TIME, TIME + 5, 3, 4)
    for path in ("/api/v1/stats", "/api/torrents", "/api/v2/keys", "/api/v2/keys/77"):
        answer = await ask(app, "GET", f"{path}?at=2027-01-15T08:00:00Z")
        shown = "2027-01-15T08:00:00.000000Z/2027-01-15T08:00:00.000005Z"
        assert answer.headers["x-outage"] == shown
        told = json.loads(answer.body)
        if path == "/api/v2/keys":
            assert list(told) == ["outage", "keys", "next"]
            assert told["outage"] == past.outage.shown()
        assert ("outage" in told) == (path == "/api/v2/keys")
        assert "x-outage" not in (await ask(app, "GET", path)).headers


@pytest.mark.parametrize(
    "text",
    ["", "now", "-1", "1.5", "%D9%A3", str(2**63), "2027-01-15", "2027-01-15 08:00", "1&at=1"],
)
async def test_invalid_moments(app: QuartTrio, past: FakePast, text: str) -> None:
    """An invalid moment gives status 400."""
    for path, media in (("/api/v1/stats", TEXT), ("/api/stats", TEXT), ("/api/v2/keys/1", PROBLEM)):
        answer = await ask(app, "GET", f"{path}?at={text}")
        assert (answer.status, answer.content_type) == (400, media)
    assert past.moments == []


FAILURES: list[tuple[Exception, int, int]] = [
    (NoMomentError("which holds events 0 to 9"), 404, 400),
    (PrunedMomentError(77), 410, 410),
    (BusyError("ask again"), 503, 503),
    (UnreadableLogError("seg/1.evl: damaged"), 500, 500),
]


@pytest.mark.parametrize(("failure", "status", "older"), FAILURES)
async def test_refusals(
    app: QuartTrio, past: FakePast, failure: Exception, status: int, older: int
) -> None:
    """Single values and lists refuse a moment outside the log alike, in each version's form."""
    past.failure = failure
    for path in ("/settings", "/keys", "/keys/1", "/whitelist", "/factors", "/accounts/1/peers"):
        answer = await ask(app, "GET", f"/api/v2{path}?at=1")
        assert (answer.status, answer.content_type) == (status, PROBLEM)
        document = json.loads(answer.body)
        assert document["detail"] == str(failure)
        assert document.get("first_seq") == (77 if older == 410 else None)
        assert answer.headers.get("retry-after") == ("5" if status == 503 else None)
        assert "cache-control" not in answer.headers
    for path in ("/api/v1/stats", "/api/torrents", f"/api/v1/torrent/{HASH.hex()}"):
        assert tuple(await ask(app, "GET", f"{path}?at=1")) == (older, TEXT, str(failure))


@pytest.mark.parametrize("path", ["events", "rejections/keys"])
async def test_the_log_itself(app: QuartTrio, past: FakePast, log: FakeLog, path: str) -> None:
    """Events are listed up to the moment, which the log has to hold; `to` beside it is refused."""
    answers = [
        await ask(app, "GET", f"/api/v2/{path}?at={text}") for text in ("7", "2027-01-15T08:00:00Z")
    ]
    assert [answer.status for answer in answers] == [200, 200]
    assert [part for part, _ in log.asked] == [LogPart(last=7), LogPart(to_us=TIME)]
    assert (await ask(app, "GET", f"/api/v2/{path}?at=7&to=8")).status == 400
    past.failure = PrunedMomentError(77)
    assert problem(await ask(app, "GET", f"/api/v2/{path}?at=7"))["first_seq"] == 77
    assert len(log.asked) == 2


@pytest.mark.parametrize("count", [0, 1, LISTED_AT_ONCE - 1, LISTED_AT_ONCE, 450])
async def test_listings(app: QuartTrio, past: FakePast, count: int) -> None:
    """Items that come in several lists make one array."""
    hashes = [number.to_bytes(20, "big") for number in range(count)]
    for info_hash in hashes:
        past.model.add(info_hash)
        past.model.commands.whitelist.add(info_hash)
    body = json.loads((await ask(app, "GET", "/api/v1/torrents?at=1")).body)
    assert [one["info_hash"] for one in body] == [each.hex() for each in hashes]
    body = json.loads((await ask(app, "GET", "/api/v2/whitelist?at=1&limit=300")).body)
    assert body["whitelist"] == [each.hex() for each in hashes[:300]]
    assert body["next"] == (hashes[299].hex() if count > 300 else None)
    assert json.loads((await ask(app, "GET", "/api/v1/torrents")).body) == []


async def test_a_shredded_address(app: QuartTrio, past: FakePast) -> None:
    """A shredded address is null in version 2, and an empty text in the older ones."""
    past.model.add(HASH, SHREDDED)
    past.model.commands.accounts[1] = Account(1, 0, 0, 0, 0, 0, 0, 0, None, None)
    target = f"torrent/{HASH.hex()}?at=1"
    (peer,) = json.loads((await ask(app, "GET", f"/api/v1/{target}")).body)["peers"]
    assert peer["peer_addr"] == ""
    ((_, peer),) = json.loads((await ask(app, "GET", f"/api/{target}")).body)["peers"]
    assert peer["ip"] == ""
    (peer,) = json.loads((await ask(app, "GET", "/api/v2/accounts/1/peers?at=1")).body)["peers"]
    assert peer["address"] is None


async def test_stats_of_the_process(app: QuartTrio) -> None:
    """The counters of the process have no past, in either format."""
    assert len(json.loads((await ask(app, "GET", "/api/v1/stats?at=1")).body)) == 16
    then = await ask(app, "GET", "/api/v1/stats?format=prometheus&at=1")
    now = await ask(app, "GET", "/api/v1/stats?format=prometheus")
    assert len(then.body.split("\n")) == len(attrs.fields(type(COUNTERS)))
    assert len(now.body.split("\n")) > len(then.body.split("\n"))


async def test_changes_have_no_moment(
    app: QuartTrio, past: FakePast, commands: FakeCommands
) -> None:
    """Version 2 refuses a moment on a change. The older versions ignore unknown parameters."""
    for method, path in (
        ("POST", "/keys?at=1"),
        ("PATCH", "/keys/1?at=1"),
        ("DELETE", "/keys/1?at=1"),
        ("PUT", f"/whitelist/{HASH.hex()}?at=1"),
        ("DELETE", "/factors/1?of=1"),
    ):
        assert (await ask(app, method, f"/api/v2{path}")).status == 400
    assert commands.actors == []
    assert (await ask(app, "POST", "/api/v1/key/60?at=1")).status == 200
    assert past.moments == []


async def test_the_stream_has_no_moment(app: QuartTrio) -> None:
    """The stream sends events to come, so it has no parameter `at`."""
    assert (await ask(app, "GET", "/api/v2/events/stream?at=1")).status == 400


async def test_a_token_that_only_reads_leaves_questions(
    app: QuartTrio, past: FakePast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many questions its holder asks at once, an administrator's gets through."""
    answered, allowed = FakePast.ask, trio.Event()

    async def slow(self: FakePast, moment: Moment, *arguments: Any, on_outage: Any) -> Any:
        if moment.seq:
            open_now.append(moment)
            await allowed.wait()
        return await answered(self, moment, *arguments, on_outage=on_outage)

    open_now: list[Moment] = []
    monkeypatch.setattr(FakePast, "ask", slow)
    async with trio.open_nursery() as nursery:
        for _ in range(16):
            asking = partial(ask, app, "GET", "/api/v1/stats?at=1", token="token=Read")
            nursery.start_soon(asking)
        await trio.testing.wait_all_tasks_blocked()
        assert len(open_now) == 12
        assert (await ask(app, "GET", "/api/v1/stats?at=0")).status == 200
        allowed.set()
    assert len(past.moments) == 17
