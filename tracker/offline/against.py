"""Sends the announces of a part of the log to a test instance, at the pace of the log, and compares
its answers with the recorded ones.

What was answered is not in the log. It follows from the state at each announce.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio
from attrs import define, evolve, field, frozen

from tracker.domain import events
from tracker.history import asked_rules, replies
from tracker.history.deciding import Difference, agent_of
from tracker.history.recorded import Recorded, read, singles
from tracker.offline.asking import Answer
from tracker.store import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.history.rerun import Source
    from tracker.offline.asking import Asking

WORKERS = 8
"""Announces that are under way at once. Those of a torrent are sent one after the other, because
their order decides what is answered."""
_WAITING = 16  # announces that may wait for a worker

NO_ADDRESS = "the address cannot be read"
NO_KEY = "the text of the key is not known: give --keys FILE"


@frozen
class Sent:
    """An announce that waits to be sent, with what was answered then."""

    one: Recorded
    key: bytes  # b"" = none
    agent: bytes
    answer: Answer
    jitter: int  # seconds, which the interval may be longer


@define
class Against:
    """A run of the events from `seq` up to `end`, exclusive, against a test instance.

    `told` is called for each announce that was answered otherwise.
    """

    log: Source
    seq: int
    end: int
    asking: Asking
    keys: dict[bytes, bytes]  # keys by their SHA-256
    speed: float  # seconds of the log for each second
    told: Callable[[int, list[Difference]], None]
    report: Callable[[int], None]  # gets the number of events that are done
    sent: int = field(init=False, default=0)
    different: int = field(init=False, default=0)
    not_sent: Counter[str] = field(init=False, factory=Counter)  # by reason

    async def run(self) -> None:
        """Sends the announces. Raises `NoAnswerError`, and what reading and applying raise."""
        async with trio.open_nursery() as nursery:
            channels = []
            for _ in range(WORKERS):
                into, out_of = trio.open_memory_channel[Sent](_WAITING)
                channels.append(into)
                nursery.start_soon(self._work, out_of)
            await self._walk(channels)
            for into in channels:
                into.close()

    async def _walk(self, channels: list[trio.MemorySendChannel[Sent]]) -> None:
        """Follows the log, and hands each announce to the worker of its torrent when it is due."""
        state, found = self.log.follow(self.seq, self.end)
        began, first_us = trio.current_time(), 0
        for frame in found:
            if frame.header.base_seq >= self.end:
                break
            for each in singles(frame):
                one = self._apply(state, each)
                if one is None:
                    continue
                first_us = first_us or one.one.time_us
                await trio.sleep_until(began + (one.one.time_us - first_us) / 1e6 / self.speed)
                await channels[one.one.info_hash[0] % WORKERS].send(one)
            self.report(frame.header.next_seq - self.seq)

    def _apply(self, state: State, frame: Frame) -> Sent | None:
        """Applies an event; returns it if it is an announce that can be sent."""
        known, kind = frames.known(frame), frame.header.kind
        if not (known and kind == events.ANNOUNCE):
            frames.apply(state, frame)
            return None
        _, one = read([frame], frame.header.base_seq)
        if not isinstance(one, Recorded) or one.address is None:
            self.not_sent[NO_ADDRESS] += 1
            frames.apply(state, frame)
            return None
        digest = state.access.hash_of(one.key_ref) if one.key_ref else None
        key = self.keys.get(digest, b"") if digest else b""
        if digest and not (key or self.asking.has_key):
            self.not_sent[NO_KEY] += 1
            frames.apply(state, frame)
            return None
        agent = agent_of(state, one) or b""
        answer = _answer(state, self.asking.over(one), frame)
        return Sent(one, key, agent, answer, state.settings.policy.interval_jitter)

    async def _work(self, waiting: trio.MemoryReceiveChannel[Sent]) -> None:
        # The channel stays open after a failure, because that ends the run, and not the channel.
        async with self.asking.session() as session:
            async for each in waiting:
                answer = await session.announce(each.one, each.key, each.agent)
                self.sent += 1
                found = _differences(each, answer)
                if found:
                    self.different += 1
                    self.told(each.one.seq, found)


def _answer(state: State, one: Recorded, frame: Frame) -> Answer:
    """Applies an announce, and returns what was answered."""
    none, budget = bool(asked_rules.none(state, one)), replies.budget_of(state, one.key_ref)
    frames.apply(state, frame)
    torrent = state.swarms.lookup(one.info_hash)
    peer = state.swarms.find(torrent, (one.address or b"") + one.port) if torrent else 0
    asked, settings = replies.asked(one), state.settings
    want = replies.wanted(settings, asked, none=none, budget=budget)
    seeders, _, leechers = state.swarms.counts(one.info_hash)
    peers = sum(replies.counted(state, asked, torrent, peer, want))
    return Answer("", settings.interval, seeders, leechers, peers)


def _differences(sent: Sent, now: Answer) -> list[Difference]:
    then = sent.answer
    if now.refused:
        return [Difference("refused", None, now.refused)]
    if then.interval <= now.interval <= then.interval + sent.jitter:
        now = evolve(now, interval=then.interval)
    return [
        Difference(name, getattr(then, name), getattr(now, name))
        for name in ("interval", "seeders", "leechers", "peers")
        if getattr(then, name) != getattr(now, name)
    ]
