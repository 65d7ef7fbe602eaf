"""Serves the log in version 2: events by page and as a stream, and refused requests.

All handlers read the durable part of the log through `tracker.ports.Events`, and keep nothing in
memory.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from quart import g, request

from api import times
from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import Response, encode, json_text
from api.streams import json_array, json_object, shaped
from api.v2 import looks, params
from api.v2.ledgers import allow_time
from api.v2.looks import WHY
from api.v2.problems import Problem
from api.v2.server_sent import EVENT_STREAM, LAST_EVENT_ID, Sent, resumed, text_of
from tracker.ports import DERIVED_TYPES, EventFilter, LogPart, Moment, ReadModel, named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from api.reads import Reads
    from api.v2.looks import Looks
    from api.v2.server_sent import Streams
    from tracker import ports
    from tracker.ports import EventPage, Refused

SEQ_MAX: Final = 2**63 - 1

EVENTS_TIMEOUT: Final = 15.0
"""Seconds for a page of events, because a process reads it, and may have to begin."""

_FILTERS: Final = ("info_hash", "key_ref", "account")

_TYPE_AND_TORRENT: Final = (
    Parameter(
        name="type",
        schema=shapes.array(shapes.STRING),
        description="any of these types; `staff`: any change by staff",
    ),
    Parameter(name="info_hash", schema=shapes.HASH),
)
_WHO: Final = (
    Parameter(name="key_ref", schema=shapes.U32),
    Parameter(name="account", schema=shapes.U32),
)
PART: Final = tuple(
    Parameter(
        name=name,
        schema={"anyOf": [shapes.TIME, shapes.SEQ]},
        description="a time or a seq, included",
    )
    for name in ("from", "to")
)


@frozen
class Events:
    reads: Reads
    log: ports.Events
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        previous = shapes.nullable(shapes.SEQ)
        listed = shapes.page("events", shapes.EVENT, shapes.SEQ, end=shapes.SEQ, previous=previous)
        return [
            Endpoint(
                "GET", "/events", self.many, "Durable events, ascending.", answer(listed),
                query=(
                    params.AFTER_SEQ, params.LIMIT, params.LAST, params.BEFORE_SEQ, *PART,
                    *_TYPE_AND_TORRENT, *_WHO, AT,
                ),
                headers=(WHY,),
            )
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists events, ascending; with `last` the last ones.

        A page may be short, or empty, and still have a `next` (with `last` a `previous`). The next
        page continues the search.
        """
        given = params.only(
            request.args, "after", "limit", "last", "before", "from", "to", "at", *_FILTERS,
            repeated=("type",),
        )  # fmt: skip
        await _up_to_moment(self.reads, given)
        wanted = self.wanted(given)
        allow_time(EVENTS_TIMEOUT)
        if not DERIVED_TYPES.isdisjoint(wanted.types):
            allow_time()  # the book is read for them
        page = await self._page(given, wanted)
        following = None if page.following is None else page.following - 1
        previous = encode(page.previous)
        tail = f'],"next":{encode(following)},"previous":{previous},"end":{page.end}}}'
        open_to = await self.looks.opened(page.events)
        model, right = self.reads.live.now(), g.addresses

        def show(event: dict[str, Any]) -> str:
            told = named(event, model)
            return encode(told if open_to else looks.hidden(told, right=right))

        return await json_array(await shaped(page.events, show), str, '{"events":[', tail)

    async def _page(self, given: dict[str, str], wanted: EventFilter) -> EventPage:
        last = params.last(given)
        if last is None:
            return await self.log.read(part(given), wanted, params.limit(given))
        if not DERIVED_TYPES.isdisjoint(wanted.types):
            raise Problem(400, "last: what is made from events has no last ones; use `from`")
        wide = part(given)
        if "before" in given:
            upto = params.whole("before", given["before"], SEQ_MAX)
            wide = evolve(wide, last=upto - 1 if wide.last is None else min(wide.last, upto - 1))
        return await self.log.read_last(wide, wanted, last)

    def wanted(self, given: dict[str, str]) -> EventFilter:
        types = request.args.getlist("type")
        for name in types:
            if name not in self.log.event_types:
                known = ", ".join(self.log.event_types)
                raise Problem(400, f"type: expected one of {known}")
        if "key_ref" in given and not DERIVED_TYPES.isdisjoint(types):
            raise Problem(400, "key_ref: what is made from events has no key; ask by account")
        info_hash = given.get("info_hash")
        return EventFilter(
            types=frozenset[str]().union(*(self.log.event_types[name] for name in types)),
            info_hash=None if info_hash is None else params.info_hash(info_hash),
            key_ref=params.optional_number(given, "key_ref"),
            account=params.optional_number(given, "account"),
        )


@frozen
class Stream:
    """Sends events as they become durable. `id` is the seq. With what is made from events it has
    also the number there, -1 for the event itself.
    """

    events: Events
    streams: Streams

    def endpoints(self) -> list[Endpoint]:
        after = evolve(
            params.AFTER_SEQ, schema=shapes.STRING, description="as the header `Last-Event-ID`"
        )
        return [
            Endpoint(
                "GET", "/events/stream", self.follow, "Events as they become durable, server-sent.",
                answer(shapes.STRING, media=EVENT_STREAM),
                query=(after, *_TYPE_AND_TORRENT, *_WHO),
                headers=(LAST_EVENT_ID, WHY),
            )
        ]  # fmt: skip

    async def follow(self) -> Response:
        given = params.only(request.args, "after", *_FILTERS, repeated=("type",))
        wanted, after = self.events.wanted(given), _resumed(given)
        open_to = looks.wanted()
        mixed = not DERIVED_TYPES.isdisjoint(wanted.types)
        show = partial(_event_text, mixed=mixed, open_to=open_to, right=g.addresses)
        response = self.streams.reply(partial(self._found, after, wanted, show))
        if open_to:
            await self.events.looks.note(None)
        return response

    async def _found(
        self,
        after: tuple[int | None, int | None],
        wanted: EventFilter,
        show: Callable[[dict[str, Any]], str],
    ) -> AsyncGenerator[Sent, None]:
        seq, n = after
        async with aclosing(self.events.log.follow(seq, wanted, n)) as found:
            async for each in found:
                text = "".join(map(show, named(each.events, self.events.reads.live.now())))
                if each.pruned is not None:
                    text = f'event: gone\ndata: {{"first_seq":{each.pruned}}}\n\n{text}'
                yield Sent(text, str(each.seen) if each.seen >= 0 else "")


@frozen
class Rejections:
    reads: Reads
    log: ports.Events

    def endpoints(self) -> list[Endpoint]:
        reasons = {"type": "object", "additionalProperties": shapes.WHOLE}
        keys = shapes.page("keys", shapes.REJECTED, shapes.SEQ, end=shapes.SEQ)
        return [
            Endpoint(
                "GET", "/rejections", self.reasons, "Refused requests by reason.",
                answer(shapes.record(reasons=reasons)), query=(AT,),
            ),
            Endpoint(
                "GET", "/rejections/clients", self.clients, "Refused requests by client and reason.",
                answer(shapes.record(clients=shapes.array(shapes.REFUSED))), query=(AT,),
            ),
            Endpoint(
                "GET", "/rejections/keys", self.keys, "Refusals of known keys.", answer(keys),
                query=(params.AFTER_SEQ, *PART, *_WHO, AT),
            ),
        ]  # fmt: skip

    async def reasons(self) -> Response:
        """Counts refused requests since the log began, by reason."""
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.refusals)
        return json_text(encode({"reasons": dict(sorted(found.items()))}))

    async def clients(self) -> Response:
        """Counts refused requests by client and reason, ordered by client, version and reason."""
        params.only(request.args, "at")
        found = self.reads.each(ReadModel.refused_clients)
        return await json_array(found, _refused_json, '{"clients":[', "]}")

    async def keys(self) -> Response:
        """Counts refusals of issued keys by key and reason.

        The log has at most one refusal a minute for each key and reason.
        """
        given = params.only(request.args, "after", "from", "to", "at", "key_ref", "account")
        await _up_to_moment(self.reads, given)
        allow_time(EVENTS_TIMEOUT)
        wanted = EventFilter(
            types=frozenset({"announce_refused"}),
            key_ref=params.optional_number(given, "key_ref"),
            account=params.optional_number(given, "account"),
        )
        page = await self.log.read(part(given), wanted, params.MAX_LIMIT)
        following = None if page.following is None else page.following - 1
        keys = named(_by_key(page.events), self.reads.live.now())
        return await json_object({"keys": keys, "next": following, "end": page.end})


async def _up_to_moment(reads: Reads, given: dict[str, str]) -> None:
    """Takes `at` as `to`, if the log holds that moment. Raises the errors of the past."""
    if "at" not in given:
        return
    if "to" in given:
        raise Problem(400, "at, to: one of the two")
    await reads.one(ReadModel.refusals)
    given["to"] = given["at"]


def part(given: dict[str, str]) -> LogPart:
    """Reads the part of the log that `from`, `to` and `after` say."""
    begin, end = (each or Moment() for each in ends(given))
    first = begin.seq
    if "after" in given:
        first = max(first or 0, params.whole("after", given["after"], SEQ_MAX) + 1)
    return LogPart(first=first or 0, last=end.seq, from_us=begin.time_us, to_us=end.time_us)


def ends(given: dict[str, str]) -> tuple[Moment | None, Moment | None]:
    """Reads `from` and `to`; None = it is not given.

    Refuses two seqs, or two times, of which the second is the smaller.
    """
    begin, end = moment(given, "from"), moment(given, "to")
    if begin and end and end.is_before(begin):
        raise Problem(400, "to: it is before `from`")
    return begin, end


def place(given: dict[str, str], name: str) -> tuple[int | None, int | None]:
    """Reads a place in the log. Returns its seq, or its time in Unix microseconds; the other is
    None.
    """
    text = given.get(name)
    if text is None:
        return None, None
    if text.isdecimal():
        return params.whole(name, text, SEQ_MAX), None
    moment = times.parse_in_query(text)
    if moment is None:
        raise Problem(400, f"{name}: expected a seq, or a time such as 2027-01-31T23:59:59Z")
    return None, moment


def moment(given: dict[str, str], name: str) -> Moment | None:
    """Reads a place in the log; None = it is not given."""
    seq, time_us = place(given, name)
    return Moment(seq=seq, time_us=time_us) if name in given else None


def _resumed(given: dict[str, str]) -> tuple[int | None, int | None]:
    """Returns the seq of the client's last event, and the number of what it shows that the client
    has last. None = the client wants events from now on; None = it has all of that event.
    """
    text = resumed(given)
    if text is None:
        return None, None
    seq, _, n = text.partition(":")
    return params.whole("after", seq, SEQ_MAX), _number(n) if _ else None


def _number(text: str) -> int:
    """Reads what stands behind the seq of an id."""
    return -1 if text == "-1" else params.whole("after", text, 2**32 - 2)


def _event_text(event: dict[str, Any], *, mixed: bool, open_to: bool, right: bool) -> str:
    """Returns an event as text. `mixed`: what is made from events comes too."""
    seq, n = event["seq"], event.get("position", {"n": -1})["n"]
    told = event if open_to else looks.hidden(event, right=right)
    return text_of(f"{seq}:{n}" if mixed else seq, event["type"], told)


def _refused_json(one: Refused) -> str:
    return encode(
        {"client": one.client, "version": one.version, "reason": one.reason, "times": one.times}
    )


def _by_key(events: list[dict[str, Any]]) -> list[object]:
    found: dict[tuple[int, str], dict[str, object]] = {}
    times: dict[tuple[int, str], int] = {}
    for event in events:
        name = event["key_ref"], event["reason"]
        times[name] = times.get(name, 0) + 1
        found[name] = {"key_ref": name[0], "reason": name[1], "last": event["time"]}
    return [{**found[name], "times": times[name]} for name in sorted(found)]
