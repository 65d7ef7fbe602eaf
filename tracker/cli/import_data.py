"""`tracker import`: imports keys, whitelist and completed counts; the tracker must be stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tracker.cli.options import add_config
from tracker.cli.output import CannotError, note_recovery, progress, say
from tracker.config import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tracker.config import EventLog, Loaded
    from tracker.domain.events.registry import AdminEvent
    from tracker.offline.importing import Source, Summary

    SourceOf = Callable[[argparse.Namespace, Loaded], Source]


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Append another tracker's keys, whitelist and completed counts to the log. The tracker must "
        "be stopped. What is there already is skipped: importing twice changes nothing more."
    )
    sources = parser.add_subparsers(metavar="SOURCE", required=True)
    database = sources.add_parser("torrust-sqlite", help="the SQLite database of Torrust's tracker")
    _add_file(database, "the SQLite file", _sqlite)
    mysql = sources.add_parser("torrust-mysql", help="the MySQL or MariaDB database of the same")
    _add_url(mysql, "mysql", "MYSQL_PWD", _mysql)
    postgresql = sources.add_parser(
        "torrust-postgresql", help="the PostgreSQL database of the same"
    )
    _add_url(postgresql, "postgresql", "PGPASSWORD", _postgresql)
    whitelist = sources.add_parser("whitelist", help="info hashes, as text")
    _add_file(whitelist, "one info hash a line; # begins a comment", _whitelist)
    keys = sources.add_parser("keys", help="keys with their owners, as CSV")
    _add_file(keys, "columns key, owner, valid_until, label; a header row names them", _keys)


def _add_file(parser: argparse.ArgumentParser, what: str, source: SourceOf) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help=what)
    _add_options(parser, source)


def _add_url(parser: argparse.ArgumentParser, scheme: str, variable: str, source: SourceOf) -> None:
    parser.description = (
        "Without a URL the command takes [core.database] of the configuration, as Torrust has it. "
        f"A password in the URL shows in lists of processes; {variable} can hold it instead."
    )
    parser.add_argument(
        "url", metavar="URL", nargs="?", help=f"{scheme}://user:password@host:port/database"
    )
    _add_options(parser, source)


def _add_options(parser: argparse.ArgumentParser, source: SourceOf) -> None:
    add_config(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done, change nothing"
    )
    parser.set_defaults(run=lambda options: import_from(source, options))


def import_from(source_of: SourceOf, options: argparse.Namespace) -> int:
    from tracker.offline.import_sources import SourceError
    from tracker.offline.importing import ImportProblemsError  # imports trio

    loaded = load(options.config)
    config = loaded.config.event_log
    try:
        source = source_of(options, loaded)
        if options.dry_run:
            say(f"would import {_rehearse(source, config)}")
        else:
            say(str(_import(source, config)))
    except (SourceError, ImportProblemsError) as error:
        raise CannotError(str(error)) from None
    return 0


def _sqlite(options: argparse.Namespace, _loaded: Loaded) -> Source:
    from tracker.offline.import_torrust import SqliteDatabase

    return SqliteDatabase(options.file)


def _mysql(options: argparse.Namespace, loaded: Loaded) -> Source:
    from tracker.offline.import_servers import MysqlDatabase

    return MysqlDatabase.of(options.url, loaded.database)


def _postgresql(options: argparse.Namespace, loaded: Loaded) -> Source:
    from tracker.offline.import_servers import PostgresqlDatabase

    return PostgresqlDatabase.of(options.url, loaded.database)


def _whitelist(options: argparse.Namespace, _loaded: Loaded) -> Source:
    from tracker.offline.import_sources import WhitelistFile

    return WhitelistFile.read(options.file)


def _keys(options: argparse.Namespace, _loaded: Loaded) -> Source:
    from tracker.offline.import_sources import KeysFile

    return KeysFile.read(options.file)


def _import(source: Source, config: EventLog) -> Summary:
    from tracker.offline import importing

    try:
        with (
            progress("Checking") as checking,
            progress("Replaying the log") as replaying,
            progress("Importing") as report,
        ):
            return importing.run(source, config, checking, replaying, report, note_recovery)
    except KeyboardInterrupt:
        text = "interrupted: what is imported so far stays; the same command goes on from there"
        raise CannotError(text) from None


def _rehearse(source: Source, config: EventLog) -> Summary:
    from tracker.offline import importing
    from tracker.store.address_keys import Keyring

    folder, keys = Path(config.path), Keyring(Path(config.secrets_path))
    with progress("Checking") as checking, progress("Replaying the log") as replaying:
        return importing.rehearse(source, folder, keys, checking, replaying, _tell)


def _tell(event: AdminEvent) -> None:
    from tracker.domain.events import codec
    from tracker.history import event_json

    say(event_json.line({"type": event.name, **codec.to_data(event)}))
