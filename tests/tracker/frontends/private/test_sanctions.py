"""What members see of sanctions: who gets whom, warnings and refusals, over HTTP and UDP."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.support import SECOND, replayed
from tests.tracker.frontends.private.front import (
    HASH,
    PRIVATE,
    PUBLIC,
    V4,
    Front,
    announce,
    scrape,
    url,
)
from tracker.domain import events
from tracker.domain.events.admin import (
    ClientRuleEnded,
    ClientRuleSet,
    HidingChanged,
    LeechOffChanged,
    NetworkBlocked,
    NetworkUnblocked,
    OwnerKeysRevoked,
    TorrentBlacklisted,
    TorrentUnblacklisted,
)
from tracker.domain.policy import Policy
from tracker.ports import Actor

BY = Actor("ops", "", "", "as told")
CONTACT = "https://example.org/staff"
WARNING = (
    "Downloading is switched off for your account: you get no peers, but may seed. Contact: "
    f"{CONTACT}"
)


class Members(Front):
    """Three members with a peer each: 0 leeches, 1 leeches, 2 seeds."""

    def keys(self) -> list[bytes]:
        return [b"key%029d" % number for number in (10, 11, 12)]

    def come(self, number: int, left: int = 7, **more: Any) -> dict[str, Any]:
        """Announces over HTTP from port 7000 + number; returns the reply, its ports as a set."""
        key = self.keys()[number]
        target = (
            announce(key, extra=more.pop("extra", b""))
            .replace(b"port=6881", b"port=%d" % (7000 + number))
            .replace(b"XX0001.abcdefghijkl", b"XX0001.abcdefghijk%d" % number)
            .replace(b"left=7", b"left=%d" % left)
        )
        reply = self.get(target, **more)
        packed = reply.get("peers", b"")
        if isinstance(packed, bytes):
            reply["ports"] = {
                int.from_bytes(packed[at + 4 : at + 6], "big") for at in range(0, len(packed), 6)
            }
        return reply

    def udp_ports(self, number: int) -> set[int]:
        reply = self.udp(url(b"/" + self.keys()[number]), port=7000 + number)
        return {int.from_bytes(reply[at + 4 : at + 6], "big") for at in range(20, len(reply), 6)}

    def say(self, event: Any) -> None:
        self.rig.service.append(event, BY)


def members(**policy: Any) -> Members:
    front = Members(evolve(PRIVATE, policy=Policy(contact=CONTACT, **policy)))
    for number, owner in ((10, "anna"), (11, "bert"), (12, "anna")):
        front.rig.issue(number, owner)
    for number in range(3):
        front.come(number, left=7 * (number < 2))
    return front


def account(front: Members, owner: str) -> int:
    return front.rig.state.access.owners[owner]


def test_leech_off() -> None:
    """What is left gets no peers and is in no reply, but is counted; seeding goes on as before."""
    front = members()
    assert front.come(1)["ports"] == {7000, 7002}
    front.say(LeechOffChanged(account(front, "anna"), True))
    before = front.rig.state.accounts.totals(account(front, "anna")).last_us
    front.rig.time.advance(SECOND)
    reply = front.come(0)
    assert (reply["ports"], reply["warning message"].decode()) == (set(), WARNING)
    assert (reply["complete"], reply["incomplete"]) == (1, 2)
    assert front.rig.state.accounts.totals(account(front, "anna")).last_us == before + SECOND
    assert front.udp_ports(0) == set()
    dictionaries = front.come(0, extra=b"&compact=0")
    assert (dictionaries["peers"], dictionaries["warning message"].decode()) == ([], WARNING)
    assert front.come(1)["ports"] == {7002}  # anna's seeder is listed, and gets peers
    assert front.come(2, left=0)["ports"] == {7001}
    assert "warning message" not in front.come(2, left=0)
    assert front.come(0, left=0)["ports"] == {7001, 7002}  # it has completed
    assert front.come(1)["ports"] == {7000, 7002}
    assert front.come(0)["ports"] == set()
    front.say(LeechOffChanged(account(front, "anna"), False))
    assert front.come(1)["ports"] == {7000, 7002}  # at once, without an announce of anna's
    assert front.come(0)["ports"] == {7001, 7002}
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_hidden_accounts() -> None:
    """Nobody gets any peer of the account, which itself gets peers."""
    front = members()
    front.say(HidingChanged(account(front, "anna"), True))
    assert front.come(1)["ports"] == set()
    assert front.come(0)["ports"] == {7001}
    front.say(HidingChanged(account(front, "anna"), False))
    assert front.come(1)["ports"] == {7000, 7002}


def test_clients_by_version() -> None:
    """A client is warned until the day of its rule, and then refused, but not its `stopped`."""
    front = members()
    from_us = front.rig.service.date_us() + 5 * SECOND
    front.say(ClientRuleSet(1, "-XX", "0000", "0001", from_us, public=True))
    front.say(ClientRuleSet(2, "-XX", "0002", "9999", 0))
    day = events.day_name(from_us // events.DAY_US)
    warned = front.come(0)["warning message"].decode()
    assert warned == (
        f"From {day} on this client is not allowed here: -XX0000 to -XX0001: as told. Contact: {CONTACT}"
    )
    front.rig.time.advance(5 * SECOND)
    front.rig.service.tick()
    refused = front.come(0)
    assert refused["failure reason"].decode() == (
        "Tracker error: this version of your client is not allowed here: -XX0000 to -XX0001: as "
        f"told. Contact: {CONTACT}"
    )
    assert refused["retry in"] == b"never"
    assert "failure reason" not in front.come(0, extra=b"&event=stopped")
    front.say(ClientRuleEnded(1))
    assert "warning message" not in front.come(0)
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_a_sanction_ends_with_a_tick() -> None:
    front = members()
    until_us = front.rig.service.date_us() + 5 * SECOND
    front.say(LeechOffChanged(account(front, "anna"), True, until_us))
    front.say(NetworkBlocked("127.0.0.9/32", until_us))
    front.rig.time.advance(5 * SECOND - 1)
    front.rig.service.tick()
    assert front.rig.state.sanctions.accounts
    front.rig.time.advance(1)
    front.rig.service.tick()
    assert not front.rig.state.sanctions.accounts
    assert front.come(1)["ports"] == {7000, 7002}
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_own_clients() -> None:
    """The policy leaves out the member's other clients, and nobody else's."""
    assert members().come(0)["ports"] == {7001, 7002}
    front = members(leave_out_own_clients=True)
    assert front.come(0)["ports"] == {7001}
    assert front.come(1)["ports"] == {7000, 7002}
    assert front.udp_ports(1) == {7000, 7002}


def test_blacklist() -> None:
    """Peers go at once in all modes, and scrapes show nothing; the whitelist counts again after."""
    for settings in (PUBLIC, PRIVATE):
        front = Members(settings)
        front.rig.issue(10, None)
        front.come(0)
        front.say(TorrentBlacklisted(HASH))
        assert front.rig.state.swarms.counts(HASH) == (0, 0, 0)
        text = front.failure(announce(front.keys()[0]))
        assert text == f"Tracker error: The torrent: {HASH.hex()}, is blacklisted"
        assert front.get(scrape(front.keys()[0]))["files"][HASH][b"incomplete"] == 0
        front.say(TorrentUnblacklisted(HASH))
        assert front.come(0)["incomplete"] == 1


@pytest.mark.parametrize("settings", [PUBLIC, PRIVATE], ids=["public", "private"])
def test_blocks(settings: Any) -> None:
    """Announces from there are refused over both protocols, and those of the network beside not."""
    front = Members(settings)
    front.rig.issue(10, None)
    front.say(NetworkBlocked("127.0.0.8/30", public=True))
    text = "Tracker error: your network is blocked here: as told"
    assert front.failure(announce(front.keys()[0])) == text
    assert front.udp_failure(b"/" + front.keys()[0]) == text
    assert front.come(0, address=bytes([127, 0, 0, 12]))["incomplete"] == 1
    front.say(NetworkUnblocked("127.0.0.8/30"))
    assert front.come(0)["incomplete"] == (1 if settings.private else 2)
    if settings.private:
        assert {reason for _, reason, _ in front.refusals()} == {"network_blocked"}


def test_a_blocked_sender_names_another_address() -> None:
    """Both the sender's address and the one that it names count."""
    front = Members(evolve(PUBLIC, policy=Policy(ip_parameter="always")))
    front.say(NetworkBlocked("127.0.0.8/30"))
    front.say(NetworkBlocked("198.51.100.0/24"))
    blocked = "Tracker error: your network is blocked here"
    assert front.failure(announce(extra=b"&ip=192.0.2.1"), address=V4) == blocked
    elsewhere = bytes([192, 0, 2, 1])
    assert front.failure(announce(extra=b"&ip=198.51.100.7"), address=elsewhere) == blocked
    assert front.get(announce(extra=b"&ip=192.0.2.2"), address=elsewhere)["incomplete"] == 1


def test_all_keys_of_an_owner() -> None:
    """One event revokes them, and their peers leave at once."""
    front = members()
    access = front.rig.state.access
    key_refs = tuple(access.in_force(account(front, "anna"), "anna"))
    front.say(OwnerKeysRevoked("anna", account(front, "anna"), key_refs))
    assert front.rig.state.swarms.counts(HASH) == (0, 0, 1)
    assert "it was revoked" in front.failure(announce(front.keys()[2]))
    assert [*access.in_force(account(front, "anna"), "anna")] == []
    assert front.come(1)["ports"] == set()
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()
