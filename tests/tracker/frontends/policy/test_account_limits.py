"""Limits of accounts over real sockets: a client that crashed comes back, and a leaked key harvests
no swarms.
"""

from __future__ import annotations

import pytest

from tests.support import SECOND, hash_of, replayed
from tests.tracker.frontends.policy.site import both, refused, serving
from tracker.domain.policy import Policy

OTHER = b"-XX0001.anotherclien"
HOUR = 3600
AFTER_MIDNIGHT = 86_400
SLOTS = "your account downloads as many torrents as it may"
STARTED = "your account started as many torrents today as it may"


@both
async def test_a_crashed_client_keeps_its_slot(protocol: str) -> None:
    """On another port and with another peer id; from another address it is refused."""
    async with serving(Policy(leeching_slots=1), private=True) as site:
        key = site.rig.issue(0, "anna")
        assert not (await site.announce(protocol, 1, key=key)).failure
        elsewhere = {"port": 2, "key": key, "peer_id": OTHER}
        await refused(site, protocol, SLOTS, 30, **elsewhere, source="127.0.0.2")
        back = await site.announce(protocol, 2, key=key, peer_id=OTHER)
        assert (back.failure, back.leechers, back.ports) == ("", 1, ())
        await refused(site, protocol, SLOTS, 30, **elsewhere, info_hash=hash_of(2))
        seeding = await site.announce(
            protocol, 2, key=key, peer_id=OTHER, info_hash=hash_of(2), left=0
        )
        assert (seeding.failure, seeding.seeders) == ("", 1)


@both
async def test_a_crashed_client_starts_nothing_anew(protocol: str) -> None:
    """The torrents that it started on this day are its own, until the day is over."""
    async with serving(Policy(started_per_day=2), private=True) as site:
        key = site.rig.issue(0, "anna")
        for torrent in (1, 2):
            assert not (
                await site.announce(protocol, 1, key=key, info_hash=hash_of(torrent))
            ).failure
        more = {"port": 2, "key": key, "peer_id": OTHER, "info_hash": hash_of(3)}
        await refused(site, protocol, STARTED, 30, **more)
        again = await site.announce(protocol, 2, key=key, peer_id=OTHER, info_hash=hash_of(2))
        assert not again.failure
        site.rig.time.advance(AFTER_MIDNIGHT * SECOND)
        site.rig.service.tick()
        site.leave_udp()  # because connection ids are over
        assert not (await site.announce(protocol, **more)).failure


@both
@pytest.mark.parametrize("budget", ["hour", "day"])
async def test_a_leaked_key_harvests_no_swarms(protocol: str, budget: str) -> None:
    """Whoever asks for every swarm from ever new addresses gets ten peers, then none. A seeder with
    the same key is counted as before and found by others.
    """
    policy = Policy(**{f"handed_per_{budget}": 10}, contact="staff")
    async with serving(policy, private=True) as site:
        key, others = site.rig.issue(0, "anna"), site.rig.issue(1, "bert")
        third = site.rig.issue(2, "carl")
        for torrent in range(4):
            for port in range(10, 14):
                peer_id = b"-YY0001.%012d" % port
                found = await site.announce(
                    "udp", port, key=others, peer_id=peer_id, info_hash=hash_of(torrent)
                )
                assert not found.failure
        harvested = []
        for torrent in range(4):
            reply = await site.announce(
                protocol, 1, key=key, info_hash=hash_of(torrent), source=f"127.0.0.{torrent + 2}"
            )
            harvested.append(len(reply.ports))
            when = "today" if budget == "day" else "this hour"
            warning = f"Your account got as many peers as it may {when}: seeding counts as before. Contact: staff"
            warned = warning if protocol == "http" and torrent >= 2 else ""
            assert (reply.failure, reply.leechers, reply.warning) == ("", 5, warned)
        assert harvested == [4, 4, 2, 0]
        seeding = await site.announce(
            protocol, 1, key=key, peer_id=OTHER, info_hash=hash_of(9), left=0
        )
        assert (seeding.seeders, seeding.ports) == (1, ())
        carl = await site.announce(protocol, 10, key=third, info_hash=hash_of(9))
        assert carl.ports == (1,)
        site.rig.time.advance(HOUR * SECOND)
        site.rig.service.tick()
        site.leave_udp()  # because connection ids are over
        for port in range(10, 13):
            await site.announce("udp", port, key=others, peer_id=b"-YY0001.%012d" % port)
        reply = await site.announce(protocol, 1, key=key)
        assert len(reply.ports) == (3 if budget == "hour" else 0)
        frames = [each._replace(protected=memoryview(b"")) for each in site.rig.log.frames()]
        expected = site.rig.state.digest(addresses=False)
        assert replayed(frames).digest(addresses=False) == expected  # without an address
