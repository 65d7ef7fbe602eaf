"""Decides, appends and applies every change of the live state.

`tracker.service.announce` handles the announces. This module handles the events that come from
time, the process and administrators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from tracker.domain import events, refusals
from tracker.domain.events.admin import ClockStepped, SettingsChanged
from tracker.domain.events.records import Counted, RefusalsCounted, Tick
from tracker.service.announce import Announcing
from tracker.service.append import append_admin, append_record
from tracker.service.deadline import Deadline
from tracker.wire.clients import client_of

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.settings import Settings
    from tracker.domain.state import State
    from tracker.domain.swarms import Swarms
    from tracker.ports import Actor
    from tracker.service.append import Clock, Log

MOST_CLIENTS = 256
"""Largest number of pairs of client name and version with their own counts of refusals. Further
versions count under the name only.
"""


class Service(Announcing):
    """Makes every change of the live state."""

    __slots__ = (
        "_clients",
        "_slice",
        "deadline",
        "malformed",
        "pending",
        "refusals",
        "shred_days",
        "strict",
    )

    def __init__(
        self,
        log: Log,
        state: State,
        clock: Clock,
        selection_key: bytes,
        *,
        strict: bool = False,
        shred_days: int = 0,
    ) -> None:
        """`selection_key`: 32 secret bytes that decide the choice of peers in large swarms.

        `strict`: front ends await `settle` before they reply to announces. `shred_days`: days after
        which the keys to addresses are destroyed, 0 = never.
        """
        super().__init__(log, state, clock, selection_key)
        self.strict = strict
        self.shred_days = shred_days
        self.deadline = Deadline()
        self._slice = 0  # the slice of the state whose digest the next tick carries
        self.pending: dict[tuple[int, int], int] = {}  # counter deltas that are not logged yet
        self.refusals: dict[tuple[int, str, str], int] = {}  # the same for refusals
        self.malformed: dict[tuple[str, str], int] = {}  # by protocol and problem, since the start
        self._clients = {
            key[1:] for key in state.tally.refusals
        }  # names and versions counted apart

    @property
    def state(self) -> State:
        return self._state

    @property
    def swarms(self) -> Swarms:
        return self._swarms

    @property
    def settings(self) -> Settings:
        return self._state.settings

    def now_us(self) -> int:
        """Returns log time."""
        return self._clock.now_us()

    def date_us(self) -> int:
        """Returns the date: log time less its lead over the wall clock."""
        return self._state.dates.of(self._clock.now_us())

    def earlier_us(self) -> int:
        """Returns the earlier of log time and the wall clock."""
        return self._clock.earlier_us()

    async def settle(self) -> None:
        """Returns once all events so far are on stable storage. Raises `LogFailedError`."""
        await self._log.wait_durable(self._state.seq - 1)

    def downloaders(self, info_hash: bytes) -> int:
        """Returns the number of leechers that are not partial seeds (BEP 21).

        It is 0 for a torrent that `scrape` hides.
        """
        return 0 if self._hides(info_hash) else self._swarms.downloaders(info_hash)

    def scrape(self, info_hash: bytes) -> tuple[int, int, int]:
        """Returns seeders, completed and leechers; zeros if the torrent may not be announced."""
        return (0, 0, 0) if self._hides(info_hash) else self._swarms.counts(info_hash)

    def _hides(self, info_hash: bytes) -> bool:
        """Tells whether scrapes show nothing of a torrent, because it may not be announced."""
        barred = self._state.barring and info_hash in self._blacklist
        return barred or not self.whitelisted(info_hash)

    def count(self, counter: int, label: int = 0, by: int = 1) -> None:
        """Counts something that is logged as a counter, not as an event of its own."""
        key = counter, label
        self.pending[key] = self.pending.get(key, 0) + by

    def refused(self, refusal: int, peer_id: bytes = b"") -> None:
        """Counts a refused request.

        `refusal` 0: it was malformed. `peer_id`: 20 bytes, or b"" = none.
        """
        self.count(events.REFUSED_REQUESTS, -refusal)
        name, version = client_of(peer_id) if peer_id else ("", "")
        # `client_of` knows a fixed list of names. The number of versions has a limit, because the
        # sender chooses its peer id.
        if (name, version) not in self._clients:
            if len(self._clients) >= MOST_CLIENTS:
                version = ""
            self._clients.add((name, version))
        key = -refusal, name, version
        self.refusals[key] = self.refusals.get(key, 0) + 1

    def refused_malformed(self, protocol: str, problem: str, peer_id: bytes = b"") -> None:
        """Counts a malformed request, also by protocol and by a word for what is wrong with it."""
        self.refused(refusals.MALFORMED, peer_id)
        key = protocol, problem
        self.malformed[key] = self.malformed.get(key, 0) + 1

    # Events that administrators, time and the process bring.

    def append(self, event: AdminEvent, by: Actor | None = None, now: int | None = None) -> int:
        """Appends and applies an admin event; returns its sequence number.

        `by`: the administrator, or the setting, that caused it, if any. `now`: what `now_us`
        returned just before, if the event depends on it.
        """
        if by is not None:
            event = evolve(event, by=by.as_data())
        seq = append_admin(self._log, self._state, self._clock, event, now)
        self.forget_keys()
        if isinstance(event, SettingsChanged):
            self._obey_settings()
        return seq

    def note_clock(self) -> None:
        """Logs what the wall clock shows, if the lead has changed since the last event.

        For commands that write while no tracker runs; a tracker's start and its ticks do it.
        """
        dates = self._state.dates
        if dates.after(self._clock.now_us(), self._clock.wall_us()) != dates.lead_us:
            self.append(ClockStepped(0))

    def flush_counters(self) -> None:
        """Logs what the counters gained since the last call."""
        pending, self.pending = self.pending, {}
        now = self._clock.now_us()
        for (counter, label), delta in sorted(pending.items()):
            append_record(self._log, self._state, Counted(now, counter, label, delta))
        self._log.appended()

    def flush_refusals(self) -> None:
        """Logs the refusals by client since the last call. They wait while the log has no room for
        announces.
        """
        if not self._log.has_room():
            return
        refusals, self.refusals = self.refusals, {}
        now = self._clock.now_us()
        for (reason, name, version), delta in sorted(refusals.items()):
            record = RefusalsCounted(now, reason, delta, name, version)
            append_record(self._log, self._state, record)
        self._log.appended()

    def tick(self, *, goes_on: bool = False) -> int:
        """Logs and applies a tick. Peers expire here and nowhere else.

        While `state.sweep` has work left, call this again with `goes_on` after a checkpoint.
        Returns the microseconds by which log time was stepped forward, mostly 0.
        """
        stepped = self._clock.adjust()
        if stepped:
            self.append(ClockStepped(stepped))
        now = self._clock.now_us()
        interval_ms = self._state.settings.tick_ms
        number = self._slice % self._state.slices()
        self._slice = number + 1
        digest = self._state.digest_of_slice(number)
        lead_us, wall_us = self._state.dates.lead_us, self._clock.wall_us()
        tick = Tick(now, interval_ms, goes_on, number, digest, wall_us)
        append_record(self._log, self._state, tick)
        if self._state.dates.lead_us != lead_us:
            self.forget_keys()  # they hold log times at which keys end
        self._log.appended()
        return stepped

    def change_settings(self, settings: Settings) -> None:
        """Puts settings in force, as an event, unless they are in force already."""
        if settings != self._state.settings or self._state.settings_seq < 0:
            self.append(SettingsChanged(settings))

    def start_with(self, file: Settings) -> None:
        """Puts in force what the file of this start says anew; what staff changed stays."""
        state = self._state
        if state.settings_seq < 0:
            self.change_settings(file)
            return
        settings = state.origins.from_start(state.settings, file)
        if self.shred_days:
            most = min(settings.policy.remember_days, self.shred_days)
            settings = evolve(settings, policy=evolve(settings.policy, remember_days=most))
        if (settings, file) != (state.settings, state.origins.file):
            self.append(SettingsChanged(settings, None if settings == file else file))
