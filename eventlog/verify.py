"""Checks a log from end to end, from any process and without a lock, and reports all findings.

After damage the walk goes on at the next intact frame, so that one bad sector does not hide
another. Damage is told from the torn end of a crash as `folder.recover` does it: bytes that a later
intact header calls durable must exist, and the next start cuts off the rest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from eventlog import folder, history, seals, segment, verify_files
from eventlog.errors import (
    LogCorruptError,
    LogError,
    LogFormatError,
    LogPrunedError,
    OtherFormatError,
)
from eventlog.files import open_file, read_file
from eventlog.findings import NOTHING, REPORT, RESTORE, VERSION, Checked, Finding
from eventlog.first_event import first_seq, needed_from, segments_of
from eventlog.frame import HEADER_SIZE as LONGEST_FRAME_HEADER
from eventlog.frame import (
    IGNORABLE,
    MAGIC,
    NO_CHAIN,
    WATERMARK,
    Frame,
    FrameError,
    crc_start_of,
    parse_header,
    split_payload,
)
from eventlog.tags import NO_TAG_KEY, check_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventlog.frame import Header
    from eventlog.tags import Macs

_OWN_KINDS = 0xF0  # and above: kinds of this package
OTHER_HISTORY = "its header names another history than that of the events before it"


class Verifier:
    """Walks over a log once and reports findings. The counts are of the part walked so far."""

    def __init__(self, path: Path, tags: Macs | None = None) -> None:
        """`tags`: check tags and MACs too.

        Raises `LogUnusableError`, `LogFormatError`."""
        self._path = path
        self._tags = tags
        self.log_id = folder.read_identity(path)
        self._crc_start = crc_start_of(self.log_id)
        self.segments = 0
        self.frames = 0
        self.sealed = 0  # segments that agree with their seals
        self.bytes = 0
        self.first_seq = first_seq(path)
        self.next_seq = self.first_seq
        self.durable_seq = 0
        # Chain value of the frame before; None = unknown, because it is damaged or removed.
        self._chain: bytes | None = None if self.first_seq else NO_CHAIN
        self._format = 1  # of the segment
        self._key_id = NO_TAG_KEY  # of the segment
        self._epoch = 0
        self._time_us = 0
        self._ended = False
        # History digest before the segment; None = unknown, because of damage before.
        self._history: bytes | None = None
        self._extent = seals.Extent(0, 0, 0)  # of the segment, so far
        self._digests: dict[int, bytes] = {}  # by the number of the event after them
        self.begin_with(None if self.first_seq else history.BEGIN)

    def begin_with(self, digest: bytes | None) -> None:
        """Sets the history digest before the first event, before the walk; None = unknown."""
        self._history = digest
        self._digests = {} if digest is None else {self.first_seq: digest}

    def history_digest(self) -> tuple[bytes, int] | None:
        """The history digest of what was walked, and the number of the event after it; None = it
        is unknown, because of damage."""
        return (self._history, self.next_seq) if self._history is not None else None

    def history_before(self, seq: int) -> bytes | None:
        """The history digest before the first event of a segment; None = unknown."""
        return self._digests.get(seq)

    def size(self) -> int:
        """Bytes in all segments, now."""
        return sum(path.stat().st_size for path in self._later(None))

    def walk(self) -> Iterator[Checked | Finding]:
        """Yield every intact frame in log order, watermarks too, with the findings at their places.

        A tracker may append meanwhile: the walk ends at the end that the log has then. Raises
        `LogPrunedError` when the tracker removed segments that the walk had not reached.
        """
        try:
            for one in self._walk():
                if isinstance(one, Finding) and one.damage:
                    self.check_beginning()
                yield one
        except FileNotFoundError:
            self.check_beginning()
            raise

    def check_beginning(self) -> None:
        """Raises `LogPrunedError` when the log begins later by now, because that can look like
        damage."""
        if first_seq(self._path) > self.first_seq:
            raise LogPrunedError(self._path)

    def _walk(self) -> Iterator[Checked | Finding]:
        if not (self._path / "seg").is_dir():
            what = "there is no folder of segments: a start would begin an empty log"
            yield Finding(self._path / "seg", 0, 0, what, "restore the folder from a backup")
            return
        for check in (
            verify_files.in_the_way(self._path),
            verify_files.leftovers(self._path, self.first_seq),
            verify_files.check_kept(self._path, self.first_seq, self.log_id, self._tags),
        ):
            yield from verify_files.unreadable(self._path, check)
        yield from self._segments()
        yield from verify_files.missing(self._path, needed_from(self._path))

    def _segments(self) -> Iterator[Checked | Finding]:
        path: Path | None = None
        while later := self._later(path):
            path = later[0]
            if self._ended and self._begun(path):
                return  # the tracker has begun it since the walk came to the end
            before = self._history
            self._extent = seals.Extent(0, 0, 0)
            for one in self._segment_or_error(path):
                if isinstance(one, Finding) and one.damage:
                    before = None
                yield one
            self._history = self._after(path, before)
            sealed = os.path.lexists(seals.seal_path(path))
            following = self._later(path)
            if following or sealed:
                yield from self._seal(path, following[0] if following else None)

    def _after(self, path: Path, before: bytes | None) -> bytes | None:
        """Compute the history digest after a segment."""
        if before is None:
            return None
        try:
            after = seals.after_segment(path, self._extent, before)
        except (LogError, OSError):
            return None  # it shrank, or cannot be read: findings of their own
        self._digests[self.next_seq] = after
        return after

    def _seal(self, path: Path, following: Path | None) -> Iterator[Finding]:
        found = verify_files.seal_of(
            path, following, self.next_seq, self._extent, self._history, self._tags
        )
        try:
            for one in verify_files.unreadable(path, found):
                if one is None:
                    self.sealed += 1
                else:
                    yield one
        except LogError:
            pass  # unreadable headers have findings of their own

    def _later(self, path: Path | None) -> list[Path]:
        every = segments_of(self._path)
        return [each for each in every if path is None or each.name > path.name]

    # A segment.

    def _segment_or_error(self, path: Path) -> Iterator[Checked | Finding]:
        try:
            yield from self._segment(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._chain, self._epoch = None, segment.epoch_of(path)
            yield verify_files.cannot_read(path, error)

    def _segment(self, path: Path) -> Iterator[Checked | Finding]:
        self.segments += 1
        try:
            file = open_file(path)
        except LogFormatError as error:
            yield self._unreadable(path, error)
            self._chain, self._epoch = None, segment.epoch_of(path)
            return
        begin = self.bytes
        with file:
            descriptor = file.fileno()
            data = os.pread(descriptor, segment.HEADER_SIZE, 0)
            try:
                header = segment.read_header(path, data)
                if header.log_id != self.log_id:
                    raise LogFormatError(path, "belongs to another log")
            except LogError as error:
                if not self._begun(path) and not self._begun_after(path):
                    yield self._never_begun(path)
                    return
                yield self._unreadable(path, error)
                self._lost(path)
                if next(_intact(path, 0, self._crc_start), None) is None:
                    return  # another program's file, or nothing is left of it
            else:
                yield from self._header(path, header, data)
            yield from self._frames(path, descriptor, begin)
            self.bytes = begin + os.fstat(descriptor).st_size

    def _lost(self, path: Path) -> None:
        """Note that the header of a segment cannot be read. Its first frame tells its format."""
        self._chain, self._epoch, self._key_id = None, segment.epoch_of(path), NO_TAG_KEY
        for _, found in _intact(path, 0, self._crc_start):
            self._format = found.header.format
            return

    def _begun(self, path: Path) -> bool:
        """Tells whether a file has a whole header or durable bytes; another one does not count."""
        try:
            segment.open_header(path)
        except LogCorruptError:
            mark = segment.highest_mark(read_file(path), 0, self.log_id)
            return mark > segment.base_seq_of(path) or seals.follows_a_sealed_one(path)
        except LogFormatError:
            pass
        return True

    def _begun_after(self, path: Path) -> bool:
        return any(self._begun(each) for each in self._later(path))

    def _never_begun(self, path: Path) -> Finding:
        what = "has no whole header, and nothing durable in it: its making was cut off"
        advice = "the next start moves it to quarantine"
        return Finding(path, 0, self.next_seq, what, advice, damage=False)

    def _header(self, path: Path, header: segment.SegmentHeader, data: bytes) -> Iterator[Finding]:
        named = segment.base_seq_of(path), segment.epoch_of(path)
        if (header.base_seq, header.epoch) != named:
            what = (
                f"begins with event {header.base_seq} in epoch {header.epoch}, not as its name says"
            )
            named_by = segment.file_name(header.base_seq, header.epoch)
            yield Finding(
                path, 0, self.next_seq, what, f"rename it to {named_by}, and verify again"
            )
        if any(segment.reserved_part(header, data)):
            yield self._odd(path, 0, "bytes of the segment header that are not in use are not zero")
        if header.epoch < max(1, self._epoch):
            yield self._odd(path, 0, f"epoch {header.epoch} comes after epoch {self._epoch}")
        if self._chain is not None:
            if header.base_seq > self.next_seq:
                missing = _events(self.next_seq, header.base_seq)
                be = "are" if header.base_seq - self.next_seq > 1 else "is"
                yield self._damage(path, 0, f"{missing} {be} missing before this file")
            elif (header.base_seq, header.previous) != (self.next_seq, self._chain):
                yield self._damage(path, 0, "does not continue the file before it")
        known = self._digests.get(header.digest_seq)
        if header.format > 1 and known is not None and known != header.digest:
            yield self._damage(path, 0, OTHER_HISTORY)
        try:
            segment.check_order(path, self._format, header.format)
            if self._tags is not None:
                segment.check_tag(self._tags, path, header, data)
        except LogCorruptError as error:
            yield self._damage(path, 0, error.what)
        self._epoch, self._format, self._key_id = header.epoch, header.format, header.key_id
        self.next_seq, self._chain = header.base_seq, header.previous

    # Its frames.

    def _frames(self, path: Path, descriptor: int, begin: int) -> Iterator[Checked | Finding]:
        offset = segment.HEADER_SIZES[self._format]
        end = self._left_at(path)
        while True:
            if (self.next_seq, self._chain) == end:
                yield from self._left_over(path, offset)
                return
            found, problem = self._look(descriptor, offset)
            if found is None or problem:
                last = not self._begun_after(path)
                durable_later = not last or self._mark(path, offset) > self.next_seq
                # The tracker may be writing here, so look again. A frame was whole before a header
                # called it durable.
                found, problem = self._look(descriptor, offset)
                if found is None and not problem:
                    self._ended = last
                    return
                untagged = found is not None and found.header.format < self._format
                if problem and not durable_later and not untagged:
                    self._ended = True
                    yield self._torn(path, offset)
                    return
            if problem or found is None:
                at = offset
                if found is None:
                    at, found = self._next_frame(path, descriptor, offset + 1)
                yield self._damaged_frame(path, offset, problem, at, found)
                if found is None:
                    self._chain = None
                    return
                offset = at
            else:
                yield from self._oddities(path, offset, found.header)
            self._accept(found.header)
            yield Checked(path, offset, found)
            offset += found.header.size + found.header.payload_size
            self.bytes = begin + offset
            events = offset if found.header.records else self._extent.events
            self._extent = seals.Extent(offset, events, found.header.time_us)

    def _left_at(self, path: Path) -> segment.End | None:
        """Finds where the log leaves this file for another epoch's; None = at its last byte."""
        later = [each for each in self._later(path) if self._begun(each)]
        try:
            return segment.end_before(later[0], self._epoch) if later else None
        except LogError:
            return None  # the walk finds it again at that file

    def _left_over(self, path: Path, offset: int) -> Iterator[Finding]:
        size = path.stat().st_size - offset
        if not size:
            return
        with open_file(path) as file:
            walk = segment.Walk(path, file)
            for _ in walk.frames(file, (self.next_seq, self._chain or NO_CHAIN)):
                pass
            try:
                walk.check_left_over(file)
            except LogCorruptError as error:
                yield self._damage(path, error.offset, error.what)
            else:
                what = f"{size} bytes of a write that failed; the log goes on in the next file"
                yield Finding(path, offset, self.next_seq, what, NOTHING, damage=False)

    def _frame(self, descriptor: int, offset: int) -> Frame | None:
        """Read the frame at an offset, from the file each time; None = end of the file.

        Raises `FrameError`.
        """
        head = os.pread(descriptor, LONGEST_FRAME_HEADER, offset)
        if not head:
            return None
        header = parse_header(head, self._crc_start)
        payload = os.pread(descriptor, header.payload_size, offset + header.size)
        found = split_payload(header, payload)
        if self._tags is not None:
            check_frame(self._tags, self._key_id, self.log_id, header, head, payload)
        return found

    def _next_frame(self, path: Path, descriptor: int, start: int) -> tuple[int, Frame | None]:
        """Find the next intact frame at or after an offset, and its offset; None = none."""
        for at, _ in _intact(path, start, self._crc_start):
            with suppress(FrameError):
                return at, self._frame(descriptor, at)
        return start, None

    def _look(self, descriptor: int, offset: int) -> tuple[Frame | None, str]:
        """Read the frame at an offset.

        Returns it if it is intact, and a problem with it or with its position ("" = none).
        """
        try:
            found = self._frame(descriptor, offset)
        except FrameError as error:
            return None, str(error)
        return found, self._misplaced(found.header) if found else ""

    def _misplaced(self, header: Header) -> str:
        if self._chain is None:
            return ""
        if header.format < self._format:
            return segment.UNTAGGED
        if header.format > self._format:
            return f"a frame of format {header.format} in a file of format {self._format}"
        if header.epoch != self._epoch:
            return f"a frame of epoch {header.epoch} in a file of epoch {self._epoch}"
        if header.base_seq != self.next_seq:
            return f"event {header.base_seq} where {self.next_seq} is due"
        return "" if header.previous == self._chain else "the frame does not continue the chain"

    def _mark(self, path: Path, offset: int) -> int:
        """Reads from the headers behind an offset how far the log was durable."""
        with open_file(path) as file:
            file.seek(offset)
            return max(self.durable_seq, segment.highest_mark(file.read(), 0, self.log_id))

    def _accept(self, header: Header) -> None:
        self.frames += 1
        self.next_seq = header.next_seq
        self.durable_seq = max(self.durable_seq, header.durable_seq)
        self._chain = header.chain
        self._time_us = max(self._time_us, header.time_us)

    def _oddities(self, path: Path, offset: int, header: Header) -> Iterator[Finding]:
        """Check the rules that every writer keeps and that no checksum covers."""
        unused = not header.encrypted and header.key_check
        if header.flags & ~IGNORABLE or unused:
            yield self._odd(
                path, offset, "bytes of the frame header that are not in use are not zero"
            )
        if header.durable_seq > header.base_seq:
            what = f"event {header.base_seq} says that the log was durable to {header.durable_seq}"
            yield self._odd(path, offset, what)
        if header.durable_seq < self.durable_seq:
            yield self._odd(path, offset, "the durable end goes back")
        if header.time_us < self._time_us:
            yield self._odd(path, offset, "log time goes back")
        if header.kind >= _OWN_KINDS and (header.kind, header.records) != (WATERMARK, 0):
            yield self._odd(path, offset, f"a frame of kind {header.kind}, which is not in use")

    # Words.

    def _unreadable(self, path: Path, error: LogError) -> Finding:
        advice = VERSION if isinstance(error, OtherFormatError) else RESTORE
        return Finding(path, 0, self.next_seq, _text(error, path), advice)

    def _damage(self, path: Path, offset: int, what: str) -> Finding:
        return Finding(path, offset, self.next_seq, what, RESTORE)

    def _odd(self, path: Path, offset: int, what: str) -> Finding:
        return Finding(path, offset, self.next_seq, what, REPORT)

    def _torn(self, path: Path, offset: int) -> Finding:
        size = path.stat().st_size - offset
        what = f"{size} bytes that are not whole frames, and nothing durable in them: a write is cut off or going on"
        advice = "nothing has to be done; if the tracker is not running, its next start moves them to quarantine"
        return Finding(path, offset, self.next_seq, what, advice, damage=False)

    def _damaged_frame(
        self, path: Path, offset: int, problem: str, at: int, found: Frame | None
    ) -> Finding:
        if found is None:
            return self._damage(
                path, offset, f"{problem}; nothing after it in this file can be read"
            )
        until = found.header.base_seq
        lost = f"; {_events(self.next_seq, until)} cannot be read" if until > self.next_seq else ""
        on = f"; the file goes on at byte {at}" if at > offset else ""
        return self._damage(path, offset, f"{problem}{lost}{on}")


def _events(first: int, following: int) -> str:
    """`event 5`, `events 5 to 7`."""
    return f"event {first}" if following == first + 1 else f"events {first} to {following - 1}"


def _text(error: LogError, path: Path) -> str:
    """The text of an error about a file, without the file's name."""
    return (
        error.what if isinstance(error, LogCorruptError) else str(error).removeprefix(f"{path}: ")
    )


def _intact(path: Path, start: int, crc_start: int) -> Iterator[tuple[int, Frame]]:
    """Yields offset and content of the whole and undamaged frames from an offset on."""
    data = read_file(path)
    at = data.find(MAGIC, start)
    while at >= 0:
        with suppress(FrameError):
            header = parse_header(data[at : at + LONGEST_FRAME_HEADER], crc_start)
            body = at + header.size
            yield at, split_payload(header, data[body : body + header.payload_size])
        at = data.find(MAGIC, at + 1)
