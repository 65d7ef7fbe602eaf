"""Options of the commands that replay the log to a moment, and the replay itself."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracker.cli.options import add_config, add_log, log_and_keys
from tracker.cli.output import CannotError, note, progress
from tracker.cli.time_options import moment as moment
from tracker.ports import Moment, NoMomentError
from tracker.store.moments import ForwardReplay
from tracker.store.outages import WHY
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tracker.domain.state import State
    from tracker.ports import Names


def add_log_and_json(parser: argparse.ArgumentParser, json_help: str) -> None:
    add_config(parser)
    add_log(parser)
    parser.add_argument("--json", action="store_true", help=json_help)


def add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--names", action="store_true",
        help="with `account` and `owner` beside a key's number, and `label` beside an info hash",
    )  # fmt: skip


def names_now(options: argparse.Namespace) -> Names | None:
    """Returns the names at the end of the log, where `--names` asks for them. Replays the log."""
    if not options.names:
        return None
    from tracker.service.read_model import Projection  # takes a while

    with replayed(options) as log:
        return Projection(log.at(None), {})


def add_at(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", metavar="SEQ|TIME", type=moment,
        help="after the event of that number, or when all events up to that time had happened "
        "(default: now)",
    )  # fmt: skip


@contextmanager
def replayed(options: argparse.Namespace) -> Iterator[ForwardReplay]:
    """Opens the log that the options name for replay, with a progress bar.

    Raises `CannotError` for a moment that the log does not hold, and when interrupted.
    """
    with failing_if_interrupted(), progress("Replaying the log") as report:
        try:
            folder, keys = log_and_keys(options)
            yield ForwardReplay(folder, report, keys)
        except NoMomentError as error:
            raise CannotError(error.detail) from None


def state_at(log: ForwardReplay, moment: Moment | None) -> State:
    """Replays to a moment (None = now), and notes if it lies in an outage."""
    state = log.at(None if moment == Moment() else moment)
    note_outage(log)
    return state


def note_outage(log: ForwardReplay) -> None:
    """Notes it if the moment resolved last lies in an outage."""
    if log.outage:
        begin, end = rfc3339(log.outage.from_us), rfc3339(log.outage.to_us)
        note(
            f"note: the moment lies in an outage, between {begin} and {end} ({log.outage.why}: "
            f"{WHY[log.outage.why]}). This is as it was before that"
        )


def account_number(log: ForwardReplay, text: str) -> int:
    """Returns the number of an account: its owner counts first, as in `tracker ledger`.

    Raises `CannotError` where there is none.
    """
    owners = log.at(None).access.owners
    if text in owners:
        return owners[text]
    if not text.isdecimal() or not 0 < int(text) < 2**32:
        raise CannotError(f"no account has the owner {text}")
    return int(text)


def torrent_named(state: State, text: str) -> bytes:
    """Returns the torrent that is named by its info hash, its beginning, or its label.

    Raises `CannotError` when none is meant, or several are.
    """
    if re.fullmatch("[0-9A-Fa-f]{40}", text):
        return bytes.fromhex(text)
    found = [each for each, facts in state.facts.items() if json.loads(facts).get("label") == text]
    if not found and re.fullmatch("[0-9A-Fa-f]{4,39}", text):
        known = {*state.swarms.all_hashes(), *state.swarms.retired, *state.facts}
        found = [each for each in known if each.hex().startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CannotError(
            f"no torrent has the label {text}, or an info hash that begins so (4 digits or more), then"
        )
    hashes = ", ".join(sorted(each.hex() for each in found)[:3])
    raise CannotError(f"{len(found)} torrents are called {text}: give an info hash, {hashes} ...")


def torrent_hash(options: argparse.Namespace, text: str | None) -> bytes | None:
    """Returns the torrent that an option names, by its label of now; None = there is no option.

    Replays the log for a name. Raises `CannotError` when none is meant, or several are.
    """
    if text is None:
        return None
    if re.fullmatch("[0-9A-Fa-f]{40}", text):
        return bytes.fromhex(text)
    with replayed(options) as log:
        return torrent_named(log.at(None), text)


@contextmanager
def failing_if_interrupted() -> Iterator[None]:
    """Raises `CannotError` on an interrupt: a command that owes one answer has given none."""
    try:
        yield
    except KeyboardInterrupt:
        raise CannotError("interrupted: there is no result") from None
