"""A log open for writing: append is a plain call, one task commits in groups through a worker thread.

    append --> Pool (memory) --> run(): linger, take --> thread: frame, write, fdatasync --> durable_seq

Never more than one commit is in flight: a second one could hide the failure of the first. What is
acknowledged to the outside waits for `wait_durable`. A crash can only remove a suffix of what was appended.

A write that fails is made once more, in a new file; where it fails for want of space or descriptors the log waits until
there are some, and takes nothing in meanwhile. What it was to write stays in memory until it is written.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import trio
from attrs import frozen

from eventlog import folder, frame, seals, segment
from eventlog.encryption import Encrypted, FrameId
from eventlog.errors import LogError, LogFailedError, LogUnusableError
from eventlog.files import write_all
from eventlog.pool import OpenFrame, Pool
from eventlog.repeated_warning import RepeatedWarning
from eventlog.reserve import Reserve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eventlog.encryption import Encryptor

_logger = logging.getLogger(__name__)

SEGMENT_SECONDS = 3600
WATERMARK_SECONDS = 0.05
"""Idle time after which the last commit gets a watermark behind it (the design allows 0.2)."""
RESERVE_BYTES = 4 << 20
"""Free space below which only what is reserved may be appended: admin events, ticks, counters."""
SEAL_SECONDS = 5.0
"""How often is looked whether a segment was finished."""
RETRY_SECONDS = 1.0
"""How often is tried to write while the disk is full, or no descriptor is to be had."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHORT = (*_FULL, errno.EMFILE, errno.ENFILE)  # passes by itself: nothing is broken
_BEGIN_BYTES = 64 << 10  # a new file takes this, with what the file system keeps of it
LONGER_SECONDS = 0.1
"""Not beyond this are records gathered for longer than was asked for: readers of the log see them later, a crash takes more of them,
and all of them are in memory."""
ENOUGH_BYTES = 1 << 20
"""Waiting bytes from which on a commit costs little beside its work: nothing more is gathered for it."""
MAX_PENDING_BYTES = 64 << 20
"""Bytes appended and not yet durable before `has_room` says no: a hung disk must not eat memory."""


def lingering(seconds: float, last_commit: float) -> float:
    """How long records are gathered: `seconds`, and longer where the machine or its disk is so busy that a commit takes long:
    four times as long as it took, up to four times `seconds`, and up to a bound. `last_commit`: seconds."""
    return max(seconds, min(4 * last_commit, 4 * seconds, LONGER_SECONDS))


@frozen
class LogStatistics:
    next_seq: int
    durable_seq: int
    pending_bytes: int
    commits: int
    last_commit_seconds: float
    segment_bytes: int
    written_bytes: int  # since the log was opened
    rewrites: int  # commits that failed, and then succeeded in a new file
    disk_free_bytes: int


class EventLog:
    """Open with `open_log`; `run` must be running for anything to become durable."""

    def __init__(
        self,
        path: Path,
        log_id: bytes,
        lock_descriptor: int,
        recovery: folder.Recovery,
        record_sizes: Mapping[int, int],
        *,
        segment_bytes: int,
        linger_seconds: float,
        reserve_bytes: int,
        encryptor: Encryptor | None,
    ) -> None:
        self.path = path
        self.recovery = recovery
        self.epoch = recovery.epoch + 1
        self.pool = Pool(record_sizes, recovery.next_seq)
        self.durable_seq = recovery.next_seq
        self._log_id = log_id
        self._lock = lock_descriptor
        self._linger = linger_seconds
        self._segment_bytes = segment_bytes
        self._encryptor = encryptor
        self._reserve = Reserve(path, reserve_bytes)
        # Owned by the committing thread while a commit is in flight, by the loop otherwise.
        self._descriptor = -1
        # Held, so that a process out of descriptors can still make a new segment's name durable.
        self._folder = os.open(path / "seg", os.O_RDONLY | os.O_DIRECTORY)
        self._reserve.keep(_free_bytes(self._folder))
        self._offset = 0
        self._segment_began = 0.0
        self._segment_base = 0
        self._segments_begun = 0
        self._seed = frame.seed_of(log_id)
        self._chain = recovery.chain
        self._last_time_us = recovery.last_time_us
        self._marked_seq = 0  # the highest durable_seq that stands in the file
        # Owned by the loop.
        self._limiter = trio.CapacityLimiter(1)
        self._appended = trio.Event()
        self._hurry = trio.Event()
        self._committed = trio.Event()
        self.sealing = trio.Lock()
        self._unwritten: list[OpenFrame] = []  # taken from the pool, and in no file that counts
        self._in_flight_bytes = 0
        self._blocked = False  # waits for space or descriptors
        # durable_seq, and header_crc of the last durable frame
        self.end = recovery.next_seq, recovery.chain
        self.rewrites = 0  # commits that failed, and then succeeded in a new file
        self._commits = 0
        self._commit_seconds = 0.0
        self._failure: LogFailedError | None = None
        self._closed = False
        self._released = False
        self._written_bytes = 0
        self._disk_free = _free_bytes(self._folder)
        self._disk_low = False
        self._waiting = RepeatedWarning(_logger, "The event log can be written again")
        self._filling = RepeatedWarning(_logger, "There is space for the event log again")
        self._unsealed = RepeatedWarning(_logger, "All finished segments are sealed again")

    @property
    def log_id(self) -> bytes:
        """16 bytes."""
        return self._log_id

    @property
    def next_seq(self) -> int:
        return self.pool.next_seq

    def has_room(self, *, reserved: bool = False) -> bool:
        """Whether records may be appended now. Asked once a batch, before anything is decided.

        `reserved`: for what matters more than the rest, and may use the last of the disk.
        """
        return (
            self._failure is None
            and not self._closed
            and not self._blocked
            and (reserved or not self._disk_low)
            and self._in_flight_bytes + self.pool.size < MAX_PENDING_BYTES
        )

    def appended(self) -> None:
        """Tell the committer that the pool holds something. Cheap, and harmless when it does not."""
        self._appended.set()
        if self.pool.size > ENOUGH_BYTES:
            self._hurry.set()

    async def wait_durable(self, seq: int) -> None:
        """Return once record `seq` is on stable storage; asks the committer not to linger.

        Raises `LogFailedError` when it never will be. Cancelling the wait does not touch the commit.
        """
        if self.durable_seq > seq:
            return
        self._appended.set()
        self._hurry.set()
        while self.durable_seq <= seq:
            if self._failure is not None:
                raise self._failure
            if self._released:
                raise LogFailedError(f"the event log in {self.path} is closed")
            await self._committed.wait()

    async def wait_readable(self, seq: int) -> None:
        """Return once readers are given record `seq`: when a later header says that it is durable. Raises as
        `wait_durable` does."""
        await self.wait_durable(seq)
        while self._marked_seq <= seq:
            if self._failure is not None:
                raise self._failure
            if self._released:
                raise LogFailedError(f"the event log in {self.path} is closed")
            await self._committed.wait()

    def statistics(self) -> LogStatistics:
        return LogStatistics(
            next_seq=self.next_seq,
            durable_seq=self.durable_seq,
            pending_bytes=self._in_flight_bytes + self.pool.size,
            commits=self._commits,
            last_commit_seconds=self._commit_seconds,
            segment_bytes=self._offset,
            written_bytes=self._written_bytes,
            rewrites=self.rewrites,
            disk_free_bytes=self._disk_free,
        )

    async def keep_seals(self) -> None:
        """Seal every segment soon after it is finished, those that earlier runs left too; until cancelled.

        Run it beside `run`: it has a thread of its own, and no commit waits for it.
        """
        sealed = 0
        while True:
            if sealed != (begun := self._segments_begun):
                try:
                    await self.seal_finished()
                    sealed = begun
                    self._unsealed.over()
                except (OSError, LogError) as error:
                    self._unsealed.warn(
                        "Finished segments could not be sealed, tried again: %s", error
                    )
            await trio.sleep(SEAL_SECONDS)

    async def seal_finished(self) -> None:
        """Seal every finished segment now. One at a time does it, and whoever removes segments or seals holds `sealing` too.

        Raises `LogError`, `OSError`.
        """
        async with self.sealing:
            await trio.to_thread.run_sync(seals.write_missing, self.path)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit until cancelled, then commit what is left and close. Raises `LogFailedError`."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            task_status.started()
            while True:
                if self._blocked:
                    await trio.sleep(RETRY_SECONDS)
                else:
                    await self._wait_for_records()
                    await self._wait_for_company()
                await self._commit()

    async def _wait_for_records(self) -> None:
        if self.pool.empty and self._marked_seq < self.durable_seq:
            with trio.move_on_after(WATERMARK_SECONDS):
                await self._appended.wait()
                return
            await self._commit()  # nothing came: the watermark
            if self._blocked:
                return
        await self._appended.wait()

    async def _wait_for_company(self) -> None:
        """Linger, so that one sync serves many; not when somebody waits for the disk."""
        with trio.move_on_after(lingering(self._linger, self._commit_seconds)):
            await self._hurry.wait()

    async def _commit(self) -> None:
        """Write what there is. Afterwards it is durable, or the log is blocked and still has it, or it has failed."""
        self._unwritten += self.pool.take()
        self._appended = trio.Event()
        self._hurry = trio.Event()
        unwritten = self._unwritten
        if not unwritten and self._marked_seq >= self.durable_seq:
            return
        self._in_flight_bytes = sum(len(one.plain) + len(one.protected) for one in unwritten)
        began = trio.current_time()
        try:
            # Shielded: a commit that was begun is seen through.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._write, unwritten, limiter=self._limiter)
        except Exception as error:
            self._not_written(error)
        else:
            self._written()
        finally:
            self._commit_seconds = trio.current_time() - began
            self._commits += 1
            self._wake_waiters()

    def _written(self) -> None:
        if self._unwritten:
            self.durable_seq = self._unwritten[-1].next_seq
            self._unwritten = []
            self._in_flight_bytes = 0
        self.end = self.durable_seq, self._chain
        self._blocked = False
        self._waiting.over()
        if self._disk_low:
            self._filling.warn(
                "The disk is nearly full (%d bytes are free): what may be refused is refused",
                self._disk_free,
            )
        elif self._disk_free >= 2 * RESERVE_BYTES:  # not at every byte around the limit
            self._filling.over()

    def _not_written(self, error: Exception) -> None:
        """Raises `LogFailedError` unless it is worth waiting."""
        if isinstance(error, OSError) and error.errno in _SHORT:
            self._blocked = True
            self._waiting.warn(
                "The event log cannot be written (%s): nothing is taken in until it can", error
            )
            return
        self._failure = self._failed(error)
        raise self._failure from error

    def _failed(self, why: object) -> LogFailedError:
        return LogFailedError(f"cannot write the event log in {self.path}: {why}")

    def _wake_waiters(self) -> None:
        committed, self._committed = self._committed, trio.Event()
        committed.set()

    async def _close(self) -> None:
        self._closed = True
        with trio.CancelScope(shield=True):
            try:
                if self._failure is None:
                    if self._unwritten or not self.pool.empty:
                        await self._commit()
                    if not self._blocked:
                        await self._commit()  # the watermark
                    if self._unwritten:
                        self._failure = self._failed(
                            "no space, or no descriptor, until it was stopped"
                        )
                        raise self._failure
            finally:
                await trio.to_thread.run_sync(self._release)
                self._released = True
                self._wake_waiters()

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.close(self._folder)
        os.close(self._lock)

    # From here on: the committing thread.

    def _write(self, taken: list[OpenFrame]) -> None:
        now = time.monotonic()
        full = self._offset >= self._segment_bytes or now - self._segment_began > SEGMENT_SECONDS
        # A second segment with the same first event would take the name, and the place, of the one before.
        full = full and bool(taken) and taken[0].base_seq > self._segment_base
        frames = taken or [self._watermark()]
        try:
            self._write_once(frames, now, full=full)
        except OSError as error:
            if not self._abandon(error):
                raise
            self._write_again(frames, now)
        self._marked_seq = self.durable_seq
        self._look_at_disk()

    def _write_once(self, frames: list[OpenFrame], now: float, *, full: bool) -> None:
        if self._blocked:
            self._disk_free = _free_bytes(self._folder)
            if self._disk_free < _size(frames) + _BEGIN_BYTES:
                # Not tried: a file would be begun each time, and left with nothing in it.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._descriptor < 0 or full:
            self._next_segment(frames[0].base_seq, now)
        self._put(frames)

    def _write_again(self, frames: list[OpenFrame], now: float) -> None:
        try:
            self._write_once(frames, now, full=False)
        except OSError as error:
            self._abandon(error)
            raise
        self.rewrites += 1

    def _abandon(self, error: OSError) -> bool:
        """Leave the file, whatever came of it: the kernel may have dropped what it could not write, and another sync of
        the same file would succeed all the same. A new epoch tells readers where to leave the old file.

        Returns whether there is a point in trying again at once.
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
        elif error.errno in _SHORT:
            return False
        _logger.error("Writing the event log failed (%s); trying once more in a new file", error)
        return True

    def _put(self, frames: list[OpenFrame]) -> None:
        buffers: list[bytes | bytearray] = []
        chain = self._chain
        for one in frames:
            chain = self._add_frame(buffers, one, chain)
        offset = write_all(self._descriptor, buffers, self._offset)
        os.fdatasync(self._descriptor)
        self._written_bytes += offset - self._offset
        self._offset = offset
        self._chain = chain

    def _look_at_disk(self) -> None:
        """Decided ahead of need: announces should never meet a full disk in a write."""
        with suppress(OSError):  # what was just written is written
            self._disk_free = _free_bytes(self._descriptor)
        self._disk_low = self._disk_free < RESERVE_BYTES
        self._reserve.keep(self._disk_free)

    def _next_segment(self, base_seq: int, now: float) -> None:
        path = self.path / "seg" / segment.file_name(base_seq, self.epoch)
        temporary = path.with_suffix(".tmp")
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
        except OSError as error:
            # Out of descriptors, so nothing was made: the segment may well grow on until there is one.
            if self._descriptor < 0 or error.errno not in (errno.EMFILE, errno.ENFILE):
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
        self._segments_begun += 1

    def _watermark(self) -> OpenFrame:
        return OpenFrame(frame.WATERMARK, 0, 0, self.durable_seq, self._last_time_us)

    def _add_frame(self, buffers: list[bytes | bytearray], one: OpenFrame, chain: int) -> int:
        self._last_time_us = max(self._last_time_us, one.time_us)
        boottime_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        encrypted = self._encrypt(one, boottime_ns)
        header, chain = frame.build_header(
            one.kind,
            one.schema,
            one.count,
            one.plain,
            encrypted.data,
            epoch=self.epoch,
            base_seq=one.base_seq,
            durable_seq=self.durable_seq,
            time_us=self._last_time_us,
            boottime_ns=boottime_ns,
            prev_crc=chain,
            flags=one.flags,
            key_epoch=encrypted.key_epoch,
            key_check=encrypted.check,
            seed=self._seed,
        )
        buffers += [header, one.plain, encrypted.data]
        buffers.append(bytes(frame.padding(len(one.plain) + len(one.protected))))
        return chain

    def _encrypt(self, one: OpenFrame, boottime_ns: int) -> Encrypted:
        if self._encryptor is None or not one.protected:
            return Encrypted(0, 0, bytes(one.protected))
        frame_id = FrameId(self._log_id, self.epoch, one.base_seq, boottime_ns)
        return self._encryptor.encrypt(frame_id, self._last_time_us, one.protected)

    def _begin_segment(self, temporary: Path, path: Path, descriptor: int, base_seq: int) -> None:
        """A new file appears under its name with its header whole, so that readers need not guess."""
        header = segment.SegmentHeader(
            self._log_id,
            base_seq,
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            self.epoch,
            self._chain,
        )
        self._offset = write_all(descriptor, [header.pack()], 0)
        os.fsync(descriptor)
        temporary.rename(path)
        os.fsync(self._folder)


def _size(frames: list[OpenFrame]) -> int:
    return sum(len(one.plain) + len(one.protected) + frame.HEADER_SIZE for one in frames)


def _free_bytes(descriptor: int) -> int:
    """What may still be written to a descriptor's file system."""
    room = os.fstatvfs(descriptor)
    return room.f_bavail * room.f_frsize


def open_log(
    path: Path,
    record_sizes: Mapping[int, int],
    *,
    segment_bytes: int = 64 << 20,
    linger_seconds: float = 0.005,
    reserve_bytes: int = 0,
    encryptor: Encryptor | None = None,
) -> EventLog:
    """Open (or create) the log in `path` for writing, recovering its end. Blocking.

    `record_sizes` gives the plain bytes of a record by kind, 0 = records vary. `reserve_bytes` of the disk are held
    for when it is full. Without an `encryptor` the protected sections
    are written in clear. Raises `LogLockedError`, `LogFormatError`, `LogCorruptError`, and `LogUnusableError`.
    """
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        folder.check_format(path)
        descriptor = folder.lock(path)
        try:
            folder.create(path)
            log_id = folder.read_identity(path)
            recovery = folder.recover(path, log_id)
            return EventLog(
                path,
                log_id,
                descriptor,
                recovery,
                record_sizes,
                segment_bytes=segment_bytes,
                linger_seconds=linger_seconds,
                reserve_bytes=reserve_bytes,
                encryptor=encryptor,
            )
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise LogUnusableError(path, str(error)) from None
