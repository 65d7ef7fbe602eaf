"""Writes and reads the index of frames: for each sealed segment, which frames have which kind,
which keys and which torrents, so that a reader of one account or torrent passes over all others.
It also has how often announces were refused, because a site has a hundred thousand refusals a day,
most of them in a frame alone.

    <log>/frames/<base_seq>.<epoch>.<format>.index   a line of JSON, then arrays, little-endian

    offsets   4 bytes a frame      where it begins in the segment
    firsts    8 bytes a frame      its first event
    lasts     8 bytes a frame      log time of its last record, microseconds
    kinds     1 byte a frame       its kind; 0 = whoever reads the log needs it
    admin     12 bytes each        of frames of admin events: number of the frame, type, how many
    keys      4 bytes a key        `key_ref` of announces and refusals, ascending
    starts    4 bytes a key + 4    where its frames begin in the next array
    places    2 or 4 bytes each    numbers of frames, ascending for each key
    torrents, starts, places       the same by the first 4 bytes of info hashes
    refused   40 bytes each        info hash, `key_ref`, label of the reason, how often, date of the
                                   last one

The MAC in the JSON covers it, the arrays up to `admin`, the log's id and the seal of the segment.
The JSON has the SHA-256 of the arrays after them, so a reader by kinds and times leaves those out:
they are most of the file. A reader that trusts the index passes over frames without a look at them.
Each file can be deleted at any time: readers then read all frames, and the follower writes it
again, as it does with a damaged one. Blocking.
"""

from __future__ import annotations

import json
import os
import re
import sys
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from hashlib import sha256
from hmac import compare_digest
from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, Any

from attrs import astuple, frozen

from eventlog import (
    LogError,
    begin_of,
    border,
    make_folder,
    open_file,
    parse_json,
    placed_frames,
    read_identity,
    seal_path,
    segments_of,
    trusted_mac,
    write_new,
)
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.records import AnnounceRefused
from tracker.store.frames import current, known, newest
from tracker.store.snapshot_file import SPARE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from eventlog import End, Frame
    from tracker.store.address_keys import Keyring

FOLDER = "frames"
FORMAT = 3
NEEDED = 0
"""In the place of a kind: the records are of an older schema, so nobody may pass over the frame."""
_OURS = re.compile(r"[0-9]{20}\.[0-9]{10}(\.[0-9]+)?\.index(\.tmp)?")
_PURPOSE = b"frames"
_COUNTS = "frames", "admin", "keys", "places", "torrents", "torrent_places"
"""How long arrays are, as the JSON says it."""
_FRAME_BYTES = 4 + 8 + 8 + 1  # of a frame in the arrays before `admin`
_ADMIN_BYTES = 12
_LONGEST_LINE = 1 << 16
_WORDS = {events.ANNOUNCE: (60 // 4, 8 // 4), AnnounceRefused.kind: (8 // 4, 16 // 4)}
"""Where `key_ref` and the info hash begin in a record, in words, by its kind."""
PLACED = frozenset(_WORDS)
"""The kinds of frames that are found by keys and torrents."""
_REFUSED = Struct("<20sIIIQ")
_MOST_BYTES = 1 << 32  # of a segment, because offsets have 4 bytes
_MOST_SHORT = 1 << 16  # frames that 2 bytes can number


class FrameIndexError(Exception):
    """A file is no usable index of its segment."""


@frozen
class _Places:
    """The frames of each number, packed."""

    numbers: array[int]
    starts: array[int]
    frames: array[int]

    @classmethod
    def of(cls, frames_of: Mapping[int, list[int]], frames: int) -> _Places:
        numbers = array("I", sorted(frames_of))
        starts, places = array("I", [0]), array("H" if frames <= _MOST_SHORT else "I")
        for number in numbers:
            places.extend(frames_of[number])
            starts.append(len(places))
        return cls(numbers, starts, places)

    def __getitem__(self, number: int) -> array[int]:
        at = bisect_left(self.numbers, number)
        if at == len(self.numbers) or self.numbers[at] != number:
            return self.frames[:0]
        return self.frames[self.starts[at] : self.starts[at + 1]]


class _PlacesSoFar:
    """The same of the first frames of a segment, while more of them are found."""

    def __init__(self, frames_of: Mapping[int, list[int]], frames: int) -> None:
        self._frames_of, self._frames = frames_of, frames

    def __getitem__(self, number: int) -> list[int]:
        found = self._frames_of.get(number, [])
        return found[: bisect_left(found, self._frames)]


@frozen
class FrameIndex:
    """The index of a segment, or of its first frames."""

    offsets: array[int]
    firsts: array[int]
    lasts: array[int]
    kinds: array[int]
    types: Mapping[int, Sequence[tuple[int, int]]]
    """Of frames of admin events by number: types of events, and how many there are of each."""
    lead_us: tuple[int, int]
    """The least and the greatest lead of a frame, in microseconds."""
    offset: int
    """The byte after the frames."""
    place: End
    """Where they end: the event after them, and the chain value of the last one."""
    places: tuple[_Places, _Places] | tuple[_PlacesSoFar, _PlacesSoFar] | None
    """By keys, and by torrents; None = they were not asked for."""
    refusals: bytes | None = None  # None = they are not counted
    refused_us: tuple[int, int] = (0, 0)
    """The first and the last date of a refusal; 0 = there is none."""

    @classmethod
    def packed(
        cls, head: dict[str, Any], first: bytes, rest: bytes | None, after: tuple[int, End]
    ) -> FrameIndex:
        """Reads what `_packed` made. `after`: the byte after the segment's frames, and their end.

        `rest`: the arrays by keys and torrents, and refusals; None = they are not asked for.

        Raises `FrameIndexError`, `ValueError`.
        """
        frames, admin, keys, places, torrents, torrent_places = (
            int(head[name]) for name in _COUNTS
        )
        found, _ = _arrays(first, "IQQBI", [*[frames] * 4, 3 * admin])
        offsets, firsts, lasts, kinds, triples = found
        types: dict[int, list[tuple[int, int]]] = {}
        for number, kind, count in zip(triples[::3], triples[1::3], triples[2::3], strict=True):
            types.setdefault(number, []).append((kind, count))
        by_name = refusals = None
        if rest is not None:
            short = "H" if frames <= _MOST_SHORT else "I"
            lengths = [keys, keys + 1, places, torrents, torrents + 1, torrent_places]
            found, refusals = _arrays(rest, f"II{short}" * 2, lengths)
            if len(refusals) != _REFUSED.size * int(head["refused"]):
                raise FrameIndexError("it has another length than it says")
            by_name = _Places(*found[:3]), _Places(*found[3:])
        first_us, last_us = map(int, head["refused_us"])
        least_us, most_us = map(int, head["lead_us"])
        lead_us, refused_us = (least_us, most_us), (first_us, last_us)
        if frames and int(head["end"]) != after[1][0]:
            raise FrameIndexError("it ends elsewhere than its segment")
        return cls(
            offsets, firsts, lasts, kinds, types, lead_us, *after, by_name, refusals, refused_us
        )  # fmt: skip

    @property
    def first(self) -> int:
        return self.firsts[0] if self.firsts else 0

    @property
    def end(self) -> int:
        """The event after the frames."""
        return self.place[0]

    def next_seq(self, number: int) -> int:
        """Returns the event after a frame."""
        return self.firsts[number + 1] if number + 1 < len(self.firsts) else self.end

    def refused(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        """Yields info hash, `key_ref`, label of the reason, times and last date of refusals."""
        return _REFUSED.iter_unpack(self.refusals or b"")

    def with_key(self, key_ref: int) -> Sequence[int]:
        """Returns the numbers of the frames in which a key announces or is refused."""
        assert self.places is not None  # noqa: S101  # for mypy: they were asked for
        return self.places[0][key_ref]

    def with_torrent(self, info_hash: bytes) -> Sequence[int]:
        """Returns the numbers of the frames that have a torrent in announces or refusals, and of
        those that have another one with the same beginning.
        """
        assert self.places is not None  # noqa: S101  # as above
        return self.places[1][int.from_bytes(info_hash[:4], "little")]


def _arrays(data: bytes, codes: str, lengths: list[int]) -> tuple[list[array[int]], bytes]:
    """Reads arrays by their codes and lengths. Returns them, and the bytes after them."""
    at, found = 0, []
    for code, count in zip(codes, lengths, strict=True):
        numbers = array(code)
        size = numbers.itemsize * count
        numbers.frombytes(data[at : at + size])
        if len(numbers) != count:
            raise FrameIndexError("it is shorter than it says")
        if sys.byteorder == "big":
            numbers.byteswap()
        found.append(numbers)
        at += size
    return found, data[at:]


def index_path(segment: Path) -> Path:
    return segment.parent.parent / FOLDER / f"{segment.stem}.{FORMAT}.index"


def read(
    segment: Path, following: Path, keys: Keyring | None, *, whole: bool = True
) -> FrameIndex | None:
    """Reads the index of a finished segment; None = all of the segment must be read, because there
    is no index that fits, or nobody can tell without `keys`.

    `whole`: also what it has by keys and torrents, and refusals. Raises `FileNotFoundError` where a
    segment was removed, `OSError`.
    """
    if keys is None:
        return None
    path = index_path(segment)
    if not path.is_file():
        return None
    try:
        with border(FrameIndexError, FrameIndexError):
            return _read(path, segment, following, keys, whole=whole)
    except (FrameIndexError, LogError):
        return None


def _read(path: Path, segment: Path, following: Path, keys: Keyring, *, whole: bool) -> FrameIndex:
    try:
        with open_file(path) as file:
            head: Any = parse_json(file.readline(_LONGEST_LINE))
            size = _FRAME_BYTES * int(head["frames"]) + _ADMIN_BYTES * int(head["admin"])
            if not 0 <= size <= path.stat().st_size:
                raise FrameIndexError("it is shorter than it says")
            first, rest = file.read(size), file.read() if whole else None
    except OSError as error:
        raise FrameIndexError(str(error)) from None
    mac = bytes.fromhex(head.pop("mac"))
    signed = _signed(read_identity(segment.parent.parent), segment, head, first)
    expected = keys.mac_of(bytes.fromhex(head["key"]), _PURPOSE, signed)
    if expected is None or not compare_digest(expected, mac):
        raise FrameIndexError("its MAC does not match")
    if head["format"] != FORMAT or head["seal"] != trusted_mac(segment, following, keys):
        raise FrameIndexError("it is of another format, or of another segment")
    if rest is not None and sha256(rest).hexdigest() != head["rest"]:
        raise FrameIndexError("the SHA-256 of its last arrays does not match")
    after = segment.stat().st_size, begin_of(following)
    return FrameIndex.packed(head, first, rest, after)


def _signed(log_id: bytes, segment: Path, head: dict[str, Any], first: bytes) -> bytes:
    hasher = sha256(log_id + segment.stem.encode() + json.dumps(head).encode() + b"\n")
    hasher.update(first)
    return hasher.digest()


def remove_damaged(log: Path, keys: Keyring, turn: int) -> Path | None:
    """Looks at one index and removes it if it does not fit its segment, so that `write_next` writes
    it again. Returns it then. `turn`: a number that rises; the indexes take turns.

    Raises `LogError`, `SecretError`, `OSError`.
    """
    pairs = list(pairwise(segments_of(log)))
    if not pairs:
        return None
    segment, following = pairs[turn % len(pairs)]
    path = index_path(segment)
    if not os.path.lexists(path) or trusted_mac(segment, following, keys) is None:
        return None  # there is nothing to say about it
    if read(segment, following, keys) is not None:
        return None
    path.unlink(missing_ok=True)
    return path


def write_next(log: Path, keys: Keyring) -> bool:
    """Writes the newest index that is missing, and removes those of segments that are gone. Returns
    whether another one is missing.

    Raises `LogError`, `SecretError`, `OSError`.
    """
    folder, pairs = log / FOLDER, list(pairwise(segments_of(log)))
    make_folder(folder)
    wanted = {index_path(path).name for path, _ in pairs}
    there = {path.name for path in folder.iterdir() if _OURS.fullmatch(path.name)}
    for name in there - wanted:
        (folder / name).unlink(missing_ok=True)
    missing = [
        (path, following)
        for path, following in reversed(pairs)
        if index_path(path).name not in there and os.path.lexists(seal_path(path))
    ]
    for number, (path, following) in enumerate(missing):
        seal = trusted_mac(path, following, keys)
        if seal and path.stat().st_size < _MOST_BYTES:  # else it is of format 1, or too long
            _write(log, path, seal, keys)
            return number + 1 < len(missing)
    return False


def _write(log: Path, segment: Path, seal: str, keys: Keyring) -> None:
    room, size = os.statvfs(log), segment.stat().st_size
    if room.f_bavail * room.f_frsize < SPARE_BYTES + size // 8:
        raise OSError("too little free space for the index of frames")
    numbers = {"format": FORMAT, "seal": seal, "key": keys.tags.key_id.hex()}
    more, first, rest = _packed(placed_frames(segment, keys))
    head = {**numbers, **more, "rest": sha256(rest).hexdigest()}
    mac = keys.tags.mac(_PURPOSE, _signed(read_identity(log), segment, head, first))
    line = json.dumps({**head, "mac": mac.hex()}).encode() + b"\n"
    write_new(index_path(segment), line + first + rest)


def _packed(found: Iterator[tuple[int, Frame]]) -> tuple[dict[str, Any], bytes, bytes]:
    """Returns the counts for the JSON, the arrays up to `admin`, and the others."""
    gathered = Gathered()
    refused: dict[tuple[bytes, int, int], tuple[int, int]] = {}
    first_us = last_us = 0
    for offset, frame in found:
        gathered.add(offset, frame)
        if frame.header.kind == AnnounceRefused.kind and current(frame):
            for name, date_us in _refused(frame):
                refused[name] = refused.get(name, (0, 0))[0] + 1, date_us
                first_us = min(first_us or date_us, date_us)
                last_us = max(last_us, date_us)
    count = len(gathered.kinds)
    keys = _Places.of(gathered.with_key, count)
    torrents = _Places.of(gathered.with_torrent, count)
    admin = array("I")
    for number, types in gathered.types.items():
        for each in types:
            admin.extend((number, *each))
    counted = (
        gathered.kinds,
        admin[::3],
        keys.numbers,
        keys.frames,
        torrents.numbers,
        torrents.frames,
    )
    counts = dict(zip(_COUNTS, map(len, counted), strict=True))
    first = _bytes(*gathered.columns, admin)
    rest = _bytes(*astuple(keys), *astuple(torrents))
    rest += b"".join(_REFUSED.pack(*name, *told) for name, told in refused.items())
    told = {"refused": len(refused), "refused_us": [first_us, last_us]}
    return {**counts, **told, "lead_us": gathered.lead_us, "end": gathered.end}, first, rest


def _refused(frame: Frame) -> Iterator[tuple[tuple[bytes, int, int], int]]:
    """Yields info hash, `key_ref` and label of the reason of refusals, and their dates."""
    lead_us = frame.header.lead_us
    for time_us, key_ref, label, info_hash in AnnounceRefused.layout.iter_unpack(frame.plain):
        yield (info_hash, key_ref, label), max(1, time_us - lead_us)


class Gathered:
    """What an index has of each frame, from the first frame of a segment on."""

    def __init__(self) -> None:
        self._offsets, self._firsts, self._lasts = array("I"), array("Q"), array("Q")
        self.kinds = array("B")
        self.types: dict[int, list[tuple[int, int]]] = {}
        self.with_key: defaultdict[int, list[int]] = defaultdict(list)
        self.with_torrent: defaultdict[int, list[int]] = defaultdict(list)
        self._leads_us = set[int]()
        self.end = 0

    @property
    def columns(self) -> tuple[array[int], array[int], array[int], array[int]]:
        """The arrays with a number for each frame, in the order of the file."""
        return self._offsets, self._firsts, self._lasts, self.kinds

    @property
    def lead_us(self) -> tuple[int, int]:
        return min(self._leads_us, default=0), max(self._leads_us, default=0)

    def add(self, offset: int, frame: Frame) -> None:
        header, number = frame.header, len(self.kinds)
        ours = current(frame) and header.kind != events.ADMIN
        self._offsets.append(offset)
        self._firsts.append(header.base_seq)
        self._lasts.append(_last_us(frame) if ours else header.time_us)
        types = _types(frame) if header.kind == events.ADMIN else {}
        self.kinds.append(NEEDED if types is None or not current(frame) else header.kind)
        if types:
            self.types[number] = list(types.items())
        self._leads_us.add(header.lead_us)
        self.end = header.next_seq
        if ours and header.kind in PLACED:
            places = self.with_key, self.with_torrent
            for frames_of, names in zip(places, names_in(frame), strict=True):
                for name in names:
                    frames_of[name].append(number)
            # Announces without a key are nobody's.
            self.with_key.pop(0, None)

    def index(self, offset: int, place: End) -> FrameIndex:
        """Returns the index so far. `offset` and `place`: as `FrameIndex` has them."""
        count = len(self.kinds)
        places = _PlacesSoFar(self.with_key, count), _PlacesSoFar(self.with_torrent, count)
        offsets, firsts, lasts, kinds = (one[:] for one in self.columns)
        return FrameIndex(
            offsets, firsts, lasts, kinds, self.types, self.lead_us, offset, place, places
        )  # fmt: skip


def _bytes(*arrays: array[int]) -> bytes:
    for numbers in arrays:
        if sys.byteorder == "big":
            numbers.byteswap()
    return b"".join(numbers.tobytes() for numbers in arrays)


def _types(frame: Frame) -> dict[int, int] | None:
    """Returns how many events of each type a frame of admin events has; None = some are unknown, so
    nobody may pass over it.
    """
    records = list(codec.decode_admin(newest(frame).plain)) if known(frame) else []
    if not records or not all(one.known for one in records):
        return None
    return dict(Counter(one.type for one in records))


def names_in(frame: Frame) -> Iterator[set[int]]:
    """Yields the keys in a frame of a kind in `PLACED`, then the beginnings of its info hashes."""
    words, size = array("I"), codec.RECORD_SIZES[frame.header.kind] // 4
    words.frombytes(frame.plain)
    if sys.byteorder == "big":
        words.byteswap()
    for first in _WORDS[frame.header.kind]:
        yield set(words[first::size])


def _last_us(frame: Frame) -> int:
    at = codec.RECORD_SIZES[frame.header.kind] * (frame.header.records - 1)
    return int.from_bytes(frame.plain[at : at + 8], "little")
