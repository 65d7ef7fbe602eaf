"""Lists of a state: each row that is wanted comes once, in order, as the read model shows it."""

from __future__ import annotations

import random
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support import Announce, Rig, endpoint4, hash_of
from tracker.domain import events
from tracker.domain.events.admin import TorrentDescribed, TorrentWhitelisted
from tracker.ports import ListCursor, ListQuery
from tracker.service.read_model import LiveReads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker.service.read_model import Projection

MOST = 2**66
MEMBERS, TORRENTS = 12, 40
LABELS = ["Debian 13", "debian", 'a "size": 7', "Ärger\\", None]


@pytest.fixture(scope="module")
def model() -> Projection:
    rig, chance = Rig.with_settings(private=True, accounting=2), random.Random(5)
    keys = [
        rig.issue(number, f"{'Anna' if number % 3 else 'otto'} {number}" if number % 4 else None)
        for number in range(1, MEMBERS)
    ]
    rig.set_factor(download_percent=50)
    for number in range(TORRENTS):
        label, size = chance.choice(LABELS), chance.choice([None, 5, 10**12])
        facts = TorrentDescribed(
            hash_of(number * 31), label, size, added_us=chance.choice([None, 7])
        )
        if facts.text():
            rig.service.append(facts)
    rig.service.append(TorrentWhitelisted(hash_of(77_777)))
    for step in range(3):
        rig.announce(*(
            Announce(
                hash_of(number * 13), endpoint4(number % 200), b"-XX0001-%012d" % number, uploaded=step * number,
                downloaded=step * (number % 7), left=number % 3 * 50, key=keys[number % len(keys)],
                event=events.COMPLETED if step == 1 and not number % 5 else events.NONE,
            )
            for number in range(90)
        ))  # fmt: skip
    rig.announce(*(
        Announce(hash_of(number * 13), endpoint4(number), b"-XX0001-%012d" % number,
                 event=events.STOPPED, key=keys[number % len(keys)])
        for number in range(0, 20, 5)
    ))  # fmt: skip
    for number in range(0, 20, 5):
        rig.state.swarms.drop_if_empty(rig.state.swarms.lookup(hash_of(number * 13)))
    rig.revoke(keys[2])
    return LiveReads(rig.service).now()


ROWS: dict[str, tuple[str, list[str]]] = {
    "accounts": ("account", [
        "owner", "uploaded", "credited_downloaded", "seeding_us", "partial_us", "last_us",
        "ratio_permille", "snatched",
    ]),
    "keys": ("key_ref", ["owner", "label", "account", "used_us", "valid_until_us"]),
    "torrents": ("info_hash", ["label", "size", "added_us", "seeders", "leechers", "completed"]),
    "swarms": ("info_hash", ["label", "size", "seeders"]),
}  # fmt: skip
TEXTS = ("owner", "label")


def rows(model: Projection, name: str) -> list[Any]:
    """Returns all rows, found without the lists."""
    if name == "accounts":
        return [one for number in range(MEMBERS + 5) if (one := model.account(number))]
    if name == "keys":
        return list(model.keys(0))
    hashes = {hash_of(number) for number in (77_777, *range(2000))}
    found = (one for each in sorted(hashes) if (one := model.torrent(each)))
    peers = (one for one in found if name == "torrents" or one.seeders + one.leechers)
    return list(peers)


def asked(model: Projection, name: str, query: ListQuery) -> list[Any]:
    """Returns the rows of all pages."""
    calls: dict[str, Callable[[ListQuery], Iterator[Any]]] = {
        "accounts": model.listed_accounts,
        "keys": model.listed_keys,
        "torrents": lambda query: model.listed_torrents(query, False),
        "swarms": lambda query: model.listed_torrents(query, True),
    }
    found: list[Any] = []
    while True:
        page = [one for one in calls[name](query) if one is not None]
        found += page[: query.limit]
        if len(page) <= query.limit:
            return found
        last = found[-1]
        cursor = ListCursor(query.value(last), getattr(last, ROWS[name][0]))
        query = evolve(query, after=cursor)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("name", ROWS)
def test_orders(model: Projection, name: str, limit: int, descending: bool) -> None:
    """All pages together are the rows in order, whatever the order is; null counts as nothing."""
    named, fields = ROWS[name]
    all_rows = rows(model, name)
    assert len(all_rows) > 8
    for sort in ["", *fields]:
        empty = "" if sort in TEXTS else 0

        def key(row: Any, sort: str = sort, empty: object = empty) -> tuple[Any, ...]:
            value = getattr(row, sort) if sort else 0
            return empty if value is None else value, getattr(row, named)

        wanted = sorted(all_rows, key=key, reverse=descending)
        query = ListQuery(sort=sort, empty=empty, descending=descending, limit=limit)
        assert asked(model, name, query) == wanted


@pytest.mark.parametrize("name", ROWS)
def test_filters(model: Projection, name: str) -> None:
    """Bounds, values and searches leave out the rows that do not meet them, and those with null."""
    all_rows = rows(model, name)
    for field in ROWS[name][1]:
        values = sorted({value for one in all_rows if (value := getattr(one, field)) is not None})
        for value in values[:3]:
            query = ListQuery(equal=((field, value),), limit=4)
            wanted = [one for one in all_rows if getattr(one, field) == value]
            assert asked(model, name, query) == wanted
            if field not in TEXTS:
                least = ListQuery(bounds=((field, value, MOST),), limit=4)
                wanted = [one for one in all_rows if (getattr(one, field) or -1) >= value]
                if value:
                    assert asked(model, name, least) == wanted
    for text in ("ANNA", "debian", '"size"', "ärger\\", "label", "zzz", hash_of(31).hex()[:9]):
        wanted = [one for one in all_rows if text.casefold() in one.names.casefold()]
        assert asked(model, name, ListQuery(search=text, limit=4)) == wanted
    assert asked(model, name, ListQuery(search="nobody", limit=4)) == []


def test_a_page_by_name_looks_at_no_other_rows(
    model: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page in the order of names begins after its cursor, and ends when it is full."""
    last = rows(model, "torrents")[30].info_hash
    looked: list[bytes] = []
    real = type(model).in_order

    def in_order(self: Projection, bucket: int) -> Iterator[bytes | None]:
        looked.append(bytes([bucket]))
        return real(self, bucket)

    monkeypatch.setattr(type(model), "in_order", in_order)
    query = ListQuery(after=ListCursor(0, last), limit=1)
    found = [one for one in model.listed_torrents(query, False) if one]
    assert looked[0] == last[:1]
    assert looked[-1] == found[-1].info_hash[:1]


@pytest.mark.parametrize("labels", [{"Debian 13"}, {'a "size": 7', "Ärger\\"}, {"nobody's"}])
def test_torrents_of_labels(model: Projection, labels: set[str]) -> None:
    """Every torrent that the site calls so is found, whether it has peers or not."""
    said = {(one.facts.label, one.info_hash) for one in rows(model, "torrents")}
    found = [one for one in model.labelled(labels) if one]
    assert sorted(found) == sorted((label, one) for label, one in said if label in labels)


def test_an_owner_of_a_key_that_was_issued_again() -> None:
    """An account keeps its owner, although its first key belongs to another one now."""
    rig = Rig.with_settings(private=True)
    first = rig.issue(1, "anna")
    rig.issue(2, "anna")
    rig.revoke(first)
    rig.issue(1, "otto")
    model = LiveReads(rig.service).now()
    assert [model.owner(number) for number in range(5)] == [None, "anna", None, "otto", None]
    accounts = [one for one in model.listed_accounts(ListQuery(limit=9)) if one]
    assert list(map(attrgetter("owner"), accounts)) == ["anna", "otto"]
    assert (model.account_of("otto"), model.account_of("nobody")) == (3, None)
