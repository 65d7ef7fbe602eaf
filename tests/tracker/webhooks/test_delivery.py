"""Tests deliveries with a receiver that fails, and time that only waits."""

from __future__ import annotations

import hashlib
import hmac
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from tracker.config import Webhook
from tracker.ports import (
    DeadLetter,
    EventFilter,
    Followed,
    NoMomentError,
    UnreadableLogError,
)
from tracker.webhooks.delivery import LONGEST_WAIT, Delivery
from tracker.webhooks.place import MOST_DEAD, load
from tracker.webhooks.posting import Answer, PostError, Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

SECRET = "known to the test"  # not of a site
HOOK = Webhook("site", "http://127.0.0.1:1/hook", SECRET, ("key_issued",), give_up_hours=1)
FAILED = PostError("connection refused")
LOG_ID = "ab" * 16


@define
class Log:
    """Implements what `ports.Events` has for webhooks: every other event is meant for them."""

    end: int = 0
    grew: trio.Event = field(factory=trio.Event)
    fails: list[Exception] = field(factory=list)  # what reading it raises next

    event_types: ClassVar = {"key_issued": frozenset({"key_issued"})}

    def grow(self, number: int) -> None:
        self.end += number
        self.grew.set()
        self.grew = trio.Event()

    def meant(self, first: int, last: int) -> list[dict[str, Any]]:
        return [{"seq": seq} for seq in range(first, last + 1) if seq % 2]

    async def follow(
        self,
        after: int | None,
        wanted: EventFilter,  # noqa: ARG002  # the protocol's name
    ) -> AsyncGenerator[Followed, None]:
        if self.fails:
            raise self.fails.pop()
        assert after is not None
        while True:
            last = min(self.end - 1, after + 4)
            yield Followed(self.meant(after + 1, last), last)
            after = last
            if after == self.end - 1:
                with trio.move_on_after(1):
                    await self.grew.wait()


@define
class Rig:
    """A delivery, and a receiver that answers as it is told."""

    folder: Path
    answers: list[Answer | PostError] = field(factory=list)  # the next ones; then 200
    got: list[int] = field(factory=list)  # events that were acknowledged
    bodies: list[tuple[Mapping[str, str], bytes]] = field(factory=list)
    times: list[float] = field(factory=list)  # of requests
    log: Log = field(factory=Log)
    delivery: Delivery = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begins as a start of the tracker does."""
        place = load(self.folder, HOOK.name, LOG_ID, self.log.end)
        to = Receiver.of(HOOK.url, None)
        self.delivery = Delivery(HOOK, to, self.log, place, self.post)

    async def post(self, to: Receiver, headers: Mapping[str, str], body: bytes) -> Answer:
        assert (to.host, to.port, to.target) == ("127.0.0.1", 1, "/hook")
        self.times.append(trio.current_time())
        self.bodies.append((headers, body))
        answer = self.answers.pop(0) if self.answers else Answer(204)
        if isinstance(answer, PostError):
            raise answer
        if answer.status < 300:
            self.got += [event["seq"] for event in json.loads(body)["events"]]
        return answer


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig without threads, because virtual time would jump ahead while one works."""

    async def in_place(work: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        work()

    monkeypatch.setattr(trio.to_thread, "run_sync", in_place)
    return Rig(tmp_path)


async def test_in_order_and_signed(rig: Rig, nursery: trio.Nursery) -> None:
    """Each event comes once, in order; the place says what is done."""
    nursery.start_soon(rig.delivery.run)
    for number in (3, 20, 1):
        rig.log.grow(number)
        await wait_all_tasks_blocked()
    assert rig.got == list(range(1, 24, 2))
    state = rig.delivery.state()
    assert (state.seq, state.behind, state.error, state.dead) == (23, 0, None, ())
    headers, body = rig.bodies[0]
    told = json.loads(body)
    assert told == {
        "webhook": "site", "log_id": LOG_ID, "first": 0, "last": 2, "removed_before": None,
        "events": [{"seq": 1}],
    }  # fmt: skip
    assert headers["swarmlog-delivery"] == f"{LOG_ID}:0-2"
    seconds, _, mac = headers["swarmlog-signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    assert mac == expected.hexdigest()


async def test_any_text(rig: Rig, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event with half a surrogate pair, which has no UTF-8 form, is sent with a mark there."""
    monkeypatch.setattr(Log, "meant", lambda *_: [{"seq": 0, "owner": "\ud800"}])
    nursery.start_soon(rig.delivery.run)
    rig.log.grow(1)
    await wait_all_tasks_blocked()
    assert [json.loads(body)["events"][0]["owner"] for _, body in rig.bodies] == ["?"]


async def test_retries(rig: Rig, autojump_clock: MockClock) -> None:  # noqa: ARG001  # a clock
    """What fails is sent again, later and later, and what comes after it waits."""
    rig.answers = [FAILED, Answer(500), Answer(429, retry_after=60.0), Answer(301)]
    rig.log.grow(6)
    with trio.move_on_after(100):
        await rig.delivery.run()
    assert rig.got == [1, 3, 5]
    waits = [after - before for before, after in zip(rig.times, rig.times[1:], strict=False)]
    assert waits == [1, 2, 60, 8, 0]
    assert len({headers["swarmlog-delivery"] for headers, _ in rig.bodies}) == 2


async def test_dead_letters(rig: Rig, autojump_clock: MockClock) -> None:  # noqa: ARG001  # a clock
    """After an hour the next events follow; the dead letter is sent again when somebody asks."""
    rig.answers = [FAILED] * 30
    rig.log.grow(5)
    with trio.move_on_after(3600 + LONGEST_WAIT):
        await rig.delivery.run()
    (dead,) = rig.delivery.state().dead
    assert (dead.first, dead.last, dead.why) == (0, 3, "connection refused")
    assert 3600 <= max(rig.times) - rig.times[0] <= 3600 + LONGEST_WAIT
    rig.begin()  # it outlives a restart
    rig.log.grow(2)
    rig.answers = []
    assert rig.delivery.retry() == 1
    with trio.move_on_after(1):
        await rig.delivery.run()
    assert rig.got == [1, 3, 5]
    assert rig.delivery.state().dead == ()


async def test_a_dead_letter_of_one_large_event(rig: Rig, nursery: trio.Nursery) -> None:
    """What one event shows may fill several deliveries. No other event is read or sent again."""
    asked: list[int | None] = []

    async def follow(after: int | None, _: EventFilter) -> AsyncGenerator[Followed, None]:
        asked.append(after)
        for _ in range(3):
            yield Followed([{"seq": 4}] * 2, 3)
        yield Followed([{"seq": 4}, {"seq": 5}], 5)
        await trio.sleep_forever()

    rig.log.end = 9
    rig.begin()
    rig.delivery.place.dead = [DeadLetter(4, 4, 1, "refused")]
    rig.delivery.events = SimpleNamespace(follow=follow, end=9)  # type: ignore[assignment]  # what it has of it
    rig.delivery.retry()
    nursery.start_soon(rig.delivery._resurrect)
    await wait_all_tasks_blocked()
    assert (asked, rig.got) == ([3], [4] * 7)
    assert [headers["swarmlog-delivery"].partition(":")[2] for headers, _ in rig.bodies] == [
        "4-4"
    ] * 4
    assert rig.delivery.state().dead == ()


async def test_replay(rig: Rig, autojump_clock: MockClock) -> None:  # noqa: ARG001  # a clock
    """A replay begins at once, also while a delivery waits for its next attempt."""
    rig.log.grow(4)
    rig.answers = [Answer(200), *[FAILED] * 5]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.delivery.run)
        await trio.sleep(1)
        rig.log.grow(4)
        await trio.sleep(4)
        assert rig.delivery.state().error == "connection refused"
        rig.answers = []
        rig.delivery.replay(2)
        await trio.sleep(1)
        assert rig.got == [1, 3, 3, 5, 7]
        nursery.cancel_scope.cancel()
    rig.begin()
    assert rig.delivery.state().seq == 7


@pytest.mark.parametrize("why", [NoMomentError, UnreadableLogError, OSError])
async def test_a_log_that_cannot_be_read(
    rig: Rig,
    autojump_clock: MockClock,  # noqa: ARG001  # a clock
    why: type[Exception],
) -> None:
    """It does not end the tracker; the webhook says it, and goes on when it can."""
    rig.log.grow(2)
    rig.log.fails = [why("damaged")]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.delivery.run)
        await trio.sleep(1)
        assert rig.delivery.state().error == "the log cannot be read: damaged"
        await trio.sleep(LONGEST_WAIT)
        nursery.cancel_scope.cancel()
    assert rig.got == [1]
    assert rig.delivery.state().error is None


def test_a_replay_from_beyond_the_next_event(rig: Rig) -> None:
    """It is refused, because what comes before that event would never be sent."""
    rig.log.grow(4)
    rig.delivery.replay(0)
    with pytest.raises(NoMomentError, match="gets event 0 next"):
        rig.delivery.replay(1)


def test_places(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new webhook begins at the end, as one whose file is of another log, or nonsense."""
    place = load(tmp_path, "site", LOG_ID, 10)
    assert place.seq == 9
    place.seq = 5
    place.save()
    assert load(tmp_path, "site", LOG_ID, 10).seq == 5
    (tmp_path / "webhooks" / "folder.json").mkdir()
    letter = '{"first": 1, "last": 2, "time_us": 3, "why": "", "more": 1}'
    written = {
        f"odd{number}": text
        for number, text in enumerate((
            '{"log_id": 1', "[]", '{"log_id": "", "seq": Infinity, "dead": [], "dropped": 0}',
            f'{{"log_id": "{LOG_ID}", "seq": -2, "dead": [{letter}], "dropped": 0}}',
            f'{{"log_id": "{LOG_ID}", "seq": 1, "dead": [{{"first": "x"}}], "dropped": 0}}',
        ))
    }  # fmt: skip
    for name, text in written.items():
        (tmp_path / "webhooks" / f"{name}.json").write_text(text)
    odd = [(name, LOG_ID, 7) for name in (*written, "folder")]
    for name, log_id, end in (("site", "cd" * 16, 10), ("site", LOG_ID, 5), *odd):
        assert load(tmp_path, name, log_id, end).seq == end - 1
        assert f"begins with event {end}" in caplog.messages[-1]
    assert len(caplog.messages) == 2 + len(odd)


def test_too_many_dead_letters(rig: Rig) -> None:
    """Of those for which there is no room the number is kept."""
    place = rig.delivery.place
    place.dead = [place.dead] * MOST_DEAD  # type: ignore[list-item]  # only their number counts
    place.bury(place.dead[0])
    assert (len(place.dead), place.dropped) == (MOST_DEAD, 1)
