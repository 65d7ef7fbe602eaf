"""Tests the log in version 2 over a fake log: the calls, and the form of the answers."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from api.v2 import server_sent
from tests.api.asking import JSON, TOKEN, ask, problem
from tests.api.sockets import running
from tracker.ports import (
    BusyError,
    EventFilter,
    LogPart,
    Moment,
    NoMomentError,
    PrunedMomentError,
    UnreadableLogError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import trio

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)


def event(seq: int, **more: object) -> dict[str, object]:
    return {"seq": seq, "time": f"t{seq}", "type": "key_issued", **more}


@pytest.mark.parametrize(
    ("query", "part", "wanted"),
    [
        ("", LogPart(), EventFilter()),
        ("after=4", LogPart(first=5), EventFilter()),
        ("after=4&from=7&to=9", LogPart(first=7, last=9), EventFilter()),
        ("from=1970-01-01T00:00:01Z&to=1970-01-01T00:00:02Z",
         LogPart(from_us=1_000_000, to_us=2_000_000), EventFilter()),
        (f"info_hash={HASH.upper()}", LogPart(), EventFilter(info_hash=bytes.fromhex(HASH))),
        ("key_ref=3&account=0", LogPart(), EventFilter(key_ref=3, account=0)),
        ("type=announced&type=key_issued", LogPart(),
         EventFilter(types=frozenset({"announced", "key_issued"}))),
    ],
)  # fmt: skip
async def test_parameters_reach_the_log(app, log, query, part, wanted):
    assert (await ask(app, "GET", f"/api/v2/events?{query}")).status == 200
    assert log.asked == [(part, wanted)]


async def test_page(app, log):
    """A page has events, the cursor of the next page, and the end of the log."""
    log.events = [event(seq) for seq in range(5)]
    answer = await ask(app, "GET", "/api/v2/events?limit=3")
    assert (answer.status, answer.content_type) == (200, JSON)
    assert json.loads(answer.body) == {
        "events": log.events[:3], "next": 2, "previous": None, "end": 5,
    }  # fmt: skip
    answer = await ask(app, "GET", "/api/v2/events?after=2")
    assert json.loads(answer.body)["events"] == log.events[3:]


async def test_the_last_events(app, log):
    """They ascend, and `previous` leads to older ones."""
    log.events = [event(seq) for seq in range(5)]
    answer = await ask(app, "GET", "/api/v2/events?last=3&account=7")
    assert json.loads(answer.body) == {
        "events": log.events[2:], "next": None, "previous": 2, "end": 5,
    }  # fmt: skip
    answer = await ask(app, "GET", "/api/v2/events?last=3&before=2&to=9&from=0")
    assert json.loads(answer.body)["events"] == log.events[:2]
    assert log.asked == [
        (LogPart(), EventFilter(account=7)),
        (LogPart(last=1), EventFilter()),
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("before=7", "before: goes with `last` only"),
        ("last=7&after=1", "after: does not go with `last`"),
        ("last=7&limit=1", "limit: does not go with `last`"),
        ("last=0", "last: expected a number from 1 to 1000"),
        ("last=1001", "last: expected a whole number, at most 1000"),
        ("last=7&before=x", "before: expected a whole number"),
        ("last=7&type=completed", "last: what is made from events"),
    ],
)
async def test_refused_questions_for_the_last(app, query, said):
    answer = await ask(app, "GET", f"/api/v2/events?{query}")
    assert answer.status == 400
    assert said in problem(answer)["detail"]


async def read(stream: trio.SocketStream, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        got += await stream.receive_some()
    return got


async def test_stream(app, log, monkeypatch):
    """A stream sends events with ids, then a sign of life that moves the client's position on."""
    monkeypatch.setattr(server_sent, "HEARTBEAT_SECONDS", 0.5)
    log.events = [event(seq, owner="ä\nb") for seq in range(3)]
    head = (
        f"GET /api/v2/events/stream?{TOKEN}&after=0 HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n"
    )
    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(head.encode())
        got = (await read(stream, b": still here\nid: 2\n\n")).decode()
    assert "content-type: text/event-stream\r\n" in got
    assert "cache-control: no-store\r\n" in got
    data = json.dumps(log.events[2], separators=(",", ":"), ensure_ascii=False)
    assert f"id: 2\nevent: key_issued\ndata: {data}\n\n" in got
    assert "id: 1\n" not in got


async def test_a_stream_of_what_is_made_from_events(app, log):
    """Its ids have the number beside the seq, so that a client goes on between the two."""
    made = {**event(2), "type": "completed", "position": {"n": 7}}
    log.events = [event(0), event(1), event(2), made]
    query = f"{TOKEN}&type=completed&type=key_issued"
    head = f"GET /api/v2/events/stream?{query} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1:-1\r\n\r\n"
    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(head.encode())
        got = (await read(stream, b"event: completed")).decode()
    assert "id: 2:-1\nevent: key_issued\n" in got
    assert "id: 2:7\nevent: completed" in got
    assert log.after_n == -1


@pytest.mark.parametrize(
    "query", ["after=1:x", "after=1:-2", "after=1:", "after=:1", f"after=1:{2**32}", "after=-1"]
)
async def test_ids_that_cannot_be(app, query):
    answer = await ask(app, "GET", f"/api/v2/events/stream?{query}")
    assert "after" in problem(answer)["title"] + problem(answer).get("detail", "")
    assert answer.status == 400


async def test_a_part_that_ends_before_it_begins(app):
    answer = await ask(app, "GET", "/api/v2/events?from=9&to=8")
    assert (answer.status, problem(answer)["detail"]) == (400, "to: it is before `from`")


@pytest.mark.parametrize("path", ["/api/v2/events", "/api/v2/events/stream"])
async def test_what_is_made_from_events_has_no_key(app, path):
    answer = await ask(app, "GET", f"{path}?type=completed&key_ref=3")
    assert (answer.status, "ask by account" in answer.body) == (400, True)


async def test_streams_are_limited_in_number_and_time(app, monkeypatch):
    """One stream too many gives 503. A stream ends by itself, and gives its place back."""
    monkeypatch.setattr(server_sent, "MAX_STREAMS", 1)
    monkeypatch.setattr(server_sent, "STREAM_SECONDS", 0.5)
    head = f"GET /api/v2/events/stream?{TOKEN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with running(app) as server, await server.connect() as first:
        await first.send_all(head.encode())
        await read(first, b"retry: ")
        assert (await server.get(f"/api/v2/events/stream?{TOKEN}")).startswith(b"HTTP/1.1 503")
        rest = b"".join([chunk async for chunk in first])
        assert rest.endswith(b"0\r\n\r\n")
        assert (await server.get(f"/api/v2/events/stream?{TOKEN}")).startswith(b"HTTP/1.1 200")


async def test_streams_that_begin_at_once():
    """No more streams run than allowed, even if all were let in before the first one began."""
    streams = server_sent.Streams()

    async def source() -> AsyncGenerator[server_sent.Sent, None]:
        yield server_sent.Sent("", "")

    async with (
        aclosing(streams.chunks(source, 1)) as first,
        aclosing(streams.chunks(source, 1)) as second,
    ):
        assert (await anext(first)).startswith(b"retry: ")
        assert [chunk async for chunk in second] == []
    assert streams._open == 0


async def test_stream_says_what_is_gone(app, log):
    """A client that missed removed events gets the log's first seq, then the events left."""
    log.events = [event(seq) for seq in range(5)]
    log.pruned = 4
    head = f"GET /api/v2/events/stream?{TOKEN}&after=0 HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(head.encode())
        received = (await read(stream, b"id: 4\n")).decode().partition("\r\n\r\n")[2]
    assert 'event: gone\ndata: {"first_seq":4}\n\n' in received
    assert "id: 3" not in received  # of the head "request-id: 3..." would do


LEDGERS = [
    ("/accounts/1/ledger", (1, None, None, -1, 100)),
    ("/accounts/1/ledger?after=7&limit=5&at=9", (1, None, Moment(seq=9), 7, 5)),
    (f"/accounts/1/ledger?info_hash={HASH}", (1, RAW, None, -1, 100)),
    ("/accounts/1/totals", (1, None, None, 100)),
    (f"/accounts/1/totals?after={HASH}&at=9&limit=2", (1, Moment(seq=9), RAW, 2)),
    (f"/torrents/{HASH.upper()}/totals?at=9", (RAW, Moment(seq=9), None, 100)),
    (f"/torrents/{HASH}/totals?after=3&limit=7", (RAW, None, 3, 7)),
]


TOTALS = (
    '"uploaded":1,"downloaded":2,"credited_uploaded":3,"credited_downloaded":4,"seeding_seconds":5,"partial_seeding_seconds":8,"sessions":6,'
    '"snatched":7,"first_seen":"2023-03-28T12:25:00.058085Z","last_seen":null'
)
SUMS = f'"announces":8,"corrections":9,{TOTALS}'
LEDGER_BODIES = [
    (
        "/accounts/1/ledger",
        (
            '{"entries":['
            f'{{"type":"opening","seq":40,"time":"2023-03-28T12:25:00.058085Z",{TOTALS}}},'
            '{"type":"correction","seq":41,"info_hash":null,"label":null,"credited_uploaded":-1,"credited_downloaded":2,"corrects":12,'
            '"reason":"ä","time":"2023-03-28T12:25:00.058085Z"},'
            f'{{"type":"announce","seq":42,"info_hash":"{"00" * 20}","label":null,"peer_id":"2d5858303030312d","event":"started",'
            '"uploaded":1,"downloaded":2,"left":null,"base_uploaded":null,"base_downloaded":4,"delta_uploaded":5,'
            '"delta_downloaded":6,"credited_uploaded":7,"credited_downloaded":8,"rule":"new session","factors":[3,4],'
            '"client":{"client":2,"peer_id_prefix":"-XX0001-","user_agent":null},'
            '"time":"2023-03-28T12:25:00.058085Z"}'
            f'],"next":null,"totals":{{{SUMS}}}}}'
        ),
    ),
    (
        "/accounts/1/totals",
        (
            f'{{"totals":[{{"info_hash":null,"label":null,{SUMS}}},{{"info_hash":"{"00" * 20}","label":null,{SUMS}}}],'
            f'"next":"{"00" * 20}","first_seq":5,"seq":99}}'
        ),
    ),
    (
        f"/torrents/{HASH}/totals",
        f'{{"totals":[{{"account":7,"owner":"anna",{SUMS}}}],"next":null,"first_seq":5,"seq":99}}',
    ),
]


@pytest.mark.parametrize(("target", "body"), LEDGER_BODIES)
async def test_ledger_bodies(app, live, target, body):
    """A ledger's document has each member in its place."""
    live.commands.accounts[1] = object()
    assert (await ask(app, "GET", f"/api/v2{target}")).body == body


@pytest.mark.parametrize(("target", "asked"), LEDGERS)
async def test_ledgers(app, live, log, target, asked):
    """Each parameter reaches the ledgers, and each failure has a status of its own."""
    live.commands.accounts[1] = object()
    answer = await ask(app, "GET", f"/api/v2{target}")
    assert (answer.status, answer.content_type) == (200, JSON)
    assert log.ledgers == [asked]
    for failure, status in FAILURES:
        log.failure = failure
        document = problem(await ask(app, "GET", f"/api/v2{target}"))
        assert (document["status"], document["detail"]) == (status, str(failure))
        assert document.get("first_seq") == (77 if status == 410 else None)


FAILURES = [
    (BusyError("ask again"), 503),
    (UnreadableLogError("seg/1.evl: damaged"), 500),
    (NoMomentError("not there"), 404),
    (PrunedMomentError(77), 410),
]


@pytest.mark.parametrize(
    ("target", "status"),
    [("/accounts/2/ledger", 404), ("/accounts/0/totals", 404), ("/torrents/12/totals", 400),
     ("/accounts/1/ledger?after=-1", 400), ("/accounts/1/totals?after=7", 400),
     (f"/torrents/{HASH}/totals?after={HASH}", 400), ("/accounts/1/totals?at=yesterday", 400),
     (f"/torrents/{HASH}/totals?info_hash={HASH}", 400)],
)  # fmt: skip
async def test_refused_ledgers(app, live, target, status):
    """Unknown accounts and malformed parameters are refused."""
    live.commands.accounts[1] = object()
    assert problem(await ask(app, "GET", f"/api/v2{target}"))["status"] == status


async def test_page_is_overtaken(app, log):
    """Events removed during a read give 410 with the first seq that is left."""
    log.failure = PrunedMomentError(77)
    for path in ("/events", "/rejections/keys"):
        document = problem(await ask(app, "GET", f"/api/v2{path}"))
        assert (document["status"], document["first_seq"]) == (410, 77)
