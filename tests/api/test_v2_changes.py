"""Version 2 serves what changed since a position."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.asking import ask, problem
from tracker.ports import ChangesQuery

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from api.ports import Ports

LOG, OTHER = "ab" * 16, "cd" * 16


async def test_pages_and_positions(app: QuartTrio, ports: Ports) -> None:
    """A page leads to the next one, and the position of the answer to the next question."""
    accounts = "/api/v2/accounts?limit=1&changed_since="
    first = json.loads((await ask(app, "GET", f"{accounts}start")).body)
    assert [first["next"], first["position"]] == ["90.7", f"{LOG}:3:90"]
    assert [each["account"] for each in first["accounts"]] == [7]
    last = json.loads((await ask(app, "GET", f"{accounts}start&after=90.7")).body)
    assert last["next"] is None
    torrents = f"/api/v2/torrents?changed_since={last['position']}"
    found = json.loads((await ask(app, "GET", torrents)).body)
    assert found == {
        "torrents": [{"info_hash": "00" * 20, "seeders": 1, "completed": 2, "leechers": 3}],
        "next": None, "position": f"{LOG}:3:90",
    }  # fmt: skip
    assert ports.changes.asked == [  # type: ignore[attr-defined]  # the fake
        ChangesQuery(0, 1), ChangesQuery(0, 1, (90, 7)), ChangesQuery(90, 100)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("changed_since=", 400, "changed_since: expected the `position` of an answer, or `start`"),
        ("changed_since=90", 400, "changed_since: expected the `position`"),
        (f"changed_since={OTHER}:3:90", 409, "of another log; begin anew with changed_since=start"),
        (f"changed_since={LOG}:2:90", 409, "from before the tracker's last start; begin anew"),
        (f"changed_since={LOG}:3:1", 409, "too much changed since this position; begin anew"),
        ("changed_since=start&after=7", 400, "after: expected the `next` of the page before"),
        ("changed_since=start&at=7", 400, "at: unknown parameter"),
    ],
)
async def test_what_is_refused(app: QuartTrio, query: str, status: int, detail: str) -> None:
    refused = problem(await ask(app, "GET", f"/api/v2/accounts?{query}"))
    assert refused["status"] == status
    assert detail in refused["detail"]
