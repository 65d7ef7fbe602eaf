"""`tracker swarm` takes a torrent by its info hash, the beginning of it, or its label."""

from __future__ import annotations

import pytest

from tests.support import Announce, Rig, endpoint4
from tracker.cli.moment_options import torrent_named
from tracker.cli.output import CannotError
from tracker.domain.events.admin import TorrentDescribed

HASHES = [bytes.fromhex(head) + bytes(18) for head in ("abcd", "abce", "1234")]


def test_names() -> None:
    rig = Rig()
    rig.announce(*(Announce(each, endpoint4(1)) for each in HASHES[:2]))
    rig.service.append(TorrentDescribed(HASHES[0], "Debian 13"))
    rig.service.append(TorrentDescribed(HASHES[2], "abce"))
    for text, named in (
        (HASHES[1].hex().upper(), HASHES[1]), ("ff" * 20, b"\xff" * 20), ("Debian 13", HASHES[0]),
        ("ABCD", HASHES[0]), ("abce", HASHES[2]), ("1234", HASHES[2]),
    ):  # fmt: skip
        assert torrent_named(rig.state, text) == named
    rig.service.append(TorrentDescribed(HASHES[1], "Debian 13"))
    for text, why in (
        ("Debian 13", "2 torrents are called Debian 13: give an info hash, abcd"),
        ("Debian", "no torrent has the label Debian, or an info hash that begins so"),
        ("12", "no torrent has the label 12,"),
    ):
        with pytest.raises(CannotError, match=why):
            torrent_named(rig.state, text)
