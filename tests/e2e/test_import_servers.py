"""Imports from the servers that Torrust's tracker can keep its data on, MySQL and PostgreSQL.

The servers are Debian's, so scripts/test --clients runs these tests.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import announce, api
from tests.e2e.database_servers import IN_URL, PASSWORD, DatabaseServer, Mariadb, Postgresql
from tests.e2e.process import Tracker, free_ports, lasting_listeners
from tests.support import hash_of
from tracker.offline.import_servers import MysqlDatabase, PostgresqlDatabase, ServerDatabase
from tracker.offline.import_sources import KeyEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.clients

KEY, OTHER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "k" * 32
COUNTED = 1_001
"""Torrents with completed downloads, one more than are read at a time."""
SOURCES: dict[str, type[ServerDatabase]] = {
    "mysql": MysqlDatabase,
    "postgresql": PostgresqlDatabase,
}


@pytest.fixture(scope="module", params=[Mariadb, Postgresql], ids=["mysql", "postgresql"])
def running(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    with closing(request.param.start()) as server:
        yield server


@pytest.fixture
def server(running: DatabaseServer) -> DatabaseServer:
    """A server whose database has the tables of Torrust's tracker, without rows."""
    drop = [f'DROP TABLE IF EXISTS "{table}"' for table in TABLES]
    running.run(*drop, *running.whole)
    return running


TABLES = ("whitelist", "torrents", "keys")


def fill(server: DatabaseServer) -> None:
    server.run(
        'INSERT INTO "keys" ("key", valid_until) VALUES (%s, %s)',
        rows=((KEY, None), (OTHER, 1_900_000_000)),
    )
    server.run(
        "INSERT INTO whitelist (info_hash) VALUES (%s)",
        rows=((hash_of(1).hex(),), (hash_of(COUNTED).hex().upper(),)),
    )
    counts = [(hash_of(number).hex(), number) for number in range(COUNTED + 1)]
    server.run("INSERT INTO torrents (info_hash, completed) VALUES (%s, %s)", rows=(*counts,))


def imports(tracker: Tracker, server: DatabaseServer, *arguments: str) -> str:
    done = tracker.command("import", f"torrust-{server.driver}", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(tracker: Tracker, server: DatabaseServer, *arguments: str) -> str:
    """Returns the text of an import that must fail. It has no password."""
    done = tracker.command("import", f"torrust-{server.driver}", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert not [word for word in (PASSWORD, IN_URL, "wrong") if word in done.stderr]
    return done.stderr


def test_import(
    server: DatabaseServer,
    new_tracker: Callable[..., Tracker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys, whitelist and completed counts arrive, whichever way the database was named; the log
    names the database, and no password. A user who may only read suffices."""
    fill(server)
    url = server.url(f"reader:{IN_URL}")
    database = f'[core.database]\ndriver = "{server.driver}"\npath = "{url}"\n'
    tracker = new_tracker(lasting_listeners(), database)
    tracker.switch_on("private", "listed")
    what = f"2 keys, 2 torrents whitelisted, {COUNTED} completed counts"
    *planned, last = imports(tracker, server, "--dry-run").splitlines()
    assert (len(planned), last) == (4 + COUNTED, f"would import {what}; 0 already there")
    monkeypatch.setenv(server.password_variable, PASSWORD)
    assert imports(tracker, server, server.url("reader")) == f"{what}; 0 already there\n"
    monkeypatch.delenv(server.password_variable)
    nothing = "0 keys, 0 torrents whitelisted, 0 completed counts"
    again = imports(tracker, server, url)
    assert again == f"{nothing}; {4 + COUNTED} already there\n"
    key, other = tracker.events("--type", "key_issued")
    assert key["by"]["reason"] == f"{server.kind} database torrust"
    assert (key["valid_until_us"], other["valid_until_us"]) == (None, 1_900_000_000_000_000)
    tracker.start()
    announce(tracker.http[0], hash_of(COUNTED), 1, 1, passkey=KEY)
    found = api(tracker, f"/api/v1/torrent/{hash_of(COUNTED).hex()}")
    assert found["completed"] == COUNTED, found


def test_one_moment(server: DatabaseServer) -> None:
    """All tables are read as of one moment."""
    fill(server)
    entries = iter(SOURCES[server.driver].of(server.url(), {}))
    next(entries)
    server.run('DELETE FROM "keys"', "DELETE FROM torrents")
    rest = list(entries)
    assert len(rest) == 3 + COUNTED
    assert sum(isinstance(entry, KeyEntry) for entry in rest) == 2


def test_refused(server: DatabaseServer, new_tracker: Callable[..., Tracker]) -> None:
    """Each fault has one line that says what is wrong, and where."""
    tracker = new_tracker()
    (unused,) = free_ports(1)
    where = f"{server.kind} database torrust on {server.where}: "
    denied = {"mysql": "Access denied for user 'torrust'@", "postgresql": "password"}[server.driver]
    for url, told in (
        (server.url("torrust:wrong"), (where, denied)),
        (server.url("torrust"), (where, denied, f"or as {server.password_variable}")),
        (server.url(database="other"), ("database other on", "other")),
        (server.url().replace(str(server.port), str(unused)), (f":{unused}: ", "refused")),
        (
            server.url().replace("mysql" if "mysql" in server.url() else "postgresql", "ftp"),
            ("the URL is not",),
        ),
    ):
        text = refused(tracker, server, url)
        assert text.count("\n") == 1
        for part in told:
            assert part in text
    assert not (tracker.folder / "log").exists()


def test_other_tables(server: DatabaseServer, new_tracker: Callable[..., Tracker]) -> None:
    """Bad values are told by table and row. So are columns, and tables, that are not there."""
    tracker = new_tracker()
    name = f"{server.kind} database torrust: "
    server.run('INSERT INTO "keys" ("key", valid_until) VALUES (%s, -1)', rows=((KEY,),))
    server.run('INSERT INTO "keys" ("key") VALUES (%s)', rows=(("short",),))
    server.run("INSERT INTO whitelist (info_hash) VALUES (%s)", rows=(("ü" * 40,),))
    server.run("INSERT INTO torrents (info_hash, completed) VALUES (%s, -1)", rows=(("x",),))
    lines = refused(tracker, server, server.url()).removeprefix("tracker: ").splitlines()
    assert [line.removeprefix(name).partition(":")[0] for line in lines] == [
        "table whitelist, row 1",
        "table keys, row 1",
        "table keys, row 2",
        "table torrents, row 1",
    ]
    server.run(
        'ALTER TABLE "keys" DROP COLUMN valid_until',
        "DELETE FROM whitelist",
        "DELETE FROM torrents",
    )
    assert "table keys: has no column valid_until" in refused(tracker, server, server.url())
    server.run(*(f'DROP TABLE "{table}"' for table in TABLES))
    assert "has none of the tables whitelist, keys" in refused(tracker, server, server.url())


def test_tls(server: DatabaseServer, new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """TLS is used where the server has it. What the URL asks for is held to."""
    tracker = new_tracker()
    make("127.0.0.1").write(tmp_path, "other")
    server.require_tls(True)
    try:
        plain = refused(tracker, server, f"{server.url()}?sslmode=disable")
        assert "sslmode=disable rules out TLS" in plain
        for options in (
            "",
            f"?sslmode=verify-full&sslrootcert={server.certificate}",
            "?ssl-mode=REQUIRED",
        ):
            imports(tracker, server, "--dry-run", server.url() + options)
        forged = refused(
            tracker, server, f"{server.url()}?ssl-mode=verify-full&ssl-ca={tmp_path}/other.crt"
        )
        assert "certificate verify failed" in forged
    finally:
        server.require_tls(False)
