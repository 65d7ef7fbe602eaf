"""Admin answers on a slow disk: each rests on durable events, so that no crash takes it back."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from attrs import define, evolve, field

from eventlog import Pool
from tests.support import SELECTION_KEY, HandTime, MemoryLog, hash_of, replayed
from tracker import ports
from tracker.domain.events import codec
from tracker.domain.state import State
from tracker.service.commands import ServiceCommands
from tracker.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from eventlog import Frame

    Ask = Callable[[ports.Commands], Awaitable[object]]

SECRET = b"s" * 32
COMMANDS = 120


class SlowLog(MemoryLog):
    """A log with one event a frame, whose durable end the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.durable_seq = -1
        self.decided: dict[trio.lowlevel.Task, int] = {}  # the next seq when each began to wait
        self._moved = trio.Event()

    def appended(self) -> None:
        self.frames()

    async def wait_durable(self, seq: int) -> None:
        self.decided.setdefault(trio.lowlevel.current_task(), self.pool.next_seq)
        while self.durable_seq < seq:
            await self._moved.wait()

    def one_more(self) -> None:
        self.durable_seq += 1
        self._moved.set()
        self._moved = trio.Event()


@define
class Slow:
    """A tracker over a slow log."""

    log: SlowLog = field(factory=SlowLog)
    service: Service = field(init=False)
    commands: ServiceCommands = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = HandTime().log_clock()
        self.service = Service(self.log, State(), clock, SELECTION_KEY)
        self.commands = ServiceCommands(self.service, self.log, SECRET)


async def outcome(commands: ports.Commands, ask: Ask) -> object:
    try:
        return await ask(commands)
    except ports.CommandError as error:
        return type(error), str(error)


async def after(frames: list[Frame], ask: Ask) -> tuple[object, int]:
    """Returns the answer on top of these events, and the number of events after it."""
    log = MemoryLog()
    state = replayed(frames)
    log.pool = Pool(codec.RECORD_SIZES, state.seq)
    service = Service(log, state, HandTime().log_clock(state.time_us), SELECTION_KEY)
    said = await outcome(ServiceCommands(service, log, SECRET), ask)
    return said, state.seq - len(frames)


def made_up(chance: random.Random) -> Ask:
    """Draws commands from few objects and idempotency keys, so that they meet."""
    by = ports.Actor(
        "ops", "", f"r-{chance.random()}", "because", chance.choice(("", "", "one", "two"))
    )
    if chance.random() < 0.3:
        by = evolve(by, idempotency_key=f"of its own {chance.randrange(12)}")
    hashes = [hash_of(chance.randrange(4)) for _ in range(chance.randrange(1, 4))]
    texts = [f"{number:032d}" for number in chance.sample(range(4), chance.randrange(1, 4))]
    key_ref, account = chance.randrange(1, 12), chance.randrange(1, 5)
    new = ports.NewKey(chance.choice((None, texts[0])), owner=chance.choice((None, "anna")))
    terms = ports.FactorTerms(
        account=chance.choice((None, account)), upload_percent=chance.choice((50, 200))
    )
    correction = ports.Correction(account % 2 + 1, chance.choice((5, -5)), 0, 0)
    label = chance.choice((None, "x"))
    asked: list[Ask] = [
        lambda commands: commands.whitelist_add(hashes, by),
        lambda commands: commands.whitelist_remove(hashes[0], by),
        lambda commands: commands.issue_key(new, by),
        lambda commands: commands.import_keys([ports.NewKey(text) for text in texts], by),
        lambda commands: commands.label_key(key_ref, label, by),
        lambda commands: commands.rotate_key(key_ref, by),
        lambda commands: commands.revoke_key(texts[0], by),
        lambda commands: commands.revoke_key_ref(key_ref, by),
        lambda commands: commands.set_factor(terms, by),
        lambda commands: commands.end_factor(key_ref, by),
        *[lambda commands: commands.correct(correction, by)] * 4,
    ]
    return chance.choice(asked)


@pytest.mark.parametrize("seed", range(12))
async def test_an_answer_rests_on_what_is_durable(seed: int) -> None:
    """Concurrent commands are answered from durable events.

    A command with events is answered after them. A command without is answered as by a tracker that
    never had more than the durable events.
    """
    chance, slow = random.Random(seed), Slow()
    without_events = 0

    async def one(ask: Ask) -> None:
        nonlocal without_events
        before = slow.service.state.seq
        said = await outcome(slow.commands, ask)
        durable = slow.log.durable_seq + 1
        decided = slow.log.decided[trio.lowlevel.current_task()]
        if decided > before:
            assert durable >= decided
            return
        without_events += 1
        assert await after(slow.log.frames()[: min(before, durable)], ask) == (said, 0)

    async with trio.open_nursery() as nursery:
        for _ in range(COMMANDS):
            nursery.start_soon(one, made_up(chance))
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(chance.choice((0, 0, 0, 1, 3))):
                if slow.log.durable_seq < slow.service.state.seq - 1:
                    slow.log.one_more()
                    await trio.testing.wait_all_tasks_blocked()
        while slow.log.durable_seq < slow.service.state.seq - 1:
            slow.log.one_more()
            await trio.testing.wait_all_tasks_blocked()
    assert without_events
