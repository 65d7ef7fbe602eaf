"""`tracker swarm`: lists the peers of a swarm at a moment of the log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, replayed, state_at
from tracker.cli.options import info_hash
from tracker.cli.output import count, say, say_json
from tracker.offline.state_summary import as_json, members
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse

    from tracker.domain.state import State
    from tracker.offline.state_summary import Member

_COLUMNS = "{:<27}  {:<40}  {:<16}  {:<7}  {:>16}  {:>16}  {:>16}  {:<9}  {:>10}  {:<27}  {}"


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to a moment and list the peers of a swarm, the latest announce last."
    )
    add_log_and_json(parser, "one JSON object a peer")
    add_at(parser)
    parser.add_argument("info_hash", metavar="INFO_HASH", type=info_hash)
    parser.set_defaults(run=print_swarm)


def print_swarm(options: argparse.Namespace) -> int:
    swarm = bytes.fromhex(options.info_hash)
    with replayed(options) as log:
        state = state_at(log, options.at)
    print_all = partial(_print, state, swarm, options)
    return trust.listed(print_all, log.folder, log.keys, as_json=options.json)


def _print(state: State, swarm: bytes, options: argparse.Namespace) -> None:
    found = members(state, swarm)
    if options.json:
        for member in found:
            say_json(as_json(member))
        return
    say(_heading())
    for member in found:
        say(row(member))
    seeders, completed, leechers = state.swarms.counts(swarm)
    date_us = state.dates.of(state.time_us)
    when = f"event {state.seq - 1}, {rfc3339(date_us)}" if state.seq else "no event"
    counts = f"{count(seeders, 'seeder')}, {count(leechers, 'leecher')}, {completed} completed"
    say(f"{counts}; after {when}")


def _heading() -> str:
    return _COLUMNS.format(
        "address", "peer_id", "client", "role", "uploaded", "downloaded", "left", "event", "seq", "last announce", "account"
    )  # fmt: skip


def row(member: Member) -> str:
    """Formats a line of the table; addresses of both families are joined by a comma."""
    return _COLUMNS.format(
        ",".join(member.addresses) or "-", member.peer_id.hex(), member.client or "-", member.role,
        member.uploaded, member.downloaded, "-" if member.left is None else member.left,
        member.event, member.last_seq, rfc3339(member.last_us), _account(member),
    )  # fmt: skip


def _account(member: Member) -> str:
    if member.key_ref is None:
        return "-"
    return f"{member.owner or member.account} (key {member.key_ref})"
