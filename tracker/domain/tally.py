"""The seldom used columns of the state: counts of requests, starts, removals.

They stand in one object, because a record that brings a new column then changes this file and the
number of the image's rules only. `events.target` gives them to the events, `image` saves them.
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
        # The two latest removals. The log begins with the older one if the latest was cut off.
        self.pruned: tuple[Pruned, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """The columns for JSON, by name."""
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
        """The columns as `State.digest` covers them.

        `sweep` and `announces` keep their places between them, because digests of older logs must
        not change. For the same reason a new column stands at the end, and only if it is not empty.
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
