"""Explanations of announces agree with the replies and the records of random histories."""

from __future__ import annotations

from importlib import import_module
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.property import replies
from tests.sources import Sources
from tests.support import SELECTION_KEY, events_in, few_or_many
from tracker import build
from tracker.domain.events import RULE_RESTARTED
from tracker.domain.state import State
from tracker.history.handed import OfAddress, ToAccount, Walk
from tracker.ports import LogPart

if TYPE_CHECKING:
    from eventlog import Frame
    from tracker.history.handed import Question
    from tracker.store.address_keys import Keyring
    from tracker.store.moments import ForwardReplay

EARLY = "it came too early"
PURE = Sources()


def endpoints(shown: dict[str, Any], version: int) -> bytes:
    """Returns the peers of one family in an explanation, as a compact reply has them."""
    addresses = [(ip_address(one["address"]), one["port"]) for one in shown["peers"]]
    return b"".join(
        each.packed + port.to_bytes(2, "big") for each, port in addresses if each.version == version
    )


@few_or_many(1, 20)
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
        seqs = Random(seed).sample(sorted(told), 15)
        found = replies.explanations(frames, seqs)
        for seq, shown in zip(seqs, found, strict=True):
            check(seq, shown, told[seq])
        if build.build() == "compiled":
            with PURE.in_force():
                pure = import_module(replies.__name__).explanations(frames, seqs[:3])
            assert pure == found[:3]
        hidden = replies.explanations(frames, seqs[:4], hidden=True)
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
        counted = one["counted"] - one.get("freed", 0)
        assert one["credited"] == counted * (one["percent"] or 0) // 100
        assert one["credited"] == after[f"credited_{name}"] - before[f"credited_{name}"]
        assert (one["clipped_by"] is not None) == (one["clipped"] != 0)


def check_hidden(shown: dict[str, Any], unread: dict[str, Any]) -> None:
    """Without the addresses everything else is the same."""
    assert unread["decided_again"].startswith("not possible")
    assert "the address cannot be read" in unread["decided_again"]
    assert unread["numbers"] == shown["numbers"]
    if unread["reply"]["because"] != EARLY or shown["reply"]["because"] == EARLY:
        assert unread["reply"] == shown["reply"]
        assert [one["seq"] for one in unread["peers"]] == [one["seq"] for one in shown["peers"]]
    else:  # an address that cannot be read counts as the peer's own, and so may be too early
        assert unread["peers"] == []
    assert all(one["address"] is None for one in unread["peers"])
    for picture in ("before", "after"):
        assert unread[picture]["swarm"] == shown[picture]["swarm"]
        assert unread[picture]["account"] == shown[picture]["account"]


def test_refusals() -> None:
    """A refusal in the log is explained by the rule behind it, which refuses again."""
    reasons: set[str] = set()
    for number in range(8):
        frames, _ = replies.life(f"refusal {number}", True, 2)
        each_reason = {each["reason"]: each for each in events_in(frames) if each["type"] == "announce_refused"}  # fmt: skip
        refused = [each for reason, each in each_reason.items() if reason not in reasons]
        found = replies.explanations(frames, [each["seq"] for each in refused])
        for event, shown in zip(refused, found, strict=True):
            assert (shown["refusal"], shown["peers"]) == (event["reason"], None)
            answers = [each["answer"] for each in shown["rules"]]
            assert any(each.startswith("refused") for each in answers), event
            reasons.add(event["reason"])
    assert {
        "key_revoked",
        "client_refused",
        "account_full",
        "slots_full",
        "started_full",
        "not_whitelisted",
        "network_blocked",
        "torrent_blacklisted",
        "client_ruled_out",
    } <= reasons


def test_another_outcome() -> None:
    """Where the log has another outcome than this version's, it is named, and what was recorded is
    what is shown.
    """
    frames, _ = replies.life("another", False, 2)
    events = events_in(frames)
    seq = max(each["seq"] for each in events if each.get("rule") == "continued")
    kept = [frame for frame in frames if frame.header.base_seq <= seq]
    plain = bytearray(kept[-1].plain)
    plain[(seq - kept[-1].header.base_seq) * 80 + 77] = RULE_RESTARTED
    kept[-1] = kept[-1]._replace(plain=memoryview(bytes(plain)))
    (shown,) = replies.explanations(kept, [seq])
    differs = "this version logs rule continued instead of restarted"
    assert (shown["decided_again"], shown["peer"]["rule"]) == (differs, "restarted")
    assert shown["after"]["peer"]["seq"] == seq
    assert shown["peers"] is not None


def test_without_the_secret() -> None:
    """Without the server's secret everything but peers and jitter is explained."""
    frames, told = replies.life("1", True, 2)
    (shown,) = replies.explanations(frames, [max(told)], None)
    assert (shown["peers"], shown["withheld"]) == (None, "no secret")
    assert shown["decided_again"] == "as recorded"


@few_or_many(1, 10)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_who_was_handed_an_address_and_who_got_which_peers(count: int, private: bool) -> None:
    """A walk finds exactly the replies that listed an address, and those to an account, with the
    peers that they listed.
    """
    for number in range(count):
        frames, told = replies.life(f"{number} handed {private}", private, 2)
        listed = {seq: compact(peers4, peers6) for seq, (*_, peers4, peers6) in told.items()}
        for address in Random(number).sample(sorted({ip for peers in listed.values() for ip, _ in peers}), 4):  # fmt: skip
            expected = {
                seq: [each for each in peers if each[0] == address]
                for seq, peers in listed.items()
                if any(ip == address for ip, _ in peers)
            }
            assert walked(frames, OfAddress(address)) == expected
            ports = {port for peers in expected.values() for _, port in peers}
            for port in (*ports, max(ports) + 1):
                of_port = {
                    seq: [one for one in expected[seq] if one[1] == port] for seq in expected
                }
                found = {seq: peers for seq, peers in of_port.items() if peers}
                assert walked(frames, OfAddress(address, port)) == found
        accounts = {
            each["seq"]: {1: 1, 2: 2, 3: 2, 4: 4}.get(each["key_ref"])
            for each in events_in(frames)
            if each["type"] == "announced"
        }
        for account in (1, 2, 4):
            expected = {
                seq: peers for seq, peers in listed.items() if peers and accounts[seq] == account
            }
            assert walked(frames, ToAccount(account)) == expected
            assert bool(expected) == private


def compact(*families: bytes) -> list[tuple[str, int]]:
    """Reads the peers of a compact reply, in a fixed order."""
    found = []
    for width, peers in zip((6, 18), families, strict=True):
        for at in range(0, len(peers), width):
            one = peers[at : at + width]
            found.append((str(ip_address(one[:-2])), int.from_bytes(one[-2:], "big")))
    return sorted(found)


def walked(frames: list[Frame], question: Question) -> dict[int, list[tuple[str, int]]]:
    """Returns the peers that a walk over the frames finds, by the number of the announce."""
    walk = Walk(cast("ForwardReplay", None), cast("Keyring", None), question, LogPart())
    walk.secret, state = SELECTION_KEY, State()
    found = {}
    for frame in frames:
        for reply in walk.in_frame(state, frame):
            found[reply["seq"]] = sorted((one["address"], one["port"]) for one in reply["peers"])
    return found
