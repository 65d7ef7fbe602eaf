"""`tracker events`: prints the log. Reads beside a running tracker, and never writes."""

from __future__ import annotations

import time
from array import array
from collections import deque
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import evolve

from eventlog import read_identity
from tracker.cli import trust
from tracker.cli.moment_options import (
    account_number,
    add_log_and_json,
    add_names,
    replayed,
    torrent_hash,
)
from tracker.cli.options import address, log_and_keys, log_and_secrets, number
from tracker.cli.output import CannotError, flush, note, say, say_json
from tracker.cli.time_options import add_part, length, part_of
from tracker.domain.derived import DERIVED_TYPES
from tracker.domain.events import announce, codec
from tracker.domain.events.admin import KeyIssued, KeyRotated, TorrentDescribed
from tracker.history import event_json
from tracker.history.event_scan import Filter, Scan
from tracker.history.last_events import LastScan
from tracker.ports import EventFilter, LogPart, Moment, NoMomentError, named
from tracker.store.moments import ForwardReplay, span
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tracker.ports import Names
    from tracker.store.address_keys import Keyring

_MOST_KEYS = 1_000_000  # keys between two that `--follow` sees; a forged log may name any number
_AT_ONCE = 1000  # events found before they are printed
_FOLLOW_SECONDS = 0.1  # between two looks for new events
_VOUCH_SECONDS = 1.0  # a tracker that runs vouches for its events within a fifth of that


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the events of the log, one JSON object a line. Works beside a running tracker. All that "
        "is asked for must fit."
    )
    add_log_and_json(parser, "which it prints in any case")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on as events come; from now on, unless --from is given",
    )
    parser.add_argument("--info-hash", metavar="TORRENT", help="only of this torrent")
    parser.add_argument(
        "--type", action="append", choices=(*codec.EVENT_TYPES, *codec.GROUPS, *DERIVED_TYPES),
        metavar="TYPE",
        help=f"only of this type, may be repeated: {', '.join(codec.EVENT_TYPES)}; staff: all changes by staff; and what the follower makes from "
        f"events: {', '.join(DERIVED_TYPES)}",
    )  # fmt: skip
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--account", metavar="OWNER|NUMBER", help="only of this account")
    who.add_argument("--owner", help="likewise, by the owner's name alone")
    parser.add_argument(
        "--key", metavar="KEY_REF", type=number, help="only of the key of this number"
    )
    parser.add_argument("--address", type=address, help="only announces from this address")
    parser.add_argument(
        "--client", metavar="TEXT", help="only announces whose peer_ids begin so (qB4650)"
    )
    add_names(parser)
    add_part(parser, "begin here; `now` leaves out what is there already", "end here, inclusive")
    parser.add_argument("--limit", metavar="N", type=number, help="the first N only")
    parser.add_argument("--last", metavar="N", dest="newest", type=number, help="the last N only")
    parser.add_argument(
        "--count",
        action="store_true",
        help="print how many events of each type there are; goes with --from, --to, --at and --step",
    )
    parser.add_argument(
        "--step", metavar="TIME", type=length,
        help="with --count: in each piece of so much time, for example 2h; needs two times, --from and --to",
    )  # fmt: skip
    parser.set_defaults(run=print_events)


def print_events(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    read_identity(folder)  # raises an error where there is no log
    if options.count or options.step is not None:
        part = part_of(options)
        _refuse_to_count(options, part)
        return trust.listed(lambda: _print_counts(options, part, folder, keys), folder, keys)
    if options.address and keys is None:
        raise CannotError("--address needs the keys to the addresses: --secrets FOLDER")
    account_of, account, names = _account(options)
    types = options.type or ((announce.NAME,) if options.address or options.client else ())
    wanted = EventFilter(
        types=codec.types_of(types), account=account, key_ref=options.key,
        info_hash=torrent_hash(options, options.info_hash),
    )  # fmt: skip
    part, out = _part(options, folder), Printer(options, account_of, names)

    def scan(part: LogPart, wanted: EventFilter = wanted) -> Scan:
        return Scan(folder, part, Filter(wanted, account_of), keys)

    if not wanted.types.isdisjoint(DERIVED_TYPES):
        return trust.listed(_derived(options, wanted, part, scan, out), folder, keys)

    def print_all() -> None:
        going_on = part
        with suppress(_EnoughError):
            if options.newest is not None:
                end, found = _end(part, folder), Filter(wanted, account_of)
                last = evolve(part, last=end - 1)
                newest = LastScan(folder, last, found, keys, options.newest, out.fits)
                out.say(_newest(newest, options.newest))
                going_on = evolve(part, first=end, from_us=None)
            _print(scan(going_on), going_on.last, out, follow=options.follow)

    return trust.listed(print_all, folder, keys)


def _derived(
    options: argparse.Namespace,
    wanted: EventFilter,
    part: LogPart,
    scan: Callable[[LogPart, EventFilter], Scan],
    out: Printer,
) -> Callable[[], None]:
    """Returns what prints events with what is made from them."""
    from tracker.cli.derived_events import DerivedEvents  # takes a while
    from tracker.ledger.mixed import split

    source = DerivedEvents(options, *log_and_secrets(options))
    logged, query = split(wanted)

    def print_all() -> None:
        if query is None:
            return
        events = None if logged is None else scan(part, logged)
        with suppress(_EnoughError):
            found = source.find(query, events, part)
            if options.newest is not None:
                found = iter([list(deque(chain.from_iterable(found), maxlen=options.newest))])
            for each in found:
                out.say(each)
                flush()
            if events is not None and events.at_end:
                _print_the_rest(events, out)
            source.say_what_is_missing(part)

    return print_all


def _account(options: argparse.Namespace) -> tuple[array[int], int | None, KnownNames | None]:
    """Returns the accounts of keys, the account that is asked for, and names; None = any, none.

    Raises `CannotError` where there is no such account.
    """
    if options.account is None and options.owner is None and not options.names:
        return array("I"), None, None
    from tracker.service.read_model import Projection  # takes a while

    with replayed(options) as log:
        state, account = log.at(None), None
        names = KnownNames(Projection(state, {}), state.seq) if options.names else None
        if options.account is not None:
            account = account_number(log, options.account)
        elif options.owner is not None:
            account = state.access.owners.get(options.owner)
            if account is None:
                raise CannotError(f"no account has the owner {options.owner}")
        return state.access.account_of, account, names


def _part(options: argparse.Namespace, folder: Path) -> LogPart:
    """Returns the part of the log that is asked for, where nothing said = from now on is meant."""
    if options.follow and options.first is None and options.newest is None:
        there = span(folder)
        options.first = Moment(seq=there.last_seq + 1 if there else 0)
    return part_of(options)


class _EnoughError(Exception):
    """All events that were asked for are printed."""


class KnownNames:
    """The names at the end of the log, and those that events tell which come after it."""

    def __init__(self, at_end: Names, end: int) -> None:
        """`end`: the number of the first event after that."""
        self._at_end, self._end = at_end, end
        self._accounts: dict[int, int] = {}  # by key
        self._owners: dict[int, str | None] = {}  # by account
        self._labels: dict[bytes, str | None] = {}

    def owner(self, account: int) -> str | None:
        return self._owners.get(account) or self._at_end.owner(account)

    def account_of_key(self, key_ref: int) -> int | None:
        return self._accounts.get(key_ref) or self._at_end.account_of_key(key_ref)

    def label(self, info_hash: bytes) -> str | None:
        known = info_hash in self._labels
        return self._labels[info_hash] if known else self._at_end.label(info_hash)

    def learn(self, event: dict[str, Any]) -> None:
        if event["seq"] < self._end:
            return
        if event["type"] in (KeyIssued.name, KeyRotated.name):
            self._accounts[event["key_ref"]] = event["account"]
            self._owners[event["account"]] = event["owner"]
        elif event["type"] == TorrentDescribed.name:
            self._labels[bytes.fromhex(event["info_hash"])] = event["label"]


class Printer:
    """Prints the events that fit the options, up to their `--limit`."""

    def __init__(
        self, options: argparse.Namespace, account_of: array[int], names: KnownNames | None
    ) -> None:
        """`account_of`: the accounts of keys. It grows with keys that are issued meanwhile."""
        self._names = names
        self.fits = None if options.address is None and options.client is None else self._fits
        """Tells whether address and client of an event are those that are asked for; None = any."""
        self._address, self._left = options.address, options.limit
        self._client = None if options.client is None else options.client.lstrip("-")
        self._account_of = account_of

    def _fits(self, event: dict[str, Any]) -> bool:
        if self._address is not None and event.get("address") != self._address:
            return False
        if self._client is None:
            return True
        head = bytes.fromhex(event.get("peer_id", ""))[:8].lstrip(b"-")
        return "peer_id" in event and head.startswith(self._client.encode())

    def say(self, events: Iterable[dict[str, Any]], **mark: bool) -> None:
        """Prints events with the members `mark`. Raises `_EnoughError` at the limit."""
        for event in filter(self.fits, events):
            self._learn(event)
            if self._left is not None:
                if self._left == 0:
                    raise _EnoughError
                self._left -= 1
            say(event_json.line({**self._named(event), **mark}))
        if self._left == 0:
            raise _EnoughError

    def _named(self, event: dict[str, Any]) -> dict[str, Any]:
        if self._names is None:
            return event
        self._names.learn(event)
        found: dict[str, Any] = named(event, self._names)
        return found

    def _learn(self, event: dict[str, Any]) -> None:
        """Notes the account of a new key, so that its announces are found."""
        if event["type"] in (KeyIssued.name, KeyRotated.name):
            missing = event["key_ref"] + 1 - len(self._account_of)
            if missing <= _MOST_KEYS:
                self._account_of.extend([0] * missing)
                self._account_of[event["key_ref"]] = event["account"]


def _newest(scan: LastScan, number: int) -> list[dict[str, Any]]:
    """Returns the last `number` events that the scan finds, ascending."""
    while not scan.over:
        scan.step()
    return scan.take(number)[::-1]


def _end(part: LogPart, folder: Path) -> int:
    """Returns the number of the event after a part."""
    log = ForwardReplay(folder, _silent)
    try:
        end = log.bounds(LogPart(last=part.last, to_us=part.to_us))[1]
    except NoMomentError:  # the part ends before the log begins
        return part.first
    return max(end, part.first)


_UNCOUNTED = (
    "follow", "info_hash", "type", "account", "owner", "key", "address", "client", "names", "limit",
    "newest",
)  # fmt: skip


def _refuse_to_count(options: argparse.Namespace, part: LogPart) -> None:
    """Raises `CannotError` for options that do not go together."""
    if not options.count:
        raise CannotError("--step: goes with --count only")
    for name in _UNCOUNTED:
        if getattr(options, name) not in (None, False):
            said = {"newest": "last"}.get(name, name.replace("_", "-"))
            raise CannotError(f"--{said}: does not go with --count")
    if options.step is not None and not (options.step and part.from_us and part.to_us):
        raise CannotError("--step: expected a length of time, with two times, --from and --to")


def _print_counts(
    options: argparse.Namespace, part: LogPart, folder: Path, keys: Keyring | None
) -> None:
    """Prints a line for each piece of the part."""
    from tracker.history.kind_count import KindCount

    step_us = None if options.step is None else options.step * 1_000_000
    counts = KindCount(part, step_us)
    scan = Scan(folder, part, counts, keys)
    while not scan.over:
        scan.step(1)
    found, begin, end = counts.take(), part.from_us or 0, (part.to_us or 0) + 1
    for piece, start in enumerate(range(begin, end, step_us) if step_us else (None,)):
        until = None if start is None or step_us is None else rfc3339(min(start + step_us, end))
        types = dict(sorted(found.get(piece, {}).items()))
        say_json({"from": start and rfc3339(start), "until": until, "types": types})


def _silent(_done: int, _whole: int) -> None:
    """Reports no progress, because this part takes no time."""


def _print(scan: Scan, last: int | None, out: Printer, *, follow: bool) -> None:
    """Prints the wanted events, and those that come, until `last`."""
    while True:
        done = _print_new(scan, out) or (last is not None and scan.seq > last)
        flush()
        if done or not follow:
            break
        time.sleep(_FOLLOW_SECONDS)
    if not done:
        _print_the_rest(scan, out)
    flush()


def _print_the_rest(scan: Scan, out: Printer) -> None:
    """Prints the events that nothing in the log vouches for yet, and says so.

    A running tracker soon vouches for its events, so it gets a moment to do that.
    """
    ends = time.monotonic() + _VOUCH_SECONDS
    doubted = scan.doubted()
    while doubted and scan.seq < doubted.stop and time.monotonic() < ends:
        time.sleep(_FOLLOW_SECONDS)
        if _print_new(scan, out):
            return
    if not doubted or scan.seq >= doubted.stop:
        return
    scan.go_on_doubted()
    _print_new(scan, out, vouched_for=False)
    note(
        f"Events {doubted.start} to {doubted.stop - 1} are not yet vouched for: nothing after them in the log says "
        "that they reached the disk. They may have been acknowledged. The next start of the tracker keeps them"
    )


def _print_new(scan: Scan, out: Printer, **mark: bool) -> bool:
    """Prints the wanted events up to the durable end; returns whether it reached `--to`.

    Each event gets the members `mark`.
    """
    scan.over = False
    while not scan.over:
        try:
            scan.step(_AT_ONCE)
        finally:
            # Where the log is damaged, what stands before the damage is printed first.
            out.say(scan.take(), **mark)
    return not scan.at_end
