"""Holds the seldom used columns of the state: counts of requests, starts, removals.

They are in one object, so that a record with a new column changes only this file and `image.py`.
`events.target` gives the columns to the events, and `image` saves them.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Pruned(NamedTuple):
    """A removal of the oldest events, as `log_pruned` describes it."""

    seq: int  # of that event
    first_seq: int  # the first event that was kept
    opening: str  # SHA-256 of the opening balance, 64 hex digits


class Tally:
    """The columns about the tracker itself, beside swarms, keys and accounts."""

    __slots__ = (
        "counters",
        "pruned",
        "refusals",
        "resumed_us",
        "shredded",
        "starts",
        "ticks",
        "writer",
    )

    def __init__(self) -> None:
        self.ticks = 0
        self.starts = 0
        self.resumed_us = 0  # log time of the last start or leap of the clock
        self.writer = ""  # the version of the tracker that started last
        self.counters: dict[tuple[int, int], int] = {}  # by counter and label
        self.refusals: dict[tuple[int, str, str], int] = {}  # by reason, client and its version
        self.shredded: set[str] = set()  # days, "2026-11-21"
        # The two latest removals of events. If the latest was interrupted, the log begins where the
        # older one says.
        self.pruned: tuple[Pruned, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Returns the columns for JSON, by name."""
        return {
            "ticks": self.ticks,
            "starts": self.starts,
            "resumed_us": self.resumed_us,
            "writer": self.writer,
            "counters": [[*key, count] for key, count in self.counters.items()],
            "refusals": [[*key, count] for key, count in self.refusals.items()],
            "shredded": sorted(self.shredded),
            "pruned": self.pruned,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Tally:
        """Makes the columns from `as_data`. Raises `KeyError`, `TypeError` or `ValueError`."""
        made = cls()
        made.ticks, made.starts = data["ticks"], data["starts"]
        made.resumed_us, made.writer = data["resumed_us"], data["writer"]
        made.counters = {(counter, label): count for counter, label, count in data["counters"]}
        made.refusals = {
            (reason, name, version): count for reason, name, version, count in data["refusals"]
        }
        made.shredded = set(data["shredded"])
        made.pruned = tuple(Pruned(*each) for each in data["pruned"])
        return made

    def digested(self, sweep: str, announces: list[int]) -> tuple[object, ...]:
        """Returns the columns in the form that `State.digest` hashes.

        `sweep` and `announces` keep their places between the columns, because digests of older logs
        must not change. For the same reason a new column comes last, and only if it is not empty.
        """
        return (
            self.ticks,
            self.starts,
            self.writer,
            sweep,
            self.resumed_us,
            sorted(self.shredded),
            self.pruned,
            announces,
            sorted(self.counters.items()),
            sorted(self.refusals.items()),
        )
