"""`tracker import`: imports keys, whitelist and completed counts; the tracker must be stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.cli.options import add_config
from tracker.cli.output import CannotError, note_recovery, progress, say
from tracker.config import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tracker.config import EventLog
    from tracker.domain.events.registry import AdminEvent
    from tracker.offline.importing import Source, Summary


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="import keys, whitelist and completed counts of another tracker",
        description="Append another tracker's keys, whitelist and completed counts to the log. The tracker must "
        "be stopped. What is there already is skipped: importing twice changes nothing more.",
    )
    sources = parser.add_subparsers(metavar="SOURCE", required=True)
    database = sources.add_parser("torrust-sqlite", help="the database of Torrust's tracker")
    _add_options(database, "the SQLite file", _torrust)
    whitelist = sources.add_parser("whitelist", help="info hashes, as text")
    _add_options(whitelist, "one info hash a line; # begins a comment", _whitelist)
    keys = sources.add_parser("keys", help="keys with their owners, as CSV")
    _add_options(keys, "columns key, owner, valid_until, label; a header row names them", _keys)


def _add_options(
    parser: argparse.ArgumentParser, what: str, source: Callable[[Path], Source]
) -> None:
    add_config(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done, change nothing"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help=what)
    parser.set_defaults(run=lambda options: import_from(source, options))


def import_from(source_of: Callable[[Path], Source], options: argparse.Namespace) -> int:
    from tracker.offline.import_sources import SourceError
    from tracker.offline.importing import ImportProblemsError  # imports trio

    config = load(options.config).config.event_log
    try:
        source = source_of(options.file)
        if options.dry_run:
            say(f"would import {_rehearse(source, config)}")
        else:
            say(str(_import(source, config)))
    except (SourceError, ImportProblemsError) as error:
        raise CannotError(str(error)) from None
    return 0


def _torrust(path: Path) -> Source:
    from tracker.offline.import_sources import TorrustDatabase

    return TorrustDatabase(path)


def _whitelist(path: Path) -> Source:
    from tracker.offline.import_sources import WhitelistFile

    return WhitelistFile.read(path)


def _keys(path: Path) -> Source:
    from tracker.offline.import_sources import KeysFile

    return KeysFile.read(path)


def _import(source: Source, config: EventLog) -> Summary:
    from tracker.offline import importing

    try:
        with progress("Replaying the log") as replaying, progress("Importing") as report:
            return importing.run(source, config, replaying, report, note_recovery)
    except KeyboardInterrupt:
        text = "interrupted: what is imported so far stays; the same command goes on from there"
        raise CannotError(text) from None


def _rehearse(source: Source, config: EventLog) -> Summary:
    from tracker.offline import importing

    with progress("Replaying the log") as replaying:
        return importing.rehearse(source, Path(config.path), replaying, _tell)


def _tell(event: AdminEvent) -> None:
    from tracker.domain.events import codec
    from tracker.history import event_json

    say(event_json.line({"type": event.name, **codec.to_data(event)}))
