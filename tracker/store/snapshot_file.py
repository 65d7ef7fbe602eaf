"""Writes and reads a snapshot: the image of a state in a file, so that a start need not replay
everything.

It is a cache: losing it costs time, and the addresses of peers whose announces were removed.
Blocking.

    header 128 | table, 64 a section | sections, each at a multiple of 16 | SHA-256 of the rest

docs/log-format.md has the fields. Addresses are encrypted under the keys of the days they were
announced on, so that shredding a day reaches every snapshot. Every byte is checked before a state
is made of the file.
"""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import FORMAT, NotAFileError, border, read_file, sync_directory, write_all
from tracker.domain import image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

MAGIC = b"\x89EVS\r\n\x1a\n"
SPARE_BYTES = 64 << 20
"""Free bytes that a snapshot must leave on the disk, because the log needs them more."""

_HEADER = Struct("<8sHHI16sQQ16sQI4x16s24xII")
_ROW = Struct("<32sQQIIQ")
_CRC = Struct("<I")
_FOOTER = 32
_ALIGN = 16
_PLAIN = 0  # in the place of a day, for a section that is not encrypted


class SnapshotError(Exception):
    """The file is no usable snapshot of this log; the text says why."""


class OtherSnapshotError(SnapshotError):
    """Another version made the snapshot; nothing is wrong with it."""


class Position(NamedTuple):
    """Which log the state is of, and how far.

    The last frame before `seq` tells this history from any other.
    """

    log_id: bytes
    seq: int  # events applied: the number of the next one
    frame_seq: int  # base_seq of that frame
    frame_crc: int  # its header_crc


class Snapshot(NamedTuple):
    position: Position
    time_us: int
    digest: bytes  # `Image.digest`
    plain: dict[str, image.Buffer]
    private: dict[tuple[int, str], bytes]  # sections that could be decrypted, by day and name

    def state(self) -> State:
        """Raises `SnapshotError`."""
        with border(SnapshotError):
            state = image.load(self.plain, self.private)
        if state.seq != self.position.seq:
            raise SnapshotError(f"holds the state before event {state.seq}")
        return state


class _Section(NamedTuple):
    name: str
    day: int
    check: int
    data: bytes


def write(
    path: Path,
    position: Position,
    state: State,
    keys: Keyring | None,
    *,
    spare: int | None = None,
) -> int:
    """Writes the file, whole and durable or not at all. Returns its size in bytes.

    `spare`: free bytes to leave on the disk; None = `SPARE_BYTES`. Addresses are left out without
    `keys`, and for days whose keys are gone. Raises `OSError`.
    """
    taken = image.dump(state, addresses=keys is not None)
    nonce = os.urandom(16)
    sections = [_Section(name, _PLAIN, 0, data) for name, data in taken.plain.items()]
    for (day, name), data in taken.private.items():
        encrypted = keys.encrypt_section(day, nonce + name.encode(), data) if keys else None
        if encrypted is not None:
            sections.append(_Section(name, day, encrypted.check, encrypted.data))
    size = sum(len(section.data) + _ALIGN + _ROW.size for section in sections)
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < size + (SPARE_BYTES if spare is None else spare):
        raise OSError(errno.ENOSPC, "too little free space for this file", str(path))
    pieces = _pieces(position, state.time_us, taken.digest(), nonce, sections)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        size = _write(temporary, pieces)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return size


def _write(path: Path, pieces: Iterable[bytes]) -> int:
    """Writes the pieces and their SHA-256, and syncs them. Returns the size in bytes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        hasher, size = sha256(), 0
        for piece in pieces:
            hasher.update(piece)
            size = write_all(descriptor, [piece], size)
        size = write_all(descriptor, [hasher.digest()], size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _pieces(
    position: Position, time_us: int, digest: bytes, nonce: bytes, sections: list[_Section]
) -> Iterator[bytes]:
    offset = _HEADER.size + _ROW.size * len(sections)
    rows = []
    for name, day, check, data in sections:
        rows.append(_ROW.pack(name.encode(), offset, len(data), day, crc32(data), check))
        offset += len(data) + -len(data) % _ALIGN
    table = b"".join(rows)
    head = _HEADER.pack(
        MAGIC, FORMAT, image.PROJECTOR, len(sections), position.log_id, position.seq, time_us, digest,
        position.frame_seq, position.frame_crc, nonce, crc32(table), 0,
    )[:-4]  # fmt: skip
    yield head + _CRC.pack(crc32(head))
    yield table
    for section in sections:
        yield section.data
        yield bytes(-len(section.data) % _ALIGN)


def read(path: Path, log_id: bytes, keys: Keyring | None, *, older: bool = False) -> Snapshot:
    """Reads and checks a snapshot of this log.

    With `older` it also reads one made by earlier rules, and converts it to today's.

    Raises `SnapshotError`; `OSError` when the file cannot be read.
    """
    try:
        data = memoryview(read_file(path))
    except NotAFileError as error:
        raise SnapshotError(error.what) from None
    with border(SnapshotError, SnapshotError):
        return _parsed(data, log_id, keys, older=older)


def _parsed(data: memoryview, log_id: bytes, keys: Keyring | None, *, older: bool) -> Snapshot:
    rules, nonce, digest, time_us, position, table = _header(data)
    if rules != image.PROJECTOR and not (older and 0 < rules < image.PROJECTOR):
        raise OtherSnapshotError(
            f"was made by rules {rules}, and this version's are {image.PROJECTOR}"
        )
    if position.log_id != log_id:
        raise SnapshotError("is of another log")
    body, footer = data[:-_FOOTER], data[-_FOOTER:]
    if sha256(body).digest() != footer:
        raise SnapshotError("its SHA-256 does not match")
    plain: dict[str, image.Buffer] = {}
    private: dict[tuple[int, str], bytes] = {}
    for label, offset, size, day, crc, check in _ROW.iter_unpack(table):
        name = label.rstrip(b"\0").decode()
        section = body[offset : offset + size]
        if len(section) != size or crc32(section) != crc:
            raise SnapshotError(f"the checksum of its section {name} does not match")
        if day == _PLAIN:
            plain[name] = section
        elif keys is not None:
            decrypted = keys.decrypt_section(day, nonce + name.encode(), check, section)
            if decrypted is not None:
                private[day, name] = decrypted
    plain = image.newest(rules, plain)
    return Snapshot(position, time_us, digest, plain, private)


def _header(data: memoryview) -> tuple[int, bytes, bytes, int, Position, memoryview]:
    if len(data) < _HEADER.size + _FOOTER:
        raise SnapshotError("is incomplete")
    (
        magic, version, rules, sections, log_id, seq, time_us, digest, frame_seq, frame_crc, nonce,
        table_crc, crc,
    ) = _HEADER.unpack(data[: _HEADER.size])  # fmt: skip
    if magic != MAGIC or crc != crc32(data[: _HEADER.size - 4]):
        raise SnapshotError("its header is damaged")
    if version != FORMAT:
        raise OtherSnapshotError(f"is of format {version}, and this version's is {FORMAT}")
    table = data[_HEADER.size : _HEADER.size + _ROW.size * sections]
    if crc32(table) != table_crc:
        raise SnapshotError("its table of sections is damaged")
    return rules, nonce, digest, time_us, Position(log_id, seq, frame_seq, frame_crc), table
