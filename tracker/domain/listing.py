"""Says how long a peer is listed after an announce, by accounting rules 2.

A peer is listed until `max_peer_timeout` after its announce. The outages of the tracker that begin
while it is listed are added to that time, because no peer can announce in them.
"""

from __future__ import annotations

from typing import Any

from tracker.domain.events import DAY_US

NEVER = 2**64 - 1
"""In the place of an event's number: rules 2 are not in force."""
MOST_OUTAGES = 1024
"""Outages and changes of the timeout that are remembered, the latest ones."""


class Listing:
    """The timeouts and the outages since rules 2 came into force. Only applying events changes it.

    While other rules are in force it is empty, and `since_seq` is `NEVER`.
    """

    __slots__ = (
        "awake_us",
        "outages",
        "plain_from_us",
        "since_seq",
        "ticked_us",
        "timeout_us",
        "timeouts",
    )

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.since_seq = NEVER  # the event that put rules 2 in force
        self.timeout_us = 0  # in force
        self.plain_from_us = 0  # after announces from then on only `timeout_us` counts
        # Log time of the last tick, or of the end of a run or of an outage after it.
        self.ticked_us = 0
        self.awake_us = 0  # log time of the last event at which time was counted
        # When each timeout came into force, and the timeout, in microseconds.
        self.timeouts: list[tuple[int, int]] = []
        # Of each outage: its begin, the time up to which the tracker was awake, and its end.
        self.outages: list[tuple[int, int, int]] = []

    def obey(self, rules: int, timeout_us: int, seq: int, time_us: int) -> None:
        """Follows the settings of event `seq`: the number of the rules, and the timeout."""
        if rules < 2:
            self._clear()
            return
        if self.since_seq == NEVER:
            self.since_seq = seq
            self.ticked_us = self.awake_us = time_us
        if timeout_us != self.timeout_us:
            self.timeouts = [*self.timeouts[1 - MOST_OUTAGES :], (time_us, timeout_us)]
            self._go_on()

    def ticked(self, time_us: int) -> None:
        """Notes a tick, or the end of a run: an outage may begin here."""
        if self.since_seq != NEVER:
            self.ticked_us = self.awake_us = time_us

    def out(self, begin_us: int, end_us: int) -> None:
        """Enters an outage.

        After a crash events may be later than its begin. Then it is for the peers that were listed
        at the last of these. The next outage begins at its end at the earliest, so that no time is
        in two of them where a run ends before its first tick.
        """
        if self.since_seq != NEVER and begin_us < end_us:
            outage = begin_us, max(begin_us, min(self.awake_us, end_us)), end_us
            self.outages = [*self.outages[1 - MOST_OUTAGES :], outage]
            self.ticked_us = self.awake_us = end_us
            self._go_on()

    def _go_on(self) -> None:
        self.timeout_us = self.timeouts[-1][1]
        ends = [outage[2] for outage in self.outages[-1:]]
        self.plain_from_us = max(self.timeouts[-1][0], *ends, 0)

    def until(self, seen_us: int) -> int:
        """Returns when a peer that announced at `seen_us` is no longer listed, if nothing else
        happens to it.
        """
        if seen_us >= self.plain_from_us:
            return seen_us + self.timeout_us
        return self._until(seen_us)

    def _until(self, seen_us: int) -> int:
        """Does it for a peer that a change of the timeout or an outage concerns.

        A shorter timeout counts from its own beginning on. A longer one is for later announces.
        """
        end_us = self._with_outages(seen_us, self.timeouts[0][1])
        for from_us, timeout_us in self.timeouts[1:]:
            new_us = self._with_outages(seen_us, timeout_us)
            end_us = new_us if from_us <= seen_us else min(end_us, max(from_us, new_us))
        return end_us

    def _with_outages(self, seen_us: int, timeout_us: int) -> int:
        end_us = seen_us + timeout_us
        for begin_us, awake_us, over_us in self.outages:
            if over_us > seen_us and awake_us < end_us:
                end_us += min(over_us - max(begin_us, seen_us), DAY_US)
        return end_us

    def gained(
        self, settled_us: int, seeder_us: int, partial_us: int, time_us: int
    ) -> tuple[int, int, int]:
        """Returns the time that an account's peers in a torrent gain between two log times.

        `seeder_us` and `partial_us`: the latest announces of its seeders and of its partial seeds,
        0 = it has none. No peer of them announced or left after `settled_us`. Returns the later of
        the two log times, and the microseconds of seeding and of partial seeding.
        """
        end_us = min(self.until(seeder_us), time_us) if seeder_us else 0
        seeding_us = end_us - settled_us if end_us > settled_us else 0
        begin_us = max(settled_us, end_us)
        end_us = min(self.until(partial_us), time_us) if partial_us else 0
        partial = end_us - begin_us if end_us > begin_us else 0
        return max(settled_us, time_us), seeding_us, partial

    def as_data(self) -> dict[str, Any] | None:
        """Returns it for JSON; None = rules 2 are not in force."""
        if self.since_seq == NEVER:
            return None
        return {
            "since_seq": self.since_seq,
            "ticked_us": self.ticked_us,
            "awake_us": self.awake_us,
            "timeouts": self.timeouts,
            "outages": self.outages,
        }

    def set_data(self, data: dict[str, Any] | None) -> None:
        """Undoes `as_data`. Raises `KeyError`, `TypeError`, `IndexError` or `ValueError`."""
        if data is None:
            return
        self.since_seq, self.ticked_us = data["since_seq"], data["ticked_us"]
        self.awake_us = data["awake_us"]
        self.timeouts = [(begin, timeout) for begin, timeout in data["timeouts"]]
        self.outages = [(begin, awake, end) for begin, awake, end in data["outages"]]
        numbers = [self.since_seq, self.ticked_us, self.awake_us]
        numbers += [number for each in (*self.timeouts, *self.outages) for number in each]
        if any(type(number) is not int or not 0 <= number <= NEVER for number in numbers):
            raise ValueError("something else stands in the place of a time")
        self._go_on()
