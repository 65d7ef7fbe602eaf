"""`tracker diff`: lists what changed between two moments of the log."""

from __future__ import annotations

import json
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, replayed, state_at, torrent_hash
from tracker.cli.output import say, say_json
from tracker.cli.tables import (
    BYTES,
    HASH,
    NUMBER,
    TIME,
    WORD,
    Column,
    add_list,
    by_name,
    say_table,
)
from tracker.cli.time_options import add_moments
from tracker.history.state_diff import differences
from tracker.history.state_summary import picture

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


_VALUES = Column("name", WORD), Column("before"), Column("after")
_TORRENT = Column("info_hash", HASH), Column("label")
_KEY = Column("key_ref", NUMBER), Column("account", NUMBER), Column("owner"), Column("label")
_SWARM = (
    *_TORRENT, Column("seeders", NUMBER), Column("leechers", NUMBER), Column("completed", NUMBER),
)  # fmt: skip
_PEER = (
    Column("addresses", WORD), Column("role", WORD), Column("account", NUMBER), Column("owner"),
    Column("left", BYTES), Column("uploaded", BYTES), Column("downloaded", BYTES), Column("client"),
    Column("last_time", TIME), Column("peer_id", HASH),
)  # fmt: skip
_COLUMNS = {
    "count": _VALUES, "setting": _VALUES, "whitelisted": _TORRENT, "delisted": _TORRENT,
    "described": (Column("info_hash", HASH), Column("before"), Column("after")),
    "key_issued": _KEY, "key_revoked": _KEY, "torrent_appeared": _SWARM, "torrent_gone": _SWARM,
    "account": (
        Column("account", NUMBER), Column("owner"), Column("uploaded", BYTES), Column("downloaded", BYTES),
        Column("sessions", NUMBER), Column("snatched", NUMBER), Column("seeding_seconds", NUMBER, heading="seeding s"),
        Column("partial_seeding_seconds", NUMBER, heading="partial s"),
    ),
}  # fmt: skip
"""The columns of each kind of change; those of peers are `_PEER`."""


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to two moments and list what changed from the first to the second."
    )
    add_log_and_json(parser, "one JSON object a change")
    parser.add_argument("--info-hash", metavar="TORRENT", help="and who joined and left this swarm")
    add_moments(parser, "the two moments")
    add_list(parser)
    parser.set_defaults(run=print_diff)


def print_diff(options: argparse.Namespace) -> int:
    swarm = torrent_hash(options, options.info_hash)
    with replayed(options) as log:
        forward = sorted((options.first, options.last), key=log.resolve)
        found = {one: picture(state_at(log, one), swarm) for one in forward}
    changes = differences(found[options.first], found[options.last])
    print_all = partial(_print, changes, options)
    return trust.listed(print_all, log.folder, log.keys, as_json=options.json)


def _print(changes: Iterable[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        for change in changes:
            say_json(change)
        return
    for number, (kind, some) in enumerate(groupby(changes, itemgetter("type"))):
        columns = _COLUMNS.get(kind, _PEER)
        if number:
            say("")
        say(kind)
        say_table(options, columns, map(by_name(columns), map(_cells, some)))


def _cells(change: dict[str, Any]) -> dict[str, Any]:
    """Writes what a cell cannot hold as text."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
        for name, value in change.items()
    }
