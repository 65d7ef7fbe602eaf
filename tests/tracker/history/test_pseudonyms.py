"""Wherever pseudonyms are shown, they are equal for equal addresses of a day and nothing else."""

from __future__ import annotations

from array import array
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import eventlog.log
from eventlog import Reader
from tests.support import START_US
from tests.tracker.upkeep.book.site import MEMBERS, Site
from tracker.domain.events import DAY_US
from tracker.history.event_scan import Filter
from tracker.history.past_worker import PastWorker
from tracker.ports import EventFilter, HandedPage, HandedQuery, LogPart, Moment, StaysQuery
from tracker.service.read_model import Projection
from tracker.store.address_keys import day_of
from tracker.store.moments import ForwardReplay
from tracker.times import parse
from tracker.workers.question_pipe import Question

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Names = dict[tuple[int, str], set[str]]
"""The pseudonyms that were shown of an address on a day."""


def test_equal_addresses_of_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In events, stays, replies, explanations and lists of peers. Once the day is shredded none is
    made: what has one is the index that was written before.
    """
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    site = Site(tmp_path / "log")
    first = START_US // DAY_US
    for day in range(6):
        site.keys.prepare(first + day)
    for _ in range(2):
        site.go_on(25, days=1)
        site.follow()
    found = everything(site)
    names = [name for each in found.values() for name in each]
    assert {day for day, _ in found} >= {first, first + 1}
    assert all(len(each) == 1 for each in found.values())
    assert len(set(names)) == len(names)
    site.keys.destroy(first)
    rmtree(site.log / "stays")
    site.follow()
    assert {day for day, _ in everything(site)} == {day for day, _ in found} - {first}


def everything(site: Site) -> Names:
    """Returns all pseudonyms that are shown, none of them twice for one address and day."""
    names: Names = {}
    announces = events_of(site)
    for event in announces:
        note(names, day_of(time_of(event)), event)
    worker = PastWorker(site.log, site.keys.secrets)
    stays = worker.answer(Question("stays", (StaysQuery((Moment(), Moment())), 10**6)))
    addresses = {event["seq"]: event["address"] for event in announces}
    for stay in stays.stays:  # type: ignore[union-attr]  # no failure
        seq = stay["seq"]
        if seq in addresses:
            day = day_of(time_of(next(each for each in announces if each["seq"] == seq)))
            note(names, day, {"address": addresses[seq], "pseudonym": stay["pseudonym"]})
    for event in announces[:: max(1, len(announces) // 20)]:
        shown = worker.answer(Question("explain", (event["seq"],)))
        walk(names, day_of(time_of(event)), shown)
    for account in range(1, MEMBERS + 1):
        page = worker.answer(Question("handed", (HandedQuery(LogPart(), account=account), 10**6)))
        assert isinstance(page, HandedPage)
        for reply in page.replies:
            walk(names, day_of(time_of(reply)), reply)
    state = ForwardReplay(site.log, lambda _done, _total: None, site.keys).at(None)
    model = Projection(state, {}, keys=site.keys)
    for account in range(1, MEMBERS + 1):
        for one in filter(None, model.present(account)):
            address = one.peer.address.rpartition(":")[0]
            day = day_of(one.peer.updated_ms * 1000)
            note(names, day, {"address": address, "pseudonym": one.pseudonym})
    return names


def events_of(site: Site) -> list[dict[str, Any]]:
    wanted = EventFilter(types=frozenset({"announced"}))
    only = Filter(wanted, array("I"), site.keys)
    return [
        event
        for frame in Reader(site.log, keys=site.keys).frames()
        for _, event in only.events(frame, None, None)
        if event is not None
    ]


def time_of(shown: dict[str, Any]) -> int:
    return parse(shown.get("log_time", shown["time"])) or 0


def walk(names: Names, day: int, value: Any) -> None:
    """Notes all pseudonyms in JSON values."""
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list)):
            walk(names, day, each)
    if isinstance(value, dict) and "address" in value:
        note(names, day, value)


def note(names: Names, day: int, shown: dict[str, Any]) -> None:
    if shown["pseudonym"] is not None:
        names.setdefault((day, shown["address"]), set()).add(shown["pseudonym"])
