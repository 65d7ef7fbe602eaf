"""Connection ids: the addresses and the time for which they are valid."""

from __future__ import annotations

from hashlib import blake2s

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import steady
from tracker.wire.connection_id import ConnectionIds

KEY = b"k" * 32
V4 = bytes([127, 0, 0, 1])
V6 = bytes.fromhex("20010db8") + bytes(12)
START = 1_800_000_000

times = st.integers(0, 2**40)


def at(seconds: int, key: bytes = KEY) -> ConnectionIds:
    """Returns a new instance at this time."""
    ids = ConnectionIds(key)
    ids.set_time(seconds)
    return ids


@steady
@given(issued=times, age=st.integers(0, 400), address=st.sampled_from([V4, V6]))
@example(issued=START, age=120, address=V4)
@example(issued=START + 29, age=120, address=V4)
@example(issued=START, age=150, address=V4)
@example(issued=START + 29, age=150, address=V6)
def test_two_minutes(issued: int, age: int, address: bytes) -> None:
    """An id is valid for at least 120 seconds and less than 150, with and without the cache of the
    issuer.
    """
    ids = at(issued)
    connection_id = ids.issue(address)
    ids.set_time(issued + age)
    for judge in (ids, at(issued + age)):
        valid = judge.valid(connection_id, address)
        assert valid or age > 120
        assert not valid or age < 150


@steady
@given(lifetime=st.integers(1, 1000), issued=times, age=st.integers(0, 1300))
@example(lifetime=1, issued=START, age=1)
@example(lifetime=5, issued=START + 1, age=5)
@example(lifetime=86_400, issued=START + 21_599, age=86_400)
def test_lifetime(lifetime: int, issued: int, age: int) -> None:
    """An id is valid for the configured time, and at most a quarter and a second longer."""
    ids = ConnectionIds(KEY, lifetime)
    ids.set_time(issued)
    connection_id = ids.issue(V4)
    judge = ConnectionIds(KEY, lifetime)
    judge.set_time(issued + age)
    valid = judge.valid(connection_id, V4)
    assert valid or age > lifetime
    assert not valid or age <= lifetime + lifetime // 4 + 1


@steady
@given(
    key=st.binary(min_size=1, max_size=32),
    seconds=times,
    address=st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)),
)
def test_ids_are_a_blake2s(key: bytes, seconds: int, address: bytes) -> None:
    """An id is what hashlib's BLAKE2s says, also on the compiled build, which has its own."""
    slot = seconds // 30
    digest = blake2s(slot.to_bytes(8, "big") + address, key=key, digest_size=7).digest()
    ids = at(seconds, key)
    assert ids.issue(address) == digest + bytes([slot & 0xFF])
    assert at(seconds, key).valid(digest + bytes([slot & 0xFF]), address)


def test_unchecked() -> None:
    """Where a tracker needs no id, a wrong one still proves nothing."""
    ids = ConnectionIds(KEY, checked=False)
    assert not ids.valid(bytes(8), V4)
    assert ids.valid(ids.issue(V6), V6)


@pytest.mark.parametrize("later", [7680, 2 * 7680, 7650, 65_536 * 30])
def test_old_ids_do_not_come_back(later: int) -> None:
    """An old id is invalid when its slot's byte repeats after two hours."""
    ids = at(START)
    connection_id = ids.issue(V4)
    ids.set_time(START + later)
    assert not ids.valid(connection_id, V4)


def test_for_one_address_only() -> None:
    """Another address is refused, before and after the right one was seen."""
    ids = at(START)
    connection_id = ids.issue(V4)
    others = [bytes([127, 0, 0, 2]), V6, bytes(10) + b"\xff\xff" + V4]
    for _ in range(2):
        assert not any(ids.valid(connection_id, other) for other in others)
        assert ids.valid(connection_id, V4)


def test_an_id_outlives_the_process() -> None:
    """A new instance accepts an id of the same key, and refuses one of another key."""
    connection_id = at(START).issue(V4)
    assert at(START + 60).valid(connection_id, V4)
    assert at(START).issue(V4) == connection_id
    assert not at(START + 60, b"another key").valid(connection_id, V4)


def test_every_bit_counts() -> None:
    """A flipped bit makes any id invalid."""
    ids = at(START)
    connection_id = int.from_bytes(ids.issue(V4), "big")
    for bit in range(64):
        assert not ids.valid((connection_id ^ 1 << bit).to_bytes(8, "big"), V4)


@steady
@given(connection_id=st.binary(min_size=8, max_size=8), time=times)
@example(connection_id=bytes.fromhex("0000041727101980"), time=START)
@example(connection_id=bytes(8), time=0)
@example(connection_id=b"\xff" * 8, time=0)
def test_guesses_are_refused(connection_id: bytes, time: int) -> None:
    """An invented id is never valid, not even at time 0."""
    assert not at(time).valid(connection_id, V4)


def test_many_clients() -> None:
    """An id stays valid, and the cache bounded, however many clients come in between."""
    ids = at(START)
    addresses = [bytes([10, *number.to_bytes(3, "big")]) for number in range(40_000)]
    issued = [ids.issue(address) for address in addresses]
    assert len(ids._known) + len(ids._good) < 80_000
    assert len(set(issued)) == len(issued)
    assert all(map(ids.valid, issued, addresses))
    assert len(ids._known) + len(ids._good) < 80_000
