"""What other programs say: requests to the API, answers to commands, and our own helpers."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound

from api import params as params_v1
from api.app import create_app
from api.auth import Tokens
from api.connection import Http1
from api.errors import Refusal
from api.health.app import create_app as create_health
from api.limits import MAX_BODY, Limited
from api.ports import Ports
from api.serve import Settings, _hypercorn_config
from api.v1 import forms
from api.v2 import bodies
from api.v2 import params as params_v2
from api.v2.problems import Problem
from tests.api.fakes import (
    FakeChanges,
    FakeCommands,
    FakeConsumers,
    FakeGauges,
    FakeLog,
    FakeModel,
    FakePast,
    FakeReruns,
    FakeWebhooks,
)
from tests.fuzz.target import Target
from tracker import cli
from tracker.cli.api_client import Client, _meaning
from tracker.cli.output import CannotError
from tracker.process import control
from tracker.upkeep.follower import FollowerSupervisor
from tracker.workers.question_pipe import Helper, _packed

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tracker.ports import Actor


class _Errors(logging.Handler):
    """Keeps what is logged as an error: the defects that a client sees as status 500."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


REQUESTS = (
    "GET /api/v1/stats", "GET /api/v1/torrents?offset=1&limit=10&info_hash=" + "ab" * 20, "GET /api/v1/torrent/" + "ab" * 20,
    "POST /api/v1/key/60", "DELETE /api/v1/key/" + "x" * 32, "POST /api/v1/whitelist/" + "ab" * 20, "GET /api/v1/whitelist/reload",
    "GET /api/v2", "GET /api/v2/keys?limit=5&after=1&state=valid&owner=x", "GET /api/v2/keys/1?at=5", "GET /api/v2/accounts/1/totals?at=2026-11-21T20:24:00Z",
    "GET /api/v2/events?from=1&to=9&type=key_issued&limit=3", "GET /api/v2/factors?account=1", "GET /api/v2/whitelist?after=" + "ab" * 20,
    "GET /api/v2/accounts/1/ledger?after=7&info_hash=" + "ab" * 20, "GET /metrics", "GET /api/v2/openapi.json", "GET /", "GET /api/stats", "GET /health_check",
    "GET /api/v2/torrents/" + "ab" * 20 + "/sums?after=2", "GET /api/v2/settings", "GET /api/v2/refusals?from=2026-11-21T20:24:00Z",
)  # fmt: skip
CHANGES = (
    ("POST /api/v1/keys", '{"key": null, "seconds_valid": 60}'), ("POST /api/v2/keys", '{"owner": "anna", "valid_until": "2027-01-31T23:59:59Z", "label": "x"}'),
    ("POST /api/v2/keys/import", '{"keys": [{"key": "' + "a" * 32 + '", "owner": "x"}]}'), ("PATCH /api/v2/keys/1", '{"label": null}'), ("DELETE /api/v2/keys/1", ""),
    ("POST /api/v2/factors", '{"account": 1, "upload_percent": 200, "from": "2027-01-31T23:59:59Z"}'), ("POST /api/v2/accounts/1/corrections", '{"uploaded": -5, "downloaded": 0, "corrects": 3}'),
    ("POST /api/v2/whitelist", '{"info_hashes": ["' + "ab" * 20 + '"]}'), ("PUT /api/v2/whitelist/" + "ab" * 20, ""), ("POST /api/v2/keys/1/rotate", ""),
)  # fmt: skip
HEAD = "\r\nHost: x\r\nAuthorization: Bearer MyAccessToken\r\n"


def api_requests(_folder: Path, closing: ExitStack) -> Target:
    """Requests to the API and the health check, byte by byte: answers, and never a defect."""
    commands, log = FakeCommands(), FakeLog()
    ports = Ports(
        live=FakeModel(commands=commands),
        past=FakePast(),
        reruns=FakeReruns(),
        events=log,
        ledgers=log,
        gauges=FakeGauges(),
        commands=commands,
        webhooks=FakeWebhooks(),
        changes=FakeChanges(),
        consumers=FakeConsumers(),
    )
    app = create_app(ports, Tokens({"admin": "MyAccessToken"}))
    health = create_health([])
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    closing.callback(logging.getLogger().removeHandler, errors)
    context, config = WorkerContext(None), _hypercorn_config(Settings())

    async def talk(one: Any, data: bytes) -> bytes:
        sent: list[bytes] = []
        over = False

        async def send(event: Event) -> None:
            nonlocal over
            if isinstance(event, RawData):
                sent.append(event.data)
            over = over or isinstance(event, Closed)
            await trio.lowlevel.checkpoint()

        with trio.fail_after(20):
            async with TaskGroup() as group:
                protocol = Http1(
                    ASGIWrapper(Limited(one, MAX_BODY)),
                    config,
                    context,
                    group,
                    ConnectionState({}),
                    False,
                    ("127.0.0.1", 1),
                    ("127.0.0.1", 2),
                    send,
                )  # type: ignore[arg-type]
                for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
                    if piece and not over:  # as a connection does
                        await protocol.handle(RawData(piece))
                await trio.testing.wait_all_tasks_blocked()
                await protocol.handle(Closed())
                group._nursery.cancel_scope.cancel()  # type: ignore[union-attr]
        return b"".join(sent)

    def run(data: bytes) -> None:
        errors.records.clear()
        answer = trio.run(talk, health if data[:1] == b"\0" else app, data[1:])
        for record in errors.records:
            if record.exc_info:
                raise record.exc_info[1]  # type: ignore[misc]
            raise AssertionError(record.getMessage())
        assert not answer or answer.startswith(b"HTTP/1.1 ")

    seeds = [f"\1{one} HTTP/1.1{HEAD}\r\n" for one in REQUESTS]
    seeds += [
        f"\1{one} HTTP/1.1{HEAD}Content-Type: application/json\r\nX-Reason: why\r\nIdempotency-Key: k\r\nX-Request-Id: r\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        for one, body in CHANGES
    ]
    seeds += ["\0GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n"]
    words = b'?at=~&limit=~&after=~?token=MyAccessToken~Content-Length: 5\r\n~Transfer-Encoding: chunked\r\n~5\r\nabcde\r\n0\r\n\r\n~Expect: 100-continue\r\n~HEAD ~OPTIONS ~X-Forwarded-For: ::1%x\r\n~Last-Event-ID: ~Accept: text/event-stream\r\n~If-None-Match: *\r\n~Connection: Upgrade\r\nUpgrade: h2c\r\n~"owner"~"key"~\xed\xa0\x80~Range: bytes=0-\r\n~?'
    return Target([one.encode("latin-1") for one in seeds], run, words)


def api_values(_folder: Path, _closing: ExitStack) -> Target:
    """Paths, queries and bodies of both versions, more of them than as whole requests."""

    def run(data: bytes) -> None:
        with suppress(Refusal):
            form = forms.parse(data)
            members = json.loads(data)
            assert (form.key, form.seconds_valid) == (members["key"], members["seconds_valid"])
        text = data.decode("latin-1")
        for read in (
            params_v1.info_hash,
            params_v1.info_hash_in_query,
            params_v1.key,
            params_v1.seconds,
            params_v2.info_hash,
            params_v2.number,
        ):
            with suppress(Refusal, NotFound, Problem):
                read(text)
        pairs = [one.partition("=")[::2] for one in text.split("&")]
        with suppress(Refusal, Problem):
            params_v1.page(MultiDict(pairs))
        with suppress(Refusal, Problem):
            params_v2.limit(params_v2.only(MultiDict(pairs), "limit", "after"))
        with suppress(Problem):
            given = bodies.known(bodies._loads(data), "", *"abcdefg")
            for read_member in (bodies.time_us,):
                read_member(given, "a")
            bodies.text(given, "b", 10), bodies.whole(given, "c", 10), bodies.signed(given, "d", 10)
            [bodies.info_hash(value, place) for place, value in bodies.items(given, "e", 5)]

    seeds = [
        b'{"key": null, "seconds_valid": 60}',
        b'{"key": "x", "seconds_valid": null, "more": [1, {"a": 1.5e3}]}',
        b"offset=1&limit=10",
        b'{"a": "2027-01-31T23:59:59Z", "b": "x", "c": 1, "d": -1, "e": ["' + b"ab" * 20 + b'"]}',
        b"ab" * 20,
        b"+0060",
    ]
    return Target(
        seeds,
        run,
        b'"key"~"seconds_valid"~:~,~[~]~{~}~null~-0~1e400~NaN~limit=~after=~"a":~18446744073709551616~\\udc00',
    )


def helpers(folder: Path, _closing: ExitStack) -> Target:
    """What our own processes say to each other: reports, requests at the control socket, answers
    that come in pieces.
    """
    told: list[Any] = []

    class Shredder:
        async def shred(self, days: object, by: Actor) -> Actor:
            await trio.lowlevel.checkpoint()
            told.append((days, by))
            return by

    async def ask(data: bytes) -> bytes:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control._converse, partial(control.shred, Shredder()), ours)  # type: ignore[arg-type]
            await theirs.send_all(data)
            await theirs.send_eof()
            return bytes(await theirs.receive_some(1 << 20))

    async def receive(data: bytes, size: int) -> None:
        """Answers come as they were sent, whatever the pieces; half of one comes never."""
        sent = _packed(data) + _packed([data]) + _packed(data)[:-1]
        ours, theirs = trio.testing.memory_stream_pair()
        helper = Helper([])
        helper._process = SimpleNamespace(receive=theirs.receive_some)  # type: ignore[assignment]
        async with trio.open_nursery() as nursery:

            async def say() -> None:
                for at in range(0, len(sent), size):
                    await ours.send_all(sent[at : at + size])
                await ours.send_eof()

            nursery.start_soon(say)
            assert [await helper._receive(), await helper._receive()] == [data, [data]]
            with pytest.raises(EOFError):
                await helper._receive()

    def run(data: bytes) -> None:
        trio.run(receive, data, 1 + len(data) // 3)
        follower = FollowerSupervisor(folder, folder)
        for line in data.split(b"\n"):
            follower._hear(line)
        answer = json.loads(trio.run(ask, data))
        assert isinstance(answer, dict)
        _meaning(400, data.decode(errors="replace"), "http://x")

    seeds = b'{"seq": 5}~{"snapshot": 5, "bytes": 7, "seconds": 0.1}~{"refused": "x"}\n{"failed": "y"}\n{"alarm": "z"}~{"error": "x"}~{"request_id": "a", "reason": "x", "days": [1, 2]}\n~{"request_id": "a", "reason": "x", "days": null}\n~{"title": "x", "detail": "y"}~Unhandled rejection: Err { reason: "x" }'.split(
        b"~"
    )
    return Target(
        seeds,
        run,
        b'"seq"~"snapshot"~"days"~null~[1, 1e999]~1e999~NaN~\n~7~"x"~[]~{}~"bytes"',
    )


ASKING = (
    "key add", "key list", "key list --json", "key revoke aaaaaaaaaaaaaaaaaaaa", "key rotate 7", "whitelist add " + "ab" * 20, "whitelist list", "stats", "stats --metrics",
    "factor set --account anna --upload 1", "factor list", "factor list --json", "factor end 3", "account show anna", "account correct anna --uploaded 5 --corrects 4 --reason x",
)  # fmt: skip


def answers(_folder: Path, closing: ExitStack) -> Target:
    """What may answer a command in place of the API and the health check: any program."""
    parser = cli.root_parser()
    asking = [
        parser.parse_args([*one.split(), "--token", "x", "--url", "http://x"]) for one in ASKING
    ]
    given: list[bytes] = []
    before = Client._exchange
    Client._exchange = lambda *_: (given[0][0] + 200 if given[0][0] < 5 else 500, given[0][1:])  # type: ignore[method-assign]
    closing.callback(setattr, Client, "_exchange", before)

    def run(data: bytes) -> None:
        given[:] = [data or b"\0"]
        for options in asking:
            out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape")
            with redirect_stdout(out), redirect_stderr(out), suppress(CannotError):
                options.run(options)

    bodies_ = (
        '{"key": "a", "key_ref": 1}',
        '{"keys": [{"key_ref": 1, "account": 1, "state": "valid"}], "next": null}',
        '{"keys": [], "next": 5}',
        '{"factor": 1}',
        '{"factors": [{"factor": 1, "account": null}], "next": 5}',
        '{"whitelist": ["x"], "next": "y"}',
        '{"seq": 5}',
        '{"metrics": [{"name": "a", "samples": [{"value": 1, "labels": [{"name": "a", "value": "b"}]}]}]}',
        '{"account": 1, "uploaded": 5}',
    )
    seeds = [b"\0" + one.encode() for one in bodies_] + [
        b'\7Unhandled rejection: Err { reason: "x" }',
        b'\7{"title": "x", "detail": null}',
    ]
    return Target(
        seeds,
        run,
        b'null~[]~{}~[null]~"next": 1~"keys": [1]~"samples": {}~1e999~"\\ud800"~[',
    )


TARGETS = (api_requests, api_values, helpers, answers)
