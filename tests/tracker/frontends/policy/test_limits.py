"""Rules that limit requests, torrents and peers."""

from __future__ import annotations

from random import Random
from struct import pack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest

from tests.support import SECOND, hash_of
from tests.tracker.frontends.policy.site import both, refused, serving
from tracker.domain import events
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.domain.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping


@both
async def test_requests_per_minute(protocol: str) -> None:
    """Announces and scrapes of one address count together for a minute, and other addresses count
    apart."""
    text = "too many requests from your address or key, try again in a minute"
    async with serving(Policy(requests_per_minute=3)) as site:
        for port in (1, 2):
            assert not (await site.announce(protocol, port)).failure
        if protocol == "http":
            scrape = f"/scrape?info_hash={quote_from_bytes(hash_of(1))}"
            assert "files" in await site.get(scrape)
            assert (await site.get(scrape))["failure reason"].decode().endswith(text)
        else:
            assert (await site.udp_scrape())[:4] == pack(">I", 2)
            assert (await site.udp_scrape())[8:].decode().endswith(text)
        await refused(site, protocol, text, 1, port=1)
        await refused(site, protocol, text, 1, port=1, event=events.STOPPED)
        assert not (await site.announce(protocol, 1, source="127.0.0.2")).failure
        site.rig.time.advance(60 * SECOND)
        assert not (await site.announce(protocol, 1)).failure


@both
async def test_requests_with_wrong_keys_count_for_the_address(protocol: str) -> None:
    """Attempts with wrong keys count for their address, and members there are served on."""
    async with serving(Policy(requests_per_minute=2), private=True) as site:
        key = site.rig.issue(0)
        for wrong in (b"x" * 32, b"y" * 32):
            assert "Failed to read key" in (await site.announce(protocol, key=wrong)).failure
        assert "too many requests" in (await site.announce(protocol, key=b"z" * 32)).failure
        assert not (await site.announce(protocol, key=key)).failure


@both
async def test_members_have_rates_of_their_own(protocol: str) -> None:
    """An account may make ten minutes' requests at once, from any address and with any of its keys.

    Others at its address do not notice, and its refusals are logged.
    """
    async with serving(Policy(requests_per_minute=2), private=True) as site:
        keys = [site.rig.issue(number, owner="anna") for number in range(2)]
        other = site.rig.issue(2)
        for number in range(20):
            source = f"127.0.0.{number % 3 + 1}"
            reply = await site.announce(protocol, key=keys[number % 2], source=source)
            assert not reply.failure
        for key in keys:
            assert "too many requests" in (await site.announce(protocol, key=key)).failure
        if protocol == "http":
            scrape = f"/{keys[0].decode()}/scrape?info_hash={quote_from_bytes(hash_of(1))}"
            assert "failure reason" in await site.get(scrape)
            assert "files" in await site.get(scrape.replace(keys[0].decode(), other.decode()))
        assert not (await site.announce(protocol, key=other)).failure
        refusals = site.logged("announce_refused")
        assert {(each["key_ref"], each["reason"]) for each in refusals} == {
            (1, "rate_exceeded"), (2, "rate_exceeded")
        }  # fmt: skip
        site.rig.time.advance(30 * SECOND)
        site.leave_udp()
        assert not (await site.announce(protocol, key=keys[0])).failure
        assert (await site.announce(protocol, key=keys[0])).failure


CAPS = [
    (Policy(max_torrents=2), "the tracker takes no more torrents now", {"info_hash": hash_of(3)}),
    (Policy(max_peers=2), "the tracker takes no more peers now", {"port": 3}),
    (Policy(max_peers_per_torrent=1), "this torrent takes no more peers now", {"port": 3}),
]


@both
@pytest.mark.parametrize(("policy", "text", "further"), CAPS, ids=["torrents", "peers", "swarm"])
async def test_caps_refuse_new_peers_and_torrents(
    protocol: str, policy: Policy, text: str, further: Mapping[str, Any]
) -> None:
    """Each cap refuses new ones and serves known ones. A place becomes free when a peer leaves."""
    async with serving(policy) as site:
        for number in (1, 2):
            assert not (await site.announce(protocol, number, info_hash=hash_of(number))).failure
        await refused(site, protocol, text, 30, **further)
        assert (await site.announce(protocol, 1)).leechers == 1
        unknown = await site.announce(protocol, event=events.STOPPED, **further)
        assert unknown.failure == ""
        await site.announce(protocol, 1, event=events.STOPPED)
        for _ in range(2):
            site.rig.time.advance(600 * SECOND)
            for _ in range(60):
                site.rig.service.tick()
        site.leave_udp()  # its connection id has expired
        assert (await site.announce(protocol, **further)).leechers == 1


@both
@pytest.mark.parametrize("private", [False, True])
async def test_completed_torrents_are_not_remembered_without_bound(
    protocol: str, private: bool
) -> None:
    """Once as many torrents as may be in use are remembered, the first completion of one more is
    not counted. Those of known torrents are."""
    async with serving(Policy(max_torrents=2), private=private) as site:
        key = site.rig.issue(0) if private else b""

        async def download(number: int) -> None:
            """Downloads a torrent, leaves, and comes back when its peers are forgotten."""
            for left, event in ((5, events.STARTED), (0, events.COMPLETED), (0, events.STOPPED)):
                reply = await site.announce(
                    protocol, key=key, info_hash=hash_of(number), left=left, event=event
                )
                assert not reply.failure
            site.rig.time.advance(600 * SECOND)
            for _ in range(60):
                site.rig.service.tick()
            site.leave_udp()  # its connection id has expired

        swarms = site.rig.state.swarms
        for number in (1, 2, 3, 4, 1):
            await download(number)
        assert swarms.retired == {hash_of(1): 2, hash_of(2): 1}
        told = [
            one["event"] for one in site.logged("announced") if one["info_hash"] == hash_of(3).hex()
        ]
        assert told == ["started", "none", "stopped"]


async def test_a_flood_of_info_hashes_stops_at_the_caps() -> None:
    """A flood of random info hashes stops at the caps, and known peers are still served."""
    chance = Random(7)
    async with serving(Policy(max_torrents=20, max_peers=50)) as site:
        await site.announce("udp", 1)
        swarms = site.rig.state.swarms
        sizes = set()
        for number in range(600):
            protocol = "http" if number % 6 == 0 else "udp"
            reply = await site.announce(
                protocol,
                chance.randrange(1, 65536),
                info_hash=chance.randbytes(20),
                source=f"127.0.0.{number % 5 + 1}",
            )
            assert bool(reply.failure) == (number >= 19)
            sizes.add((len(swarms.rows), len(swarms.hashes)))
        assert swarms.torrents_total == 20
        assert len(sizes) == 19  # the tables grow with the first nineteen only
        assert (await site.announce("udp", 1)).leechers == 1
        assert (await site.announce("http", 1)).leechers == 1


async def test_temporary_refusals_name_the_minutes_to_wait() -> None:
    async with serving(Policy(retry_in_minutes=7, max_torrents=1), listed=True) as site:
        reply = await site.announce("http")
        assert (reply.failure.endswith("is not whitelisted"), reply.retry) == (True, 7)
        for number in (1, 2):
            site.rig.service.append(TorrentWhitelisted(hash_of(number)))
        await site.announce("http")
        text = "the tracker takes no more torrents now"
        await refused(site, "http", text, 7, info_hash=hash_of(2))
