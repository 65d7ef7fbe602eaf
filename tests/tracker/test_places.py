"""Places for connections: the bounds, and who gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tracker.places import Places

if TYPE_CHECKING:
    from tracker.places import Place

FIRST, SECOND, THIRD = (bytes([127, 0, 0, number]) for number in (1, 2, 3))


class Site:
    """Places, and the names of the connections that gave way."""

    def __init__(self, most: int, most_each: int = 0) -> None:
        self.places = Places(most, most_each)
        self.ended: list[str] = []

    def take(self, address: bytes, name: str, *, shared: bool = False) -> Place | None:
        return self.places.take(address, lambda: self.ended.append(name), shared=shared)


def test_who_gives_way() -> None:
    """The longest waiting one of all, or of the address that has its share; a kept one never."""
    site = Site(3, 2)
    one, two = site.take(FIRST, "one"), site.take(FIRST, "two")
    assert one is not None
    assert two is not None
    site.places.wait_anew(one)
    assert site.take(FIRST, "three") is not None
    assert site.ended == ["two"]
    site.places.keep(one)
    assert site.take(SECOND, "four") is not None
    assert site.take(THIRD, "five") is not None
    assert site.ended == ["two", "three"]
    site.places.give_back(two)  # it gave way: this changes nothing
    assert (site.places.opened, site.places.given_way) == (3, 2)


def test_a_bound_of_kept_connections() -> None:
    """Above it the one that was used least lately waits again, and gives way when all are taken."""
    site = Site(4)
    kept = [site.take(FIRST, name) for name in "abc"]
    for place in kept:
        assert place is not None
        site.places.keep(place, 2)
    assert kept[1] is not None
    site.places.keep(kept[1], 2)
    first = site.take(SECOND, "first")
    assert first is not None
    site.places.keep(first)
    assert site.take(SECOND, "second") is not None
    assert site.ended == ["a"]
    site.places.keep(kept[0], 2)  # it gave way: this changes nothing
    assert site.take(SECOND, "third") is not None
    assert site.ended == ["a", "second"]


def test_a_server_without_waiting_connections_refuses_newcomers() -> None:
    """As many connections as places have shown a token."""
    site = Site(1)
    kept = site.take(FIRST, "kept")
    assert kept is not None
    site.places.keep(kept)
    assert site.take(SECOND, "new") is None
    assert (site.ended, site.places.refused) == ([], 1)
    site.places.give_back(kept)
    assert site.take(SECOND, "new") is not None


def test_an_ipv6_network_is_one_source() -> None:
    """Addresses of one /64 share their bound; those behind a proxy have none of their own."""
    site = Site(9, 1)
    for last in (b"a", b"b"):
        site.take(b"netw" + bytes(11) + last, last.decode())
    assert site.ended == ["a"]
    for name in ("c", "d"):
        site.take(FIRST, name, shared=True)
    site.take(FIRST, "direct")
    assert site.ended == ["a"]


@given(st.lists(st.tuples(st.sampled_from(["take", "keep", "give", "wait"]), st.integers(0, 5))))
def test_no_bound_is_ever_passed(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, in any order, both bounds hold and every place is counted once."""
    site = Site(4, 2)
    taken: list[tuple[int, Place]] = []
    for step, number in steps:
        if step == "take":
            place = site.take(bytes([127, 0, 0, number % 3]), "")
            taken += [] if place is None else [(number % 3, place)]
        elif taken:
            change = {"keep": "keep", "give": "give_back", "wait": "wait_anew"}[step]
            getattr(site.places, change)(taken[number % len(taken)][1])
        here = [source for source, place in taken if place.open]
        assert len(here) == site.places.opened <= 4
        assert all(here.count(source) <= 2 for source in range(3))
