"""`at=` in every version: which moment is asked for, what of, and how a moment that cannot be had is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from api.reads import CACHED
from tests.api.asking import JSON, PROBLEM, TEXT, ask, problem
from tests.api.conftest import TOKENS
from tests.api.fakes import COUNTERS, FakeCommands, FakeGauges, FakeLog, FakeModel
from tracker.ports import (
    LISTED_AT_ONCE,
    Account,
    BusyError,
    LogPart,
    Moment,
    NoMomentError,
    Peer,
    PrunedMomentError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from quart_trio import QuartTrio

HASH = bytes(range(20))
TIME = 1_800_000_000_000_000
SHREDDED = Peer(b"-XX0001-".ljust(20, b"\0"), None, "", TIME // 1000, 1, 2, 3, "Started")


@attrs.define
class FakePast:
    """The same at every moment; remembers which were asked for, or fails."""

    model: FakeModel = attrs.field(factory=FakeModel)
    moments: list[Moment] = attrs.field(factory=list)
    failure: Exception | None = None

    async def ask(self, moment: Moment, method: Any, *arguments: Any) -> Any:
        self.moments.append(moment)
        if self.failure is not None:
            raise self.failure
        return getattr(self.model, method.__name__)(*arguments)

    async def each(
        self, moment: Moment, method: Any, *arguments: Any
    ) -> AsyncGenerator[list[Any], None]:
        found = await self.ask(moment, method, *arguments)
        items = [item for item in found if item is not None]
        for start in range(0, len(items) + 1, LISTED_AT_ONCE):
            yield items[start : start + LISTED_AT_ONCE]


@pytest.fixture
def past() -> FakePast:
    return FakePast()


@pytest.fixture
def app(past: FakePast, commands: FakeCommands, log: FakeLog) -> QuartTrio:
    """Over a present with nothing in it."""
    return create_app(
        Ports(FakeModel(commands=commands), commands, log, log, FakeGauges(), past),
        Tokens({**TOKENS, "watch": "Read"}, {"watch": "read"}),
    )


MOMENTS = [
    ("0", Moment(seq=0)),
    ("0042", Moment(seq=42)),
    (str(2**63 - 1), Moment(seq=2**63 - 1)),
    ("2027-01-15T08:00:00Z", Moment(time_us=TIME)),
    ("2027-01-15T09:00:00.000001%2B01:00", Moment(time_us=TIME + 1)),
    ("2027-01-15T09:00:00+01:00", Moment(time_us=TIME)),  # nobody encodes it
]


@pytest.mark.parametrize(("text", "moment"), MOMENTS)
async def test_moments(app: QuartTrio, past: FakePast, text: str, moment: Moment) -> None:
    """A seq or a time, in all versions; the answer may be kept for a moment by who asked, one of now may not."""
    for path in ("/api/v1/stats", "/api/stats", "/api/v2/settings"):
        answer = await ask(app, "GET", f"{path}?at={text}", token="token=Read")
        assert (answer.status, answer.content_type) == (200, JSON)
        assert answer.headers["cache-control"] == CACHED
        assert "cache-control" not in (await ask(app, "GET", path)).headers
    assert past.moments == [moment] * 3


@pytest.mark.parametrize(
    "text",
    ["", "now", "-1", "1.5", "%D9%A3", str(2**63), "2027-01-15", "2027-01-15 08:00", "1&at=1"],
)
async def test_what_is_no_moment(app: QuartTrio, past: FakePast, text: str) -> None:
    """Is status 400."""
    for path, media in (("/api/v1/stats", TEXT), ("/api/stats", TEXT), ("/api/v2/keys/1", PROBLEM)):
        answer = await ask(app, "GET", f"{path}?at={text}")
        assert (answer.status, answer.content_type) == (400, media)
    assert past.moments == []


FAILURES: list[tuple[Exception, int, int]] = [
    (NoMomentError("which holds events 0 to 9"), 404, 400),
    (PrunedMomentError(77), 410, 410),
    (BusyError("ask again"), 503, 503),
]


@pytest.mark.parametrize(("failure", "status", "older"), FAILURES)
async def test_refusals(
    app: QuartTrio, past: FakePast, failure: Exception, status: int, older: int
) -> None:
    """Single values and lists alike: a problem document, or a text."""
    past.failure = failure
    for path in ("/settings", "/keys", "/keys/1", "/whitelist", "/factors", "/accounts/1/torrents"):
        answer = await ask(app, "GET", f"/api/v2{path}?at=1")
        assert (answer.status, answer.content_type) == (status, PROBLEM)
        told = json.loads(answer.body)
        assert told["detail"] == str(failure)
        assert told.get("first_seq") == (77 if older == 410 else None)
        assert answer.headers.get("retry-after") == ("5" if status == 503 else None)
        assert "cache-control" not in answer.headers
    for path in ("/api/v1/stats", "/api/torrents", f"/api/v1/torrent/{HASH.hex()}"):
        assert tuple(await ask(app, "GET", f"{path}?at=1")) == (older, TEXT, str(failure))


@pytest.mark.parametrize("path", ["events", "rejections/keys"])
async def test_the_log_itself(app: QuartTrio, past: FakePast, log: FakeLog, path: str) -> None:
    """Up to the moment, which has to be one; not beside another end."""
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
    """However many lists they come in, they are one."""
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
    """Null, or where it is a text as ever an empty one."""
    past.model.add(HASH, SHREDDED)
    past.model.commands.accounts[1] = Account(1, 0, 0, 0, 0, 0, 0, 0, None, None)
    target = f"torrent/{HASH.hex()}?at=1"
    (peer,) = json.loads((await ask(app, "GET", f"/api/v1/{target}")).body)["peers"]
    assert peer["peer_addr"] == ""
    ((_, peer),) = json.loads((await ask(app, "GET", f"/api/{target}")).body)["peers"]
    assert peer["ip"] == ""
    (peer,) = json.loads((await ask(app, "GET", "/api/v2/accounts/1/torrents?at=1")).body)[
        "torrents"
    ]
    assert peer["address"] is None


async def test_stats_for_prometheus(app: QuartTrio) -> None:
    """What the process counts by itself has no past."""
    then = await ask(app, "GET", "/api/v1/stats?format=prometheus&at=1")
    now = await ask(app, "GET", "/api/v1/stats?format=prometheus")
    assert len(then.body.split("\n")) == len(attrs.fields(type(COUNTERS)))
    assert len(now.body.split("\n")) > len(then.body.split("\n"))


async def test_changes_are_of_now(app: QuartTrio, past: FakePast, commands: FakeCommands) -> None:
    """A moment says nothing to a change: version 2 refuses it, the older ones take notice of no parameter they do not know."""
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
    """It tells what comes; `at` is no parameter of it."""
    assert (await ask(app, "GET", "/api/v2/events/stream?at=1")).status == 400


async def test_without_a_past(commands: FakeCommands) -> None:
    """Is said so, and is no defect."""
    app = create_app(Ports(FakeModel(commands=commands), commands), Tokens(TOKENS))
    assert (await ask(app, "GET", "/api/v1/stats?at=1")).status == 400
