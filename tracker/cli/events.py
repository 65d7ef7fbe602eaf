"""`tracker events`: prints the log. Reads beside a running tracker, and never writes."""

from __future__ import annotations

import time
from array import array
from functools import partial
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.options import add_config, add_log, info_hash, log_and_keys
from tracker.cli.output import flush, note, say
from tracker.cli.time_options import add_part, part_of
from tracker.domain.events import codec
from tracker.history import event_json
from tracker.history.event_scan import Filter, Scan
from tracker.ports import EventFilter, Moment

if TYPE_CHECKING:
    import argparse

_AT_ONCE = 1000  # events found before they are printed
_FOLLOW_SECONDS = 0.1  # between two looks for new events
_VOUCH_SECONDS = 1.0  # a tracker that runs vouches for its events within a fifth of that


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the events of the log, one JSON object a line. Works beside a running tracker."
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument("--follow", action="store_true", help="go on as events come")
    parser.add_argument("--info-hash", metavar="HASH", type=info_hash, help="only of this torrent")
    parser.add_argument(
        "--type", action="append", choices=codec.EVENT_TYPES, metavar="TYPE",
        help=f"only of this type, may be repeated: {', '.join(codec.EVENT_TYPES)}",
    )  # fmt: skip
    add_part(parser, "begin here; `now` leaves out what is there already", "end here, inclusive")
    parser.set_defaults(run=print_events)


def print_events(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    if options.first == Moment():
        options.first = Moment(time_us=time.time_ns() // 1000)
    part = part_of(options)
    torrent = bytes.fromhex(options.info_hash) if options.info_hash else None
    wanted = EventFilter(types=frozenset(options.type or ()), info_hash=torrent)
    scan = Scan(folder, part, Filter(wanted, array("I")), keys)
    return trust.listed(partial(_print, scan, part.last, follow=options.follow), folder, keys)


def _print(scan: Scan, last: int | None, *, follow: bool) -> None:
    """Prints the wanted events, and those that come, until `last`."""
    while True:
        done = _print_new(scan) or (last is not None and scan.seq > last)
        flush()
        if done or not follow:
            break
        time.sleep(_FOLLOW_SECONDS)
    if not done:
        _print_the_rest(scan)
    flush()


def _print_the_rest(scan: Scan) -> None:
    """Prints the events that nothing in the log vouches for yet, and says so.

    A running tracker soon vouches for its events, so it gets a moment to do that.
    """
    ends = time.monotonic() + _VOUCH_SECONDS
    doubted = scan.doubted()
    while doubted and scan.seq < doubted.stop and time.monotonic() < ends:
        time.sleep(_FOLLOW_SECONDS)
        if _print_new(scan):
            return
    if not doubted or scan.seq >= doubted.stop:
        return
    scan.go_on_doubted()
    _print_new(scan, vouched_for=False)
    note(
        f"Events {doubted.start} to {doubted.stop - 1} are not yet vouched for: nothing after them in the log says "
        "that they reached the disk. They may have been acknowledged. The next start of the tracker keeps them"
    )


def _print_new(scan: Scan, **mark: bool) -> bool:
    """Prints the wanted events up to the durable end; returns whether it reached `--to`.

    Each event gets the members `mark`.
    """
    scan.over = False
    while not scan.over:
        try:
            scan.step(_AT_ONCE)
        finally:
            # Where the log is damaged, what stands before the damage is printed first.
            for event in scan.take():
                say(event_json.line({**event, **mark}))
    return not scan.at_end
