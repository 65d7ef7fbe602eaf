"""Rules that decide which announces are accepted: clients, ports, intervals, peers of an
account."""

from __future__ import annotations

import pytest

from tests.support import SECOND, hash_of
from tests.tracker.frontends.policy.site import MINE, THEIRS, both, refused, serving
from tracker.domain import events
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings

CLIENTS = [
    (Policy(clients_denied=("-XX",)), MINE, False),
    (Policy(clients_denied=("-YY", "-XX0001.a")), MINE, False),
    (Policy(clients_denied=("-XX0002", "XX", "-xx")), MINE, True),
    (Policy(clients_allowed=("-XX",)), MINE, True),
    (Policy(clients_allowed=("-XX",)), THEIRS, False),
    (Policy(clients_allowed=("-XX",), clients_denied=("-XX0001",)), MINE, False),
]


@both
@pytest.mark.parametrize(("policy", "peer_id", "allowed"), CLIENTS)
async def test_client_rules_compare_the_start_of_the_peer_id(
    protocol: str, policy: Policy, peer_id: bytes, allowed: bool
) -> None:
    """`clients_denied` wins over `clients_allowed`, and `stopped` always passes."""
    async with serving(policy) as site:
        if allowed:
            assert (await site.announce(protocol, peer_id=peer_id)).leechers == 1
        else:
            text = "this client is not allowed here"
            await refused(site, protocol, text, b"never", peer_id=peer_id)
            site.rig.service.flush_counters()
            counted = [(one["counter"], one["label"]) for one in site.logged("counted")]
            assert ("refused_requests", 7) in counted
        assert not (await site.announce(protocol, peer_id=peer_id, event=events.STOPPED)).failure


@both
async def test_a_new_client_rule_applies_to_known_peers(protocol: str) -> None:
    """A new rule refuses peers that are already in the swarm, and they can still leave."""
    async with serving(Policy()) as site:
        await site.announce(protocol)
        site.rig.service.change_settings(Settings(policy=Policy(clients_denied=("-XX",))))
        await refused(site, protocol, "this client is not allowed here", b"never")
        assert (await site.announce(protocol, event=events.STOPPED)).leechers == 0


PORTS = [(1, True), (24, True), (25, False), (6880, True), (6881, False), (6885, False), (6889, False), (6890, True)]  # fmt: skip


@both
async def test_refused_ports(protocol: str) -> None:
    """Single ports and ranges are refused, both ends included, and `stopped` passes."""
    async with serving(Policy(refused_ports=("25", "6881-6889"))) as site:
        for port, allowed in PORTS:
            if allowed:
                assert not (await site.announce(protocol, port)).failure
            else:
                text = "this port is not allowed here, choose another"
                await refused(site, protocol, text, None, port=port)
                assert not (await site.announce(protocol, port, event=events.STOPPED)).failure


@both
async def test_enforce_interval_min(protocol: str) -> None:
    """An early announce is counted and logged, but gets no peers. An event and an announce exactly
    on time get peers."""
    async with serving(Policy(enforce_interval_min=True), interval_min=60) as site:
        assert (await site.announce(protocol, 1)).ports == ()
        assert (await site.announce(protocol, 2, left=0)).ports == (1,)
        site.rig.time.advance(59 * SECOND)
        early = await site.announce(protocol, 2, left=7)
        assert (early.seeders, early.leechers, early.interval, early.ports) == (0, 2, 120, ())
        for event in (events.STARTED, events.COMPLETED):
            assert (await site.announce(protocol, 2, event=event)).ports == (1,)
        assert (await site.announce(protocol, 2)).ports == ()
        site.rig.time.advance(60 * SECOND)
        assert (await site.announce(protocol, 2)).ports == (1,)
        assert (await site.announce(protocol, 2, event=events.STOPPED)).failure == ""
        assert len(site.logged("announced")) == 8


async def test_enforce_interval_min_of_several_addresses() -> None:
    """In private modes a peer with two addresses gets peers at each of them. At one address it can
    be early."""
    policy = Policy(enforce_interval_min=True)
    async with serving(policy, private=True) as site:
        first, second = site.rig.issue(0), site.rig.issue(1)
        await site.announce("udp", 1, key=first, peer_id=THEIRS)
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
            assert (await site.announce("udp", 2, key=second, source=source)).ports == (1,)
        assert (await site.announce("udp", 2, key=second, source="127.0.0.1")).ports == ()
        assert len(site.logged("announced")) == 5


@both
async def test_peers_per_account(protocol: str) -> None:
    """`peers_per_account` limits new peers. Known peers continue, and a client that comes back at
    another port takes the place of the account's oldest peer at its address."""
    async with serving(Policy(peers_per_account=2), private=True) as site:
        mine, theirs = site.rig.issue(0, "anna"), site.rig.issue(1)
        other_key = site.rig.issue(2, "anna")
        ids = [b"-XX0001.%012d" % number for number in range(4)]
        for port, (key, peer_id) in enumerate(((mine, ids[0]), (other_key, ids[1])), 1):
            assert not (await site.announce(protocol, port, key=key, peer_id=peer_id)).failure
        text = "too many clients with your key on this torrent"
        for key in (mine, other_key):
            await refused(
                site, protocol, text, 30, port=3, key=key, peer_id=ids[2], source="127.0.0.2"
            )
        assert (await site.announce(protocol, 2, key=mine, peer_id=ids[1])).leechers == 2
        assert (await site.announce(protocol, 2, key=mine, peer_id=ids[2])).leechers == 2
        assert (await site.announce(protocol, 3, key=theirs, peer_id=ids[3])).leechers == 3
        elsewhere = await site.announce(protocol, 3, key=mine, peer_id=ids[3], info_hash=hash_of(2))
        assert elsewhere.leechers == 1
        logged = [(one["key_ref"], one["reason"]) for one in site.logged("announce_refused")]
        assert logged == [(1, "account_full"), (3, "account_full")]
