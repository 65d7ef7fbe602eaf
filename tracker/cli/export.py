"""`tracker export`: writes tables of the log for other programs, or all that is about a member.

Reads beside a running tracker. Where personal data are asked for, the tracker first has to log who
exports them, and why.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.api_client import ApiError
from tracker.cli.api_options import add_api, client, line
from tracker.cli.moment_options import account_number, failing_if_interrupted
from tracker.cli.options import add_config, add_log, log_and_keys
from tracker.cli.output import CannotError, flush, note, progress, say
from tracker.cli.series import NO_SERIES
from tracker.cli.time_options import add_part, part_of
from tracker.ledger.cases import CaseList
from tracker.ledger.judged import Judgements
from tracker.offline import export_files, exporting, stays, subject_access
from tracker.store import book
from tracker.store.address_keys import day_name
from tracker.store.case_files import CasesError, NoCasesError
from tracker.store.moments import ForwardReplay
from tracker.store.stay_files import StaysError

if TYPE_CHECKING:
    import argparse
    from array import array
    from collections.abc import Callable, Iterable, Iterator

    from tracker.domain.state import State
    from tracker.offline.exporting import Row
    from tracker.store.address_keys import Keyring
    from tracker.store.stay_files import Stays

    Report = Callable[[int, int | None], None]

_EVENTS = ("announces", "events")
_NO_BOOK = (
    "there is no book that can be read: a tracker in a private mode keeps one, and reading it needs "
    "the secrets (--secrets)"
)


def add_to(parser: argparse.ArgumentParser) -> None:
    tables = "; ".join(f"{name}: {table.about}" for name, table in exporting.TABLES.items())
    parser.description = (
        "Write a table of the log for other programs, without personal data unless they are asked "
        f"for; or, with --account, a folder with all that is about a member. {tables}."
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument(
        "what", metavar="TABLE|FOLDER",
        help=f"{', '.join(exporting.TABLES)}; with --account a new folder",
    )  # fmt: skip
    parser.add_argument(
        "--format",
        choices=export_files.FORMATS,
        help="(default: what the file's name ends in, else jsonl)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="a new file (default: standard output)"
    )
    of = "announces and events:"
    add_part(parser, f"{of} begin here", f"{of} end here, inclusive")
    parser.add_argument(
        "--personal", action="store_true", help="with addresses, owners and the like; see --reason"
    )
    parser.add_argument(
        "--account", metavar="OWNER|NUMBER", help="write all that is about this member"
    )
    parser.add_argument(
        "--reason", type=line, default="",
        help="why personal data are exported, which the running tracker logs; not with --log",
    )  # fmt: skip
    add_api(parser)
    parser.set_defaults(run=export)


def export(options: argparse.Namespace) -> int:
    if options.account is not None:
        return _export_account(options)
    table, personal = options.what, options.personal
    if table not in exporting.TABLES:
        known = ", ".join(exporting.TABLES)
        raise CannotError(f"there is no table {table}; choose from {known}")
    form = _form(options)
    folder, keys = log_and_keys(options)
    columns = exporting.columns_of(table, personal=personal)
    if personal:
        _note_export(options, f"exports/{table}")
    with failing_if_interrupted(), progress("Reading the log") as report:
        state = ForwardReplay(folder, report, keys).at(None)
    with failing_if_interrupted(), progress("Exporting") as report, ExitStack() as stack:
        rows = _rows(options, folder, keys, state, report, stack)
        if options.out is None:
            export_files.write_text(sys.stdout, form, columns, rows)
            flush()
        else:
            _write(options.out, form, columns, rows)
    return trust.end(trust.of(folder, keys))


def _note_export(options: argparse.Namespace, path: str) -> None:
    """Has the running tracker log that personal data are exported. Raises `CannotError`.

    With `--log` the folder itself is read, which no tracker can see.
    """
    if options.log is not None:
        return
    if not options.reason:
        raise CannotError("give --reason TEXT: the tracker logs who exports personal data, and why")
    try:
        client(options).note_export(path)
    except ApiError as error:
        raise CannotError(
            f"the tracker could not log the export: {error} (where none runs: --log FOLDER --secrets FOLDER)"
        ) from None


def _report(report: Report, end: int, seq: int) -> None:
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
    if options.what not in _EVENTS and (options.first or options.last):
        raise CannotError(f"{options.what} has no --from and no --to: it is as it is now")
    return form


def _rows(
    options: argparse.Namespace,
    folder: Path,
    keys: Keyring | None,
    state: State,
    report: Report,
    stack: ExitStack,
) -> Iterable[Row]:
    """Returns the rows of a table. `stack` closes what they are read from."""
    table, personal = options.what, options.personal
    if table in _EVENTS:
        part = part_of(options)
        account_of: array[int] = state.access.account_of
        walked = partial(_report, report, state.seq)
        return exporting.events_of(table, folder, part, keys, account_of, walked, personal=personal)
    if table == "clients":
        return exporting.clients(state)
    if table == "cases":
        return _cases(folder)
    if table == "stays":
        index = _index(folder, keys, report, stack)
        return exporting.stays(index, stays.Addresses(folder, keys, index) if personal else None)
    return _rows_of_book(table, folder, keys, state)


def _rows_of_book(table: str, folder: Path, keys: Keyring | None, state: State) -> Iterable[Row]:
    opened = book.open_newest(folder, keys, note)
    if opened is None:
        raise CannotError(_NO_BOOK)
    note(f"note: the book counts the events before {opened.upto}; the log has {state.seq}")
    if table == "book":
        return exporting.book(opened)
    if table == "hit_and_run":
        return exporting.hit_and_run(Judgements(opened))
    if opened.series is None:
        raise CannotError(NO_SERIES)
    return exporting.series(opened.series)


def _index(folder: Path, keys: Keyring | None, report: Report, stack: ExitStack) -> Stays:
    try:
        return stack.enter_context(stays.opened(folder, keys, note, report))
    except StaysError as error:
        raise CannotError(str(error)) from None


def _cases(folder: Path) -> Iterable[Row]:
    try:
        return exporting.cases(CaseList(folder))
    except NoCasesError:
        note("note: the tracker has written no cases yet")
        return ()
    except CasesError as error:
        raise CannotError(f"there are no cases that can be read: {error}") from None


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


def _export_account(options: argparse.Namespace) -> int:
    """Writes a folder with all that is about a member."""
    target = Path(options.what)
    if options.out is not None or options.format is not None:
        raise CannotError("--account writes JSON lines into FOLDER: leave --out and --format away")
    if options.first or options.last:
        raise CannotError("--account has no --from and no --to: it exports all that there is")
    if os.path.lexists(target):
        raise CannotError(f"{target} is there already: remove it, or choose another name")
    folder, keys = log_and_keys(options)
    with failing_if_interrupted(), progress("Reading the log") as report:
        log = ForwardReplay(folder, report, keys)
        account, state = account_number(log, options.account), log.at(None)
    if not state.access.has_account(account):
        raise CannotError(f"there is no account {options.account}")
    _note_export(options, f"accounts/{account}/exports")
    with failing_if_interrupted(), progress("Exporting") as report, ExitStack() as stack:
        index = _index(folder, keys, report, stack)
        of = subject_access.Sources(
            folder, keys, state, book.open_newest(folder, keys, note), index,
            stays.Addresses(folder, keys, index),
        )  # fmt: skip
        try:
            _write_folder(target, of, account, partial(_report, report, state.seq))
        except OSError as error:
            raise CannotError(f"cannot write {target}: {error.strerror or error}") from None
    if of.book is None:
        note(f"note: {_NO_BOOK}")
    for day in sorted(of.addresses.unknown_days):
        note(f"note: addresses of {day_name(day)} are missing, because there is no key to them")
    say(str(target))
    return trust.end(trust.of(folder, keys))


def _write_folder(
    target: Path, of: subject_access.Sources, account: int, report: Callable[[int], None]
) -> None:
    """Writes a folder that has its name only when it is whole. Raises `OSError`."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.mkdir(mode=0o700)
    try:
        about = json.dumps(subject_access.about(of, account), ensure_ascii=False, indent=2)
        (scratch / "about.json").write_text(f"{about}\n", encoding="utf-8")
        for name, columns, rows in subject_access.files(of, account, report):
            with (scratch / name).open("w", encoding="utf-8", newline="") as out:
                export_files.write_text(out, export_files.JSONL, columns, rows)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
