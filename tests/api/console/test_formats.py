"""Numbers, times and clients are written so that staff reads them at a glance."""

from __future__ import annotations

import pytest

from api.console import formats

NOW_US = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z


def test_values() -> None:
    for written, text in (
        (formats.size(None), "–"),
        (formats.size(0), "0 B"),
        (formats.size(999), "999 B"),
        (formats.size(1000), "0.98 KiB"),
        (formats.size(1 << 30), "1.00 GiB"),
        (formats.size((1 << 30) - 1), "1.00 GiB"),
        (formats.size(312 << 30), "312 GiB"),
        (formats.size(-(1536 << 20)), "−1.50 GiB"),
        (formats.size((1 << 64) - 1), "16.0 EiB"),
        (formats.signed_size(1536), "+1.50 KiB"),
        (formats.signed_size(0), "0 B"),
        (formats.exact_bytes(1), "1 byte"),
        (formats.exact_bytes(-1_610_612_736), "−1,610,612,736 bytes"),
        (formats.number(1_234_567), "1,234,567"),
        (formats.number(0.5), "0.5"),
        (formats.ratio(None), "–"),
        (formats.ratio(0.4), "0.400"),
        (formats.rate(1_258_291.2), "1.20 MiB/s"),
        (formats.percent(999, 1000), "99.9 %"),
        (formats.percent(9999, 10_000), "99.9 %"),
        (formats.percent(1, 1), "100 %"),
        (formats.percent(1, 0), "–"),
        (formats.span(0.4), "0 s"),
        (formats.span(59), "59 s"),
        (formats.span(3600), "1 h"),
        (formats.span(3725), "1 h 2 min"),
        (formats.span(-270_000), "−3 d 3 h"),
        (formats.age(None), "–"),
        (formats.age("2027-01-15T07:59:59.500000Z", NOW_US), "just now"),
        (formats.age("2027-01-15T07:59:00.000000Z", NOW_US), "1 minute ago"),
        (formats.age("2027-01-15T05:00:00.000000Z", NOW_US), "3 hours ago"),
        (formats.age("2027-01-17T08:00:00.000000Z", NOW_US), "in 2 days"),
        (formats.moment("2027-01-15T08:00:00.123456Z"), "2027-01-15 08:00:00"),
        (formats.clock("2027-01-15T08:00:00.123456Z"), "2027-01-15 08:00:00.123456 UTC"),
        (formats.microseconds("2027-01-15T08:00:00.000000Z"), NOW_US),
        (formats.short_hash("ab" * 20), "ababababab"),
        (formats.words("at_risk"), "at risk"),
    ):
        assert written == text


@pytest.mark.parametrize(
    ("peer_id", "user_agent", "text"),
    [
        ("-qB4630-", None, "qBittorrent 4.6.3"),
        ("-LT20B0-", None, "libtorrent (Rasterbar) 2.0.11"),
        ("-TR4050-", "Transmission/4.0.5", "Transmission 4.0.5"),
        ("-UT355S-", "uTorrent/355(111915298)(47124)", "uTorrent 355"),
        (None, "qBittorrent v5.0.1", "qBittorrent 5.0.1"),
        (b"-qB4630-anna00000001".hex(), None, "qBittorrent 4.6.3"),
        ("S58B----", None, "Shad0w"),
        ("xy", None, "xy"),
        (None, None, "–"),
        (None, "<script>" * 9, "<script>" * 5 + "…"),
    ],
)
def test_a_client_in_words(peer_id: str | None, user_agent: str | None, text: str) -> None:
    assert formats.client(peer_id, user_agent) == text
