"""Rules that change replies: jitter, partial seeds, addresses."""

from __future__ import annotations

from struct import pack
from urllib.parse import quote_from_bytes

import pytest

from tests.support import Rig, endpoint6, hash_of
from tests.tracker.frontends.policy.site import MINE, both, serving
from tracker.domain import events
from tracker.domain.policy import Policy
from tracker.forwarding import Proxies
from tracker.frontends.http.handler import RequestHandler


@both
async def test_interval_jitter(protocol: str) -> None:
    """Jitter adds up to 30 seconds, differing from reply to reply. The same log gives the same
    intervals."""
    rows = []
    for _ in range(2):
        async with serving(Policy(interval_jitter=30)) as site:
            intervals = [(await site.announce(protocol, port)).interval for port in range(1, 25)]
            rows.append(intervals)
    assert rows[0] == rows[1]
    assert set(rows[0]) <= set(range(120, 151))
    assert len(set(rows[0])) > 8


async def test_partial_seeds() -> None:
    """A paused peer is incomplete and no downloader (BEP 21) until it announces another event. UDP
    scrapes do not change."""
    target = (
        f"/scrape?info_hash={quote_from_bytes(hash_of(1))}&info_hash={quote_from_bytes(hash_of(2))}"
    )
    async with serving(Policy(partial_seeds=True)) as site:

        async def scraped() -> tuple[int, int, int]:
            files = (await site.get(target))["files"]
            assert files[hash_of(2)] == dict.fromkeys(
                (b"complete", b"downloaded", b"downloaders", b"incomplete"), 0
            )
            one = files[hash_of(1)]
            assert list(one) == sorted(one)
            return one[b"complete"], one[b"downloaders"], one[b"incomplete"]

        steps = [
            (1, events.PAUSED, 5, (0, 0, 1)),  # a new peer
            (2, events.STARTED, 5, (0, 1, 2)),
            (2, events.PAUSED, 5, (0, 0, 2)),
            (2, events.PAUSED, 5, (0, 0, 2)),
            (1, events.NONE, 5, (0, 1, 2)),  # downloads again
            (2, events.NONE, 0, (1, 1, 1)),  # is complete
            (2, events.PAUSED, 0, (1, 1, 1)),
            (1, events.PAUSED, 5, (1, 0, 1)),
            (1, events.STOPPED, 5, (1, 0, 0)),
        ]
        for port, event, left, expected in steps:
            await site.announce("http", port, event=event, left=left)
            assert await scraped() == expected
        assert (await site.udp_scrape())[8:] == pack(">III", 1, 0, 0)


async def test_without_partial_seeds_a_scrape_has_the_reference_s_keys() -> None:
    async with serving(Policy()) as site:
        await site.announce("http", event=events.PAUSED)
        files = (await site.get(f"/scrape?info_hash={quote_from_bytes(hash_of(1))}"))["files"]
        assert set(files[hash_of(1)]) == {b"complete", b"downloaded", b"incomplete"}


@pytest.mark.parametrize("compact", [0, 1])
async def test_external_ip_in_replies(compact: int) -> None:
    """`external ip` (BEP 24) has four bytes, stands in key order, and needs the setting."""
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        f"&port=1&compact={compact}"
    )
    async with serving(Policy(external_ip_in_replies=True)) as site:
        reply = await site.get(target, "127.0.0.9")
        assert reply["external ip"] == bytes([127, 0, 0, 9])
        assert list(reply) == sorted(reply)
    async with serving(Policy()) as site:
        assert "external ip" not in await site.get(target)


V4, PRIVATE, PUBLIC = bytes([127, 0, 0, 1]), bytes([10, 0, 0, 9]), bytes([203, 0, 113, 9])
V6 = endpoint6(1)[:16]
CLAIMS = [
    ("ignored", V4, b"203.0.113.5", V4),
    ("local", V4, b"203.0.113.5", bytes([203, 0, 113, 5])),
    ("local", PRIVATE, b"2001%3Adb8%3A%3A1", V6),
    ("local", PUBLIC, b"203.0.113.5", PUBLIC),
    ("local", V6, b"203.0.113.5", V6),
    ("always", PUBLIC, b"203.0.113.5", bytes([203, 0, 113, 5])),
    ("always", V6, b"%3A%3Affff%3A203.0.113.5", bytes([203, 0, 113, 5])),
    ("always", PUBLIC, b"203.0.113.5:6881", bytes([203, 0, 113, 5])),
    ("always", PUBLIC, b"%5B2001%3Adb8%3A%3A1%5D:6881", V6),
    ("always", PUBLIC, b"[2001:db8::1]", V6),
    ("always", PUBLIC, b"203.0.113.5:http", PUBLIC),
    ("always", PUBLIC, b"example.com", PUBLIC),
    ("always", PUBLIC, b"%zz", PUBLIC),
    ("always", PUBLIC, b"", PUBLIC),
    ("always", PUBLIC, b"0.0.0.0", PUBLIC),
    ("always", PUBLIC, b"224.0.0.1", PUBLIC),
    ("always", PUBLIC, b"127.0.0.5", PUBLIC),
    ("always", V4, b"127.0.0.5", bytes([127, 0, 0, 5])),
]


@pytest.mark.parametrize(("policy", "source", "claimed", "listed"), CLAIMS)
def test_ip_parameter(policy: str, source: bytes, claimed: bytes, listed: bytes) -> None:
    """The setting decides the listed address. Host names and unreachable addresses in `ip=` are
    ignored."""
    rig = Rig.with_settings(policy=Policy(ip_parameter=policy))
    handler = RequestHandler(rig.service, 0, proxied=False)
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        "&port=6881&ip="
    ).encode() + claimed
    handler.begin()
    assert b"failure" not in handler.answer(b"GET", target, source, None, False)
    handler.end()
    swarms = rig.state.swarms
    assert swarms.find(swarms.lookup(hash_of(1)), listed + b"\x1a\xe1")


def test_the_rate_limit_ignores_the_ip_parameter() -> None:
    """The rate limit counts by the source address, so a new `ip=` does not help."""
    rig = Rig.with_settings(policy=Policy(ip_parameter="always", requests_per_minute=2))
    handler = RequestHandler(rig.service, 0, proxied=False)
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        "&port=6881&ip=203.0.113."
    )
    handler.begin()
    replies = [
        handler.answer(b"GET", f"{target}{number}".encode(), PUBLIC, None, False)
        for number in range(1, 4)
    ]
    handler.end()
    assert [b"too many requests" in one for one in replies] == [False, False, True]


def test_connections_of_proxies() -> None:
    """Only a proxy's connections are shared by clients: where none is named, every connection."""
    rig, named = Rig(), Proxies(["10.0.0.0/8"])
    for proxied, proxies, shared in (
        (False, named, [False, False]),
        (True, named, [True, False]),
        (True, Proxies(), [True, True]),
    ):
        handler = RequestHandler(rig.service, 0, proxied=proxied, proxies=proxies)
        assert [handler.behind_proxy(one) for one in (PRIVATE, PUBLIC)] == shared
