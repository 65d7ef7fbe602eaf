"""Writes and reads the index of frames: for each sealed segment, which frames have which kind,
which keys and which torrents, so that a reader of one account or torrent passes over all others.
It also has how often announces were refused, because a site has a hundred thousand refusals a day,
most of them in a frame alone.

    <log>/frames/<base_seq>.<epoch>.<format>.index   a line of JSON, then arrays, little-endian

    offsets   4 bytes a frame      where it begins in the segment
    firsts    8 bytes a frame      its first event
    lasts     8 bytes a frame      log time of its last record, microseconds
    kinds     1 byte a frame       its kind; 0 = whoever reads the log needs it
    keys      4 bytes a key        `key_ref` of announces and refusals, ascending
    starts    4 bytes a key + 4    where its frames begin in the next array
    places    2 or 4 bytes each    numbers of frames, ascending for each key
    torrents, starts, places       the same by the first 4 bytes of info hashes
    refused   40 bytes each        info hash, `key_ref`, label of the reason, how often, date of the
                                   last one

The MAC in the JSON covers all of it, the log's id and the seal of the segment: a reader that trusts
the index passes over frames without a look at them. Each file can be deleted at any time: readers
then read all frames, and the follower writes it again, as it does with a damaged one. Blocking.
"""

from __future__ import annotations

import json
import os
import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from hashlib import sha256
from hmac import compare_digest
from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, Any

from attrs import astuple, frozen

from eventlog import (
    LogError,
    border,
    make_folder,
    parse_json,
    placed_frames,
    read_file,
    read_identity,
    seal_path,
    segments_of,
    trusted_mac,
    write_new,
)
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.records import AnnounceRefused
from tracker.store.frames import current
from tracker.store.snapshot_file import SPARE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from eventlog import Frame
    from tracker.store.address_keys import Keyring

FOLDER = "frames"
FORMAT = 2
NEEDED = 0
"""In the place of a kind: the records are of an older schema, so nobody may pass over the frame."""
_OURS = re.compile(r"[0-9]{20}\.[0-9]{10}(\.[0-9]+)?\.index(\.tmp)?")
_PURPOSE = b"frames"
_COUNTS = "frames", "keys", "places", "torrents", "torrent_places"
"""How long arrays are, as the JSON says it."""
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


class FrameIndex:
    """The index of one segment, whose MAC was checked."""

    def __init__(self, head: dict[str, Any], body: bytes) -> None:
        """Raises `FrameIndexError`, `ValueError`."""
        frames, keys, places, torrents, torrent_places = (int(head[name]) for name in _COUNTS)
        short = "H" if frames <= _MOST_SHORT else "I"
        at, found = 0, []
        for code, count in zip(
            ("I", "Q", "Q", "B", "I", "I", short, "I", "I", short),
            ([frames] * 4 + [keys, keys + 1, places, torrents, torrents + 1, torrent_places]),
            strict=True,
        ):
            numbers = array(code)
            size = numbers.itemsize * count
            numbers.frombytes(body[at : at + size])
            if sys.byteorder == "big":
                numbers.byteswap()
            found.append(numbers)
            at += size
        self._refused = body[at:]
        if len(self._refused) != _REFUSED.size * int(head["refused"]):
            raise FrameIndexError("it has another length than it says")
        first_us, last_us = head["refused_us"]
        self.refused_us = int(first_us), int(last_us)
        """The first and the last date of a refusal; 0 = there is none."""
        least_us, most_us = head["lead_us"]
        self.lead_us = int(least_us), int(most_us)
        """The least and the greatest lead of a frame, in microseconds."""
        self.offsets, self.firsts, self.lasts, self.kinds = found[:4]
        self._keys, self._torrents = _Places(*found[4:7]), _Places(*found[7:])
        self.first = self.firsts[0] if frames else 0
        self.end = int(head["end"])
        """The event after the segment."""

    def next_seq(self, number: int) -> int:
        """Returns the event after a frame."""
        return self.firsts[number + 1] if number + 1 < len(self.firsts) else self.end

    def refused(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        """Yields info hash, `key_ref`, label of the reason, times and last date of refusals."""
        return _REFUSED.iter_unpack(self._refused)

    def with_key(self, key_ref: int) -> array[int]:
        """Returns the numbers of the frames in which a key announces or is refused."""
        return self._keys[key_ref]

    def with_torrent(self, info_hash: bytes) -> array[int]:
        """Returns the numbers of the frames that have a torrent in announces or refusals, and of
        those that have another one with the same beginning.
        """
        return self._torrents[int.from_bytes(info_hash[:4], "little")]


def index_path(segment: Path) -> Path:
    return segment.parent.parent / FOLDER / f"{segment.stem}.{FORMAT}.index"


def read(segment: Path, following: Path, keys: Keyring | None) -> FrameIndex | None:
    """Reads the index of a finished segment; None = all of the segment must be read, because there
    is no index that fits, or nobody can tell without `keys`.

    Raises `FileNotFoundError` where a segment was removed, `OSError`.
    """
    if keys is None:
        return None
    path = index_path(segment)
    if not path.is_file():
        return None
    try:
        with border(FrameIndexError, FrameIndexError):
            return _read(path, segment, following, keys)
    except (FrameIndexError, LogError):
        return None


def _read(path: Path, segment: Path, following: Path, keys: Keyring) -> FrameIndex:
    try:
        line, _, body = read_file(path).partition(b"\n")
    except OSError as error:
        raise FrameIndexError(str(error)) from None
    head: Any = parse_json(line)
    mac = bytes.fromhex(head.pop("mac"))
    signed = _signed(read_identity(segment.parent.parent), segment, head, body)
    expected = keys.mac_of(bytes.fromhex(head["key"]), _PURPOSE, signed)
    if expected is None or not compare_digest(expected, mac):
        raise FrameIndexError("its MAC does not match")
    if head["format"] != FORMAT or head["seal"] != trusted_mac(segment, following, keys):
        raise FrameIndexError("it is of another format, or of another segment")
    return FrameIndex(head, body)


def _signed(log_id: bytes, segment: Path, head: dict[str, Any], body: bytes) -> bytes:
    hasher = sha256(log_id + segment.stem.encode() + json.dumps(head).encode() + b"\n")
    hasher.update(body)
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
    more, body = _packed(placed_frames(segment, keys))
    head = {**numbers, **more}
    mac = keys.tags.mac(_PURPOSE, _signed(read_identity(log), segment, head, body))
    line = json.dumps({**head, "mac": mac.hex()}).encode() + b"\n"
    write_new(index_path(segment), line + body)


def _packed(found: Iterator[tuple[int, Frame]]) -> tuple[dict[str, Any], bytes]:
    """Returns the counts for the JSON, and the arrays."""
    offsets, firsts, lasts, kinds = array("I"), array("Q"), array("Q"), array("B")
    with_key: defaultdict[int, list[int]] = defaultdict(list)
    with_torrent: defaultdict[int, list[int]] = defaultdict(list)
    refused: dict[tuple[bytes, int, int], tuple[int, int]] = {}
    refused_us: list[int] = []
    leads_us, end = set[int](), 0
    for number, (offset, frame) in enumerate(found):
        header, end = frame.header, frame.header.next_seq
        known = current(frame) and header.kind != events.ADMIN
        offsets.append(offset)
        firsts.append(header.base_seq)
        lasts.append(_last_us(frame) if known else header.time_us)
        kinds.append(header.kind if current(frame) else NEEDED)
        leads_us.add(header.lead_us)
        if known and header.kind in PLACED:
            for places, each in zip((with_key, with_torrent), names_in(frame), strict=True):
                for name in each:
                    places[name].append(number)
        if known and header.kind == AnnounceRefused.kind:
            for time_us, key_ref, label, info_hash in AnnounceRefused.layout.iter_unpack(
                frame.plain
            ):
                times, _ = refused.get((info_hash, key_ref, label), (0, 0))
                date_us = max(1, time_us - header.lead_us)
                refused[info_hash, key_ref, label] = times + 1, date_us
                refused_us = (
                    [min(refused_us[0], date_us), max(refused_us[1], date_us)]
                    if refused_us
                    else [date_us, date_us]
                )
    with_key.pop(0, None)  # announces without a key are nobody's
    keys, torrents = _Places.of(with_key, len(kinds)), _Places.of(with_torrent, len(kinds))
    arrays = (offsets, firsts, lasts, kinds, *astuple(keys), *astuple(torrents))
    body = bytearray()
    for numbers in arrays:
        if sys.byteorder == "big":
            numbers.byteswap()
        body += numbers.tobytes()
    body += b"".join(_REFUSED.pack(*name, *told) for name, told in refused.items())
    counted = kinds, keys.numbers, keys.frames, torrents.numbers, torrents.frames
    counts = dict(zip(_COUNTS, map(len, counted), strict=True))
    lead_us = [min(leads_us), max(leads_us)] if leads_us else [0, 0]
    told = {"refused": len(refused), "refused_us": refused_us or [0, 0], "lead_us": lead_us}
    return {**counts, **told, "end": end}, bytes(body)


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


def frames_at(date_us: int, index: FrameIndex) -> range:
    """Returns numbers of frames, with the last one that begins up to a date, and the one after."""
    least_us, most_us = index.lead_us
    first = bisect_right(index.lasts, date_us + least_us) - 1
    end = bisect_right(index.lasts, date_us + most_us) + 2
    return range(max(0, first), min(end, len(index.lasts)))


class Picker:
    """Makes the `picks` of a `Reader`: passes over frames by their index."""

    def __init__(self, keys: Keyring | None, wanted: Callable[[FrameIndex], Iterable[int]]) -> None:
        """`wanted` gets the index of a segment, and returns the numbers of the frames to read,
        ascending. Whoever seeks events must take all of the kind `NEEDED`.
        """
        self._keys, self._wanted = keys, wanted

    def __call__(self, segment: Path, following: Path) -> Iterator[tuple[int, int]] | None:
        index = read(segment, following, self._keys)
        if index is None:
            return None
        return ((index.offsets[one], index.firsts[one]) for one in self._wanted(index))
