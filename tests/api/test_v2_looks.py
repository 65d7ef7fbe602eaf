"""Addresses are shown to who has the right to them and says why, and each look is an event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from api.v2 import looks
from tests.api.asking import ask, problem, rejected
from tests.api.fakes import NOW_US, REPLY, STAY, FakeCommands, FakeLog, FakeModel, FakePast
from tracker.ports import LogUnavailableError, Peer

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from tests.api.asking import Answer

HASH = "ab" * 20
PLACES = ("192.0.2.1", "192.0.2.9", "192.0.2.0/24", "198.51.100.7")
ANNOUNCED = {
    "seq": 0, "time": "2027-01-15T08:00:00.000000Z", "type": "announced",
    "address": "198.51.100.7", "pseudonym": "ee" * 8,
}  # fmt: skip
ISSUED = {"seq": 1, "type": "key_issued", "by": {"token": "ops", "address": "203.0.113.1"}}
LOOKS = {
    "/api/v2/announces/7/explain": 1,
    "/api/v2/accounts/1/received": 2,
    "/api/v2/stays": 1,
    "/api/v2/stays?account=1": 1,
    "/api/v2/events": 1,
    "/api/v2/events?type=announced&type=key_issued": 1,
    f"/api/v2/swarms/{HASH}": 1,
    "/api/v2/accounts/1/peers": None,
    "/api/v2/accounts/1/peers?at=7": None,
}
"""How many addresses each shows; None = the event cannot tell."""
SEARCHES = {
    "handed?address=192.0.2.9": ("handed?address=cccccccccccccccc", 2),
    "stays?address=192.0.2.9&limit=3": ("stays?address=cccccccccccccccc&limit=3", 1),
    "stays?network=192.0.2.0/24": ("stays?network=cccccccccccccccc", 1),
}


@pytest.fixture(autouse=True)
def site(live: FakeModel, past: FakePast, log: FakeLog) -> None:
    peer = Peer(bytes(20), None, "198.51.100.7:1", NOW_US // 1000, 1, 2, 3, "None")
    live.add(bytes.fromhex(HASH), peer)
    live.commands.accounts[1] = object()  # type: ignore[assignment]  # only asked for
    log.events, past.model = [ANNOUNCED, ISSUED], live


def shown(answer: Answer) -> bool:
    return any(place in answer.body for place in PLACES)


@pytest.mark.parametrize("target", LOOKS)
async def test_who_sees_addresses(app: QuartTrio, commands: FakeCommands, target: str) -> None:
    """With the right and a reason. The answer is then never kept by a cache."""
    for token, reason in (("MyAccessToken", ""), ("moderator", ""), ("moderator", "why")):
        answer = await ask(app, "GET", target, token=f"token={token}", x_reason=reason)
        assert answer.status == 200
        assert not shown(answer)
        assert '"pseudonym":"' in answer.body
        assert answer.headers.get("cache-control") != looks.NEVER_CACHED
    assert commands.looks == []
    answer = await ask(app, "GET", target, x_reason="ticket 7")
    assert shown(answer)
    assert answer.headers["cache-control"] == looks.NEVER_CACHED
    assert commands.looks == [(target, LOOKS[target])]
    assert [(by.token, by.reason) for by in commands.actors] == [("admin", "ticket 7")]


@pytest.mark.parametrize("target", SEARCHES)
async def test_searches(app: QuartTrio, commands: FakeCommands, target: str) -> None:
    """A search for an address needs both; its event has a pseudonym in place of the address."""
    whole = f"/api/v2/{target}"
    refused = problem(await ask(app, "GET", whole, token="token=moderator", x_reason="why"))
    assert (refused["status"], refused["detail"]) == (403, "this access token has no right to addresses")  # fmt: skip
    refused = problem(await ask(app, "GET", whole))
    assert (refused["status"], refused["detail"][:18]) == (400, "X-Reason: missing;")
    assert commands.looks == []
    answer = await ask(app, "GET", whole, x_reason="ticket 7")
    assert answer.status == 200
    assert shown(answer)
    asked, count = SEARCHES[target]
    assert commands.looks == [(f"/api/v2/{asked}", count)]


async def test_nothing_is_shown_without_its_event(app: QuartTrio, commands: FakeCommands) -> None:
    commands.failure = LogUnavailableError()
    for target in (*LOOKS, *(f"/api/v2/{each}" for each in SEARCHES), "/api/v2/events/stream"):
        answer = await ask(app, "GET", target, x_reason="ticket 7")
        assert problem(answer)["status"] == 503
        assert not shown(answer)


async def test_nothing_to_show_is_no_look(
    app: QuartTrio, commands: FakeCommands, log: FakeLog
) -> None:
    """Addresses of administrators are no peers'; without the right they are hidden as well."""
    log.events = [ISSUED]
    answer = await ask(app, "GET", "/api/v2/events", x_reason="ticket 7")
    assert json.loads(answer.body)["events"] == [ISSUED]
    assert commands.looks == []
    answer = await ask(app, "GET", "/api/v2/events", token="token=moderator")
    assert json.loads(answer.body)["events"][0]["by"] == {"token": "ops", "address": None}


async def test_older_versions(app: QuartTrio, commands: FakeCommands) -> None:
    """A token without the right is refused a swarm with its peers. For others it is no event."""
    for version in ("/api/v1", "/api"):
        target = f"{version}/torrent/{HASH}"
        assert shown(await ask(app, "GET", target))
        answer = await ask(app, "GET", target, token="token=moderator")
        assert tuple(answer) == rejected("unauthorized")
        listed = await ask(app, "GET", f"{version}/torrents", token="token=moderator")
        assert listed.status == 200
    assert commands.looks == []


def test_hiding_changes_nothing_else() -> None:
    """But addresses and networks."""
    assert looks.hidden([REPLY, STAY, 1, "x", None], right=False) == [
        REPLY | {"address": None, "peers": [one | {"address": None} for one in REPLY["peers"]]},
        STAY | {"network": None},
        1, "x", None,
    ]  # fmt: skip
