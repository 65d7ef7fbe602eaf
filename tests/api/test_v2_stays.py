"""Stays in version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import STAY, FakePast
from tracker.ports import BusyError, InvalidNetworkError, InvalidPartError, Moment, StaysQuery

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TARGET = "/api/v2/stays"


async def test_stays(app: QuartTrio, past: FakePast) -> None:
    """The endpoint asks the past for what the query names."""
    answer = await ask(app, "GET", TARGET, x_reason="ticket 7")
    assert (answer.status, answer.content_type) == (200, JSON)
    assert json.loads(answer.body) == {
        "stays": [STAY | {"owner": None, "label": None}], "next": 7, "upto": 100, "unread": ["2027-01-15"],
    }  # fmt: skip
    query = (
        f"from=3&to=1970-01-01T00:00:09Z&after=7&limit=2&info_hash={'0A' * 20}&network=192.0.2.0/24"
    )
    more = "&address=::ffff:192.0.2.1&peer_id=-qB&client=qB&user_agent=qBit&key_ref=1&account=2&listener=0"
    assert (await ask(app, "GET", f"{TARGET}?{query}{more}", x_reason="why")).status == 200
    assert past.stays_queries == [
        (StaysQuery((Moment(), Moment())), 100),
        (
            StaysQuery(
                (Moment(seq=3), Moment(time_us=9_000_000)), 7, b"\x0a" * 20,
                b"\xc0\x00\x02\x01", "192.0.2.0/24", b"-qB", "qB", "qBit", 1, 2, 0,
            ),
            2,
        ),
    ]  # fmt: skip
    past.failure = BusyError("there is no index of stays")
    assert problem(await ask(app, "GET", TARGET))["status"] == 503
    past.failure = InvalidPartError("to: it is before `from`")
    refused = problem(await ask(app, "GET", f"{TARGET}?from=3&to=2027-01-01T00:00:00Z"))
    assert (refused["status"], refused["detail"]) == (400, "to: it is before `from`")
    past.failure = InvalidNetworkError("the index has others")
    refused = problem(await ask(app, "GET", f"{TARGET}?network=::/1", x_reason="why"))
    assert (refused["status"], refused["detail"]) == (400, "network: the index has others")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("peer_id=123456789", "peer_id: expected at most 8"),
        ("peer_id=", "peer_id: expected a text that is not empty"),
        ("client=", "client: expected a text that is not empty"),
        ("user_agent=", "user_agent: expected a text that is not empty"),
        ("listener=256", "listener: expected a whole number"),
        ("address=nobody", "address: expected an IPv4 or IPv6 address"),
        ("address=fe80::1%25eth0", "address: expected an IPv4 or IPv6 address"),
        ("from=2027-01-02T00:00:00Z&to=2027-01-01T00:00:00Z", "to: it is before `from`"),
    ],
)
async def test_what_is_refused(app: QuartTrio, query: str, detail: str) -> None:
    refused = problem(await ask(app, "GET", f"{TARGET}?{query}"))
    assert refused["status"] == 400
    assert refused["detail"].startswith(detail)
