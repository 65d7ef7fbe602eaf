"""Turns the whole state into named columns of bytes and back, for snapshots and opening balances.

A loaded state continues exactly like the dumped state: it keeps the numbers of torrents and peers,
and the order of runs and free numbers. Integers are little-endian; docs/log-format.md lists the
columns.

Addresses (endpoints, and the last 12 bytes of peer_ids) are apart from the other columns, by the
day of their announce. So each day's part can be encrypted under that day's key
(`addresses_by_day`). Peers whose part is missing are hidden, see `hidden_peers`.
"""

from __future__ import annotations

import json
import sys
from array import array
from hashlib import blake2b
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import addresses_by_day, events, plain_json
from tracker.domain.access import HASH_SIZE, Access, Key, Request
from tracker.domain.accounts import Totals
from tracker.domain.bases import Bases
from tracker.domain.budgets import NO_HOUR
from tracker.domain.clients import Clients
from tracker.domain.dates import LEAST_US
from tracker.domain.directory import COUNT, FIRST, ROOM, SEEDS, Directory
from tracker.domain.factors import Factor
from tracker.domain.hidden_peers import Hidden
from tracker.domain.long_dict import LongDict
from tracker.domain.peer_lists import AFTER, BEFORE, KEY
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.domain.swarms import BUCKETS, LEECHERS, PARTIAL, ROW_SIZE, SEEDERS, Swarms
from tracker.domain.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Buffer = bytes | bytearray | memoryview

PROJECTOR = 3
"""The version of the columns of an image.

It grows by 1 with every change of the columns. `STEPS` then gets a step for older opening balances.
"""

HIDDEN = "hidden"
"""The column with one byte: 1 = some peers had stand-ins. It is no part of the state."""

ROWS = "rows"
"""The column of the peers' rows, by far the largest."""

_HEAD, _TAIL = 8, 12  # bytes of a peer_id
_KEY = Struct("<32sIIQB3x")  # hash, key_ref, account, valid until us, 1 = it has an end
_WORD = 4  # bytes
_PIECE = 1 << 16  # bytes of a column that are looked at together
_HASH_AND_NUMBER = Struct("<20sQ")

# Attributes that are columns as they are: arrays and byte arrays.
_SWARMS = ("completed", "largest", "hashes", "_free_torrents", "_free_peers")
# Words of rows, by the names of their columns.
_COUNTS = {"seeders": SEEDERS, "leechers": LEECHERS, "partial": PARTIAL}
_RUN = {"first": FIRST, "count": COUNT, "seeds": SEEDS}
_LINKS = {"key": KEY, "before": BEFORE, "after": AFTER}
_TOTALS = ("torrents_total", "seeders_total", "leechers_total", "completed_total")
_CLOCK = ("seq", "time_us", "settings_seq")
_TALLY_CLOCK = ("ticks", "starts", "resumed_us")  # columns of the tally that stand with the clock
# Columns where anything is limited by the hour or day.
_BUDGETS = ("started", "torrents", "handed_hour", "handed_today")
_SWEEP = ("_at", "_family", "_place")


class ImageError(ValueError):
    """These columns do not make a state."""


class Image(NamedTuple):
    """Columns by name, and the columns with addresses by day (since 1970-01-01) and name."""

    plain: dict[str, bytes]
    private: dict[tuple[int, str], bytes]

    def digest(self) -> bytes:
        """Hashes all columns without addresses to 16 bytes. Hidden peers make no difference."""
        return digest(self.plain)


def digest(plain: Mapping[str, Buffer]) -> bytes:
    """Returns `Image.digest` of plain columns that were read from a file."""
    hasher = blake2b(digest_size=16)
    for name in sorted(plain):
        if name != HIDDEN:
            hasher.update(b"%s %d|" % (name.encode(), len(plain[name])))
            hasher.update(plain[name])
    return hasher.digest()


def newest(rules: int, plain: dict[str, Buffer]) -> dict[str, Buffer]:
    """Converts the plain columns of an image from earlier rules to the newest."""
    while rules != PROJECTOR:
        plain = STEPS[rules](plain)
        rules += 1
    return plain


def _never_used(plain: dict[str, Buffer]) -> dict[str, Buffer]:
    """Adds the column `keys.last_used`, which rules 1 did not have."""
    return {**plain, "keys.last_used": bytes(len(plain["keys.account_of"]) // _WORD * 8)}


def _without_facts(plain: dict[str, Buffer]) -> dict[str, Buffer]:
    """Adds the columns of sizes and facts, and those of accounting rules 2."""
    largest = bytes(len(plain["completed"]))
    bases = Bases()
    empty = dict.fromkeys(("accounts.partial_us", "accounts.terms", "bases.free", "shared"), b"")
    rows = {
        "bases.rows": bytes(bases.rows),
        "bases.roots": bytes(bases._roots),
        "bases.counts": bytes(bases._counts),
    }
    plain = {**plain, **empty, **rows}
    return {**plain, "largest": largest, "retired.largest": b"", "facts": b"", "facts.texts": b"[]"}


STEPS: dict[int, Callable[[dict[str, Buffer]], dict[str, Buffer]]] = {
    1: _never_used,
    2: _without_facts,
}
"""By rules: functions that convert the plain columns of an image to the next rules."""


def dump(state: State, *, addresses: bool = True) -> Image:
    """Makes the image of a state, with or without the addresses of its peers."""
    swarms = state.swarms
    plain = {"state": json.dumps(_rest(state), ensure_ascii=False).encode()}
    plain[HIDDEN] = bytes([state.hidden is not None])
    plain["announces"] = _bytes(swarms.announces)
    for prefix, owner, names in _owners(state):
        for name in names:
            plain[prefix + name.strip("_")] = _bytes(getattr(owner, name))
    torrents = chain.from_iterable(map(swarms.torrents_in, range(BUCKETS)))
    plain["buckets"] = _bytes(array("I", torrents))
    plain["retired"] = b"".join(swarms.retired)
    plain["retired.completed"] = _bytes(array("Q", swarms.retired.values()))
    largest = swarms.retired_largest
    plain["retired.largest"] = b"".join(_HASH_AND_NUMBER.pack(*each) for each in largest.items())
    plain["facts"] = b"".join(state.facts)
    plain["facts.texts"] = json.dumps(list(state.facts.values()), ensure_ascii=False).encode()
    rows = bytearray(swarms.rows)
    _fill_words(rows, ROW_SIZE, _HEAD, bytes(_TAIL * swarms.peer_slots), _TAIL)
    plain[ROWS] = bytes(rows)
    for name, column in _rows(swarms):
        plain[name] = _bytes(column)
    for prefix, directory in _directories(swarms):
        plain[prefix + "room"] = bytes(directory.column(ROOM).tolist())
        runs = directory.free
        plain[prefix + "free"] = b"".join(_bytes(run) for run in runs)
        plain[prefix + "free_counts"] = _bytes(array("I", map(len, runs)))
    plain["identities.accounts"] = _words(swarms.identities.addresses, 8, 0, 4)
    _dump_access(state.access, plain)
    plain["bases.rows"] = state.bases.without_tails()
    plain["shared"] = _bytes(array("Q", chain.from_iterable(sorted(state.seeding.settled.items()))))
    budgets = state.limits.budgets
    if budgets.hour >= 0:
        plain |= {"limits." + name: _bytes(getattr(budgets, name)) for name in _BUDGETS}
    private = addresses_by_day.dump(swarms, state.bases) if addresses else {}
    return Image(plain, private)


def load(plain: Mapping[str, Buffer], private: Mapping[tuple[int, str], Buffer]) -> State:
    """Makes the state from an image. Private columns may be missing.

    A bytearray of rows becomes a part of the state, because nothing else is as large. Raises
    `ImageError`.
    """
    try:
        return _load(plain, private)
    except MemoryError:
        raise  # nothing is wrong with the columns
    except Exception as problem:
        # Any exception means the same: the columns may be anything.
        raise ImageError(f"no image of a state: {problem!r}") from None


def _load(plain: Mapping[str, Buffer], private: Mapping[tuple[int, str], Buffer]) -> State:
    state = State()
    swarms = state.swarms
    _set_rest(state, plain_json.loads(bytes(plain["state"])))
    for prefix, owner, names in _owners(state):
        for name in names:
            setattr(owner, name, _like(getattr(owner, name), plain[prefix + name.strip("_")]))
    swarms.announces = _like(array("Q"), plain["announces"])
    if len(swarms.announces) != 4:
        raise ImageError("announces over other than four paths")
    rows = plain[ROWS]
    swarms.rows = rows if isinstance(rows, bytearray) else bytearray(rows)
    if not (swarms.completed and swarms.rows):
        raise ImageError("nobody's row is missing")
    torrents = len(swarms.completed)
    if len(swarms.rows) % ROW_SIZE or (len(swarms.hashes), len(swarms.largest)) != (
        20 * torrents,
        torrents,
    ):
        raise ImageError("a row is not whole")
    _load_rows(swarms, plain)
    swarms.enter_all(_like(array("I"), plain["buckets"]))  # in this order, because sweeps follow it
    hashes = bytes(plain["retired"])
    counts = _like(array("Q"), plain["retired.completed"])
    if len(hashes) != 20 * len(counts):
        raise ImageError("retired torrents and their counts differ in number")
    swarms.retired = LongDict(
        (hashes[20 * at : 20 * at + 20], count) for at, count in enumerate(counts)
    )
    swarms.retired_largest = LongDict(_HASH_AND_NUMBER.iter_unpack(plain["retired.largest"]))
    _load_facts(state, bytes(plain["facts"]), plain_json.loads(bytes(plain["facts.texts"])))
    for prefix, directory in _directories(swarms):
        _load_free(directory, plain[prefix + "free"], plain[prefix + "free_counts"])
        directory.addresses = bytearray(len(directory.owners) * directory.width)
    _load_access(state.access, plain)
    shared = _like(array("Q"), plain["shared"])
    lost = addresses_by_day.load(swarms, private)
    _fill_words(swarms.identities.addresses, 8, 0, plain["identities.accounts"], _WORD)
    swarms.load_identities()
    for _, directory in _directories(swarms):
        if len(directory.addresses) != len(directory.owners) * directory.width:
            raise ImageError("a peer beyond all places")  # the pure build puts it at the end
        directory.index_all()
    swarms.list_accounts(len(state.access.account_of))
    state.list_leechers()
    for account in state.sanctions.numbers():
        swarms.conceal_account(account, state.sanctions.flags_of(account))
    state.note_sanctions()
    state.seeding.regroup(dict(zip(shared[::2], shared[1::2], strict=True)))
    budgets = state.limits.budgets
    if budgets.hour >= 0:
        for name in _BUDGETS:
            setattr(budgets, name, _like(getattr(budgets, name), plain["limits." + name]))
        budgets.list_torrents()
    state.bases.rows = bytearray(plain["bases.rows"])
    addresses_by_day.load_bases(state.bases, private)
    if state.bases.count:
        state.bases.drop_days(map(events.day_number, state.tally.shredded))
    (hidden,) = plain[HIDDEN]
    if lost or hidden:
        state.hidden = Hidden(swarms, look=True)
    return state


def _load_facts(state: State, hashes: bytes, texts: Any) -> None:
    state.facts = {hashes[20 * at : 20 * at + 20]: text for at, text in enumerate(texts)}
    if len(hashes) != 20 * len(texts) or any(type(each) is not str for each in texts):
        raise ImageError("torrents with facts and the facts differ in number")


def _owners(state: State) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    swarms = state.swarms
    yield "", swarms, _SWARMS
    for prefix, directory in _directories(swarms):
        yield prefix, directory, ("owners",)
    yield "of_key.", swarms.of_key, ("_first",)
    yield "accounts.", state.accounts, (*Totals._fields, "terms")
    yield "bases.", state.bases, ("_free", "_roots", "_counts")
    yield "keys.", state.access, ("account_of", "hashes", "last_used")
    yield "sweep.", state.sweep, ("_torrents",)


def _directories(swarms: Swarms) -> tuple[tuple[str, Directory], ...]:
    return ("v4.", swarms.v4), ("v6.", swarms.v6), ("identities.", swarms.identities)


def _rows(swarms: Swarms) -> Iterator[tuple[str, array[int]]]:
    """Yields the rows of torrents and peers, column by column."""
    yield from ((name, swarms.column(word)) for name, word in _COUNTS.items())
    for prefix, directory in _directories(swarms):
        yield prefix + "position", directory.positions()
        yield from ((prefix + name, directory.column(word)) for name, word in _RUN.items())
    links = swarms.of_key.columns(swarms.peer_slots)
    yield from (("of_key." + name, links[word]) for name, word in _LINKS.items())


def _load_rows(swarms: Swarms, plain: Mapping[str, Buffer]) -> None:
    def column(name: str) -> array[int]:
        return _like(array("I"), plain[name])  # type: ignore[no-any-return]  # it is one

    swarms.make_room(len(swarms.completed), swarms.peer_slots)
    for name, word in _COUNTS.items():
        swarms.set_column(word, column(name))
    for prefix, directory in _directories(swarms):
        places = plain[prefix + "position"]
        if len(places) != _WORD * swarms.peer_slots or not _has_only(places, 0xFF):  # NOWHERE
            directory.set_positions(column(prefix + "position"))
        for name, word in _RUN.items():
            directory.set_column(word, column(prefix + name))
        directory.set_column(ROOM, array("I", list(bytes(plain[prefix + "room"]))))
    links = ["of_key." + name for name in _LINKS]
    if any(
        len(plain[name]) != _WORD * swarms.peer_slots or not _has_only(plain[name], 0)
        for name in links
    ):
        swarms.of_key.set_columns([column(name) for name in links], swarms.peer_slots)


# The other parts.


def _load_free(directory: Directory, free: Buffer, counts: Buffer) -> None:
    runs, at = [], 0
    every = _like(array("I"), free)
    for count in _like(array("I"), counts):
        runs.append(every[at : at + count])
        at += count
    directory.free = runs


def _dump_access(access: Access, plain: dict[str, bytes]) -> None:
    plain["whitelist"] = b"".join(access.listed_after(b""))
    for name, keys in (("keys.valid", access.keys), ("keys.revoked", access.revoked)):
        plain[name] = b"".join(
            _KEY.pack(key_hash, key.key_ref, key.account, key.valid_until_us or 0, key.valid_until_us is not None)
            for key_hash, key in keys.items()
        )  # fmt: skip
        names = [(key.owner, key.label) for key in keys.values()]
        plain[name + ".names"] = json.dumps(names, ensure_ascii=False).encode()


def _load_access(access: Access, plain: Mapping[str, Buffer]) -> None:
    listed = bytes(plain["whitelist"])
    if len(listed) % 20:
        raise ImageError("a listed torrent is not whole")
    for at in range(0, len(listed), 20):
        access.add_to_whitelist(listed[at : at + 20])
    for name, keys in (("keys.valid", access.keys), ("keys.revoked", access.revoked)):
        names = plain_json.loads(bytes(plain[name + ".names"]))
        rows = zip(_KEY.iter_unpack(plain[name]), names, strict=True)
        for (key_hash, key_ref, account, until_us, ends), (owner, label) in rows:
            if {type(owner), type(label)} - {str, type(None)}:
                raise ImageError("an owner or a label is no text")
            keys[key_hash] = Key(key_ref, until_us if ends else None, account, owner, label)
    count = len(access.account_of)
    if (len(access.hashes), len(access.last_used)) != (count * HASH_SIZE, count):
        raise ImageError("keys and accounts differ in number")


def _rest(state: State) -> dict[str, Any]:
    """Returns the parts of the state that are no columns: a few numbers, and all texts."""
    factors = state.factors
    tally = state.tally.as_data()
    clock = {name: getattr(state, name) for name in _CLOCK}
    clock.update((name, tally.pop(name)) for name in _TALLY_CLOCK)
    return {  # in this order, because the digest of an image covers it
        "clock": clock,
        "writer": tally.pop("writer"),
        "settings": state.settings.as_data(),
        "counters": tally.pop("counters"),
        "refusals": tally.pop("refusals"),
        "shredded": tally.pop("shredded"),
        "totals": {name: getattr(state.swarms, name) for name in _TOTALS},
        "sweep": {name.strip("_"): getattr(state.sweep, name) for name in _SWEEP},
        "next_key_ref": state.access.next_key_ref,
        "owners": list(state.access.owners.items()),
        "requests": [
            [*name, one.fingerprint, one.key_ref, one.seq]
            for name, one in state.access.requests.items()
        ],
        "next_factor": factors.next_number,
        "pruned": tally.pop("pruned"),
        "factors": [
            factor._replace(info_hash=factor.info_hash.hex())  # type: ignore[arg-type]  # JSON has no bytes
            for factor in factors.current.values()
        ],
        **({"bases_hand": state.bases.hand} if state.bases.used else {}),
        **({"listing": listing} if (listing := state.listing.as_data()) else {}),
        **({"origins": origins} if (origins := state.origins.as_data(state.settings)) else {}),
        **(
            {"access_tokens": state.access_tokens.as_data()}
            if state.access_tokens.by_number
            else {}
        ),
        **tally,
        "clients": state.clients.as_data(),
        **({"sanctions": sanctions} if (sanctions := state.sanctions.as_data()) else {}),
        **({"merges": merges} if (merges := state.access.merges()) else {}),
        **({"limits": limits} if (limits := state.limits.as_data()) else {}),
        **({"limits_hour": hour} if (hour := state.limits.budgets.hour) >= 0 else {}),
        **_time(state),
    }


def _time(state: State) -> dict[str, Any]:
    """Returns the changes of the lead, what is known of factors that are over, groups, and
    freeleech tokens.
    """
    found: dict[str, Any] = {}
    if state.factors.groups or state.factors.group_of:
        found["groups"] = [list(state.factors.groups), list(state.factors.group_of)]
    if tokens := state.freeleech.as_data():
        found["freeleech"] = tokens
    if state.dates.changes:
        found["leads"] = state.dates.changes
    if state.factors.over:
        found |= {"over": list(state.factors.over.items()), "ran_ms": state.factors.ran_ms}
    return found


def _set_rest(state: State, rest: dict[str, Any]) -> None:
    for owner, names, values in (
        (state, _CLOCK, rest["clock"]),
        (state.swarms, _TOTALS, rest["totals"]),
        (state.sweep, _SWEEP, rest["sweep"]),
    ):
        for name in names:
            setattr(owner, name, values[name.strip("_")])
    state.obey(Settings.from_data(rest["settings"]))
    state.access_tokens.set_data(rest.get("access_tokens", []))
    state.origins.set_data(rest.get("origins", {}), state.settings)
    state.tally = Tally.from_data({**rest, **rest["clock"]})
    state.clients = Clients.from_data(rest.get("clients", []))
    state.access.next_key_ref = rest["next_key_ref"]
    state.access.owners = dict(rest["owners"])
    state.access.requests = {
        (token, key): Request(fingerprint, key_ref, seq)
        for token, key, fingerprint, key_ref, seq in rest["requests"]
    }
    for number, seq, account, info_hash, *others in rest["factors"]:
        state.factors.set(Factor(number, seq, account, bytes.fromhex(info_hash), *others))
    state.factors.next_number = rest["next_factor"]
    names, group_of = rest.get("groups", ([], []))
    state.factors.groups = {name: number for number, name in enumerate(names, 1)}
    state.factors.group_of = array("I", group_of)
    if max(group_of, default=0) > len(names) or any(type(each) is not str for each in names):
        raise ImageError("groups of accounts and their names differ")
    state.freeleech.set_data(rest.get("freeleech", []))
    state.bases.hand = rest.get("bases_hand", 0)
    state.listing.set_data(rest.get("listing"))
    state.sanctions.set_data(rest.get("sanctions", {}))
    state.access.set_merges(rest.get("merges", []))
    state.limits.set_data(rest.get("limits", []))
    state.limits.budgets.hour = rest.get("limits_hour", NO_HOUR)
    state.factors.go_on(dict(rest.get("over", ())), rest.get("ran_ms", 0))
    for time_us, lead_us in rest.get("leads", ()):
        state.dates.go_on_with(time_us, lead_us)
    _check_values(state)


def _check_values(state: State) -> None:
    """Raises `ImageError` where JSON brought other kinds of values than a state has.

    Checked here, because nothing else would notice before the tracker goes on with them.
    """
    tally, sweep, access = state.tally, state.sweep, state.access
    factors = state.factors.current.values()
    numbers = [
        *(getattr(state, name) for name in ("seq", "time_us")),
        *(getattr(state.swarms, name) for name in _TOTALS),
        sweep._at,
        sweep._family,
        sweep._place + 1,
        *(getattr(tally, name) for name in _TALLY_CLOCK),
        *tally.counters.values(),
        *tally.refusals.values(),
        *(number for each in tally.pruned for number in each[:2]),
        *access.owners.values(),
        *(time_us for time_us, _ in state.dates.changes),
        *(lead_us - LEAST_US for _, lead_us in state.dates.changes),
        *(number for pair in state.factors.over.items() for number in pair),
        state.factors.ran_ms,
        *(number for each in access.requests.values() for number in (each.key_ref, each.seq)),
        *(number for each in factors for number in (*each[:3], *each[4:8]) if number is not None),
        state.settings_seq + 1,
        state.limits.budgets.hour + 1,
        state.bases.hand,
        access.next_key_ref,
        state.factors.next_number,
    ]
    texts = [
        tally.writer,
        *tally.shredded,
        *(text for _, *pair in tally.refusals for text in pair),
        *(each.opening for each in tally.pruned),
        *access.owners,
        *(text for name in access.requests for text in name),
        *(each.fingerprint for each in access.requests.values()),
        *(each.label for each in factors),
    ]
    if any(type(each) is not int or not 0 <= each < 1 << 64 for each in numbers):
        raise ImageError("something else stands in the place of a number")
    if any(type(each) is not str for each in texts):
        raise ImageError("something else stands in the place of a text")


# Columns as bytes.


def _bytes(column: array[int] | bytearray) -> bytes:
    if sys.byteorder == "big" and isinstance(column, array):
        column = column[:]
        column.byteswap()
    return column.tobytes() if isinstance(column, array) else bytes(column)


def _like(column: Any, data: Buffer) -> Any:
    """Makes a column of the same type as `column` from `data`."""
    if isinstance(column, bytearray):
        return bytearray(data)
    filled = array(column.typecode)
    filled.frombytes(data)
    if sys.byteorder == "big":
        filled.byteswap()
    return filled


def _has_only(column: Buffer, byte: int) -> bool:
    """Tells whether a column has no other byte. Compares a piece at a time, because new memory for
    a copy costs far more."""
    piece = bytes([byte]) * _PIECE
    return all(piece.startswith(column[at : at + _PIECE]) for at in range(0, len(column), _PIECE))


def _words(rows: bytearray, row_size: int, at: int, size: int) -> bytes:
    """Joins bytes at..at+size-1 of every row. All numbers are multiples of 4."""
    found = bytearray(len(rows) // row_size * size)
    source, target = memoryview(rows).cast("I"), memoryview(found).cast("I")
    for word in range(size // _WORD):
        target[word :: size // _WORD] = source[at // _WORD + word :: row_size // _WORD]
    return bytes(found)


def _fill_words(rows: bytearray, row_size: int, at: int, data: Buffer, size: int) -> None:
    """Undoes `_words`. Raises `ValueError` if the number of rows differs."""
    target, source = memoryview(rows).cast("I"), memoryview(data).cast("B").cast("I")
    for word in range(size // _WORD):
        target[at // _WORD + word :: row_size // _WORD] = source[word :: size // _WORD]
