"""Swarms, states and differences in version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import DIFF, NOW_US, OUTAGE, SUMMARY, SWARM, FakePast
from tracker.ports import BusyError, Moment, PrunedMomentError

if TYPE_CHECKING:
    from quart_trio import QuartTrio

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)
TIME = "2023-03-28T12:25:00.058085Z"
PEERS = f"torrents/{HASH}/peers"
ASKED: list[tuple[str, dict[str, Any], tuple[object, ...]]] = [
    (f"{PEERS}?at=7&after=8&limit=2", SWARM, (Moment(seq=7), RAW, 8, 2)),
    ("state", SUMMARY, (None,)),
    (f"state?at={TIME}", SUMMARY, (Moment(time_us=NOW_US),)),
    ("diff?from=3", DIFF, (Moment(seq=3), None, None, 0, 100)),
    (
        f"diff?from=3&to={TIME}&info_hash={HASH}&after=2&limit=1", DIFF,
        (Moment(seq=3), Moment(time_us=NOW_US), RAW, 2, 1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "told", "asked"), ASKED, ids=[each[0] for each in ASKED])
async def test_questions(
    app: QuartTrio, past: FakePast, target: str, told: Any, asked: object
) -> None:
    """Each parameter arrives. Addresses are shown to who says why, and to nobody else."""
    shown = json.loads((await ask(app, "GET", f"/api/v2/{target}", x_reason="ticket 7")).body)
    assert (shown, past.states) == (told, [asked])
    hidden = await ask(app, "GET", f"/api/v2/{target}")
    assert hidden.status == 200
    assert "192.0.2.9" not in hidden.body
    assert ("bb" * 8 in hidden.body) == (told is not SUMMARY)
    for failure, status in ((BusyError("ask again"), 503), (PrunedMomentError(77), 410)):
        past.failure = failure
        assert problem(await ask(app, "GET", f"/api/v2/{target}"))["status"] == status


async def test_a_moment_in_an_outage(app: QuartTrio, past: FakePast) -> None:
    """Both reads at a moment say that it lies in an outage."""
    past.outage = OUTAGE
    for target in (PEERS, "state"):
        answer = await ask(app, "GET", f"/api/v2/{target}?at={TIME}")
        assert json.loads(answer.body)["outage"] == OUTAGE.shown()


async def test_a_difference_needs_a_beginning(app: QuartTrio) -> None:
    assert problem(await ask(app, "GET", "/api/v2/diff?to=3"))["detail"].startswith("from: ")


async def test_who_is_in_a_swarm_now(app: QuartTrio, past: FakePast) -> None:
    """The live state answers, and no process has to replay."""
    said = await ask(app, "GET", f"/api/v2/{PEERS}?after=3&limit=2", x_reason="ticket 7")
    assert json.loads(said.body) == {**SWARM, "asked": [HASH, 3, 2]}
    assert not past.states
    hidden = await ask(app, "GET", f"/api/v2/{PEERS}")
    assert "192.0.2.9" not in hidden.body
    assert "bb" * 8 in hidden.body
