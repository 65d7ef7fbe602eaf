"""Shreds addresses: destroys the keys of past days, so that nobody can read them again.

The keys are destroyed after the event `addresses_shredded` is durable. A crash between the two
leaves keys of days that the log calls shredded. The next look (start, schedule or command) destroys
these keys.

A key stays while a peer in the swarms may have an address that was logged under it, because without
the key the tracker could not list that address after a restart. So the day of the oldest `seen_us`
stays, and the day before it, because a frame belongs to the day on which it began, and a peer's
address of its other family may be one day older.

The days of the keys are days of log time. Their age counts in dates (`tracker.domain.dates`), so
that a clock that was ahead once does not make addresses stay longer, or go earlier.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import define, field, frozen

from eventlog import LogError, LogFailedError, RepeatedWarning, in_thread, read_identity
from tracker import ports
from tracker.domain.events.admin import SHRED_DAYS, AddressesShredded
from tracker.service.clock import LogClock
from tracker.service.durable import append_durably
from tracker.service.service import Service
from tracker.store.address_keys import Keyring, day_name, day_of, day_shown
from tracker.store.server_secret import SecretError
from tracker.store.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import Recovery
    from tracker.config import EventLog as LogConfig
    from tracker.service.append import Log
    from tracker.upkeep.clock_leaps import ScheduleClock

Days = tuple[int, int]
"""The first and the last day of a range, as numbers from `address_keys.day_of`."""

log = logging.getLogger("tracker")

SCHEDULE_SECONDS = 3600.0
"""Seconds between two looks for keys that are due."""
PIECE = 10_000
"""Number of peers looked at between two checkpoints, which takes a few milliseconds."""

# Never used, because a stopped tracker serves no announces and so selects no peers.
_NO_SELECTION = bytes(32)


@frozen
class Shredding:
    """The result of a request to shred. A day is one of log time, written as `2026-11-21`."""

    shredded: list[str]
    kept: list[str]  # days that were requested, but whose keys are still needed
    # The first day whose key may still be needed; None = no day with a key was requested.
    needed_from: str | None
    dates: dict[str, str]  # by day: its date by the wall clock, where that is another

    def shown(self, days: list[str]) -> str:
        """Returns days for people, with their dates where those are others."""
        return ", ".join(day_shown(day, self.dates.get(day)) for day in days)


@define
class Shredder:
    """Shreds with the live service, one request after the other. A process has one."""

    service: Service
    log: Log
    keyring: Keyring
    shred_days: int = 0
    _turn: trio.Lock = field(factory=trio.Lock)

    async def shred(
        self, days: Days | None, by: ports.Actor, now_us: int | None = None
    ) -> Shredding:
        """Destroys the keys of these days, except keys that a peer still needs.

        `days`: None = the days that are due by `shred_days` at `now_us`. `now_us`: None = the
        earlier of log time and the wall clock. Raises `ports.LogUnavailableError`, `OSError`.
        """
        async with self._turn:
            found = await self.look(days, now_us)
            if found.shredded:
                event = AddressesShredded(tuple(found.shredded))
                await append_durably(self.service, self.log, event, by)
                await self.finish()
            return found

    async def look(self, days: Days | None, now_us: int | None = None) -> Shredding:
        """Returns what `shred` would do now. Only what the log calls shredded is destroyed.

        Raises `OSError`.
        """
        await self.finish()
        there = [day for day in self.keyring.days() if self._is_wanted(day, days, now_us)]
        if not there:
            return Shredding([], [], None, {})
        needed = await self._needed_from()
        going = [day_name(day) for day in there if day < needed]
        kept = [day_name(day) for day in there if day >= needed]
        shown = {day_name(day): day_name(self._date_of(day)) for day in (*there, needed)}
        dates = {day: date for day, date in shown.items() if day != date}
        return Shredding(going, kept, day_name(needed), dates)

    def _is_wanted(self, day: int, days: Days | None, now_us: int | None) -> bool:
        """Tells whether a day is among those that were named, or is due where none were."""
        if days is not None:
            return days[0] <= day <= days[1]
        if not self.shred_days:
            return False
        now = self.service.earlier_us() if now_us is None else now_us
        return self._date_of(day) < day_of(now) - self.shred_days

    def _date_of(self, day: int) -> int:
        """Returns the number of the date on which a day of log time ended."""
        return self.service.state.dates.of_day(day)

    async def finish(self) -> None:
        """Destroys the keys that still exist although the log calls them shredded.

        If keys cannot be destroyed, it destroys the others and then raises the first `OSError`.
        """
        shredded = self.service.state.tally.shredded
        failures = []
        for day in self.keyring.days():
            if day_name(day) in shredded:
                try:
                    await in_thread(self.keyring.destroy, day)
                except OSError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    async def _needed_from(self) -> int:
        service = self.service
        swarms = service.swarms
        oldest = service.now_us() - service.settings.max_peer_timeout * 1_000_000
        # A peer that announces meanwhile does no harm, because its `seen_us` is then later.
        for first in range(1, swarms.peer_slots, PIECE):
            seen = swarms.oldest_seen(first, first + PIECE)
            oldest = min(oldest, oldest if seen is None else seen)
            await trio.lowlevel.checkpoint()
        return max(0, day_of(oldest) - 1)


async def keep_schedule(shredder: Shredder, clock: ScheduleClock) -> None:
    """Shreds the keys that are due and makes tomorrow's key, at once and every hour."""
    trouble = RepeatedWarning(log, "Keys can be made and shredded again")
    kept = RepeatedWarning(log, "Nothing that is due to be shredded is needed any more")
    while True:
        try:
            await _keep_schedule(shredder, clock, kept)
        except (ports.LogUnavailableError, SecretError, LogError, OSError) as error:
            why = str(error) or ports.TAKES_NOTHING_IN
            trouble.warn("Keys could not be made or shredded, tried again every hour: %s", why)
        else:
            trouble.over()
        await trio.sleep(SCHEDULE_SECONDS)


async def _keep_schedule(shredder: Shredder, clock: ScheduleClock, kept: RepeatedWarning) -> None:
    tomorrow = day_of(shredder.service.now_us()) + 1
    await in_thread(shredder.keyring.prepare, tomorrow)
    by = ports.Actor(SHRED_DAYS, "", "")
    done = await shredder.shred(None, by, await clock.now_us())
    if done.shredded:
        log.info("Addresses of %s were shredded", done.shown(done.shredded))
    if done.kept:
        kept.warn(
            "Addresses of %s are due to be shredded, but peers that were last seen then are still in the swarms",
            done.shown(done.kept),
        )
    else:
        kept.over()


def shred_offline(
    config: LogConfig,
    days: Days | None,
    by: ports.Actor,
    replaying: Callable[[int, int], None],
    recovered: Callable[[Recovery], None],
) -> Shredding:
    """Does the same as `Shredder.shred`, while no tracker runs. Where no key can go, it writes
    nothing.

    Raises `LogLockedError` if a tracker runs, and `LogError`, `ReplayError`, `OSError`.
    """
    path, keyring = Path(config.path), Keyring(Path(config.secrets_path))
    read_identity(path)  # first, because `open_session` would make a log if there is none
    session = open_session(config, keyring, recovered, replaying)
    event_log = session.event_log
    service = Service(event_log, session.state, LogClock(session.time_us), _NO_SELECTION)
    session.append_first(service.append)
    service.note_clock()
    if session.key_change is not None:
        service.append(session.key_change)
    shredder = Shredder(service, session.noted, keyring, config.shred_days)
    try:
        found = trio.run(shredder.look, days)
    except BaseException:
        event_log.release()
        raise
    if not found.shredded:
        event_log.release()
        return found
    try:
        return session.run(partial(shredder.shred, days, by))
    except ports.LogUnavailableError as error:
        why = str(error) or "it cannot take the event now"
        raise LogFailedError(f"the event log in {path}: {why}") from None
