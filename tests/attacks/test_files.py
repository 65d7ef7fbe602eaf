"""An insider without secrets forges files beside the segments, or brings those of another log."""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from eventlog import LogCorruptError
from tests.attacks.support import (
    Files,
    check_accepted,
    check_refused,
    pack_frame,
    tags_of,
    with_crc,
)
from tests.independent_reader.read_log import parse_frame
from tests.nonsense.forging import drop, image_of, taken_apart
from tests.nonsense.whole import no_progress, put, refusal, whole
from tests.support import hash_of
from tracker.ledger.account import Ledger
from tracker.ledger.walk import Decryption, Walk
from tracker.store import snapshot_file, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.store.snapshot_file import SnapshotError
from tracker.upkeep.replaying_process import Pace, _went_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEPT, SEGMENT = 64, 192  # bytes of the headers in a file of kept frames


def newest(files: Files, end: str) -> str:
    """Returns the name of the newest file of a kind."""
    return max(name for name in files if name.endswith(end))


def other_log() -> Files:
    """Returns the files of another tracker."""
    return whole.__wrapped__(pruned=True)


def whitelisted(files: Files, end: str) -> Files:
    """Puts a torrent on the whitelist through an image, without the key of its MAC."""
    name = newest(files, end)
    fields, rows, columns = taken_apart(files[name])
    at = next(place for place, row in enumerate(rows) if row[0].startswith(b"whitelist\0"))
    columns[at] += hash_of(99)
    return {name: image_of(files, name, fields, rows, columns, mac=files[name][-36:-4])}


def of_another_log(files: Files, end: str) -> Files:
    """Makes an image of another log of this server, whose MAC is right."""
    name = newest(files, end)
    fields, rows, columns = taken_apart(files[name])
    fields[4] = bytes(16)
    return {name: image_of(files, name, fields, rows, columns)}


def foreign(files: Files, end: str) -> Files:
    other = other_log()
    return {newest(files, end): other[newest(other, end)]}


def kept(files: Files, change: Callable[[bytes, bytes], bytes]) -> Files:
    """Changes what follows the header in the newest file of kept frames."""
    name = newest(files, ".evk")
    data = files[name]
    log_id = data[16:32]
    body = change(data[KEPT:], log_id)
    head = with_crc(data[:48] + len(body).to_bytes(8, "little") + data[56:60])
    return {name: head + body}


def other_words(body: bytes, log_id: bytes) -> bytes:
    one = parse_frame(body[SEGMENT:], crc32(log_id))
    changed = one._replace(plain=one.plain.replace(b"info_hash", b"INFO_HASH"))
    assert changed != one
    return body[:SEGMENT] + pack_frame(changed, log_id)[0] + body[SEGMENT + one.header.size :]


def without_one(body: bytes, log_id: bytes) -> bytes:
    one = parse_frame(body[SEGMENT:], crc32(log_id))
    return body[:SEGMENT] + body[SEGMENT + one.header.size :]


def without_tag(body: bytes, log_id: bytes) -> bytes:
    one = parse_frame(body[SEGMENT:], crc32(log_id))
    changed = one._replace(header=one.header._replace(format=1))
    return pack_frame(changed, log_id)[0] + body


def booked(files: Files) -> Files:
    """Gives a member more in the book that the log names, in its newest part."""
    name = newest(files, ".part")
    data = bytearray(files[name])
    data[32 + 44] ^= 64  # bytes uploaded in the first row
    return {name: bytes(data)}


def listed(files: Files, change: Callable[[bytes], bytes]) -> Files:
    name = newest(files, ".named")
    return {name: change(files[name])}


ATTACKS: dict[str, Callable[[Files], Files]] = {
    "a snapshot": lambda files: whitelisted(files, ".snap"),
    "a snapshot of another log": lambda files: of_another_log(files, ".snap"),
    "a snapshot without MAC": lambda files: without_mac(files, ".snap"),
    "a foreign snapshot": lambda files: foreign(files, ".snap"),
    "an opening": lambda files: whitelisted(files, ".opening"),
    "an opening of another log": lambda files: of_another_log(files, ".opening"),
    "an opening without MAC": lambda files: without_mac(files, ".opening"),
    "a foreign opening": lambda files: foreign(files, ".opening"),
    "kept words": lambda files: kept(files, other_words),
    "kept, one dropped": lambda files: kept(files, without_one),
    "kept, one without a tag": lambda files: kept(files, without_tag),
    "foreign kept frames": lambda files: foreign(files, ".evk"),
    "a part of the book": booked,
    "a list of the book": lambda files: listed(
        files, lambda data: data.replace(b'"upto": ', b'"upto":  ')
    ),
    "an empty book": lambda files: listed(files, lambda _: b""),
    "a foreign book": lambda files: foreign(files, ".named"),
}


def test_what_was_not_changed_is_accepted(tmp_path: Path) -> None:
    """The site of the attacks is whole."""
    check_accepted(tmp_path / "site", whole(pruned=True))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forged_file(tmp_path: Path, name: str) -> None:
    """`verify` finds damage, and a start ends with exit code 3, with and without a snapshot that
    would do without the file."""
    files = whole(pruned=True)
    forged = files | ATTACKS[name](files)
    check_refused(tmp_path / "site", forged)
    if "snapshot" not in name:
        drop(forged, ".snap")
        check_refused(tmp_path / "site", forged)


def test_readers_with_other_secrets(tmp_path: Path) -> None:
    """They are told to use the right secrets, and not to remove what those vouch for."""
    files = whole(pruned=True) | {"secrets/server.key": bytes(32)}
    for _ in range(2):
        put(tmp_path / "site", files)
        keys = Keyring(tmp_path / "site/secrets")
        with pytest.raises(LogCorruptError, match=r"; restore server\.key"):
            ForwardReplay(tmp_path / "site/log", no_progress, keys).at(None)
        drop(files, ".snap")


@pytest.mark.parametrize("attack", [None, whitelisted, foreign])
def test_an_opening_without_secrets(
    tmp_path: Path, attack: Callable[[Files, str], Files] | None
) -> None:
    """Readers without the key of its MAC compare it with what the log says."""
    files = dict(whole(pruned=True))
    if attack is not None:
        files |= attack(files, ".opening")
    put(tmp_path / "site", files)
    log = tmp_path / "site/log"
    walk = Walk(log, Decryption(log, None))
    for read in (
        lambda: ForwardReplay(log, no_progress).at(None),
        lambda: list(walk.tell(Ledger(1, None, walk._decrypt))),
    ):
        with nullcontext() if attack is None else pytest.raises(LogCorruptError, match="opening"):
            read()


def without_mac(files: Files, end: str) -> Files:
    """Writes an image as format 1 had it, without a MAC, with a torrent more on the whitelist."""
    name = newest(files, end)
    fields, rows, columns = taken_apart(files[name])
    at = next(place for place, row in enumerate(rows) if row[0].startswith(b"whitelist\0"))
    columns[at] += hash_of(99)
    for row in rows:
        row[3] = 0 if row[3] == 0xFFFF_FFFF else row[3]
    made = bytearray(image_of(files, name, fields, rows, columns)[:-68])
    magic, _, *others = fields
    head = snapshot_file._FORMAT_1.pack(
        magic, 1, *others[:7], int.from_bytes(fields[9][:4], "little"), fields[10], 0, 0
    )
    made[:128] = with_crc(
        head[:120] + crc32(made[128 : 128 + 64 * len(rows)]).to_bytes(4, "little")
    )
    return {name: bytes(made) + sha256(made).digest()}


def test_a_snapshot_of_format_1_from_before_the_tags(tmp_path: Path) -> None:
    """The version before may have left it, so a start passes over it, and `verify` finds what it
    says. It is no place of the daily replay either, whatever it says."""
    files = dict(whole(pruned=True))
    (forged,) = without_mac(files, ".snap").values()
    drop(files, ".snap")
    first = int(newest(files, ".opening")[-28:-8])
    early = bytearray(forged[:-32])
    early[32:40] = first.to_bytes(8, "little")
    early[:128] = with_crc(bytes(early[:124]))
    before = f"log/snap/{first:020d}.snap"
    files |= {before: bytes(early) + sha256(early).digest()}
    put(tmp_path / "site", files)
    told: list[str] = []
    keys = Keyring(tmp_path / "site/secrets")
    with pytest.raises(SnapshotError, match="has no MAC, and the first event"):
        snapshots.read(tmp_path / "site/log", tmp_path / "site" / before, keys)
    state, _ = snapshots.start(tmp_path / "site/log", keys, refused=told.append)
    assert "has no MAC" in told[0]
    assert hash_of(99) not in state.access.whitelist
    assert refusal(tmp_path / "site") is None

    put(tmp_path / "site", files | {"log/snap/replay.place": forged})
    assert _went_on(tmp_path / "site/log", keys, Pace(0)) is None


def test_tags_are_of_the_site() -> None:
    """Another tracker has another key, so the foreign files above are foreign."""
    assert tags_of(other_log()).key_id != tags_of(whole(pruned=True)).key_id
