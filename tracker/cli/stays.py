"""`tracker stays`: lists who was there, at a moment or between two.

Reads beside a running tracker.
"""

from __future__ import annotations

import argparse
from functools import partial
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import (
    account_number,
    add_log_and_json,
    add_names,
    failing_if_interrupted,
    names_now,
    note_outage,
    replayed,
    torrent_hash,
)
from tracker.cli.options import address, log_and_keys
from tracker.cli.output import CannotError, count, note, progress
from tracker.cli.tables import (
    HASH,
    NUMBER,
    TIME,
    WORD,
    Column,
    add_list,
    by_name,
    say_list,
    with_names,
)
from tracker.cli.time_options import add_part
from tracker.history.stays import as_json, numbers
from tracker.offline.stays import Addresses, opened
from tracker.ports import named
from tracker.store.address_keys import day_name
from tracker.store.stay_files import Sought, StaysError, packed_network

if TYPE_CHECKING:
    from tracker.ports import Names
    from tracker.store.moments import ForwardReplay
    from tracker.store.stay_files import Stay, Stays

_COLUMNS = (
    Column("info_hash", HASH), Column("address", WORD), Column("account", NUMBER), Column("joined", TIME),
    Column("left", TIME), Column("why", WORD), Column("client"), Column("peer_id_prefix", heading="peer_id"),
    Column("listener", NUMBER), Column("seq", NUMBER),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Look up in the index of stays who was listed where: all that is asked for must fit. "
        "Without a time it lists the stays of the whole log, in the order in which they began."
    )
    add_log_and_json(parser, "one JSON object a stay")
    add_list(parser)
    add_names(parser)
    add_part(parser, "there after that", "there at that time or before", at="there at that moment")
    parser.add_argument("--info-hash", metavar="TORRENT", type=_text, help="in this torrent")
    parser.add_argument("--address", type=_packed, help="at this address")
    parser.add_argument(
        "--network", type=_network, help="in this network: /8, /16, /24; in IPv6 /8 to /48"
    )
    parser.add_argument(
        "--peer-id",
        metavar="TEXT",
        type=_prefix,
        help="peer_ids that begin so, at most 8 characters: --peer-id=-qB4650-",
    )
    parser.add_argument(
        "--client", metavar="TEXT", type=_text, help="clients whose peer_ids begin so (qB4650)"
    )
    parser.add_argument(
        "--user-agent", metavar="TEXT", type=_text, help="clients whose User-Agent begins so"
    )
    parser.add_argument("--key", metavar="NUMBER", type=_number, help="announced with this key")
    parser.add_argument("--account", metavar="OWNER|NUMBER", type=_text, help="of this account")
    parser.add_argument(
        "--listener",
        metavar="NUMBER",
        type=_number,
        help="over this listener, from 0 on: UDP first, as configured",
    )
    parser.add_argument("--limit", metavar="N", type=_number, help="at most so many (default: all)")
    parser.set_defaults(run=print_stays)


def print_stays(options: argparse.Namespace) -> int:
    if options.at and (options.first or options.last):
        raise CannotError("--at is a moment, --from and --to are two: give one or the other")
    folder, keys = log_and_keys(options)
    with replayed(options) as log:
        after, to = _range(log, options)
        sought = _sought(log, options)
    names = names_now(options)
    with failing_if_interrupted(), progress("Replaying the log") as report:
        try:
            with opened(folder, keys, note, report) as stays:
                clients = stays.listed.clients
                sought.clients = numbers(clients, options.client, options.user_agent)
                addresses = Addresses(folder, keys, stays)
                print_all = partial(_print, stays, sought, (after, to), addresses, names, options)
                return trust.listed(print_all, folder, keys, as_json=options.json)
        except StaysError as error:
            raise CannotError(str(error)) from None


def _range(log: ForwardReplay, options: argparse.Namespace) -> tuple[int, int]:
    """Returns the events after which, and up to which, somebody was there."""
    if log.span is None:
        raise CannotError("the log is empty")
    if options.at:
        at = log.resolve(options.at)
        note_outage(log)
        return at, at
    begin = log.resolve(options.first) if options.first else log.span.first_seq - 1
    end = log.resolve(options.last) if options.last else log.span.last_seq
    if end < begin:
        raise CannotError("--to is before --from")
    return begin, end


def _sought(log: ForwardReplay, options: argparse.Namespace) -> Sought:
    network, v6 = options.network or (None, False)
    return Sought(
        address=options.address, network=network, network_v6=v6, prefix=options.peer_id or b"",
        key_ref=options.key, listener=options.listener,
        account=account_number(log, options.account) if options.account else None,
        info_hash=torrent_hash(options, options.info_hash),
    )  # fmt: skip


def _print(
    stays: Stays,
    sought: Sought,
    between: tuple[int, int],
    addresses: Addresses,
    names: Names | None,
    options: argparse.Namespace,
) -> None:
    number, columns = 0, with_names(options, _COLUMNS)
    cells = by_name(columns)

    def shown(stay: Stay) -> dict[str, Any]:
        said = {"address": addresses.of(stay) or None} | as_json(stay, stays.listed.clients)
        return named(said, names) if names else said

    def row(stay: Stay) -> list[object]:
        nonlocal number
        number, said = number + 1, shown(stay)
        where = said["address"] or (f"{stay.network} {stay.pseudonym}" if stay.network else None)
        client = " ".join(filter(None, (said["client"], said["user_agent"])))
        return cells(said | {
            "address": where, "account": stay.account or None,
            "joined": said["joined"] or "before the log", "client": client or None,
        })  # fmt: skip

    found = islice(stays.find(sought, *between), options.limit)
    say_list(options, columns, found, row, shown, lambda: count(number, "stay"))
    upto = stays.listed.upto
    if between[1] >= upto:
        note(f"note: the index ends with event {upto - 1}; the tracker writes it every ten seconds")
    for day in sorted(stays.unknown_days):
        note(
            f"note: stays of {day_name(day)} may be missing, because there is no key to its addresses"
        )


def _packed(text: str) -> bytes:
    return ip_address(address(text)).packed


def _text(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("expected a text that is not empty")
    return text


def _network(text: str) -> tuple[bytes, bool]:
    try:
        return packed_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _prefix(text: str) -> bytes:
    if not text.isascii() or not 1 <= len(text) <= 8:
        raise argparse.ArgumentTypeError("expected 1 to 8 ASCII characters")
    return text.encode()


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)
