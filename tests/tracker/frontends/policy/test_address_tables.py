"""The tables that count requests and errors by address are bounded, and count IPv6 by /64."""

from __future__ import annotations

from tests.support import SECOND
from tracker.service.rate_limits import MOST, Bans, Rate, Table


def test_tables_are_bounded() -> None:
    """A flood of addresses leaves the table bounded, and time empties it."""
    table = Table(60)
    for number in range(MOST + 100):
        assert table.add(number.to_bytes(4, "big"), 0) == 0
    assert len(table) == 100
    assert table.count(bytes(4), 60 * SECOND) == len(table) == 0


def test_ipv6_addresses_of_one_64_count_together() -> None:
    """Addresses of one /64 are one source, and the next /64 is another."""
    rate, bans = Rate(2), Bans(1, 60)
    one, same, other = (bytes.fromhex(text) for text in ("20010db8" + "0" * 24, "20010db8" + "0" * 8 + "f" * 16, "20010db800000001" + "0" * 16))  # fmt: skip
    assert [rate.allows(each, 0) for each in (one, same, one, other)] == [
        True,
        True,
        False,
        True,
    ]
    for address in (one, same):
        bans.add_error(address, 0)
    assert [bans.banned(each, 0) for each in (one, same, other)] == [True, True, False]
