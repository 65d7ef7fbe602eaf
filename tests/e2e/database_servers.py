"""Runs MariaDB and PostgreSQL of Debian, each in a folder of its own and on a loopback port.

They refuse to run as root, so root runs them as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Self

import psycopg
import pymysql
import pytest

from tests.e2e.certificates import make
from tests.e2e.process import DEADLINE, Lines, clean_environment, free_ports

PASSWORD = "p@ss/wörd %"
IN_URL = "p%40ss%2Fw%C3%B6rd%20%25"
_NOBODY = 65534
_PATH = os.pathsep.join(
    (os.environ["PATH"], "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
)


class DatabaseServer(ABC):
    """A server with one empty database `torrust`.

    It belongs to a user of that name. `reader` may only read. Both have the same password.
    """

    driver: ClassVar[str]  # as Torrust's configuration and URLs name it
    kind: ClassVar[str]
    program: ClassVar[str]
    package: ClassVar[str]
    password_variable: ClassVar[str]
    whole: ClassVar[tuple[str, ...]]
    """Statements that make the tables as Torrust's migrations leave them."""

    @classmethod
    def start(cls) -> Self:
        """Skips the test when the program is not installed."""
        if shutil.which(cls.program, path=_PATH) is None:
            pytest.skip(f"{cls.program} is not installed: apt install {cls.package}")
        return cls()

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="swarmlog-"))
        (self.port,) = free_ports(1)
        self._as_nobody: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        make("127.0.0.1").write(self.folder)
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "data").mkdir(mode=0o700)
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if self._as_nobody:
                os.chown(path, _NOBODY, _NOBODY)
        self._make_database()
        self._process = subprocess.Popen(
            self._arguments(),
            **self._surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        ready = "ready for connections", "ready to accept connections"
        Lines(self._process.stdout).until(
            lambda lines: next((True for one in lines if any(r in one for r in ready)), None)
        )

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "site.crt"

    def url(self, login: str = f"torrust:{IN_URL}", database: str = "torrust") -> str:
        return f"{self.driver}://{login}@{self.where}/{database}"

    def run(self, *statements: str, rows: tuple[tuple[object, ...], ...] = ()) -> None:
        """Runs statements; with `rows` the last one, once for each."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements[: -1 if rows else None]:
                cursor.execute(statement)
            if rows:
                cursor.executemany(statements[-1], rows)
            connection.commit()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)
        shutil.rmtree(self.folder)

    @abstractmethod
    def connect(self) -> Any: ...

    @abstractmethod
    def require_tls(self, wanted: bool) -> None: ...

    @abstractmethod
    def _make_database(self) -> None: ...

    @abstractmethod
    def _arguments(self) -> list[str]: ...

    def _once(self, *command: str, text: str = "") -> None:
        done = subprocess.run(
            command, **self._surroundings(), input=text, capture_output=True, timeout=DEADLINE,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def _surroundings(self) -> dict[str, Any]:
        environment = {**clean_environment(), "PATH": _PATH, "LC_ALL": "C"}
        return {"cwd": self.folder, "env": environment, "encoding": "utf-8", **self._as_nobody}


class Mariadb(DatabaseServer):
    driver = "mysql"
    kind = "MySQL"
    program = "mariadbd"
    package = "mariadb-server-core"
    password_variable = "MYSQL_PWD"
    whole = (
        "CREATE TABLE whitelist (id INT PRIMARY KEY AUTO_INCREMENT, info_hash VARCHAR(40) NOT NULL UNIQUE)",
        "CREATE TABLE torrents (id INT PRIMARY KEY AUTO_INCREMENT, info_hash VARCHAR(40) NOT NULL UNIQUE, completed BIGINT DEFAULT 0 NOT NULL)",
        "CREATE TABLE `keys` (id INT PRIMARY KEY AUTO_INCREMENT, `key` VARCHAR(32) NOT NULL UNIQUE, valid_until INT(10))",
    )

    _tables = next(
        (p for p in map(Path, ("/usr/share/mysql", "/usr/share/mariadb")) if p.is_dir()), Path()
    )

    def connect(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="torrust", password=PASSWORD.encode(),
            database="torrust", sql_mode="ANSI_QUOTES",
        )  # fmt: skip

    def require_tls(self, wanted: bool) -> None:
        self.run(f"SET GLOBAL require_secure_transport = {'ON' if wanted else 'OFF'}")

    def _make_database(self) -> None:
        tables = self._tables
        statements = [
            "CREATE DATABASE mysql;",
            "USE mysql;",
            (tables / "mysql_system_tables.sql").read_text(),
            (tables / "mysql_system_tables_data.sql").read_text(),
            "CREATE DATABASE torrust;",
            "FLUSH PRIVILEGES;",
            f"CREATE USER torrust IDENTIFIED BY '{PASSWORD}';",
            "GRANT ALL ON *.* TO torrust;",
            f"CREATE USER reader IDENTIFIED BY '{PASSWORD}';",
            "GRANT SELECT ON torrust.* TO reader;",
            "",
        ]
        self._once(*self._arguments(), "--bootstrap", text="\n".join(statements))

    def _arguments(self) -> list[str]:
        return [
            self.program, "--no-defaults", f"--datadir={self.folder}/data", f"--port={self.port}",
            f"--socket={self.folder}/socket", "--bind-address=127.0.0.1",
            f"--lc-messages-dir={self._tables}", f"--pid-file={self.folder}/pid",
            "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-log-file-size=8M", f"--ssl-cert={self.certificate}", f"--ssl-key={self.folder}/site.key",
        ]  # fmt: skip


class Postgresql(DatabaseServer):
    driver = "postgresql"
    kind = "PostgreSQL"
    program = "postgres"
    package = "postgresql"
    password_variable = "PGPASSWORD"
    whole = (
        "CREATE TABLE whitelist (id SERIAL PRIMARY KEY, info_hash VARCHAR(40) NOT NULL UNIQUE)",
        "CREATE TABLE torrents (id SERIAL PRIMARY KEY, info_hash VARCHAR(40) NOT NULL UNIQUE, completed BIGINT DEFAULT 0 NOT NULL)",
        "CREATE TABLE keys (id SERIAL PRIMARY KEY, key VARCHAR(32) NOT NULL UNIQUE, valid_until BIGINT)",
    )

    def connect(self) -> Any:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="torrust", password=PASSWORD, dbname="torrust"
        )

    def require_tls(self, wanted: bool) -> None:
        self._allow("hostssl" if wanted else "host")
        self.run("SELECT pg_reload_conf()")

    def _allow(self, connections: str) -> None:
        path = self.folder / "data" / "pg_hba.conf"
        path.write_text(f"{connections} all all 127.0.0.1/32 scram-sha-256\n")

    def _make_database(self) -> None:
        data = f"{self.folder}/data"
        self._once(
            "initdb", "-D", data, "-A", "scram-sha-256", "-U", "torrust",
            f"--pwfile={self.folder}/password", "--no-sync", "-E", "UTF8", "--locale=C",
        )  # fmt: skip
        self._allow("host")
        reader = f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data\n"
        create = f"CREATE DATABASE torrust\n{reader}"
        self._once("postgres", "--single", "-D", data, "postgres", text=create)

    def _arguments(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
            "fsync": "off", "ssl": "on", "ssl_cert_file": self.certificate,
            "ssl_key_file": f"{self.folder}/site.key",
        }  # fmt: skip
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.program, "-D", f"{self.folder}/data", *given]
