"""Writes and reads a snapshot: the image of a state in a file, so that a start need not replay
everything.

It is a cache: losing it costs time, and the addresses of peers whose announces were removed.
Blocking.

    header 160 (in format 1: 128) | table, 64 a section | sections, each at a multiple of 16 |
    SHA-256 of the rest | since format 2 the MAC of that SHA-256, and the CRC-32 of both

docs/log-format.md has the fields. The MAC is checked before anything of the file is believed,
because nobody else can have written it. The last checksum covers it, so that a MAC which a bad
sector changed is told from one that somebody made up. Addresses are encrypted under the keys of the
days they were announced on, so that shredding a day reaches every snapshot. Every byte is checked
before a state is made of the file.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import (
    FORMAT,
    HISTORY_BEGIN,
    NO_KEY,
    NOT_ENCRYPTED,
    NotAFileError,
    border,
    chain_of,
    create_file,
    open_file,
    sync_directory,
    write_all,
)
from tracker.domain import image
from tracker.store.tag_keys import ID_SIZE, MAC_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

MAGIC = b"\x89EVS\r\n\x1a\n"
SNAPSHOT, OPENING, PLACE = b"snapshot", b"opening", b"replay"
"""What a file is for. It is part of the MAC, so that none is taken for another: a snapshot in the
place of `PLACE` would end the daily replay before it has begun."""
SPARE_BYTES = 64 << 20
"""Free bytes that a snapshot must leave on the disk, because the log needs them more."""
OPENING_SPARE_BYTES = 8 << 20
"""Free bytes that an opening must leave. There are few, because removal is what makes space."""

_FORMAT_1 = Struct("<8sHHI16sQQ16sQI4x16s24xII")
_FORMAT_2 = Struct("<8sHHI16sQQ16sQ16s16s16s32sII")
_HEADER_SIZES = {1: 128, 2: 160}
_ROW = Struct("<32sQQIIQ")
_CRC = Struct("<I")
_SHA256 = 32
_FOOTERS = {1: _SHA256, 2: _SHA256 + MAC_SIZE + _CRC.size}
_ALIGN = 16
_AT_ONCE = 1 << 19  # bytes to read and hash together, while the processor has them at hand
_PLAIN = {1: 0, 2: NOT_ENCRYPTED}
"""What stands in the place of a day, by format, for a section that is not encrypted."""
_NO_KEY = bytes(ID_SIZE)


NO_MAC = "has no MAC"
OF_RETIRED_KEY = "was made with a server.key that is retired: nothing has to be done, another one takes its place"


class SnapshotError(Exception):
    """The file is no usable snapshot of this log; the text says why."""


class OtherSnapshotError(SnapshotError):
    """The snapshot is not for this reader, as one of another version; nothing is wrong with it."""


class ForgedSnapshotError(SnapshotError):
    """Its checksums are right, and the tracker did not write it for this log."""


class Position(NamedTuple):
    """Which log the state is of, and how far.

    The last frame before `seq` tells this history from any other.
    """

    log_id: bytes
    seq: int  # events applied: the number of the next one
    frame_seq: int  # base_seq of that frame
    chain: bytes  # its chain value


class Snapshot(NamedTuple):
    format: int
    position: Position
    time_us: int
    digest: bytes  # `Image.digest`
    plain: dict[str, image.Buffer]
    private: dict[tuple[int, str], bytes]  # sections that could be decrypted, by day and name
    history: bytes = HISTORY_BEGIN  # of an opening: the history digest before its event
    converted: bool = False  # made by earlier rules; `digest` is that of the newest

    def state(self) -> State:
        """Makes the state, which takes the large column over: for one call, the last one.

        Raises `SnapshotError`.
        """
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
    keys: Keyring,
    *,
    purpose: bytes = SNAPSHOT,
    history: bytes = HISTORY_BEGIN,
) -> int:
    """Writes the file, whole and durable or not at all. Returns its size in bytes.

    `history`: the history digest before the log's first event, in an opening. Only a snapshot has
    addresses, but not those of days whose keys are gone. Raises `SecretError`, `OSError`.
    """
    taken = image.dump(state, addresses=purpose == SNAPSHOT)
    nonce = os.urandom(16)
    sections = [_Section(name, NOT_ENCRYPTED, 0, data) for name, data in taken.plain.items()]
    for (day, name), data in taken.private.items():
        encrypted = keys.encrypt_section(day, nonce + name.encode(), data)
        if encrypted is not None:
            sections.append(_Section(name, day, encrypted.check, encrypted.data))
    size = sum(len(section.data) + _ALIGN + _ROW.size for section in sections)
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < size + (
        OPENING_SPARE_BYTES if purpose == OPENING else SPARE_BYTES
    ):
        raise OSError(errno.ENOSPC, "too little free space for this file", str(path))
    key_id = keys.tags.key_id
    pieces = _pieces(position, state.time_us, taken.digest(), nonce, key_id, history, sections)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        size = _write(temporary, pieces, partial(keys.tags.mac, purpose))
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return size


def _write(path: Path, pieces: Iterable[bytes], mac: Callable[[bytes], bytes]) -> int:
    """Writes the pieces and the footer, and syncs them. Returns the size in bytes."""
    descriptor = create_file(path)
    try:
        hasher, size = sha256(), 0
        for piece in pieces:
            hasher.update(piece)
            size = write_all(descriptor, [piece], size)
        footer = hasher.digest()
        footer += mac(footer)
        size = write_all(descriptor, [footer, _CRC.pack(crc32(footer))], size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _pieces(
    position: Position,
    time_us: int,
    digest: bytes,
    nonce: bytes,
    key_id: bytes,
    history: bytes,
    sections: list[_Section],
) -> Iterator[bytes]:
    offset = _HEADER_SIZES[FORMAT] + _ROW.size * len(sections)
    rows = []
    for name, day, check, data in sections:
        rows.append(_ROW.pack(name.encode(), offset, len(data), day, crc32(data), check))
        offset += len(data) + -len(data) % _ALIGN
    table = b"".join(rows)
    head = _FORMAT_2.pack(
        MAGIC, FORMAT, image.PROJECTOR, len(sections), position.log_id, position.seq, time_us, digest,
        position.frame_seq, position.chain, nonce, key_id, history, crc32(table), 0,
    )[:-4]  # fmt: skip
    yield head + _CRC.pack(crc32(head))
    yield table
    for section in sections:
        yield section.data
        yield bytes(-len(section.data) % _ALIGN)


def read(
    path: Path,
    log_id: bytes,
    keys: Keyring | None,
    *,
    purpose: bytes = SNAPSHOT,
    untagged: Callable[[int, str], None] = lambda _seq, _sha256: None,
) -> Snapshot:
    """Reads and checks a file that was written for this log and this purpose.

    Without `keys` only an opening is read, because an event holds its SHA-256. What was made by
    earlier rules is converted to today's. `untagged` judges a file of format 1, which has no MAC,
    by its position and its SHA-256, before anything else of it is believed.

    Raises `SnapshotError`; `OSError` when the file cannot be read.
    """
    try:
        file = open_file(path)
    except NotAFileError as error:
        raise SnapshotError(error.what) from None
    with file, border(SnapshotError, SnapshotError):
        return _parsed(_Pieces(file), log_id, keys, purpose, untagged)


class _Pieces:
    """Reads a file from its beginning, section by section, and hashes what it gives.

    The largest one becomes a part of the state as it is, because new memory for a copy of it would
    cost half of what its checks do.
    """

    def __init__(self, file: BufferedReader) -> None:
        self.left = os.fstat(file.fileno()).st_size  # bytes
        self.hasher = sha256()
        self._file = file

    def take(self, size: int) -> bytes:
        """Reads the next bytes; fewer where the file ends."""
        taken = self._file.read(max(0, size))
        self.hasher.update(taken)
        self.left -= len(taken)
        return taken

    def take_to_keep(self, size: int) -> bytearray:
        """Reads the next bytes, of which the file has as many. Raises `SnapshotError` where it lost
        them meanwhile."""
        taken = bytearray(size)
        view = memoryview(taken)
        for at in range(0, size, _AT_ONCE):
            piece = view[at : at + _AT_ONCE]
            if self._file.readinto(piece) < len(piece):
                raise SnapshotError("is incomplete")
            self.hasher.update(piece)
        self.left -= size
        return taken


class _Head(NamedTuple):
    format: int
    rules: int
    sections: int
    position: Position
    time_us: int
    digest: bytes
    nonce: bytes
    key_id: bytes
    history: bytes
    table_crc: int


def _parsed(
    file: _Pieces,
    log_id: bytes,
    keys: Keyring | None,
    purpose: bytes,
    untagged: Callable[[int, str], None],
) -> Snapshot:
    begun = file.take(_HEADER_SIZES[1])
    head = _head(begun, file)
    if not 0 < head.rules <= image.PROJECTOR:
        raise OtherSnapshotError(
            f"was made by rules {head.rules}, and this version's are {image.PROJECTOR}"
        )
    footer_size = _FOOTERS[head.format]
    table = file.take(min(_ROW.size * head.sections, file.left - footer_size))
    sections = list(_carved(head, table, file, footer_size))
    # Only where the table is not as the tracker writes it:
    while file.left > footer_size and file.take(min(_AT_ONCE, file.left - footer_size)):
        pass
    digest = file.hasher.digest()
    footer = file.take(footer_size)
    if digest != footer[:_SHA256]:
        raise SnapshotError("its SHA-256 does not match")
    if head.format > 1:
        mac, checksum = footer[_SHA256 : -_CRC.size], footer[-_CRC.size :]
        if checksum != _CRC.pack(crc32(footer[: -_CRC.size])):
            raise SnapshotError("the checksum of its MAC does not match")
        _check_mac(head.key_id, digest, mac, keys, purpose)
    elif purpose == PLACE:
        raise ForgedSnapshotError(f"{NO_MAC}, and no version wrote such a file without")
    else:
        untagged(head.position.seq, file.hasher.hexdigest())
    if head.position.log_id != log_id:
        raise (ForgedSnapshotError if head.format > 1 else SnapshotError)("is of another log")
    return _sections(head, table, sections, keys)


def _carved(
    head: _Head, table: bytes, file: _Pieces, footer_size: int
) -> Iterator[tuple[str, int, int, bytes | bytearray]]:
    """Yields name, day, key check and bytes of the sections, as long as each begins where the one
    before ends. Nothing was checked yet."""
    at = _HEADER_SIZES[head.format] + len(table)
    for label, offset, size, day, _, check in _ROW.iter_unpack(
        table[: len(table) // _ROW.size * _ROW.size]
    ):
        if not (at <= offset < at + _ALIGN and offset - at + size <= file.left - footer_size):
            return
        file.take(offset - at)
        name = label.rstrip(b"\0").decode(errors="replace")
        take = file.take_to_keep if name == image.ROWS else file.take
        yield name, day, check, take(size)
        at = offset + size


def _check_mac(
    key_id: bytes, digest: bytes, found: bytes, keys: Keyring | None, purpose: bytes
) -> None:
    if keys is None and purpose == OPENING:
        return
    if keys is None:
        raise OtherSnapshotError("has a MAC, which cannot be checked without the secrets")
    if purpose != OPENING and keys.tags.has(key_id) and key_id != keys.tags.key_id:
        raise OtherSnapshotError(OF_RETIRED_KEY)
    expected = keys.tags.mac_of(key_id, purpose, digest)
    if expected is None:
        raise ForgedSnapshotError(f"its MAC is {NO_KEY}")
    if not compare_digest(expected, found):
        raise ForgedSnapshotError(
            "its MAC does not match: these are not the bytes that the tracker wrote"
        )


def _sections(
    head: _Head,
    table: bytes,
    sections: list[tuple[str, int, int, bytes | bytearray]],
    keys: Keyring | None,
) -> Snapshot:
    if crc32(table) != head.table_crc or len(sections) != head.sections:
        raise SnapshotError("its table of sections is damaged")
    plain: dict[str, image.Buffer] = {}
    private: dict[tuple[int, str], bytes] = {}
    # The SHA-256 of the whole was compared, and covers more than the checksums of the sections.
    for name, day, check, section in sections:
        if day == _PLAIN[head.format]:
            plain[name] = section
        elif keys is not None:
            decrypted = keys.decrypt_section(day, head.nonce + name.encode(), check, section)
            if decrypted is not None:
                private[day, name] = decrypted
    found, converted = head.digest, head.rules != image.PROJECTOR
    if converted:
        plain = image.newest(head.rules, plain)
        copied = {**plain, image.ROWS: bytes(plain[image.ROWS])}
        found = image.dump(image.load(copied, {}), addresses=False).digest()
    return Snapshot(
        head.format, head.position, head.time_us, found, plain, private, head.history, converted
    )


def _head(head: bytes, file: _Pieces) -> _Head:
    """Reads the header, whose first bytes are given."""
    version = int.from_bytes(head[8:10], "little")
    head += file.take(_HEADER_SIZES.get(version, 0) - len(head))
    if len(head) < _HEADER_SIZES.get(version, _HEADER_SIZES[1]) or file.left < _SHA256:
        raise SnapshotError("is incomplete")
    if head[:8] != MAGIC or int.from_bytes(head[-4:], "little") != crc32(head[:-4]):
        raise SnapshotError("its header is damaged")
    if version not in _FOOTERS:
        raise OtherSnapshotError(f"is of format {version}, and this version's is {FORMAT}")
    unpacked = (_FORMAT_1 if version == 1 else _FORMAT_2).unpack(head)
    _, _, rules, sections, log_id, seq, time_us, digest, frame_seq, *rest = unpacked
    if version == 1:
        crc, nonce, table_crc, _ = rest
        chain, key_id, history = chain_of(crc), _NO_KEY, HISTORY_BEGIN
    else:
        chain, nonce, key_id, history, table_crc, _ = rest
    position = Position(log_id, seq, frame_seq, chain)
    return _Head(
        version, rules, sections, position, time_us, digest, nonce, key_id, history, table_crc
    )
