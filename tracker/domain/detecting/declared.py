"""Holds what a site declares to its detectors: shared networks, and lines that are faster."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

Rates = tuple[tuple[str, int], ...]
"""Bytes a second of accounts, by number, and of networks: `("7", 5_000_000_000)`."""


@frozen
class Declared:
    """What a site declares."""

    shared: tuple[str, ...] = ()
    """Networks that many people share, such as those of a VPN."""
    rates: Rates = ()


class NetworkSet:
    """Networks of any length."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [
            (len(one.network_address.packed), int(one.network_address), one.max_prefixlen - one.prefixlen)
            for one in map(ip_network, networks)
        ]  # fmt: skip

    def has(self, address: bytes) -> bool:
        """Tells whether an address of 4 or 16 bytes is in one of them."""
        number = int.from_bytes(address, "big") if self._networks else 0
        return any(
            length == len(address) and number >> host_bits == first >> host_bits
            for length, first, host_bits in self._networks
        )
