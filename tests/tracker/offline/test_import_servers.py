"""Naming a database server, by a URL or by Torrust's configuration. tests/e2e has the servers."""

from __future__ import annotations

import socket
import sys
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.e2e.process import free_ports
from tracker.cli import main
from tracker.config import load
from tracker.offline.import_servers import MysqlDatabase, PostgresqlDatabase, Server
from tracker.offline.import_sources import SourceError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret"
NAMED = "the URL is not mysql://user:password@host:port/database"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("mysql://u:p@h:33/d", Server("d", "h", 33, "u", "p")),
        ("mysql://u:a%40%2Fb%C3%A4@[::1]/d-%20e", Server("d- e", "::1", None, "u", "a@/bä")),
        ("mariadb://h/d", Server("d", "h")),
        ("mysql:///d?socket=/run/my.sock", Server("d", "/run/my.sock")),
        ("mysql://u@/d?pool_min=1", Server("d", "localhost", None, "u")),
        ("mysql://h/d?ssl-mode=VERIFY_IDENTITY&ssl-ca=c", Server("d", "h", tls="verify-full", authority="c")),
        ("mysql://h/d?require_ssl=true", Server("d", "h", tls="require")),
    ],
)  # fmt: skip
def test_url(url: str, server: Server) -> None:
    assert MysqlDatabase.of(url, {}).server == server


def test_socket_of_postgresql() -> None:
    for url in ("postgres://%2Frun%2Fpg/d", "postgresql:///d?host=/run/pg"):
        assert PostgresqlDatabase.of(url, {}).server == Server("d", "/run/pg")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"mysql://u:{SECRET}/x@h/d", NAMED),
        (f"mysql://u:{SECRET}#x@h/d", NAMED),
        (f"mysql://u:{SECRET}@[h/d", NAMED),
        (f"mysql://u:{SECRET}@h", NAMED),
        (f"postgresql://u:{SECRET}@h/d", NAMED),
        (SECRET, NAMED),
        (f"mysql://u:{SECRET}@h/d?ssl-mode=some", "sslmode in the URL is none of disable, "),
        (
            f"mysql://u:{SECRET}@h/d?sslkey=k",
            "the URL's options for TLS can be sslmode and sslrootcert only",
        ),
    ],
)
def test_bad_urls(url: str, told: str) -> None:
    """The text says how a URL looks, and repeats none of it."""
    with pytest.raises(SourceError) as raised:
        MysqlDatabase.of(url, {})
    assert str(raised.value).startswith(told)
    assert SECRET not in str(raised.value)


PARTS = {"host": "h", "port": 33, "user": "u", "password": SECRET, "database": "d"}
CONFIG = """
logging.threshold = "info"
core.listed = false
core.private = false
[core.database]
driver = "{}"
"""


@pytest.mark.parametrize(
    "rest",
    [
        'path = "mysql://u:s3cret@h:33/d"\n[metadata]\nschema_version = "2.0.0"',
        "".join(f'{key} = "{value}"\n' for key, value in PARTS.items())
        + '[metadata]\nschema_version = "3.0.0"',
    ],
    ids=["2.0.0", "3.0.0"],
)
def test_configured(tmp_path: Path, rest: str) -> None:
    """Without a URL the database is that of Torrust's configuration, in either schema, with what
    the environment overrides."""
    path = tmp_path / "tracker.toml"
    path.write_text(CONFIG.format("MySQL") + rest)
    loaded = load(str(path), {})
    found = MysqlDatabase.of(None, loaded.database)
    assert found.server == Server("d", "h", 33, "u", SECRET)
    assert SECRET not in repr(found) + repr(loaded)
    override = {"TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__PATH": "mysql://o/e"}
    assert MysqlDatabase.of(None, load(str(path), override).database).server == Server("e", "o")
    with pytest.raises(SourceError, match=r'has no driver = "postgresql"'):
        PostgresqlDatabase.of(None, loaded.database)
    for odd in ({"port": 65536, "database": "d"}, {"port": 1}):
        with pytest.raises(SourceError, match="no database, or an odd port"):
            MysqlDatabase.of(None, {"driver": "mysql", **odd})
    assert MysqlDatabase.of(None, {"path": "mysql://o/e"}).server == Server("e", "o")


def test_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra the command says how to install it."""
    path = tmp_path / "tracker.toml"
    path.write_text(CONFIG.format("mysql") + '[metadata]\nschema_version = "2.0.0"')
    for module, driver in (("pymysql", "mysql"), ("psycopg", "postgresql")):
        monkeypatch.setitem(sys.modules, module, None)
        url = f"{driver}://u:{SECRET}@127.0.0.1:1/d"
        assert main(["--config", str(path), "import", f"torrust-{driver}", url]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith(f"{sys.executable} -m pip install 'swarmlog[{driver}]'\n")
        assert SECRET not in err


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 400 x\r\n\r\n", b"\x01\0\0\0\n", b"\x04\0\0\0\x0a8\0\0", b"\0\0\0\0"])  # fmt: skip
def test_another_server(said: bytes) -> None:
    """Whatever a server says that is no MySQL server, the text names it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(said)

        thread = Thread(target=answer)
        thread.start()
        url = f"mysql://u:{SECRET}@127.0.0.1:{listening.getsockname()[1]}/d"
        with pytest.raises(SourceError, match="MySQL database d on 127") as raised:
            list(MysqlDatabase.of(url, {}))
        thread.join()
    assert SECRET not in str(raised.value)


def test_unreachable() -> None:
    (port,) = free_ports(1)
    for database in (MysqlDatabase, PostgresqlDatabase):
        url = f"{database.driver}://u:{SECRET}@127.0.0.1:{port}/d"
        with pytest.raises(SourceError, match=f"{port}: .*refused") as raised:
            list(database.of(url, {}))
        assert SECRET not in str(raised.value)
