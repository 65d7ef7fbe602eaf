"""Client names from peer ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.wire import clients
from tracker.wire.clients import client_name


@pytest.mark.parametrize(
    ("peer_id", "name"),
    [
        # dash, two characters, four of version, dash
        (b"-qB0000-000000000000", "qBittorrent"),
        (b"-qB4520-d!)-Q0VIuoRb", "qBittorrent"),
        (b"-TR3000-n4e0s0e4ggqz", "Transmission"),
        (b"-TR404Z-*\x00\x01d7xkqq04n", "Transmission"),
        (b"-LT2080-UlBU6za(w3.w", "libtorrent (Rasterbar)"),
        (b"-lt0D80-\xa8\xc9\x08u\xfd\x1a5\xec\xf7\xa4g\xa1", "libTorrent (Rakshasa) / rTorrent"),
        (b"-DE203s-~rKfBcRj7Qd1", "Deluge"),
        (b"-WW0109-K7C5KHosSRoz", "WebTorrent"),
        (b"-CD0303-lq8\x87\xb1\x8e\xe5\xc7\x5c\x94\x16\xdb", "Enhanced CTorrent"),
        (b"-AZ5770-abcdefghijkl", "Vuze"),
        (b"-UT3550-abcdefghijkl", "µTorrent"),
        (b"-UW1100-abcdefghijkl", "µTorrent Web"),
        (b"-BI3310-abcdefghijkl", "BiglyBT"),
        (b"-S~2400-abcdefghijkl", "Shareaza alpha/beta"),
        (b"-A21360-abcdefghijkl", "aria2"),
        # the same without the closing dash, which a few clients never send
        (b"-KT33D1R5abcdefghijk", "KTorrent"),
        (b"-UT170-8abcdefghijkl", "µTorrent"),
        (b"-qB00000000000000001", None),
        # conventions of their own
        (b"A2-1-36-0-\x19\xc4,\xf8h\xf1[\x0adK", "aria2"),
        (b"-aria2-abcdefghijklm", "aria2"),
        (b"-BOWA0C-abcdefghijkl", "BitsOnWheels"),
        (b"TIX0193-i4c7h3i8a1j1", "Tixati"),
        (b"exbc\x08\x59abcdefghijklmn", "BitComet"),
        (b"exbc\x01\x07LORDabcdefghij", "BitLord"),
        (b"S3-1-0-0--0123456789", "Amazon AWS S3"),
        # a letter, a version, dashes
        (b"T03I-----abcdefghijk", "BitTornado"),
        (b"T-----abcdefghijklmn", "BitTornado"),
        (b"A310--001v5Gysr4NxNK", "ABC"),
        (b"T0-2--abcdefghijklmn", None),
        (b"T0!---abcdefghijklmn", None),
        (b"X03I-----abcdefghijk", None),
        # a letter and numbers with dashes
        (b"M7-10-2--abcdefghijk", "Mainline"),
        (b"M4-3-6--abcdefghijkl", "Mainline"),
        (b"Q1-23-0-abcdefghijkl", "Queen Bee"),
        (b"Mx-10-2--abcdefghijk", None),
        # no known convention
        (b"-??0000-abcdefghijkl", None),
        (b"abcdefghijklmnopqrst", None),
        (bytes(20), None),
        (b"\xff" * 20, None),
        (b"-qB0000-", None),
        (b"-qB0000-0000000000000", None),
        (b"", None),
    ],
)
def test_names(peer_id: bytes, name: str | None) -> None:
    """Known conventions give the name, anything else gives none."""
    assert client_name(peer_id) == name


def test_names_fit_a_record() -> None:
    """Every name there is has a place in the log, which has 32 bytes for it."""
    tables = (clients._AZUREUS, clients._SHADOW, clients._PREFIXES, clients._MAINLINE)
    assert max(len(name.encode()) for table in tables for name in table.values()) <= 32


@given(st.binary(max_size=24) | st.binary(min_size=19, max_size=19).map(lambda end: b"-" + end))
def test_any_bytes(peer_id: bytes) -> None:
    """No bytes make it fail, and a name is never empty."""
    assert client_name(peer_id) != ""
