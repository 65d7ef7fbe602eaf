"""`tracker events`: prints the log. Reads beside a running tracker, and never writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from eventlog import Reader, read_kept_frames
from tracker.cli.moment_options import moment
from tracker.cli.options import add_config, add_log, info_hash, log_and_keys
from tracker.cli.output import flush, say
from tracker.domain.events import codec
from tracker.history import event_json
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from eventlog import Frame

_FOLLOW_SECONDS = 0.1  # between two looks for new events


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "events",
        help="print the log, one JSON object a line",
        description="Print the events of the log, one JSON object a line. Works beside a running tracker.",
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument("--follow", action="store_true", help="go on as events come")
    parser.add_argument("--info-hash", metavar="HASH", type=info_hash, help="only of this torrent")
    parser.add_argument(
        "--type", action="append", choices=codec.EVENT_TYPES, metavar="TYPE",
        help=f"only of this type, may be repeated: {', '.join(codec.EVENT_TYPES)}",
    )  # fmt: skip
    parser.add_argument("--from", dest="first", metavar="SEQ|TIME", type=_moment, help="begin here")
    parser.add_argument(
        "--to", dest="last", metavar="SEQ|TIME", type=_moment, help="end here, inclusive"
    )
    parser.set_defaults(run=print_events)


def print_events(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    wanted = _filter(options)
    first = options.first if isinstance(options.first, int) else 0
    reader = Reader(folder, first, keys=keys)
    # Admin events from before the log's beginning are kept in files of their own.
    done = _print_new(read_kept_frames(folder, reader.first_seq), wanted, options.last)
    while True:
        done = done or _print_new(reader.frames(), wanted, options.last)
        flush()
        if done or not options.follow:
            return 0
        time.sleep(_FOLLOW_SECONDS)


def _print_new(
    frames: Iterable[Frame], wanted: Callable[[dict[str, Any]], bool], last: int | str | None
) -> bool:
    """Prints the wanted events of these frames; returns whether it reached `--to`."""
    for frame in frames:
        for event in event_json.narrate(frame):
            if _past(event, last):
                return True
            if wanted(event):
                say(event_json.line(event))
            if event["seq"] == last:
                return True
    return False


def _filter(options: argparse.Namespace) -> Callable[[dict[str, Any]], bool]:
    types = set(options.type or ())

    def wanted(event: dict[str, Any]) -> bool:
        return (
            (not types or event["type"] in types)
            and (options.info_hash is None or event.get("info_hash") == options.info_hash)
            and not _before(event, options.first)
        )

    return wanted


def _before(event: dict[str, Any], moment: int | str | None) -> bool:
    if isinstance(moment, str):
        return bool(event["time"] < moment)
    return moment is not None and event["seq"] < moment


def _past(event: dict[str, Any], moment: int | str | None) -> bool:
    if isinstance(moment, str):
        return bool(event["time"] > moment)
    return moment is not None and event["seq"] > moment


def _moment(text: str) -> int | str | None:
    """An argument's type: a sequence number, or a time as events have it: they compare as text."""
    given = moment(text)
    return given.seq if given.time_us is None else rfc3339(given.time_us)
