"""Delivers events to one webhook: reads them from the log, posts them, and notes how far it is.

A delivery is one request with up to 200 events. The next one waits until it is acknowledged with a
status from 200 to 299. One that fails is tried again, later and later. After `give_up_hours` its
events become a dead letter, so that a receiver that refuses one of them gets the others.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from tracker.config import origin
from tracker.domain.events import codec
from tracker.ports import (
    DeadLetter,
    EventFilter,
    NoMomentError,
    UnreadableLogError,
    WebhookState,
)
from tracker.webhooks.posting import Answer, PostError, post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tracker.config import Webhook
    from tracker.ports import Events
    from tracker.webhooks.place import Place
    from tracker.webhooks.posting import Receiver

    Post = Callable[[Receiver, Mapping[str, str], bytes], Awaitable[Answer]]

log = logging.getLogger("tracker")

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds between the first two attempts, and the most between two; each wait doubles the one
before.
"""
MOST_RETRY_AFTER = 3600.0
"""The longest wait, in seconds, that a receiver may ask for."""
SAVE_SECONDS = 10.0
"""Seconds between two notes of the place while no event is meant for the webhook."""


@define(eq=False)
class Delivery:
    """The task of a webhook, and what it tells of itself."""

    hook: Webhook
    to: Receiver
    events: Events
    place: Place
    post: Post = post
    failing_us: int | None = None  # date
    error: str | None = None
    _again: int | None = None  # where a replay begins that was asked for
    _retry: list[DeadLetter] = field(factory=list)
    _asked: trio.Event = field(factory=trio.Event)  # for a replay, or for dead letters

    def state(self) -> WebhookState:
        return WebhookState(
            name=self.hook.name, origin=origin(self.hook.url), types=self.hook.types, seq=self.place.seq,
            behind=max(0, self.events.end - 1 - self.place.seq), failing_us=self.failing_us,
            error=self.error, dead=tuple(self.place.dead), dropped=self.place.dropped,
        )  # fmt: skip

    def replay(self, first: int) -> None:
        """Has everything from event `first` on sent once more. Raises `NoMomentError` for one
        beyond the next, because what comes before it would not be sent.
        """
        following = self.place.seq + 1
        if first > following:
            raise NoMomentError(f"the webhook gets event {following} next, and passes over nothing")
        self._again = first
        self._asked.set()

    def retry(self) -> int:
        """Has the dead letters sent once more, before anything else; returns their number."""
        self._retry = list(self.place.dead)
        self._asked.set()
        return len(self._retry)

    async def run(self) -> None:
        """Delivers until it is cancelled, or until the tracker stops."""
        stops = False
        if (
            self.place.fresh
        ):  # else a kill before the first delivery would lose what is meant for it
            await self._save()
        while not stops:
            failed: BaseException | None = None
            try:
                stops = await self._until_asked()
            except* (UnreadableLogError, NoMomentError, OSError) as group:
                failed = group.exceptions[0]
            if failed is not None:
                self._failed(f"the log cannot be read: {failed}")
                await trio.sleep(LONGEST_WAIT)

    async def _until_asked(self) -> bool:
        """Delivers until somebody asks for a replay, or for dead letters; returns whether it ended
        because the tracker stops.
        """
        self._asked, stops = trio.Event(), False
        if self._again is not None:
            self.place.seq, self._again = self._again - 1, None
            await self._save()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_after, self._asked, nursery.cancel_scope)
            await self._resurrect()
            await self._follow()
            stops = True
            nursery.cancel_scope.cancel()
        return stops

    async def _resurrect(self) -> None:
        """Sends the dead letters that somebody wants sent again; one that fails stays dead."""
        while self._retry:
            letter = self._retry.pop(0)
            if await self._resent(letter):
                self.place.dead.remove(letter)
                await self._save()

    async def _resent(self, letter: DeadLetter) -> bool:
        """Sends the events of a dead letter in deliveries of the usual size; returns whether all
        were acknowledged. It reads from the letter's first event on.
        """
        first = letter.first
        async with aclosing(self.events.follow(first - 1, self._filter())) as following:
            async for found in following:
                events = [event for event in found.events if event["seq"] <= letter.last]
                last = max([min(found.seen, letter.last), *(each["seq"] for each in events[-1:])])
                if events and await self._attempt(events, first, last, found.pruned) is not None:
                    return False
                if found.seen >= letter.last:
                    return True
                first = found.seen + 1
        return False

    async def _follow(self) -> None:
        saved = trio.current_time()
        async with aclosing(self.events.follow(self.place.seq, self._filter())) as following:
            async for found in following:
                if found.events or found.pruned is not None:
                    last = max([found.seen, *(event["seq"] for event in found.events[-1:])])
                    await self._deliver(found.events, last, found.pruned)
                elif found.seen == self.place.seq or trio.current_time() < saved + SAVE_SECONDS:
                    continue
                self.place.seq = found.seen
                await self._save()
                saved = trio.current_time()

    async def _deliver(
        self, events: Sequence[dict[str, Any]], last: int, pruned: int | None
    ) -> None:
        """Sends events until they are acknowledged, or given up for dead."""
        first, ends = self.place.seq + 1, trio.current_time() + self.hook.give_up_hours * 3600
        wait = FIRST_WAIT
        while (failed := await self._attempt(events, first, last, pruned)) is not None:
            if trio.current_time() >= ends:
                self.place.bury(DeadLetter(first, last, time.time_ns() // 1000, self.error or ""))
                log.error(
                    "Webhook %s: events %d to %d were given up after %d hours: %s",
                    self.hook.name, first, last, self.hook.give_up_hours, self.error,
                )  # fmt: skip
                return
            await trio.sleep(max(wait, failed))
            wait = min(2 * wait, LONGEST_WAIT)

    async def _attempt(
        self, events: Sequence[dict[str, Any]], first: int, last: int, pruned: int | None
    ) -> float | None:
        """Sends events once. Returns None if they were acknowledged, else the seconds to wait."""
        body = json.dumps(
            {
                "webhook": self.hook.name, "log_id": self.place.log_id, "first": first, "last": last,
                "removed_before": pruned, "events": events,
            },
            ensure_ascii=False,
        ).encode(errors="replace")  # fmt: skip
        delivery = f"{self.place.log_id}:{first}-{last}"
        headers = {
            "content-type": "application/json",
            "user-agent": "swarmlog",
            "swarmlog-delivery": delivery,
            "swarmlog-signature": signature(self.hook.secret, int(time.time()), body),
        }
        try:
            answer = await self.post(self.to, headers, body)
        except PostError as error:
            self._failed(str(error))
            return 0.0
        if 200 <= answer.status < 300:
            self.failing_us = self.error = None
            return None
        self._failed(f"status {answer.status}")
        return min(answer.retry_after or 0.0, MOST_RETRY_AFTER)

    def _failed(self, why: str) -> None:
        if self.failing_us is None:
            log.warning("Webhook %s fails: %s; it goes on trying", self.hook.name, why)
            self.failing_us = time.time_ns() // 1000
        self.error = why

    def _filter(self) -> EventFilter:
        return EventFilter(types=codec.types_of(self.hook.types))

    async def _save(self) -> None:
        """Notes the place. Where the disk takes nothing, a crash sends some events twice."""
        try:
            await trio.to_thread.run_sync(self.place.save)
        except OSError as error:
            self._failed(f"the place cannot be noted: {error}")


async def _cancel_after(asked: trio.Event, scope: trio.CancelScope) -> None:
    await asked.wait()
    scope.cancel()


def signature(secret: str, seconds: int, body: bytes) -> str:
    """Signs a body and the time, so that a receiver knows the sender and that it is not a repeat:
    `t=SECONDS,v1=HMAC-SHA-256 of "SECONDS.BODY"`, in hexadecimal.
    """
    mac = hmac.new(secret.encode(), b"%d.%b" % (seconds, body), hashlib.sha256)
    return f"t={seconds},v1={mac.hexdigest()}"
