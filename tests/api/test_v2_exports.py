"""Notes of exports in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.v2.exports import TABLES
from tests.api.asking import ask, problem
from tracker.offline import exporting

if TYPE_CHECKING:
    from quart_trio import QuartTrio


async def test_unknown_table(app: QuartTrio) -> None:
    """A name that is no table of `tracker export` gets status 404 and the names that are."""
    assert tuple(exporting.TABLES) == TABLES
    refused = problem(await ask(app, "POST", "/api/v2/exports/banana", x_reason="ticket 7"))
    assert refused["status"] == 404
    assert refused["detail"].endswith(", ".join(TABLES))
