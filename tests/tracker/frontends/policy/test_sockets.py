"""Bans after wrong connection ids, and limits of HTTP connections."""

from __future__ import annotations

import ssl
from struct import pack

import pytest

from tests.support import SECOND, hash_of
from tests.tracker.frontends.policy.site import MAGIC, MINE, serving, udp_announce
from tracker.domain.policy import Policy
from tracker.frontends.http.connections import ConnectionLimits
from tracker.service.rate_limits import Bans

FORGED = bytes(8)
UNVERIFIED = b"connection id could not be verified"
NO_MAGIC = b"bad request: Protocol identifier missing"
WRONG = {"zeros": bytes(1400), "id": udp_announce(FORGED, 1, hash_of(1), MINE, 0, 5)}


async def test_max_connection_id_errors() -> None:
    """Eleven errors get an answer, as in the reference. Then the address gets no more of them, and
    everything else."""
    async with serving(Policy(), bans=Bans(10, 3600)) as site:
        bad = udp_announce(FORGED, 1, hash_of(1), MINE, 0, 5)
        scrape = FORGED + pack(">I4s", 2, b"tran") + hash_of(1) + hash_of(2)
        sock, connection_id = await site.udp_client("127.0.0.1")
        for number in range(11):
            assert (await site.exchange((bad, scrape)[number % 2]))[8:] == UNVERIFIED
        for silent in (bad, scrape, bytes(1400), b""):
            await sock.send(silent)
        # Answers come in the order of the datagrams, and only these get an answer.
        assert (await site.announce("udp", 1)).leechers == 1
        assert (await site.exchange(connection_id + scrape[8:]))[:4] == pack(">I", 2)
        assert (
            await site.exchange(MAGIC + pack(">I4s", 0, b"tran"))
            == pack(">I4s", 0, b"tran") + connection_id
        )
        assert not (await site.announce("udp", 2, source="127.0.0.2")).failure
        site.rig.service.flush_counters()
        dropped = [one for one in site.logged("counted") if one["counter"] == "udp_dropped"]
        assert {(one["label"], one["delta"]) for one in dropped} == {(1, 3), (0, 1)}
        site.rig.time.advance(3600 * SECOND)
        assert (await site.exchange(bad))[8:] == UNVERIFIED
        assert connection_id != FORGED


async def test_a_limit_of_zero_answers_every_connection_id_error() -> None:
    async with serving(Policy(), bans=Bans(0, 3600)) as site:
        bad = udp_announce(FORGED, 1, hash_of(1), MINE, 0, 5)
        for _ in range(30):
            assert (await site.exchange(bad))[8:] == UNVERIFIED


async def test_errors_for_no_request_count_towards_a_ban() -> None:
    async with serving(Policy(), bans=Bans(10, 3600)) as site:
        sock, connection_id = await site.udp_client("127.0.0.1")
        for _ in range(11):
            assert (await site.exchange(bytes(1400)))[8:] == NO_MAGIC
        await sock.send(bytes(1400))
        announce = udp_announce(connection_id, 1, hash_of(1), MINE, 0, 5)
        assert (await site.exchange(announce))[:4] == pack(">I", 1)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_errors_without_a_connection_id_have_a_limit(wrong: bytes) -> None:
    """In a minute an address gets as many errors as it may make requests. They do not count as its
    requests, because their source can be forged.
    """
    async with serving(Policy(requests_per_minute=2), bans=Bans(0, 1, 2)) as site:
        sock, _ = await site.udp_client("127.0.0.1")
        for _ in range(2):
            assert (await site.exchange(wrong))[:4] == pack(">I", 3)
        await sock.send(wrong)
        for _ in range(2):
            assert not (await site.announce("udp")).failure
        assert "too many requests" in (await site.announce("udp")).failure


async def test_a_silent_connection_is_closed() -> None:
    async with serving(Policy(), limits=ConnectionLimits(request_seconds=0.02)) as site:
        silent = await site.connection()
        assert await silent.recv(1) == b""
        silent.close()


async def test_a_connection_without_a_tls_handshake_is_closed() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    limits = ConnectionLimits(request_seconds=3600, handshake_seconds=0.02)
    async with serving(Policy(), limits=limits, tls=context) as site:
        silent = await site.connection()
        assert await silent.recv(1) == b""
        silent.close()
