"""What operators give: configuration, files to import, certificates, and commands."""

from __future__ import annotations

import io
import os
import shlex
import sqlite3
from contextlib import redirect_stderr, redirect_stdout, suppress
from random import Random
from typing import TYPE_CHECKING

from api.trust import trusting
from tests.e2e.certificates import make
from tests.fuzz.engine import ROOT
from tests.fuzz.target import Target
from tests.nonsense.test_given_files import CSV, SCHEMA
from tests.nonsense.whole import put, whole
from tests.tracker.config.support import FLAT, MINIMAL, OVERRIDE, PRIVATE, TEXT, V3
from tracker import cli
from tracker.cli import toml as printed
from tracker.cli.api_client import ApiError, endpoint_at
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

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path


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
    parser = cli.root_parser()
    before, cli.root_parser = cli.root_parser, lambda: parser
    closing.callback(setattr, cli, "root_parser", before)
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
            trusting(str(cert))

    return Target(
        [pair.cert + b"\0" + pair.key],
        run,
        b"-----BEGIN CERTIFICATE-----\n~-----END CERTIFICATE-----\n~-----BEGIN PRIVATE KEY-----~\x00~ENCRYPTED~Proc-Type: 4,ENCRYPTED\n",
    )


TARGETS = (configuration, lists, database, server_urls, command_lines, certificates)
