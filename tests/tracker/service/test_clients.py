"""Announces name their client by a number, which an event gives it once."""

from __future__ import annotations

from struct import Struct

import pytest

from tests.support import Announce, Rig, endpoint4, hash_of, replayed
from tracker.domain import events, image
from tracker.domain.clients import AGENT_BYTES, MOST, MOST_OF_ACCOUNT
from tracker.domain.events import codec, schemas
from tracker.domain.events.announce import NOT_RECORDED

HASH = hash_of(1)
QB, TR = b"-qB4650-abcdefghijkl", b"-TR4050-abcdefghijkl"


def told(rig: Rig) -> list[tuple[object, ...]]:
    """Returns clients that got a number, and the numbers of announces, in the order of the log."""
    return [
        (one["client"], one["peer_id_prefix"], one["user_agent"])
        if one["type"] == "client_named"
        else (one["client"],)
        for one in rig.events()
        if one["type"] in ("client_named", "announced")
    ]


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_a_client_gets_a_number_once(private: bool) -> None:
    """A pair of prefix and User-Agent has one number, whoever announces; each other pair another.

    The state, its replay and its image hold the pairs.
    """
    rig = Rig.with_settings(private=private)
    key = rig.issue(1) if private else None

    def says(peer_id: bytes, agent: bytes) -> Announce:
        return Announce(HASH, endpoint4(1), peer_id, key=key, agent=agent, udp=not agent)

    rig.announce(says(QB, b"qBittorrent/4.6.5"), says(QB[:8] + bytes(12), b"qBittorrent/4.6.5"))
    rig.announce(says(QB, b""), says(TR, b"qBittorrent/4.6.5"), says(QB, b"qBittorrent/4.6.5"))
    rig.announce(
        says(b"random \xff and any....", b""), says(b"random \xff and any....", b"\xe9\x9b/1")
    )
    rig.announce(
        says(b"another ones peer id", b"\xe9\x9b/1"), says(b"\0\0\0\0\0\0\0-" + bytes(12), b"")
    )
    assert told(rig) == [
        (1, "-qB4650-", "qBittorrent/4.6.5"), (1,), (1,),
        (2, "-qB4650-", None), (2,), (3, "-TR4050-", "qBittorrent/4.6.5"), (3,), (1,),
        (None,), (4, None, "\\xe9\\x9b/1"), (4,), (4,), (None,),
    ]  # fmt: skip
    state = replayed(rig.log.frames())
    assert state.digest() == rig.state.digest()
    taken = image.dump(state)
    loaded = image.load(taken.plain, taken.private)
    assert loaded.digest() == state.digest()
    assert loaded.clients.pairs == rig.state.clients.pairs
    assert loaded.clients.number(QB[:8], b"qBittorrent/4.6.5") == 1
    del loaded.clients.pairs[0]
    assert loaded.digest() != state.digest()


def test_a_long_agent_counts_by_its_first_bytes() -> None:
    """User-Agents that differ beyond the first bytes are one client."""
    rig = Rig.with_settings()
    long = b"a" * AGENT_BYTES
    for agent in (long + b"x", long + b"y", long):
        rig.announce(Announce(HASH, endpoint4(1), agent=agent))
    assert told(rig) == [(1, None, long.decode()), (1,), (1,), (1,)]


@pytest.mark.parametrize(("private", "most"), [(False, MOST // 2), (True, MOST)])
def test_numbers_are_bounded(private: bool, most: int) -> None:
    """Beyond the bound of the mode new clients are others, and known ones keep their numbers."""
    rig = Rig.with_settings(private=private)
    keys = [rig.issue(each) for each in range(1 + most // MOST_OF_ACCOUNT)] if private else []
    for number in range(most + 9):
        key = keys[number // MOST_OF_ACCOUNT] if private else None
        rig.announce(Announce(HASH, endpoint4(1), key=key, agent=b"%d" % number))
    numbers = [one[0] for one in told(rig) if len(one) == 1]
    assert numbers == [*range(1, most + 1), *[None] * 9]
    assert len(rig.state.clients.pairs) == most
    rig.announce(Announce(HASH, endpoint4(1), key=key, agent=b"%d" % (most - 1)))
    assert told(rig)[-1] == (most,)


def test_one_account_cannot_use_up_the_numbers() -> None:
    """A member who makes up clients gets a few numbers, over all keys. Others get theirs, and all
    may use the numbers that there are.
    """
    rig = Rig.with_settings(private=True)
    keys = [rig.issue(1, "mallory"), rig.issue(2, "mallory")]
    for number in range(3 * MOST_OF_ACCOUNT):
        rig.announce(Announce(HASH, endpoint4(1), key=keys[number % 2], agent=b"%d" % number))
    assert len(rig.state.clients.pairs) == MOST_OF_ACCOUNT
    assert told(rig)[-1] == (None,)
    rig.announce(Announce(HASH, endpoint4(2), key=rig.issue(3), agent=b"one more"))
    rig.announce(Announce(HASH, endpoint4(1), key=keys[0], agent=b"one more"))
    assert [one[0] for one in told(rig)[-3:]] == 3 * [MOST_OF_ACCOUNT + 1]
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_a_refused_announce_names_no_client() -> None:
    """Clients get a number by announces that are logged, and by no others."""
    rig = Rig.with_settings(listed=True)
    rig.announce(Announce(HASH, endpoint4(1), QB))
    rig.log.room = False
    rig.announce(Announce(HASH, endpoint4(1), QB))
    assert rig.types() == ["settings_changed"]


def test_announces_of_schema_1() -> None:
    """Their flags and rule had two bytes, and they say nothing of the client."""
    rows = [(1, HASH, QB[:8], 2, 3, 4, 5, 6, 7, 3, 8, 0x21, rule) for rule in (1, 3)]
    old = b"".join(Struct("<Q20s8sQQQIQHHBBH").pack(*row) for row in rows)
    plain, protected = schemas.newest(events.ANNOUNCE, 1, memoryview(old), b"p")
    assert [*codec.PLAIN.iter_unpack(plain)] == [(*row, NOT_RECORDED) for row in rows]
    assert protected == b"p"
    with pytest.raises(codec.CodecError, match="records of kind 1 in schema 1"):
        schemas.newest(events.ANNOUNCE, 1, old[:-1] + b"\1", b"")
