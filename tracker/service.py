"""The one write path: decide, append, apply, answer.

Announces are plain calls (`announcing`); what time, the process and administrators bring is here. Admin commands take the
same path and are answered once durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.announcing import Announcing
from tracker.domain import codec, events, slices

if TYPE_CHECKING:
    from tracker.announcing import Clock, Log
    from tracker.domain.settings import Settings
    from tracker.domain.state import State
    from tracker.domain.swarms import Swarms


class Service(Announcing):
    """Owner of the live state's changes."""

    __slots__ = ("_slice", "pending", "strict")

    def __init__(
        self,
        log: Log,
        state: State,
        clock: Clock,
        selection_key: bytes,
        *,
        strict: bool = False,
    ) -> None:
        """`selection_key`: 32 secret bytes from which the choice of peers in large swarms follows.

        `strict`: who answers announces awaits `settle` first.
        """
        super().__init__(log, state, clock, selection_key)
        self.strict = strict
        self._slice = 0  # of the state: the next that a tick says the digest of
        self.pending: dict[tuple[int, int], int] = {}  # counter deltas that are not logged yet

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
        """Log time."""
        return self._clock.now_us()

    async def settle(self) -> None:
        """Return once everything so far is on stable storage. Raises `LogFailedError`."""
        await self._log.wait_durable(self._state.seq - 1)

    def downloaders(self, info_hash: bytes) -> int:
        """Leechers that are no partial seeds (BEP 21), in the same way as `scrape`."""
        return self._swarms.downloaders(info_hash) if self.whitelisted(info_hash) else 0

    def scrape(self, info_hash: bytes) -> tuple[int, int, int]:
        """Seeders, completed, leechers; zeros for a torrent that may not be asked about."""
        if self._listed and info_hash not in self._whitelist:
            return 0, 0, 0
        return self._swarms.counts(info_hash)

    def count(self, counter: int, label: int = 0) -> None:
        """Note something that is logged as a counter, not as an event of its own."""
        key = counter, label
        self.pending[key] = self.pending.get(key, 0) + 1

    def refused(self, refusal: int) -> None:
        self.count(events.REFUSED_REQUESTS, -refusal)

    # Events that time and the process bring.

    def flush_counters(self) -> None:
        """Log the counters' deltas."""
        pending, self.pending = self.pending, {}
        now = self._clock.now_us()
        for (counter, label), delta in sorted(pending.items()):
            record = codec.COUNTER.pack(now, counter, label, 0, delta)
            self._log.pool.append(events.COUNTERS, codec.COUNTERS_SCHEMA, now, record)
            self._state.apply_counter(now, counter, label, delta)
        self._log.appended()

    def tick(self, *, goes_on: bool = False) -> int:
        """Log and apply the passing of time: peers expire here and nowhere else.

        While `state.sweep` is not done, a tick that `goes_on` is due after a checkpoint. Returns microseconds that
        log time was stepped forward by, 0 as a rule.
        """
        stepped = self._clock.adjust()
        if stepped:
            self.admin(events.CLOCK_STEPPED, {"forward_us": stepped})
        now = self._clock.now_us()
        interval_ms = self._state.settings.tick_ms
        number = self._slice % slices.count(self._state)
        self._slice = number + 1
        digest = slices.digest(self._state, number)
        record = codec.TICK.pack(now, interval_ms, goes_on, number, 0, digest)
        self._log.pool.append(events.TICK, codec.TICK_SCHEMA, now, record)
        self._state.apply_tick(now, interval_ms, goes_on)
        self._log.appended()
        return stepped

    def change_settings(self, settings: Settings) -> None:
        """Put settings in force, as an event, unless they are already."""
        if settings != self._state.settings or self._state.settings_seq < 0:
            self.admin(events.SETTINGS_CHANGED, {"settings": settings.as_data()})
            self._obey_settings()
