"""Lists accounts, keys and torrents of a state for the read model, a page at a time.

A list looks at every row, unless the rows are wanted by name. It reads only the fields that filters
and order need, and makes the rows of the page at the end. It pauses in between, and the state may
change then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.domain.swarms import BUCKETS
from tracker.ports import Account, KeyInfo, ListQuery, Torrent, chosen

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from tracker.domain.state import State
    from tracker.service.read_model import Projection

_COUNTS = {"seeders": 0, "completed": 1, "leechers": 2}  # places in what `Swarms.counts` returns
_OPEN = ("seeding_us", "partial_us")  # what grows without an announce
_EVERY = 50
"""Rows that are looked at between two pauses, a fifth of a millisecond of work."""
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed lacks it


def accounts(model: Projection, state: State, query: ListQuery) -> Iterator[Account | None]:
    def get(account: int, field: str) -> int | str | None:
        if field in ("names", "owner"):
            return state.access.owner_of(account) or ("" if field == "names" else None)
        if field in _OPEN:
            return getattr(state.totals(account), field)  # type: ignore[no-any-return]
        if field == "ratio_permille":
            down = state.accounts.total(account, "credited_downloaded")
            up = state.accounts.total(account, "credited_uploaded")
            return up * 1000 // down if down else None
        value = state.accounts.total(account, field)
        return value if not field.endswith("_us") else model.date(value)

    numbers = range(_begin(query) + 1, len(state.access.account_of))
    rows = (one if one is None or state.access.known(one) else 0 for one in _paused(numbers))
    for one in chosen((one for one in rows if one != 0), query, int, get):
        yield one and model.account(one)


def keys(model: Projection, state: State, query: ListQuery) -> Iterator[KeyInfo | None]:
    def rows() -> Iterator[KeyInfo | None]:
        begin, account = _begin(query) + 1, dict(query.equal).get("account")
        numbers: Iterable[int] = range(begin, state.access.next_key_ref)
        if isinstance(account, int):
            numbers = (one for one in state.access.keys_of(account) if one >= begin)
        for key_ref in _paused(numbers):
            found = key_ref and model.key(key_ref)
            if not found or found.key_ref == key_ref:
                yield found or None

    return chosen(rows(), query, lambda row: row.key_ref)


def torrents(
    model: Projection, state: State, query: ListQuery, *, present: bool
) -> Iterator[Torrent | None]:
    """`present`: only those with peers."""
    sought, counts = query.search.casefold(), state.swarms.counts
    escaped = json.dumps(sought, ensure_ascii=False)[1:-1]

    def get(info_hash: bytes, field: str) -> Any:
        if field in _COUNTS:
            return counts(info_hash)[_COUNTS[field]]
        if field == "names":
            found = model.torrent(info_hash)
            return found.names if found else ""
        if field == "whitelisted":
            return model.whitelisted(info_hash)
        said = _said(state.facts.get(info_hash, ""), field)
        if said is None and field == "size":
            return state.swarms.least_size(info_hash) or None
        return said

    def rows() -> Iterator[bytes | None]:
        for one in _paused(_hashes(model, state, query, present=present)):
            # Few have the text, so that few need be read.
            if (
                not one
                or not sought
                or sought in one.hex()
                or escaped in state.facts.get(one, "").casefold()
            ):
                yield one

    for one in chosen(rows(), query, bytes, get):
        yield model.torrent(one) if one else None


def labelled(state: State, labels: Container[str]) -> Iterator[tuple[str, bytes] | None]:
    for info_hash in _paused(tuple(state.facts)):
        if info_hash is None:
            yield None
        elif (label := _said(state.facts.get(info_hash, ""), "label")) in labels:
            yield str(label), info_hash


def _said(facts: str, field: str) -> int | str | None:
    """Reads one member of what the site says about a torrent, a third of the time that JSON takes.

    Within a text there is a backslash before each quote, so the name of a member is found nowhere
    else.
    """
    named = f'"{field}": '
    at = facts.find(named)
    return None if at < 0 else _scan(facts, at + len(named))[0]


def _paused(items: Iterable[Any]) -> Iterator[Any]:
    """Adds places to pause."""
    for count, item in enumerate(items, 1):
        yield item
        if count % _EVERY == 0:
            yield None


def _begin(query: ListQuery) -> int:
    """Returns the number after which the rows of a list by number begin."""
    after = query.after.name if query.by_name and query.after is not None else None
    return after if isinstance(after, int) else 0


def _hashes(
    model: Projection, state: State, query: ListQuery, *, present: bool
) -> Iterator[bytes | None]:
    """Yields torrents ascending; None = a place to pause."""
    after = query.after.name if query.by_name and query.after is not None else None
    begin = after[0] if isinstance(after, bytes) and after else 0
    others: list[set[bytes]] = [set() for _ in range(BUCKETS)]
    if not present:
        known = (*state.facts, *state.swarms.retired)
        for info_hash in _paused(known):
            if info_hash is None:
                yield None
            elif info_hash[0] >= begin:
                others[info_hash[0]].add(info_hash)
    listed = iter(()) if present else state.access.listed_after(bytes([begin]))
    following = next(listed, None)
    for bucket in range(begin, BUCKETS):
        while following is not None and following[0] == bucket:
            others[bucket].add(following)
            following = next(listed, None)
        yield from _merged(model.in_order(bucket), sorted(others[bucket]))


def _merged(tracked: Iterator[bytes | None], others: list[bytes]) -> Iterator[bytes | None]:
    """Yields the info hashes of both, ascending, each once."""
    at = 0
    for each in tracked:
        while each is not None and at < len(others) and others[at] <= each:
            if others[at] != each:
                yield others[at]
            at += 1
        yield each
    yield from others[at:]
