"""What operators and their programs give: configuration, imports, commands, API requests."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import sqlite3
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from random import Random
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
from tests.api.fakes import FakeCommands, FakeGauges, FakeLog, FakeModel, FakePast
from tests.e2e.certificates import make
from tests.fuzz.engine import ROOT
from tests.fuzz.target import Target
from tests.nonsense.test_given_files import CSV, SCHEMA
from tests.nonsense.whole import put, whole
from tests.tracker.config.support import FLAT, MINIMAL, OVERRIDE, PRIVATE, TEXT, V3
from tracker import cli
from tracker.cli import toml as printed
from tracker.cli.api_client import ApiError, Client, _meaning, _tls, endpoint_at
from tracker.cli.output import CannotError
from tracker.config import ConfigError, effective, load
from tracker.config.keys import known_paths
from tracker.frontends.tls import Certificate, TlsError
from tracker.offline.import_servers import MysqlDatabase
from tracker.offline.import_sources import (
    KeysFile,
    SourceError,
    WhitelistFile,
)
from tracker.offline.import_sources import (
    Problem as RowProblem,
)
from tracker.offline.import_torrust import SqliteDatabase
from tracker.process import control
from tracker.upkeep.follower import FollowerSupervisor
from tracker.workers.question_pipe import Helper, _packed

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tracker.ports import Actor

SHIPPED = "tracker/config/default.toml"
"""Seeds of the configuration, beside shorter ones."""


def configuration(_folder: Path, _closing: ExitStack) -> Target:
    """TOML, and after a zero byte the values of variables that override single keys.

    What is loaded is the same after it was printed and loaded again.
    """
    keys = [path.upper().replace(".", "__") for path in known_paths() if "[" not in path]

    def run(data: bytes) -> None:
        text, *values = data.decode(errors="replace").split("\0")
        environ = {TEXT: text}
        for one in values[:4]:
            name, _, value = one.partition("=")
            environ[f"{OVERRIDE}{keys[len(name) % len(keys)] if name.islower() else name}"] = value
        try:
            loaded = load(environ=environ)
        except ConfigError as error:
            assert str(error)  # noqa: PT017  # a success is as good
            return
        shown = "\n".join(printed.lines(effective(loaded.config)))
        if "access_tokens" not in shown:  # they are not shown
            assert load(environ={TEXT: shown}).config == loaded.config

    shipped = (ROOT / SHIPPED).read_text()
    v3 = (
        V3
        + '[[udp_trackers]]\nbind_address = "0.0.0.0:1"\n[udp_trackers.cookie_lifetime]\nsecs = 1\nnanos = 0\n'
    )
    seeds = [shipped, MINIMAL, PRIVATE, v3, FLAT, MINIMAL + "\0aaa=true\0CORE__LISTED=7"]
    words = b'[[udp_trackers]]\n~[core.net]\n~external_ip = "~[http_api.access_tokens]\n~= true~= "~= -1~= []~= {a = 1}~= 07:32:00~= inf~0x10~\x00~\x00HTTP_API__ACCESS_TOKENS__ADMIN=~\x00abc=~1979-05-27~\'\'\'~"\\u0000"~1_000'
    return Target([one.encode() for one in seeds], run, words)


def lists(folder: Path, _closing: ExitStack) -> Target:
    """Keys as CSV, and a whitelist as text."""
    path = folder / "keys.csv"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        for kind in (KeysFile, WhitelistFile):
            try:
                for one in kind.read(path):
                    assert not isinstance(one, RowProblem) or one.what.isprintable()
            except SourceError as error:
                assert "keys.csv" in str(error)  # noqa: PT017  # likewise

    seeds = [
        CSV.encode(),
        b"key\n" + b"a" * 32 + b"\n\n",
        b'"key","valid_until"\r\n' + b"b" * 10 + b',"1800000000"\r\n',
        b"ab" * 20 + b" # x\n\n" + b"CD" * 20,
    ]
    return Target(
        seeds,
        run,
        b',~"~\r\n~owner~label~valid_until~;~#~\xef\xbb\xbf~\x1c~\x85~2027-01-01T00:00:00+01:00',
    )


def database(folder: Path, _closing: ExitStack) -> Target:
    """A database of Torrust's tracker: other bytes, or other values in its rows."""
    path = folder / "torrust.db"
    with sqlite3.connect(path) as made:
        made.executescript(SCHEMA)
        for table, columns in (("whitelist", 1), ("keys", 2), ("torrents", 2)):
            for one in range(20):
                row = (f"{one:040x}", one * 1000)[:columns]
                made.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", row)  # noqa: S608
    made.close()
    whole_file = path.read_bytes()

    def run(data: bytes) -> None:
        path.write_bytes(data if len(data) > 200 else _other_rows(whole_file, folder, data))
        try:
            for one in SqliteDatabase(path):
                assert not isinstance(one, RowProblem) or one.what.isprintable()
        except SourceError as error:
            assert "torrust.db" in str(error)  # noqa: PT017  # likewise

    return Target(
        [whole_file, b"CREATE TABLE keys (key, valid_until)"],
        run,
        b"SQLite format 3\x00~CREATE TABLE~CREATE VIEW keys AS SELECT 1 key, 2 valid_until~keys~WITHOUT ROWID",
    )


def server_urls(_folder: Path, _closing: ExitStack) -> Target:
    """URLs of database servers: the refusal of one repeats nothing of it."""

    def run(data: bytes) -> None:
        try:
            MysqlDatabase.of(data.decode(errors="surrogateescape"), {})
        except SourceError as error:
            assert "s3cret" not in str(error)  # noqa: PT017  # likewise

    return Target(
        [
            b"mysql://u:s3cret@h:33/d?ssl-mode=VERIFY_CA&ssl-ca=x",
            b"mysql://u:s3cret@[::1]/d?socket=/s",
        ],
        run,
        b"%~%C3~@~[~]~?~#~:99999~&require_ssl=true",
    )


def _other_rows(whole_file: bytes, folder: Path, data: bytes) -> bytes:
    chance, path = Random(data), folder / "made.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as made:
        with suppress(sqlite3.Error, ValueError, UnicodeError):
            made.execute(data.decode())
        if chance.random() < 0.7:
            with suppress(sqlite3.Error):
                made.executescript(SCHEMA)
        values = (
            None,
            -1,
            1.5,
            2**62,
            "a" * 40,
            "x",
            data,
            "9" * 5000,
            "\0",
            "a" * 32,
            1e300,
            float("nan"),
        )
        for table, columns in (("whitelist", 1), ("keys", 2), ("torrents", 2)):
            row = [chance.choice(values) for _ in range(columns)]
            with suppress(sqlite3.Error):
                made.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", row)  # noqa: S608
    made.close()
    return path.read_bytes() if path.exists() else whole_file


COMMANDS = (
    "events --log {log} --type key_issued", "events --log {log} --from 3 --to 2027-01-15T08:00:10Z --json", "replay --log {log} --at 40",
    "swarm --log {log} --at 07:02 abababababababababababababababababababab", "diff --log {log} 3 40 --json", "ledger --log {log} 1",
    "verify --log {log} --json", "key add --token x --url http://[::1]:1 --owner anna --seconds 60", "key revoke aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --token x --url http://127.0.0.1:1",
    "factor set --account anna --upload 200 --until +3m --token x --url http://127.0.0.1:1", "account correct anna --uploaded -5 --corrects 4 --reason x --token x --url http://127.0.0.1:1",
    "whitelist add abababababababababababababababababababab --token x --url http://127.0.0.1:1", "stats --token x --url http://127.0.0.1:1", "shred --log {log} --secrets {secrets} --days 2026-01-01 2026-01-02 --reason x",
    "import keys-csv {log}/identity.json --dry-run", "config --default", "check-config", "health",
)  # fmt: skip


def command_lines(folder: Path, closing: ExitStack) -> Target:
    """Arguments of every command. Those that only read a log are carried out, over a whole one."""
    put(folder / "site", whole(pruned=True))
    log, secrets = folder / "site/log", folder / "site/secrets"
    parser = cli._parser()
    before, cli._parser = cli._parser, lambda: parser
    closing.callback(setattr, cli, "_parser", before)
    carried_out = ("events", "replay", "swarm", "diff", "ledger", "verify", "config")

    def run(data: bytes) -> None:
        text = os.fsdecode(data.replace(b"\0", b"")).replace("\n", " ")
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split(" ")
        words = [one.replace("{log}", str(log)).replace("{secrets}", str(secrets)) for one in words]
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape")
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            code: object = 0
            try:
                options = cli._options(words)
                if words and words[0] in carried_out and "--log" in words:
                    code = cli._run(words)
            except SystemExit as left:
                options, code = None, left.code
            assert code in (0, 1, 2, 3, 4)  # 4: tags not checked
            if getattr(options, "url", None):
                with suppress(ApiError):
                    endpoint_at(options.url)

    words = b" --at ~ --from ~ --to ~ --json~ --account ~ --type ~ --key ~ -1~ 9999999999999999999999~ 0001-01-01~ +999999999d~ --log {log}~ --help~ --until ~ 9999-12-31T23:59:59-23:59"
    return Target([one.encode() for one in COMMANDS], run, words)


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
        events=log,
        ledgers=log,
        gauges=FakeGauges(),
        commands=commands,
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
    parser = cli._parser()
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


def certificates(folder: Path, _closing: ExitStack) -> Target:
    """Certificates and their keys, as files of two."""
    pair, cert, key = make("site"), folder / "site.crt", folder / "site.key"

    def run(data: bytes) -> None:
        first, _, second = data.partition(b"\0")
        cert.write_bytes(first)
        key.write_bytes(second)
        with suppress(TlsError):
            Certificate(str(cert), str(key))
        with suppress(OSError):
            _tls(str(cert))

    return Target(
        [pair.cert + b"\0" + pair.key],
        run,
        b"-----BEGIN CERTIFICATE-----\n~-----END CERTIFICATE-----\n~-----BEGIN PRIVATE KEY-----~\x00~ENCRYPTED~Proc-Type: 4,ENCRYPTED\n",
    )


TARGETS = (
    configuration,
    lists,
    database,
    server_urls,
    command_lines,
    api_requests,
    api_values,
    helpers,
    answers,
    certificates,
)
