"""Encrypts, frames, writes and syncs appended records, in the committing thread.

`EventLog` (log.py) calls `Committer.write` in a worker thread, one call at a time, because a second
commit could hide the failure of the first. A failed write is repeated once in a new file. If it
fails for want of space or descriptors (`passes_by_itself`), `EventLog` calls again later with the
same frames.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from attrs import define, field

from eventlog import frame, segment
from eventlog.encryption import Encrypted, FrameId
from eventlog.files import create_file, write_all
from eventlog.pool import OpenFrame
from eventlog.tags import Part, new_seed

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog.encryption import Encryptor
    from eventlog.reserve import Reserve
    from eventlog.tags import Tags

_logger = logging.getLogger("eventlog.log")  # one name for both sides of a log

SEGMENT_SECONDS = 3600
"""Age in seconds at which a segment is finished, however small it is."""
LEAD_US = 10_000_000
"""Microseconds by which the clock was set, so that the next commit begins a segment."""
RESERVE_BYTES = 4 << 20
"""Free bytes on the disk below which only admin events, ticks and counters may be appended."""
_BEGIN_BYTES = 64 << 10
"""Bytes of the disk that a new file takes before any frame, with the file system's own data."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_WANT = (*_FULL, *_NO_DESCRIPTOR, errno.ENOMEM, errno.EAGAIN)  # EAGAIN: no thread


def passes_by_itself(error: Exception) -> bool:
    """Tells whether a write failed only for want of something, so that waiting helps."""
    return isinstance(error, OSError) and error.errno in _WANT


@define(eq=False, kw_only=True)
class Committer:
    """Owns the files of a log that is open for writing. All methods block.

    `EventLog` calls `write` and `release` one at a time. So the fields that they change belong to
    the committing thread during a call, and the loop may use them between two calls.
    """

    # Set when the log is opened. Both sides may read them at any time.
    _path: Path
    log_id: bytes  # 16 bytes
    _lock: int  # descriptor of the locked file LOCK
    segment_bytes: int  # size at which a segment is finished
    tags: Tags
    _encryptor: Encryptor | None  # None: protected sections are written in clear
    _crc_start: int = field(init=False)  # of header checksums
    # Kept open, so that a process without free descriptors can make a new segment's name durable.
    _directory: int = field(init=False)

    # Owned by the committing thread during a call. The loop reads `chain` between two calls.
    chain: bytes  # tag of the last durable frame
    _last_time_us: int  # log time of the last frame
    _reserve: Reserve
    _durable_seq: int = 0  # durable events before this call
    _descriptor: int = -1  # of the newest segment; -1: the next write begins a segment
    _segment_began: float = 0.0  # start of the newest segment, seconds of the monotonic clock
    _segment_base: int = 0  # first event of the newest segment
    _segment_lead_us: int = 0  # of its first frame

    # Changed by the committing thread, read by the loop at any time. That is safe, because each is
    # one number, and an old value does no harm.
    epoch: int
    # A history digest for headers, and the event after it. The loop sets it.
    known: tuple[bytes, int] = (segment.NO_DIGEST, 0)
    marked_seq: int = 0  # the highest durable_seq in a header on the disk; readers stop there
    segments_begun: int = 0
    segment_size: int = 0  # bytes of the newest segment, where the next frame goes
    written_bytes: int = 0  # of frames, since the log was opened
    rewrites: int = 0  # commits that failed, and then succeeded in a new file
    disk_free: int = field(init=False)  # bytes
    disk_low: bool = False  # fewer than `RESERVE_BYTES` are free

    def __attrs_post_init__(self) -> None:
        """Raises `OSError`."""
        self._crc_start = frame.crc_start_of(self.log_id)
        self._directory = os.open(self._path / "seg", os.O_RDONLY | os.O_DIRECTORY)
        self._reserve.keep(_free_bytes(self._directory))
        self.disk_free = _free_bytes(self._directory)

    def write(self, taken: list[OpenFrame], durable_seq: int, was_blocked: bool) -> None:
        """Make these frames durable. Without frames, write a watermark: all events below
        `durable_seq` are durable.

        A failed write is repeated once in a new file. `was_blocked`: the call before failed for
        want of space or descriptors. Raises the error of the second attempt, or of the first if a
        second cannot help. Then no frame of `taken` is durable. Raises also the errors of the
        encryptor.
        """
        self._durable_seq = durable_seq
        frames = taken or [self._watermark()]
        now = time.monotonic()
        due = self.segment_size >= self.segment_bytes or now - self._segment_began > SEGMENT_SECONDS
        # So that dates go back only by seconds in a segment, and its first frame tells where it is.
        due = due or abs(frames[0].lead_us - self._segment_lead_us) > LEAD_US
        # A new segment must begin with a later event, because one with the same first event would
        # replace the segment before.
        due = due and bool(taken) and taken[0].base_seq > self._segment_base
        needed = _size(frames) + _BEGIN_BYTES if was_blocked else 0
        try:
            self._write_once(frames, now, needed, segment_due=due)
        except OSError as error:
            if not self._abandon(error):
                raise
            self._write_again(frames, now, needed)
        self.marked_seq = durable_seq
        self._look_at_disk()

    def release(self) -> None:
        """Close all files, and release the log's lock. Call no method afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.close(self._directory)
        os.close(self._lock)

    # One attempt to write, and the steps after a failed one.

    def _write_once(
        self, frames: list[OpenFrame], now: float, needed: int, *, segment_due: bool
    ) -> None:
        """Make one attempt to write.

        `needed`: free bytes without which it makes none, because each would leave an empty file; 0
        = always try.
        """
        if needed:
            self.disk_free = _free_bytes(self._directory)
            if self.disk_free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            if self._descriptor < 0 or segment_due:
                self._next_segment(frames[0], now)
            self._put(frames)
        except MemoryError:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from None

    def _write_again(self, frames: list[OpenFrame], now: float, needed: int) -> None:
        try:
            self._write_once(frames, now, needed, segment_due=False)
        except OSError as error:
            self._abandon(error)
            raise
        self.rewrites += 1

    def _abandon(self, error: OSError) -> bool:
        """Close the file after a failed write. Returns True if a second attempt at once may help.

        The second attempt needs a new file, because the kernel may have dropped the bytes that it
        could not write, and another sync of the old file would still succeed. A new epoch shows
        readers where to leave the old file.
        """
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
            self.epoch += 1
        if error.errno in _FULL:
            if not self._reserve.give_up():
                return False
            _logger.error("The disk is full: the log has used up its reserve")
        elif error.errno in _NO_DESCRIPTOR:
            return False
        _logger.error("Writing the event log failed (%s); trying once more in a new file", error)
        return True

    def _look_at_disk(self) -> None:
        """Note the free space after each write, so that announces stop before the disk is full."""
        with suppress(OSError):  # because the write itself has succeeded
            self.disk_free = _free_bytes(self._descriptor)
        self.disk_low = self.disk_free < RESERVE_BYTES
        self._reserve.keep(self.disk_free)

    # Segments.

    def _next_segment(self, first: OpenFrame, now: float) -> None:
        base_seq = first.base_seq
        path = self._path / "seg" / segment.file_name(base_seq, self.epoch)
        temporary = path.with_suffix(".tmp")
        try:
            descriptor = create_file(temporary)
        except OSError as error:
            # No descriptor is free, so there is no new file. The old segment grows until there is.
            if self._descriptor < 0 or error.errno not in _NO_DESCRIPTOR:
                raise
            return
        try:
            self._begin_segment(temporary, path, descriptor, base_seq)
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._segment_began = now
        self._segment_base = base_seq
        self._segment_lead_us = first.lead_us
        self.segments_begun += 1

    def _begin_segment(self, temporary: Path, path: Path, descriptor: int, base_seq: int) -> None:
        """Give a new file its name once its header is whole, so that readers need not guess."""
        header = segment.pack_header(
            self.tags,
            new_seed(),
            self.log_id,
            base_seq,
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            self.epoch,
            self.chain,
            *self.known,
        )
        self.segment_size = write_all(descriptor, [header], 0)
        os.fsync(descriptor)
        temporary.rename(path)
        os.fsync(self._directory)

    # Frames.

    def _put(self, frames: list[OpenFrame]) -> None:
        buffers: list[bytes | bytearray] = []
        chain = self.chain
        for one in frames:
            chain = self._add_frame(buffers, one, chain)
        size = write_all(self._descriptor, buffers, self.segment_size)
        os.fdatasync(self._descriptor)
        self.written_bytes += size - self.segment_size
        self.segment_size = size
        self.chain = chain

    def _add_frame(self, buffers: list[bytes | bytearray], one: OpenFrame, chain: bytes) -> bytes:
        """Append to `buffers` a frame that follows `chain`. Returns the chain after the frame."""
        self._last_time_us = max(self._last_time_us, one.time_us)
        boottime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        seed = new_seed()
        encrypted = self._encrypt(one, boottime_ns, seed)
        header, chain = frame.build_header(
            one.kind,
            one.schema,
            one.count,
            one.plain,
            encrypted.data,
            epoch=self.epoch,
            base_seq=one.base_seq,
            durable_seq=self._durable_seq,
            time_us=self._last_time_us,
            boottime_ns=boottime_ns,
            previous=chain,
            seed=seed,
            sign=partial(self._sign, seed),
            flags=one.flags,
            key_epoch=encrypted.key_epoch,
            key_check=encrypted.check,
            lead_us=one.lead_us,
            crc_start=self._crc_start,
        )
        buffers += [header, one.plain, encrypted.data]
        buffers.append(bytes(frame.padding(len(one.plain) + len(one.protected))))
        return chain

    def _sign(self, seed: bytes, *parts: Part) -> bytes:
        return self.tags.sign(self.log_id, seed, *parts)

    def _encrypt(self, one: OpenFrame, boottime_ns: int, seed: bytes) -> Encrypted:
        if self._encryptor is None or not one.protected:
            return Encrypted(frame.NOT_ENCRYPTED, 0, bytes(one.protected))
        frame_id = FrameId(self.log_id, self.epoch, one.base_seq, boottime_ns, seed)
        return self._encryptor.encrypt(frame_id, self._last_time_us, one.protected)

    def _watermark(self) -> OpenFrame:
        lead_us = self._segment_lead_us
        return OpenFrame(frame.WATERMARK, 0, 0, self._durable_seq, self._last_time_us, lead_us)


def _size(frames: list[OpenFrame]) -> int:
    return sum(len(one.plain) + len(one.protected) + frame.HEADER_SIZE for one in frames)


def _free_bytes(descriptor: int) -> int:
    """Returns the free bytes of a descriptor's file system."""
    room = os.fstatvfs(descriptor)
    return room.f_bavail * room.f_frsize
