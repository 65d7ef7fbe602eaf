"""`tracker handed` lists the replies with an address, `tracker received` those to an account."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from eventlog import Reader
from tracker.cli import trust
from tracker.cli.explain import endpoint_text
from tracker.cli.moment_options import add_log_and_json, replayed
from tracker.cli.options import address, log_and_keys
from tracker.cli.output import CannotError, note, say_json
from tracker.cli.tables import HASH, NUMBER, TIME, WORD, Column, add_list, say_list
from tracker.cli.time_options import add_part, part_of
from tracker.history.handed import OfAddress, ToAccount, Walk
from tracker.ledger.account import find_account
from tracker.store import checked_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.history.handed import Question

_COLUMNS = (
    Column("time", TIME), Column("seq", NUMBER), Column("asked by"), Column("at", WORD),
    Column("handed out", WORD), Column("info_hash", HASH), Column("label"), Column("peer_id", HASH),
    Column("by event", NUMBER),
)  # fmt: skip
_NEEDS = "which peers a reply listed is not in the log: it follows from the log and the secrets (--secrets), which are needed here"  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = "Replay a part of the log and list the replies that listed an address: when, to whom, in which swarm."
    parser.add_argument("address", metavar="ADDRESS", type=address, help="IPv4 or IPv6")
    parser.add_argument("--port", type=_port, help="only at this port")
    add_log_part(parser)
    parser.set_defaults(run=print_handed)


def add_log_part(parser: argparse.ArgumentParser) -> None:
    """Adds what `tracker received` has as well: the log, and the part of it to look at."""
    add_log_and_json(parser, "one JSON object a reply")
    add_list(parser)
    begin = "begin here (default: at the log's beginning)"
    add_part(parser, begin, "end here, inclusive (default: at its end)")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port, 1 to 65535")
    return int(text)


def print_handed(options: argparse.Namespace) -> int:
    return _print(options, OfAddress(options.address, options.port))


def print_received(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    reader = Reader(folder, keys=keys)
    kept = checked_segments.read_kept(folder, reader.first_seq, keys)
    account = find_account(options.who, chain(kept, reader.frames()))
    if account is None:
        raise CannotError(f"no account has the owner {options.who}, and no key that number")
    return _print(options, ToAccount(account))


def _print(options: argparse.Namespace, question: Question) -> int:
    with replayed(options) as log:
        if log.keys is None:
            raise CannotError(_NEEDS)
        walk = Walk(log, log.keys, question, part_of(options))
        print_all = partial(_print_all, walk, options)
        return trust.listed(print_all, log.folder, log.keys, as_json=options.json)


def _row(pair: tuple[dict[str, Any], dict[str, Any]]) -> list[object]:
    reply, peer = pair
    return [
        reply["time"], reply["seq"], reply["owner"] or reply["account"], endpoint_text(reply),
        endpoint_text(peer), reply["info_hash"], reply["label"], peer["peer_id"], peer["seq"],
    ]  # fmt: skip


def _print_all(walk: Walk, options: argparse.Namespace) -> None:
    replies = 0

    def found() -> Iterator[dict[str, Any]]:
        nonlocal replies
        for reply in walk.found():
            if reply is not None:
                replies += 1
                yield reply

    if options.json:
        for reply in found():
            say_json(reply)
    else:
        pairs = ((reply, peer) for reply in found() for peer in reply["peers"])
        say_list(options, _COLUMNS, pairs, _row)
    if not replies and not options.json:
        note("note: there is no such reply")
    if walk.unread:
        note(
            f"The addresses of {', '.join(walk.unread)} cannot be read, because the keys of these days were shredded or "
            "are missing: where replies listed them, they are not found"
        )
    if walk.unknown:
        note(
            f"The peers of {walk.unknown} replies are not known, because the server.key of their time is not among the "
            "secrets, or this version does not know the rule of the choice"
        )
