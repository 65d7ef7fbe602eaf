"""Writes a log of what a population announces, through the tracker's write path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import Reader, open_log
from tests.population.simulator import DAY, log_time
from tests.support import (
    SELECTION_KEY,
    START_US,
    HandTime,
    announce_one,
    issue,
    key_text,
    keys_of,
)
from tests.support import Announce as Call
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    CreditFactorSet,
    TorrentDescribed,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.settings import Settings
from tracker.service.service import Service
from tracker.store import high_water_mark
from tracker.store.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import EventLog
    from tests.population.simulator import Announce, Population
    from tracker.domain.state import State

SETTINGS = Settings(
    private=True, max_peer_timeout=5400, inactive_peer_cleanup_interval=600, tick_ms=60_000
)
TICK_US = 60_000_000
BATCH = 2000  # announces between two waits for the disk


def write(population: Population, folder: Path, most: int | None = None) -> int:
    """Writes `folder/log` and `folder/secrets`, both new. Returns how many events the log has.

    With `most` it ends after so many. A restart of the tracker stands at both ends of an outage.
    """
    return trio.run(_write, population, folder, most)


async def _write(population: Population, folder: Path, most: int | None) -> int:
    keyring = keys_of(folder / "secrets")
    log = open_log(folder / "log", codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
    state = replay(Reader(folder / "log", to_end=True, keys=keyring))
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        site = _Site(population, log, state)
        site.begin()
        for number, one in enumerate(population.announces()):
            site.announce(one)
            if number % BATCH == 0:
                await log.wait_durable(state.seq - 1)
            if most and state.seq >= most:
                break
        site.service.append(TrackerStopped("signal"))
        await log.wait_durable(state.seq - 1)
        nursery.cancel_scope.cancel()
    high_water_mark.note(folder / "secrets", log, state.time_us)
    return state.seq


@define
class _Site:
    """The tracker, its keys and the sizes of its torrents."""

    population: Population
    log: EventLog
    state: State
    time: HandTime = field(factory=HandTime)
    service: Service = field(init=False)
    _outages: list[tuple[float, float]] = field(init=False)
    _ticked_us: int = START_US

    def __attrs_post_init__(self) -> None:
        self._outages = sorted(self.population.outages, reverse=True)
        self._start()

    def _start(self) -> None:
        clock = self.time.log_clock(self.state.time_us)
        self.service = Service(self.log, self.state, clock, SELECTION_KEY)
        self.service.append(TrackerStarted("test", 1))

    def begin(self) -> None:
        """Issues all keys, describes all torrents, and plans the days of freeleech."""
        population, service = self.population, self.service
        service.change_settings(SETTINGS)
        for account in population.all:
            issue(service, key_text(account), f"member {account}")
        for swarm in population.swarms:
            service.append(TorrentDescribed(swarm.info_hash, size=swarm.size))
        days = [day for day in range(int(population.days)) if population.is_freeleech(day * DAY)]
        for number, day in enumerate(days[:16], 1):
            begin = log_time(day * DAY)
            service.append(
                CreditFactorSet(
                    number, "global", begin, begin + int(DAY * 1e6), "", download_percent=0
                )
            )

    def announce(self, one: Announce) -> None:
        """Makes an announce at its time, and before it whatever time brings."""
        while self._outages and one.time_us >= log_time(self._outages[-1][1]):
            begin, end = self._outages.pop()
            self._to(log_time(begin))
            self.service.append(TrackerStopped("signal"))
            self._to(log_time(end))
            self._start()
        self._to(one.time_us)
        if one.time_us >= self._ticked_us + TICK_US:
            self._ticked_us = one.time_us
            self.service.tick()
        call = Call(
            one.info_hash, one.address + one.port.to_bytes(2, "big"), one.peer_id, one.uploaded,
            one.downloaded, one.left, one.event, False, one.numwant, 0, one.key & 0xFFFF, 0,
            one.agent, key_text(one.account),
        )  # fmt: skip
        self.service.begin()
        announce_one(self.service, call)
        self.service.end()

    def _to(self, time_us: int) -> None:
        self.time.advance(max(0, time_us - self.time.wall))
