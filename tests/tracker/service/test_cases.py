"""Commands about cases append what staff says, and refuse what makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import Rig
from tracker import ports
from tracker.domain.detecting import cases
from tracker.domain.detecting.intervals import GRADES
from tracker.ports import Actor, CaseClosing, InvalidCaseError, UnknownAccountError
from tracker.service.commands import ServiceCommands
from tracker.service.commands.crediting import END_US

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WHY = Actor("ops", "127.0.0.1", "r", "looked into it")
SILENT = Actor("ops", "127.0.0.1", "r")
NAME = 1, "impossible_rate"


def commands() -> tuple[Rig, ServiceCommands]:
    rig = Rig()
    rig.issue(1)
    return rig, ServiceCommands(rig.service, rig.log, bytes(32))


async def test_events() -> None:
    """A reason is needed for a closing alone."""
    rig, asked = commands()
    await asked.take_case(*NAME, SILENT)
    await asked.wait_for_member(*NAME, SILENT)
    await asked.note_case(*NAME, "asked her", SILENT)
    seq = await asked.close_case(*NAME, CaseClosing("harmless", 3, END_US - 1), WHY)
    told = rig.events()[1:]
    assert [one["type"].removeprefix("case_") for one in told] == [
        "taken", "waiting", "noted", "closed",
    ]  # fmt: skip
    assert {(one["account"], one["detector"], one["by"]["token"]) for one in told} == {
        (*NAME, "ops")
    }
    closed = told[-1]
    assert (closed["seq"], closed["outcome"], closed["upto"], closed["until_us"]) == (
        seq, "harmless", 3, END_US - 1,
    )  # fmt: skip
    assert closed["by"]["reason"] == "looked into it"


REFUSED: list[tuple[Callable[[Any], Awaitable[int]], str]] = [
    (lambda to: to.close_case(*NAME, CaseClosing("harmless", 3), SILENT), "reason"),
    (lambda to: to.close_case(*NAME, CaseClosing("open", 3), WHY), "outcome"),
    (lambda to: to.close_case(*NAME, CaseClosing("confirmed", 3, 7), WHY), "harmless"),
    (lambda to: to.close_case(*NAME, CaseClosing("harmless", 3, END_US), WHY), "9999"),
    (lambda to: to.close_case(*NAME, CaseClosing("harmless", 3, 0), WHY), "past"),
    (lambda to: to.note_case(*NAME, "", SILENT), "empty"),
]


@pytest.mark.parametrize(("do", "why"), REFUSED, ids=[why for _, why in REFUSED])
async def test_refused(do: Callable[[Any], Awaitable[int]], why: str) -> None:
    rig, asked = commands()
    with pytest.raises(InvalidCaseError, match=why):
        await do(asked)
    with pytest.raises(UnknownAccountError):
        await asked.take_case(2, "impossible_rate", WHY)
    assert len(rig.events()) == 1


def test_words_are_the_same_on_both_sides_of_the_ports() -> None:
    assert (ports.CASE_STATES, ports.CASE_OUTCOMES) == (cases.STATES, cases.OUTCOMES)
    assert GRADES[1:] == ports.CASE_GRADES
