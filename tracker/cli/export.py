"""`tracker export`: writes tables of the log for other programs. Reads beside a running tracker."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.moment_options import failing_if_interrupted, moment
from tracker.cli.options import add_config, add_log, log_and_keys
from tracker.cli.output import CannotError, flush, note, progress
from tracker.offline import export_files, exporting
from tracker.ports import LogPart, Moment
from tracker.store import book
from tracker.store.moments import ForwardReplay

if TYPE_CHECKING:
    import argparse
    from array import array
    from collections.abc import Callable, Iterable, Iterator

    from tracker.domain.state import State
    from tracker.offline.exporting import Row
    from tracker.store.address_keys import Keyring

_EVENTS = ("announces", "events")
_NO_BOOK = (
    "there is no book that can be read: a tracker in a private mode keeps one, and reading it needs "
    "the secrets (--secrets)"
)


def add_to(parser: argparse.ArgumentParser) -> None:
    tables = "; ".join(f"{name}: {table.about}" for name, table in exporting.TABLES.items())
    parser.description = (
        f"Write a table of the log for other programs, without personal data. {tables}."
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument(
        "table", metavar="TABLE", choices=tuple(exporting.TABLES), help=", ".join(exporting.TABLES)
    )
    parser.add_argument(
        "--format",
        choices=export_files.FORMATS,
        help="(default: what the file's name ends in, else jsonl)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="a new file (default: standard output)"
    )
    for name, dest, text in (
        ("--from", "first", "begin here"),
        ("--to", "last", "end here, inclusive"),
    ):
        parser.add_argument(
            name, dest=dest, metavar="SEQ|TIME", type=moment, default=Moment(),
            help=f"announces and events: {text}",
        )  # fmt: skip
    parser.set_defaults(run=export)


def export(options: argparse.Namespace) -> int:
    form = _form(options)
    folder, keys = log_and_keys(options)
    columns = exporting.TABLES[options.table].columns
    with failing_if_interrupted(), progress("Reading the log") as report:
        state = ForwardReplay(folder, report, keys).at(None)
    with failing_if_interrupted(), progress("Exporting") as report:
        rows = _rows(options, folder, keys, state, partial(_report, report, state.seq))
        if options.out is None:
            export_files.write_text(sys.stdout, form, columns, rows)
            flush()
        else:
            _write(options.out, form, columns, rows)
    return trust.end(trust.of(folder, keys))


def _report(report: Callable[[int, int | None], None], end: int, seq: int) -> None:
    report(min(seq, end), end)


def _form(options: argparse.Namespace) -> str:
    """Returns the format. Raises `CannotError` where it cannot be written."""
    form: str = options.format or export_files.JSONL
    if options.out is not None and not options.format:
        ending = options.out.suffix[1:].lower()
        if ending not in export_files.FORMATS:
            raise CannotError(
                f"{options.out}: say which --format, because the name does not end in one"
            )
        form = ending
    if form == export_files.PARQUET:
        if options.out is None:
            raise CannotError("Parquet needs a file: --out FILE")
        try:
            export_files.need_parquet()
        except export_files.ExportError as error:
            raise CannotError(str(error)) from None
    if options.out is not None and os.path.lexists(options.out):
        raise CannotError(f"{options.out} is there already: remove it, or choose another name")
    if options.table not in _EVENTS and (options.first, options.last) != (Moment(), Moment()):
        raise CannotError(f"{options.table} has no --from and no --to: it is as it is now")
    return form


def _rows(
    options: argparse.Namespace,
    folder: Path,
    keys: Keyring | None,
    state: State,
    report: Callable[[int], None],
) -> Iterable[Row]:
    if options.table == "clients":
        return exporting.clients(state)
    if options.table == "book":
        opened = book.open_newest(folder, keys, note)
        if opened is None:
            raise CannotError(_NO_BOOK)
        note(f"The book counts the events before {opened.upto}, of {state.seq}")
        return exporting.book(opened)
    first, last = options.first, options.last
    part = LogPart(first=first.seq or 0, last=last.seq, from_us=first.time_us, to_us=last.time_us)
    account_of: array[int] = state.access.account_of
    return exporting.events_of(options.table, folder, part, keys, account_of, report)


def _write(path: Path, form: str, columns: dict[str, str], rows: Iterable[Row]) -> None:
    """Writes a file that has its name only when it is whole. Raises `CannotError`."""
    try:
        with _new_file(path) as scratch:
            if form == export_files.PARQUET:
                export_files.write_parquet(scratch, columns, rows)
            else:
                with scratch.open("w", encoding="utf-8", newline="") as out:
                    export_files.write_text(out, form, columns, rows)
    except OSError as error:
        raise CannotError(f"cannot write {path}: {error.strerror or error}") from None


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Gives the name of a file beside `path`, which becomes `path` at the end. Raises `OSError`."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.touch(mode=0o600, exist_ok=False)
        yield scratch
        scratch.rename(path)
    finally:
        scratch.unlink(missing_ok=True)
