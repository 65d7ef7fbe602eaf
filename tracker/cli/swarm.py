"""`tracker swarm`: lists the peers of a swarm at a moment of the log."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, replayed, state_at
from tracker.cli.output import CannotError, count
from tracker.cli.tables import BYTES, HASH, NUMBER, TIME, WORD, Column, add_list, say_list
from tracker.history.state_summary import as_json, members
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse

    from tracker.domain.state import State
    from tracker.history.state_summary import Member

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
        raise CannotError(f"no torrent has the label {text}, or an info hash that begins so, then")
    hashes = ", ".join(sorted(each.hex() for each in found)[:3])
    raise CannotError(f"{len(found)} torrents are called {text}: give an info hash, {hashes} ...")


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
