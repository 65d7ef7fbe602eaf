"""Explanations of announces agree with the replies and the records of random histories."""

from __future__ import annotations

from importlib import import_module
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest

from tests.property import replies
from tests.sources import Sources
from tests.support import few_or_many
from tracker import build

PURE = Sources()


def endpoints(shown: dict[str, Any], version: int) -> bytes:
    """Returns the peers of one family in an explanation, as a compact reply has them."""
    addresses = [(ip_address(one["address"]), one["port"]) for one in shown["peers"]]
    return b"".join(
        each.packed + port.to_bytes(2, "big") for each, port in addresses if each.version == version
    )


@few_or_many(2, 20)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("rule", [1, 2])
def test_explained_peers_are_those_of_the_reply(count: int, private: bool, rule: int) -> None:
    """Peers, interval and counts are those of the reply, and the announce path decides again what
    was recorded; both builds explain alike.
    """
    for number in range(count):
        seed = f"{number} {private} {rule}"
        if rule == 1:  # earlier versions drew by it, so this one has to be made to
            with PURE.in_force():
                frames, told = import_module(replies.__name__).life(seed, private, rule)
        else:
            frames, told = replies.life(seed, private, rule)
        seqs = Random(seed).sample(sorted(told), 40)
        found = replies.explanations(frames, seqs)
        for seq, shown in zip(seqs, found, strict=True):
            check(seq, shown, told[seq])
        if build.build() == "compiled":
            with PURE.in_force():
                pure = import_module(replies.__name__).explanations(frames, seqs[:10])
            assert pure == found[:10]
        hidden = replies.explanations(frames, seqs[:10], hidden=True)
        for shown, unread in zip(found, hidden, strict=False):
            check_hidden(shown, unread)


def check(seq: int, shown: dict[str, Any], told: tuple[Any, ...]) -> None:
    interval, interval_min, seeders, leechers, peers4, peers6 = told
    assert shown["seq"] == seq
    assert shown["decided_again"] == "as recorded"
    assert shown["withheld"] is None
    reply = shown["reply"]
    assert (reply["interval"], reply["min_interval"]) == (interval, interval_min)
    assert (reply["seeders"], reply["leechers"]) == (seeders, leechers)
    assert (endpoints(shown, 4), endpoints(shown, 6)) == (peers4, peers6)
    assert len(shown["peers"]) <= reply["wanted"]
    assert not any(each["answer"].startswith("refused") for each in shown["rules"])
    stopped = shown["request"]["event"] == "stopped"
    assert (shown["after"]["peer"] is None) == stopped
    if shown["numbers"] is not None:
        check_numbers(shown)


def check_numbers(shown: dict[str, Any]) -> None:
    numbers, before, after = shown["numbers"], shown["before"]["account"], shown["after"]["account"]
    for name in ("uploaded", "downloaded"):
        one = numbers[name]
        assert one["announced"] == shown["request"][name]
        assert one["counted"] == after[name] - before[name]
        assert one["difference"] - one["clipped"] == one["counted"]
        assert one["credited"] == one["counted"] * (one["percent"] or 0) // 100
        assert one["credited"] == after[f"credited_{name}"] - before[f"credited_{name}"]
        assert (one["clipped_by"] is not None) == (one["clipped"] != 0)


def check_hidden(shown: dict[str, Any], unread: dict[str, Any]) -> None:
    """Without the addresses everything else is the same."""
    assert unread["decided_again"].startswith("not possible")
    assert "the address cannot be read" in unread["decided_again"]
    assert unread["numbers"] == shown["numbers"]
    assert unread["reply"] == shown["reply"]
    assert [one["seq"] for one in unread["peers"]] == [one["seq"] for one in shown["peers"]]
    assert all(one["address"] is None for one in unread["peers"])
    for picture in ("before", "after"):
        assert unread[picture]["swarm"] == shown[picture]["swarm"]
        assert unread[picture]["account"] == shown[picture]["account"]


def test_without_the_secret() -> None:
    """Without the server's secret everything but peers and jitter is explained."""
    frames, told = replies.life("1", True, 2)
    (shown,) = replies.explanations(frames, [max(told)], None)
    assert (shown["peers"], shown["withheld"]) == (None, "no secret")
    assert shown["decided_again"] == "as recorded"
