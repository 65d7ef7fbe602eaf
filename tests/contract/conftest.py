"""Runs one tracker for each mode, which all tests share, and gives each test an info hash."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import UdpClient, udp_client
from tests.e2e.process import Listeners, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = Listeners(("[::]:0",), ("[::]:0",))


def running(
    folder: Path, mode: str = "", listeners: Listeners | None = None, extra: str = ""
) -> Iterator[Tracker]:
    """Runs a tracker. `mode` names the switches of `[core]` that are on."""
    tracker = Tracker(folder, listeners, extra)
    tracker.switch_on(*mode.split())
    try:
        yield tracker.start()
    finally:
        tracker.close()


@pytest.fixture(scope="package")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    yield from running(tmp_path_factory.mktemp("public"))


@pytest.fixture(scope="package")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A public tracker for IPv4 and IPv6, on wildcard addresses."""
    yield from running(tmp_path_factory.mktemp("both"), listeners=BOTH)


@pytest.fixture(scope="package")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A public tracker behind reverse proxies, which are named on its second and third listener.

    Its fourth listener is for IPv6 alone. It gives at most three peers.
    """
    extra = "\n".join(
        (
            "net.on_reverse_proxy = true",
            "announce_policy.max_peers_per_announce = 3",
            '[[http_trackers]]\nbind_address = "127.0.0.1:0"',  # the first
            '[[http_trackers]]\nbind_address = "127.0.0.1:0"',
            'network.forwarded_header = "X-Real-IP"\nnetwork.trusted_proxies = ["127.0.0.1"]',
            '[[http_trackers]]\nbind_address = "127.0.0.1:0"',
            'network.forwarded_header = "forwarded"',
            'network.trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]',
            '[[http_trackers]]\nbind_address = "[::]:0"\nnetwork.ipv6_v6only = true',
        )
    )
    yield from running(
        tmp_path_factory.mktemp("proxied"), listeners=Listeners(http=()), extra=extra
    )


@pytest.fixture(scope="package")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    yield from running(tmp_path_factory.mktemp("listed"), "listed")


@pytest.fixture(scope="package")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A private tracker for IPv4 and IPv6."""
    yield from running(tmp_path_factory.mktemp("private"), "private", BOTH)


@pytest.fixture(scope="package")
def private_listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    yield from running(tmp_path_factory.mktemp("private_listed"), "private listed")


@pytest.fixture
def info_hash(request: pytest.FixtureRequest) -> bytes:
    """The info hash of a torrent that no other test uses."""
    return sha1(request.node.nodeid.encode(), usedforsecurity=False).digest()


@pytest.fixture
def client(public: Tracker) -> Iterator[UdpClient]:
    with udp_client(public.udp[0]) as found:
        yield found


@pytest.fixture
def stranger(public: Tracker, request: pytest.FixtureRequest) -> Iterator[UdpClient]:
    """A client at an address that no other test uses, so that its errors ban no other client."""
    one, two, three, *_ = sha1(request.node.nodeid.encode(), usedforsecurity=False).digest()
    with udp_client(public.udp[0], f"127.{one % 200 + 1}.{two}.{three % 200 + 1}") as found:
        yield found
