"""Re-runs a part of the log: decides each recorded request anew, by the code of the running
tracker, and compares each outcome with the recorded one.

Announces, ticks and logged refusals are decided. Everything else (what administrators did,
settings, counters) is input, and is applied as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

from tracker.domain import events
from tracker.domain.events.records import NO_WALL, AnnounceRefused, ClientNamed, Evicted, Tick
from tracker.domain.refusals import NAMES, RATE_EXCEEDED
from tracker.history import asked_rules
from tracker.history.deciding import Clock, Difference, decide_by, serving
from tracker.history.recorded import Recorded, Refused, read, singles
from tracker.ports import InvalidPartError, LogPart, Moment
from tracker.store import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame, Pool
    from tracker.domain.state import State
    from tracker.service.service import Service
    from tracker.store.moments import ForwardReplay

MOST_DIFFERENCES = 100
"""Differing outcomes after which a re-run ends. After each one the state is replayed again."""

NO_ADDRESS = "the address cannot be read"
NO_OTHER_ADDRESSES = "addresses of other peers cannot be read"
NO_RATE = "no event says how many requests came before"
_BROUGHT_ABOUT = ClientNamed.kind, Evicted.kind


class Source(Protocol):
    """Replays a log once: `ForwardReplay`."""

    def follow(self, seq: int, end: int) -> tuple[State, Iterator[Frame]]: ...

    def again(self) -> Source: ...


def bounds(log: ForwardReplay, first: Moment, last: Moment) -> tuple[int, int]:
    """Returns the first event of a part, and the event after its last. Both moments are included.

    Raises `NoMomentError`, also for a number that the log does not hold, and `InvalidPartError` if
    there is no event between.
    """
    for moment in (first, last):
        log.resolve(moment)
    part = LogPart(first=first.seq or 0, last=last.seq, from_us=first.time_us, to_us=last.time_us)
    begin, end = log.bounds(part)
    if first == Moment():  # now
        begin = log.resolve(first)
    if begin >= end:
        raise InvalidPartError("no event is in this part: its beginning has to come first")
    return begin, end


@frozen
class Outcome:
    """An event of the log, decided again. Neither `differences` nor `undecided`: as recorded."""

    frame: Frame  # holds this event alone
    differences: tuple[Difference, ...] = ()
    undecided: str = ""  # why it cannot be decided; then it was applied as recorded


@define
class Rerun:
    """A re-run of the events from `seq` up to `end`, exclusive."""

    log: Source
    seq: int
    end: int
    inputs: int = field(init=False, default=0)  # events that nobody decides
    brought_about: int = field(init=False, default=0)  # events that are a part of an announce
    pending: list[Frame] = field(init=False, factory=list)  # those of the announce to come
    _state: State = field(init=False)
    _clock: Clock = field(init=False, factory=Clock)
    _service: Service = field(init=False)
    _pool: Pool = field(init=False)

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcome of each decision, in the order of the log.

        After an announce that differs the state is replayed up to it, so that the next one is
        decided on what was recorded. Raises what reading and applying raise.
        """
        found = self._follow()
        differing = 0
        while (frame := next(found, None)) is not None:
            if frame.header.base_seq >= self.end:
                break
            for one in singles(frame):
                outcome = self._event(one)
                if outcome is None:
                    continue
                yield outcome
                if outcome.differences and one.header.kind == events.ANNOUNCE:
                    self.log, self.seq = self.log.again(), one.header.next_seq
                    found = self._follow()
                    differing += 1
                    if differing == MOST_DIFFERENCES:
                        return
                    break
        for one in self.pending:  # the announce that brought it about comes after the part
            frames.apply(self._state, one)
            self.inputs += 1

    def _follow(self) -> Iterator[Frame]:
        """Yields the frames from `seq` on. The state is that before them."""
        self.pending.clear()
        if self.seq >= self.end:
            return iter(())
        self._state, found = self.log.follow(self.seq, self.end)
        self._service, self._pool = serving(self._state, self._clock)
        return found

    def _event(self, one: Frame) -> Outcome | None:
        """Decides an event and applies it; None = it is input, or belongs to the next announce."""
        kind = one.header.kind
        if kind in _BROUGHT_ABOUT and frames.known(one):
            self.pending.append(one)
            return None
        if kind == events.ANNOUNCE and frames.known(one):
            return self._announce(one)
        if kind == Tick.kind and frames.known(one):
            return self._tick(one)
        if kind == AnnounceRefused.kind and frames.known(one):
            return self._refusal(one)
        frames.apply(self._state, one)
        if kind == events.ADMIN:  # it may have changed settings
            self._service, self._pool = serving(self._state, self._clock)
        self.inputs += 1
        return None

    def _announce(self, frame: Frame) -> Outcome:
        before, one = read([*self.pending, frame], frame.header.base_seq)
        self.pending.clear()
        if isinstance(one, Refused):
            raise TypeError("a frame of announces")
        for each in before:  # what an announce brought about that a crash cut off
            frames.apply(self._state, each)
            self.inputs += 1
        why = NO_ADDRESS if one.address is None else ""
        if not why and self._state.hidden_peers():
            why = NO_OTHER_ADDRESSES
        self.brought_about += len(one.frames) - 1
        if why:
            for each in one.frames:
                frames.apply(self._state, each)
            return Outcome(frame, undecided=why)
        self._clock.time_us = one.time_us
        decision = decide_by(self._service, self._pool, self._state, one)
        return Outcome(frame, decision.fields)

    def _tick(self, frame: Frame) -> Outcome:
        (recorded,) = Tick.unpack(frames.newest(frame).plain)
        if recorded.wall_us == NO_WALL:  # of an earlier version, which decided by another clock
            frames.apply(self._state, frame)
            return Outcome(frame)
        self._clock.time_us, self._clock.wall = recorded.time_us, recorded.wall_us
        self._service._slice = recorded.slice
        self._service.tick(goes_on=recorded.goes_on)
        (made,) = self._pool.take()
        (now,) = Tick.unpack(bytes(made.plain))
        return Outcome(frame, tuple(_fields(recorded, now)))

    def _refusal(self, frame: Frame) -> Outcome:
        """Asks the rule behind a refusal again, as far as its event says what was asked."""
        _, one = read([frame], frame.header.base_seq)
        if isinstance(one, Recorded):
            raise TypeError("a frame of refusals")
        if one.refusal == RATE_EXCEEDED:
            frames.apply(self._state, frame)
            return Outcome(frame, undecided=NO_RATE)
        answers = asked_rules.behind(
            self._state, self._service, one.refusal, one.key_ref, one.info_hash, one.time_us
        )
        said = [each["answer"] for each in answers]
        name = NAMES.get(one.refusal, one.refusal)
        frames.apply(self._state, frame)
        if any(each == f"refused: {name}" or each.startswith("refused;") for each in said):
            return Outcome(frame)
        return Outcome(frame, (Difference("refused", name, None),))


def _fields(recorded: Tick, now: Tick) -> Iterator[Difference]:
    for name in ("interval_ms", "slice", "digest"):
        old, new = getattr(recorded, name), getattr(now, name)
        if old != new:
            yield Difference(name, old, new)
