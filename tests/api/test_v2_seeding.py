"""Version 2 serves who seeded what in an hour."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.asking import ask, problem

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from tests.api.fakes import FakePast


async def test_pages(app: QuartTrio, past: FakePast) -> None:
    """A page has seconds; its `next` leads to the next one."""
    target = "/api/v2/seeding?hour=2026-11-30T14&limit=1"
    page = json.loads((await ask(app, "GET", target)).body)
    row = {
        "account": 7, "owner": "anna", "info_hash": "00" * 20, "label": None, "seconds": 5, "seeders": 2, "size": None, "age_seconds": 60,
    }  # fmt: skip
    assert page == {"seeding": [row], "next": f"7:{'00' * 20}"}
    page = json.loads((await ask(app, "GET", f"{target}&after={page['next']}")).body)
    assert page == {"seeding": [{**row, "account": 8, "owner": None}], "next": None}
    hour = 1_796_047_200_000_000
    assert past.seeding_asked == [(hour, (0, b""), 2), (hour, (7, bytes(20)), 2)]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "hour: expected an hour in UTC, such as 2026-11-30T14"),
        ("hour=2026-11-31T14", "hour: expected an hour"),
        ("hour=2026-11-30T14:30", "hour: expected an hour"),
        ("hour=2026-11-30T14&after=7", "after: expected the `next` of the page before"),
    ],
)
async def test_what_is_refused(app: QuartTrio, query: str, detail: str) -> None:
    refused = problem(await ask(app, "GET", f"/api/v2/seeding?{query}"))
    assert refused["status"] == 400
    assert detail in refused["detail"]
