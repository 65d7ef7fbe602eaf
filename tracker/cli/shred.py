"""`tracker shred`: destroys the keys of past days; a running tracker does it on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import asdict

from eventlog import LogLockedError
from tracker.cli.api_options import line
from tracker.cli.options import add_config
from tracker.cli.output import CannotError, note, note_recovery, progress, say, say_json
from tracker.cli.time_options import date
from tracker.config import load
from tracker.store.address_keys import day_name, day_shown

if TYPE_CHECKING:
    import argparse

    from tracker.config import EventLog
    from tracker.upkeep.shredding import Shredding


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Destroy the keys of past days: the peers' addresses that were logged then can never be read again, "
        "and every count stays. Without an option: what [event_log] shred_days says is due. Keys that peers in the "
        "swarms still need stay. Works beside a running tracker, which then does it."
    )
    add_config(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--before", metavar="DATE", type=date, help="all days of log time (UTC) before this one"
    )
    which.add_argument("--day", metavar="DATE", type=date, help="this day of log time")
    parser.add_argument("--reason", type=line, default="", help="recorded with the event")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=shred)


def shred(options: argparse.Namespace) -> int:
    config = load(options.config).config.event_log
    days = _days(options)
    if days is None and not config.shred_days:
        raise CannotError("event_log.shred_days is 0 (never): give --before or --day")
    done = _shred(config, days, options.reason)
    if options.json:
        say_json(done)
    else:
        _say_outcome(done)
    if options.day is not None and not done["shredded"]:
        kept = "its key is still needed" if done["kept"] else "there is no key of that day"
        raise CannotError(f"{_both(day_name(options.day), done)} was not shredded: {kept}")
    return 0


def _days(options: argparse.Namespace) -> tuple[int, int] | None:
    """Returns the first and the last day to shred; None = the days that are due."""
    if options.day is not None:
        return options.day, options.day
    return None if options.before is None else (0, options.before - 1)


def _shred(config: EventLog, days: tuple[int, int] | None, reason: str) -> dict[str, Any]:
    request_id = str(uuid4())
    try:
        done = _offline(config, days, request_id, reason)
        return asdict(done)
    except LogLockedError as locked:
        return _in_the_running_tracker(config, days, request_id, reason, locked)


def _offline(
    config: EventLog, days: tuple[int, int] | None, request_id: str, reason: str
) -> Shredding:
    from tracker import ports
    from tracker.upkeep import shredding

    by = ports.Actor("shred", "", request_id, reason)
    with progress("Replaying the log") as replaying:
        return shredding.shred_offline(config, days, by, replaying, note_recovery)


def _in_the_running_tracker(
    config: EventLog,
    days: tuple[int, int] | None,
    request_id: str,
    reason: str,
    locked: LogLockedError,
) -> dict[str, Any]:
    from tracker.process import control

    request = {"days": days, "request_id": request_id, "reason": reason}
    try:
        done = control.ask(Path(config.secrets_path), request)
    except control.ControlError as error:
        raise CannotError(f"{locked}; it cannot be asked to shred either ({error})") from None
    if "error" in done:
        raise CannotError(str(done["error"]))
    return done


def _say_outcome(done: dict[str, Any]) -> None:
    for day in done["shredded"]:
        say(f"shredded {_both(day, done)}")
    if not done["shredded"]:
        say("nothing was shredded")
    if done["kept"]:
        note(
            f"kept {', '.join(_both(day, done) for day in done['kept'])}: keys from {_both(done['needed_from'], done)} on are needed for peers that are in the "
            "swarms, or may still be"
        )


def _both(day: str, done: dict[str, Any]) -> str:
    """Names a day of log time, and its date where that is another."""
    return day_shown(day, done["dates"].get(day))
