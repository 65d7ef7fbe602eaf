"""Counts of refusals are those of the events, and the index of frames changes neither."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from attrs import evolve

from eventlog import Reader, segments_of, write_missing
from tests.support import SECOND, Announce, Rig, StillLog, endpoint4, hash_of, own_keys
from tests.tracker.logged import write_log
from tracker.domain.events.admin import OldAnnounceRefused
from tracker.domain.events.records import AnnounceRefused
from tracker.domain.refusals import KEY_EXPIRED, NOT_WHITELISTED
from tracker.history import events as module
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ports import EventFilter, LogPart
from tracker.service.append import append_record
from tracker.store import frame_index, opening_balance
from tracker.store.replay import replay
from tracker.times import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

TYPES: tuple[frozenset[str], ...] = (
    frozenset(), frozenset({"announce_refused"}), frozenset({"announce", "tick"}),
    frozenset({"unknown"}),
)  # fmt: skip


def write_refusals(rig: Rig) -> Iterator[None]:
    """Refusals of three keys, torrents and reasons among announces and ticks."""
    for number in range(60):
        rig.time.advance(SECOND)
        rig.announce(Announce(hash_of(number % 4), endpoint4(number % 7), left=number % 2))
        for which in range(number % 5):
            name = number % 3 + 1, hash_of(number * which % 3)
            reason = NOT_WHITELISTED if (number + which) % 4 else KEY_EXPIRED
            now_us = rig.service.now_us()
            append_record(
                rig.service._log, rig.state, AnnounceRefused(now_us, name[0], -reason, name[1])
            )
            if number % 7 == 0:
                rig.service.append(OldAnnounceRefused(name[0], "not_whitelisted", name[1]))
        if number % 10 == 0:
            rig.service.tick()
            yield
    yield


async def read_all(log: LogEvents, part: LogPart, types: frozenset[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await log.read(part, EventFilter(types=types), 50)
        found += page.events
        if page.following is None:
            return [*found, {"end": page.end}]
        part = LogPart(first=page.following, last=part.last, from_us=part.from_us, to_us=part.to_us)


async def count(log: LogEvents, part: LogPart) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    while True:
        page = await log.refused(part, "not_whitelisted")
        for (name, key), told in page.times.items():
            times, _ = found.get((name.hex(), key), (0, 0))
            found[name.hex(), key] = [times + told.times, told.last_us]
        if page.following is None:
            return found
        part = evolve(part, first=page.following)


def counted(events: list[dict[str, Any]]) -> dict[tuple[str, int], list[int]]:
    own = [one for one in events if one.get("reason") == "not_whitelisted"]
    times = Counter((one["info_hash"], one["key_ref"]) for one in own)
    last = {(one["info_hash"], one["key_ref"]): parse(one["time"]) for one in own}
    return {name: [number, last[name] or 0] for name, number in times.items()}


async def test_counts_and_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "log"
    await trio.to_thread.run_sync(partial(write_log, folder, write_refusals, segment_bytes=2000))
    state, keys = replay(Reader(folder, to_end=True)), own_keys(folder)
    seq, time_us = state.seq, state.time_us
    parts = [
        LogPart(), LogPart(first=seq // 3, last=seq // 2), LogPart(from_us=time_us - 20 * SECOND),
        LogPart(to_us=time_us - 30 * SECOND), LogPart(first=seq - 5),
        LogPart(from_us=time_us - 40 * SECOND, to_us=time_us - 25 * SECOND),
    ]  # fmt: skip
    secrets = folder / "secrets"
    log = LogEvents(
        StillLog(folder, seq), state.access.account_of, trio.Event(), secrets,
        EventsWorker(folder, secrets),
    )  # fmt: skip
    events = [await read_all(log, part, types) for part in parts for types in TYPES]
    counts = [await count(log, part) for part in parts]
    assert counts == [counted(each) for each in events[1 :: len(TYPES)]]
    assert sum(times for each in counts for times, _ in each.values()) > 100
    write_missing(folder, keys.tags, partial(opening_balance.history, folder, keys))
    while frame_index.write_next(folder, keys):
        pass
    assert len(list((folder / frame_index.FOLDER).iterdir())) == len(segments_of(folder)) - 1 > 3
    assert [await read_all(log, part, types) for part in parts for types in TYPES] == events
    assert [await count(log, part) for part in parts] == counts
    monkeypatch.setattr(module, "READ_SECONDS", -1.0)  # each page ends as soon as it may
    assert [await count(log, part) for part in parts] == counts
