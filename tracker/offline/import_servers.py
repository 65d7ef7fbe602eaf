"""Reads a database of Torrust's tracker on a MySQL or PostgreSQL server, as a source of an import.

The libraries are extras, because few need them. No text has a password, or a URL that may have one.
"""

from __future__ import annotations

import os
import re
import shlex
import ssl
import sys
from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from tracker.offline.import_sources import SourceError, one_line
from tracker.offline.import_torrust import TorrustDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracker.offline.import_torrust import Connection

_CONNECT_SECONDS = 10
_READ_SECONDS = 60  # longest silence of a MySQL server; a page takes far less


@frozen
class Server:
    """A database on a server, as a URL or Torrust's configuration names it."""

    database: str
    host: str  # one that begins with / is a Unix socket, for PostgreSQL its folder
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str | None = None  # one of `_TLS`; None = if the server has it
    authority: str | None = None  # a file with the certificate that vouches for the server's

    def __str__(self) -> str:
        port = f":{self.port}" if self.port and not self.host.startswith("/") else ""
        return f"database {self.database} on {self.host}{port}"


def server_of_url(url: str, schemes: Sequence[str]) -> Server:
    """Raises `SourceError`; its text repeats nothing of the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        database = unquote(parts.path.removeprefix("/"))
        options = {_option(name): value for name, value in parse_qsl(parts.query)}
        host = options.get("host") or options.get("socket") or unquote(parts.hostname or "")
        port = parts.port
    except ValueError:
        database = ""
    if not database or parts.scheme not in schemes or parts.fragment:
        raise SourceError(
            f"the URL is not {schemes[0]}://user:password@host:port/database; "
            "a special character in the password is written as %XX, such as %40 for @"
        )
    user, password = (part and unquote(part) for part in (parts.username, parts.password))
    authority = options.get("sslrootcert") or options.get("sslca")
    return Server(database, host or "localhost", port, user, password, _tls(options), authority)


def _option(name: str) -> str:
    """Programs that read such URLs spell one option as `sslmode`, `ssl-mode` and `ssl_mode`."""
    return name.lower().replace("-", "").replace("_", "")


_TLS = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# MySQL's names for the same.
_TLS_NAMES = {"disabled": "disable", "preferred": "prefer", "required": "require", "verify-identity": "verify-full"}  # fmt: skip
_TLS_OPTIONS = {"sslmode", "sslrootcert", "sslca", "requiressl"}


def _tls(options: Mapping[str, str]) -> str | None:
    """Returns how much TLS the options of a URL ask for. Other options mean nothing here."""
    for name in options:
        if name.startswith(("ssl", "verify")) and name not in _TLS_OPTIONS:
            raise SourceError("the URL's options for TLS can be sslmode and sslrootcert only")
    asked = options.get("sslmode", "").lower().replace("_", "-")
    mode = _TLS_NAMES.get(asked, asked)
    if mode and mode not in _TLS:
        raise SourceError(f"sslmode in the URL is none of {', '.join(_TLS)}")
    return mode or ("require" if options.get("requiressl") == "true" else None)


@frozen
class ServerDatabase(TorrustDatabase):
    server: Server

    kind: ClassVar[str]
    driver: ClassVar[str]  # the name in Torrust's configuration
    schemes: ClassVar[tuple[str, ...]]
    password_variable: ClassVar[str]

    @classmethod
    def of(cls, url: str | None, configured: Mapping[str, Any]) -> Self:
        """Takes the database that `url` names, else the one of `[core.database]`.

        Raises `SourceError`.
        """
        if url is not None:
            return cls(server_of_url(url, cls.schemes))
        texts = {key: str(value) for key, value in configured.items()}
        path = texts.get("path", "")
        # A variable may override the path alone.
        ours = texts.get("driver", "").lower() == cls.driver or path.startswith(
            tuple(f"{scheme}://" for scheme in cls.schemes)
        )
        if not ours:
            raise SourceError(
                "no URL was given, and [core.database] of the configuration has no driver = "
                f'"{cls.driver}" with the path of a database'
            )
        if path:
            return cls(server_of_url(path, cls.schemes))
        # As Torrust's schema 3.0.0 has it.
        port = texts.get("port", "0")
        valid = re.fullmatch("[0-9]{1,5}", port) and int(port) < 65_536
        if "database" not in texts or not valid:
            raise SourceError(
                "[core.database] of the configuration has no database, or an odd port"
            )
        server = Server(
            texts["database"],
            texts.get("host", "localhost"),
            int(port) or None,
            texts.get("user"),
            texts.get("password"),
        )
        return cls(server)

    @property
    def name(self) -> str:
        return one_line(f"{self.kind} database {self.server.database}")

    def library(self, module: str) -> Any:
        try:
            return import_module(module)
        except ImportError:
            command = f"{shlex.quote(sys.executable)} -m pip install 'swarmlog[{self.driver}]'"
            raise SourceError(
                f"{self.kind} takes a library that is not installed: {command}"
            ) from None

    def refused(self, why: object) -> SourceError:
        text = " ".join(str(why).split()) or type(why).__name__
        return SourceError(f"{self.kind} {self.server}: {text}")

    def denied(self, why: object) -> SourceError:
        """The server knows no such user, or another password, or wants TLS."""
        advice = ""
        if self.server.tls == "disable":
            advice = "; sslmode=disable rules out TLS, which the server may demand"
        elif self.server.password is None:
            places = "in the URL, in [core.database] of the configuration, or as"
            advice = f"; give the password {places} {self.password_variable}"
        return self.refused(f"{why}{advice}")


@frozen
class MysqlDatabase(ServerDatabase):
    kind = "MySQL"
    driver = "mysql"
    schemes = ("mysql", "mariadb")
    password_variable = "MYSQL_PWD"  # noqa: S105  # its name

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        pymysql = self.library("pymysql")
        try:
            with closing(pymysql.connect(**self._arguments())) as connection:
                database = _Mysql(connection.cursor())
                database.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                database.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                yield database
        except SourceError:
            raise
        except OSError as error:
            raise self.refused(error) from None
        except Exception as error:
            if not isinstance(error, pymysql.MySQLError) or len(error.args) != 2:
                # The library is not prepared for a server that speaks something else.
                why = f"this is no {self.kind} server, or one that sends nonsense ({error})"
                raise self.refused(why) from error
            code, text = error.args
            raise (self.denied if code == _MYSQL_DENIED else self.refused)(text) from None

    def _arguments(self) -> dict[str, Any]:
        server = self.server
        password = server.password or os.environ.get(self.password_variable, "")
        tls: dict[str, Any] = {}
        if server.tls == "disable":
            tls["ssl_disabled"] = True
        elif server.tls not in (None, "allow", "prefer"):  # those are what the library does anyway
            tls["ssl"] = _tls_context(server)
        return {
            **(
                {"unix_socket": server.host}
                if server.host.startswith("/")
                else {"host": server.host}
            ),
            "port": server.port or 0,
            "user": server.user,
            "password": password.encode(),  # as text the library would take Latin-1 only
            "database": server.database,
            "charset": "utf8mb4",
            "sql_mode": "ANSI_QUOTES",
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "write_timeout": _READ_SECONDS,
            **tls,
        }


def _tls_context(server: Server) -> ssl.SSLContext:
    """A context like that of PostgreSQL's library for the same words."""
    try:
        context = ssl.create_default_context(cafile=server.authority)
    except OSError as error:
        why = f"cannot be read as certificates: {error.strerror or error}"
        raise SourceError(f"{server.authority}: {why}") from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # MySQL's own certificates do not pass it
    context.check_hostname = server.tls == "verify-full"
    if server.tls == "require" and not server.authority:
        context.verify_mode = ssl.CERT_NONE
    return context


_MYSQL_DENIED = 1045
_MYSQL_NO_TABLE = 1146


@frozen
class _Mysql:
    _cursor: Any
    row_id: str = "id"

    def columns(self, table: str) -> set[str]:
        # The list of columns that the server keeps would hide what this user may not read.
        try:
            return {row[0] for row in self.execute(f'SHOW COLUMNS FROM "{table}"')}
        except Exception as error:
            if error.args[:1] == (_MYSQL_NO_TABLE,):
                return set()
            raise

    def execute(self, query: str) -> Sequence[Sequence[Any]]:
        self._cursor.execute(query)
        rows: Sequence[Sequence[Any]] = self._cursor.fetchall()
        return rows


@frozen
class PostgresqlDatabase(ServerDatabase):
    kind = "PostgreSQL"
    driver = "postgresql"
    schemes = ("postgresql", "postgres")
    password_variable = "PGPASSWORD"  # noqa: S105  # its name

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        psycopg = self.library("psycopg")
        try:
            with closing(psycopg.connect(**self._arguments())) as connection:
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                yield _Postgresql(connection.cursor())
        except (psycopg.Error, UnicodeDecodeError) as error:
            denied = any(word in str(error) for word in ("password", "pg_hba.conf"))
            raise (self.denied if denied else self.refused)(error) from None

    def _arguments(self) -> dict[str, Any]:
        server = self.server
        given = {
            "user": server.user,
            "password": server.password,  # the library looks into the environment itself
            "port": server.port,
            "sslmode": server.tls,
            "sslrootcert": server.authority,
        }
        return {
            "host": server.host,
            "dbname": server.database,
            "client_encoding": "utf8",
            "connect_timeout": _CONNECT_SECONDS,
            **{key: value for key, value in given.items() if value is not None},
        }


@frozen
class _Postgresql:
    _cursor: Any
    row_id: str = "id"

    def columns(self, table: str) -> set[str]:
        query = (
            "SELECT attname FROM pg_attribute "  # noqa: S608  # a constant name
            f"WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped"
        )
        return {row[0] for row in self.execute(query)}

    def execute(self, query: str) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._cursor.execute(query).fetchall()
        return rows
