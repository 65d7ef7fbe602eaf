"""`tracker swarm`: lists the peers of a swarm at a moment of the log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, replayed, state_at, torrent_named
from tracker.cli.output import count
from tracker.cli.tables import BYTES, HASH, NUMBER, TIME, WORD, Column, add_list, say_list
from tracker.history.state_summary import members
from tracker.service.members import as_json
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse

    from tracker.domain.state import State
    from tracker.service.members import Member

_COLUMNS = (
    Column("addresses", WORD, heading="address"), Column("role", WORD), Column("left", BYTES),
    Column("last_announce", TIME), Column("account"), Column("client"),
    Column("uploaded", BYTES), Column("downloaded", BYTES), Column("event", WORD),
    Column("seq", NUMBER), Column("peer_id", HASH),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to a moment and list the peers of a swarm, the latest announce last."
    )
    add_log_and_json(parser, "one JSON object a peer")
    add_list(parser)
    add_at(parser)
    parser.add_argument(
        "torrent", metavar="TORRENT", help="its info hash, the beginning of it, or its label"
    )
    parser.set_defaults(run=print_swarm)


def print_swarm(options: argparse.Namespace) -> int:
    with replayed(options) as log:
        state = state_at(log, options.at)
    swarm = torrent_named(state, options.torrent)
    print_all = partial(_print, state, swarm, options)
    return trust.listed(print_all, log.folder, log.keys, as_json=options.json)


def _print(state: State, swarm: bytes, options: argparse.Namespace) -> None:
    def summary() -> str:
        seeders, completed, leechers = state.swarms.counts(swarm)
        date_us = state.dates.of(state.time_us)
        when = f"event {state.seq - 1}, {rfc3339(date_us)}" if state.seq else "no event"
        counts = f"{count(seeders, 'seeder')}, {count(leechers, 'leecher')}"
        return f"{counts}, {completed} completed; after {when}"

    say_list(options, _COLUMNS, members(state, swarm), _row, as_json, summary)


def _row(member: Member) -> list[object]:
    return [
        member.addresses, member.role, member.left, rfc3339(member.last_us), _account(member),
        member.client, member.uploaded, member.downloaded, member.event, member.last_seq,
        member.peer_id.hex(),
    ]  # fmt: skip


def _account(member: Member) -> str | None:
    if member.key_ref is None:
        return None
    return f"{member.owner or member.account} (key {member.key_ref})"
