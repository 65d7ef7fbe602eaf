"""Judges the events of a log in memory, for tests of the rule of hit and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.booking import Booking
from tracker.domain.hit_and_run import STATES
from tracker.domain.judging import Judge
from tracker.domain.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventlog import Frame
    from tracker.domain.hit_and_run import Download
    from tracker.domain.judging import Swarm, Transition


class NoShelf:
    """A book that has nothing."""

    def one(self, name: bytes) -> Download | None:
        del name
        return None

    def all(self) -> Iterator[Download]:
        return iter(())

    def swarms(self) -> Iterator[Swarm]:
        return iter(())


def judge(frames: Iterable[Frame]) -> Judge:
    """Returns the judge of the book after these frames, of which nothing was written."""
    state, found = State(), Judge(NoShelf())
    state.book = Booking(found)
    for frame in frames:
        found.epoch, found.lead_us = frame.header.epoch, state.dates.lead_us
        header = frame.header
        state.apply(header.kind, header.schema, header.base_seq, frame.plain, frame.protected)
    return found


def seen(made: Iterable[Transition]) -> list[tuple[int, bytes, str, int]]:
    """Returns account, info hash, state and log time of transitions."""
    return [
        (int.from_bytes(one.name[:4], "big"), one.name[5:], STATES[one.state], one.time_us)
        for one in made
    ]
