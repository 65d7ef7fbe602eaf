"""Lets the event loop append to a log, wait until events are durable, and read statistics.

    append --> Pool (memory) --> run(): linger, take --> Committer.write (thread) --> durable_seq

Appending is a plain call. One task, `run`, hands all appended records to the committing thread
(committer.py), and begins the next commit only when that one has ended. A caller awaits
`wait_durable` before it acknowledges an event, because a crash can remove the last events.

If a write fails for want of space, descriptors, memory or a thread, the log is blocked: it tries
again every second, keeps its records in memory, and refuses new ones. Any other failure, after a
second attempt, ends the log.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import trio
from attrs import Factory, define, field, frozen

from eventlog import folder, history, seals
from eventlog.committer import RESERVE_BYTES, Committer, passes_by_itself
from eventlog.errors import LogError, LogFailedError, LogUnusableError
from eventlog.files import make_folder
from eventlog.pool import OpenFrame, Pool
from eventlog.repeated_warning import RepeatedWarning
from eventlog.reserve import Reserve
from eventlog.threads import Pace, in_thread, to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eventlog.encryption import Encryptor
    from eventlog.segment import End
    from eventlog.tags import Tags

_logger = logging.getLogger(__name__)

WATERMARK_SECONDS = 0.05
"""Idle seconds after which a watermark follows the last commit, so that readers get its events (at
most 0.2).
"""
SEAL_SECONDS = 5.0
"""Seconds between checks for finished segments."""
READABLE_SECONDS = 0.25
"""Longest wait in seconds until readers get a durable event.

The wait is a fifth of that, unless the disk is slow or full.
"""
RETRY_SECONDS = 1.0
"""Seconds between attempts to write while something is not to be had: space, a descriptor, memory,
a thread."""
LONGER_SECONDS = 0.1
"""Upper bound in seconds of the adaptive linger, because waiting records are only in memory:
readers get them later, and a crash loses more of them."""
MANY_BYTES = 16 << 10
"""Bytes of a commit after which the next one gathers as long as after a slow one, because a commit
costs as much CPU as a thousand announces. About 20,000 come a second then."""
ENOUGH_BYTES = 1 << 20
"""Pending bytes above which a commit begins at once, because a larger batch gains nothing."""
HUNG_SECONDS = 10.0
"""Seconds of a commit after which `has_room` returns False, because what is taken in meanwhile is
only in memory. So a disk that hangs costs what came in these seconds, and no more."""
MAX_PENDING_BYTES = 64 << 20
"""Bytes appended and not yet durable at which `has_room` returns False, so that a hung disk cannot
fill the memory."""


def lingering(seconds: float, last_commit: float, last_bytes: int) -> float:
    """Returns the seconds to gather records before a commit.

    `seconds`: the configured linger. `last_commit`, `last_bytes`: the seconds that the last commit
    took, and the bytes that it wrote. When commits take long, because the machine or its disk is
    busy, or come with many records, the gathering takes longer, so that there are fewer: four times
    the last commit, at most four times `seconds`, and at most `LONGER_SECONDS`.
    """
    longer = 4 * (seconds if last_bytes >= MANY_BYTES else last_commit)
    return max(seconds, min(longer, 4 * seconds, LONGER_SECONDS))


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


def _warning(over: str) -> Callable[[], RepeatedWarning]:
    return lambda: RepeatedWarning(_logger, over)


@define(eq=False)
class EventLog:
    """A log open for writing. Open it with `open_log`; nothing becomes durable unless `run` runs.

    Only the loop uses the fields of this class; `Committer` says when the loop may read its fields.
    The committing thread uses the frames that it gets in `Committer.write`. Nothing else touches
    these frames until it returns.
    """

    # Set when the log is opened, and never changed.
    path: Path
    recovery: folder.Recovery
    _committer: Committer
    _linger_seconds: float
    _begin: Callable[[], bytes]  # returns the history digest before the first event

    # The records on their way to the disk.
    pool: Pool
    durable_seq: int  # every event below it is on stable storage
    end: End  # of the durable part
    _unwritten: list[OpenFrame] = field(factory=list)  # taken from the pool, but not yet durable
    _in_flight_bytes: int = 0  # of `_unwritten`
    # Bytes of frames since the log was opened that announces do not exceed: `has_room` says no
    # where the next batch might. Whoever removes old segments moves it on; nobody does before.
    grow_until: int = sys.maxsize

    # Signals between the tasks.
    _appended: trio.Event = field(factory=trio.Event)
    _hurry: trio.Event = field(factory=trio.Event)  # do not linger
    _committed: trio.Event = field(factory=trio.Event)  # a commit succeeded or failed
    _sealed: seals.Sealed = field(
        default=Factory(lambda self: self._committer.known, takes_self=True)
    )
    segments_begun: int = 0  # since the log was opened
    _begun: trio.Event = field(factory=trio.Event)  # another one was
    sealing: trio.Lock = field(factory=trio.Lock)  # for tasks that make or remove seals

    # The condition of the log.
    _hung_from: float = math.inf  # when the running commit counts as hung; of the monotonic clock
    _blocked: bool = False  # waits for space, descriptors, memory or a thread
    _refusal: str = ""  # what it waits for, or waited for last
    _failure: LogFailedError | None = None
    _closed: bool = False  # refuses new records
    _released: bool = False  # nothing more becomes durable
    _commits: int = 0
    _commit_seconds: float = 0.0  # of the last commit
    _commit_bytes: int = 0  # of its records
    _no_write: RepeatedWarning = field(factory=_warning("The event log can be written again"))
    _no_space: RepeatedWarning = field(factory=_warning("There is space for the event log again"))
    _no_seal: RepeatedWarning = field(factory=_warning("All finished segments are sealed again"))

    @property
    def log_id(self) -> bytes:
        """16 bytes."""
        return self._committer.log_id

    @property
    def epoch(self) -> int:
        return self._committer.epoch

    @property
    def next_seq(self) -> int:
        return self.pool.next_seq

    @property
    def segment_bytes(self) -> int:
        """Size at which a segment is finished."""
        return self._committer.segment_bytes

    @property
    def rewrites(self) -> int:
        """Commits that failed, and then succeeded in a new file."""
        return self._committer.rewrites

    def has_room(self, *, reserved: bool = False) -> bool:
        """Tells whether records may be appended now. Call it once for each batch, before deciding.

        `reserved`: for records that may use the last of the disk, such as administrators' changes.
        """
        pending = self._in_flight_bytes + self.pool.reach
        return (
            self._failure is None
            and not self._closed
            and not self._blocked
            and (reserved or not self._committer.disk_low)
            and (reserved or time.monotonic() < self._hung_from)
            and (reserved or self._committer.written_bytes + pending <= self.grow_until)
            and pending < MAX_PENDING_BYTES
        )

    def trouble(self) -> str:
        """Returns in words why records are refused that may not use the last of the disk, "" = they
        are taken: see `has_room`.
        """
        committer = self._committer
        if self.has_room():
            return ""
        if self._failure is not None or self._closed:
            return str(self._failure or "it is closed")
        if self._blocked:
            return f"it cannot be written ({self._refusal})"
        if committer.disk_low:
            return f"its disk is nearly full ({committer.disk_free} bytes are free)"
        if time.monotonic() >= self._hung_from:
            return "its disk does not answer"
        if self._in_flight_bytes + self.pool.reach >= MAX_PENDING_BYTES:
            return "its disk is too slow for what comes"
        return "it has grown to its bound, until old segments are removed"

    def appended(self) -> None:
        """Wake `run`, because the pool holds records. Cheap, and harmless if the pool is empty."""
        self._appended.set()
        if self.pool.size > ENOUGH_BYTES:
            self._hurry.set()

    async def wait_durable(self, seq: int) -> None:
        """Return once event `seq` is on stable storage; make `run` commit without lingering.

        Raises `LogFailedError` if the event will never be durable. Cancelling the wait does not
        stop the commit.
        """
        if self.durable_seq > seq:
            return
        self._appended.set()
        self._hurry.set()
        while self.durable_seq <= seq:
            await self._wait_for_a_commit()

    async def wait_readable(self, seq: int) -> None:
        """Return once readers get event `seq`, because a later header calls it durable.

        Raises the errors of `wait_durable`.
        """
        await self.wait_durable(seq)
        while self._committer.marked_seq <= seq:
            await self._wait_for_a_commit()

    async def wait_readable_briefly(self, seq: int) -> None:
        """Wait until readers get event `seq`, so that a client finds its latest change in the log.

        Returns at once if the event is not durable. Returns also after `READABLE_SECONDS` and when
        the log has failed; then readers may not get the event yet.
        """
        if seq < self.durable_seq:
            with trio.move_on_after(READABLE_SECONDS), suppress(LogFailedError):
                await self.wait_readable(seq)

    async def wait_segment_begun(self, before: int) -> None:
        """Return once more segments than `before` were begun, so that another one is finished."""
        while self.segments_begun <= before:
            await self._begun.wait()

    async def _wait_for_a_commit(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._released:
            raise LogFailedError(f"the event log in {self.path} is closed")
        await self._committed.wait()

    def statistics(self) -> LogStatistics:
        committer = self._committer
        return LogStatistics(
            next_seq=self.next_seq,
            durable_seq=self.durable_seq,
            pending_bytes=self._in_flight_bytes + self.pool.size,
            commits=self._commits,
            last_commit_seconds=self._commit_seconds,
            segment_bytes=committer.segment_size,
            written_bytes=committer.written_bytes,
            rewrites=committer.rewrites,
            disk_free_bytes=committer.disk_free,
        )

    @property
    def sealed(self) -> seals.Sealed:
        """The newest sealed history digest, and the number of the event after its segment; 0 = no
        segment was sealed. All segments below have seals."""
        return self._sealed

    def note_sealed(self, sealed: seals.Sealed) -> None:
        """Take over what another process sealed."""
        if sealed[1] >= self._sealed[1]:
            self._sealed = sealed
            self.note_history(sealed)

    def note_history(self, known: seals.Sealed) -> None:
        """Let the headers of new segments name this history digest, unless a later one is known."""
        if known[1] >= self._committer.known[1]:
            self._committer.known = known

    async def keep_seals(self, *, beside: bool = False) -> None:
        """Seal every finished segment soon, those of earlier runs too, until cancelled.

        Run it beside `run`. It uses another thread, so that no commit waits for it. `beside`:
        another process seals, and here only what failed writes left is cut off.
        """
        sealed = 0
        while True:
            if sealed != (begun := self._committer.segments_begun):
                try:
                    await (self.cut_finished() if beside else self.seal_finished(Pace()))
                    sealed = begun
                    self._no_seal.over()
                except (OSError, LogError) as error:
                    if isinstance(error, LogError):
                        sealed = begun  # damage does not pass, and costs a look at every frame
                    self._no_seal.warn(
                        "Finished segments could not be sealed, tried again: %s", error
                    )
            await trio.sleep(SEAL_SECONDS)

    async def seal_finished(self, pace: Callable[[], None] = lambda: None) -> None:
        """Seal every finished segment now, and hold the lock `sealing` meanwhile.

        `pace`: see `seals.write_missing`. Tasks that remove segments or seals must hold the lock
        too. Raises `LogError`, `OSError`.
        """
        async with self.sealing:
            newest = await in_thread(
                seals.write_missing, self.path, self._committer.tags, self._begin, pace
            )
        if newest is not None:
            self.note_sealed(newest)

    async def cut_finished(self) -> None:
        """Cut off what failed writes left in finished segments. Raises `LogError`, `OSError`."""
        async with self.sealing:
            await in_thread(seals.cut_finished, self.path)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit until cancelled, then commit the rest and close. Raises `LogFailedError`."""
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
        while self.pool.empty and self._committer.marked_seq < self.durable_seq:
            with trio.move_on_after(WATERMARK_SECONDS):
                await self._appended.wait()
                return
            # Mostly no record came, so this writes a watermark. One that came just now is committed
            # in its place, and then a watermark is due again.
            await self._commit()
            if self._blocked:
                return
        await self._appended.wait()

    async def _wait_for_company(self) -> None:
        """Linger, so that one sync serves many records. A waiting caller ends the linger."""
        seconds = lingering(self._linger_seconds, self._commit_seconds, self._commit_bytes)
        with trio.move_on_after(seconds):
            await self._hurry.wait()

    async def _commit(self) -> None:
        """Commit all records appended so far.

        Afterwards they are durable, or the log is blocked and keeps them. Raises `LogFailedError`
        if the log has failed.
        """
        self._unwritten += self.pool.take()
        self._appended = trio.Event()
        self._hurry = trio.Event()
        taken = self._unwritten
        if not taken and self._committer.marked_seq >= self.durable_seq:
            return
        self._commit_bytes = sum(len(one.plain) + len(one.protected) for one in taken)
        self._in_flight_bytes = self._commit_bytes
        began = trio.current_time()
        self._hung_from = time.monotonic() + HUNG_SECONDS
        try:
            await to_the_end(self._committer.write, taken, self.durable_seq, self._blocked)
        except Exception as error:
            self._note_failure(error)
        else:
            self._note_success()
        finally:
            self._hung_from = math.inf
            self._commit_seconds = trio.current_time() - began
            self._commits += 1
            self._wake_waiters()

    def _note_success(self) -> None:
        if self._unwritten:
            self.durable_seq = self._unwritten[-1].next_seq
            self._unwritten = []
            self._in_flight_bytes = 0
        self.end = self.durable_seq, self._committer.chain
        self._blocked = False
        self._no_write.over()
        if self._committer.disk_low:
            self._no_space.warn(
                "The disk is nearly full (%d bytes are free): what may be refused is refused",
                self._committer.disk_free,
            )
        elif self._committer.disk_free >= 2 * RESERVE_BYTES:  # so that it does not warn too often
            self._no_space.over()

    def _note_failure(self, error: Exception) -> None:
        """Blocks the log if waiting helps, else raises `LogFailedError`."""
        if passes_by_itself(error):
            self._blocked = True
            self._refusal = str(error)
            self._no_write.warn(
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
        if self.segments_begun != self._committer.segments_begun:
            self.segments_begun = self._committer.segments_begun
            begun, self._begun = self._begun, trio.Event()
            begun.set()

    async def _close(self) -> None:
        self._closed = True
        with trio.CancelScope(shield=True):
            try:
                if self._failure is None:
                    await self._commit_the_rest()
            finally:
                # In this thread: it takes no time that matters, and needs no other thread.
                self.release()
                self._released = True
                self._wake_waiters()

    async def _commit_the_rest(self) -> None:
        if self._unwritten or not self.pool.empty:
            await self._commit()
        if not self._blocked:
            await self._commit()  # the watermark
        if self._unwritten:
            self._failure = self._failed(f"{self._refusal}, until it was stopped")
            raise self._failure

    def release(self) -> None:
        """Close the log's files and release its lock, without a commit.

        `run` calls it at its end. Blocking.
        """
        self._committer.release()


def open_log(
    path: Path,
    record_sizes: Mapping[int, int],
    tags: Tags,
    *,
    segment_bytes: int = 64 << 20,
    linger_seconds: float = 0.005,
    reserve_bytes: int = 0,
    encryptor: Encryptor | None = None,
    before_changes: Callable[[End], None] = lambda _: None,
    begin: Callable[[], bytes] = lambda: history.BEGIN,
) -> EventLog:
    """Open (or create) the log in the folder `path` for writing, recovering its end. Blocking.

    `record_sizes`: bytes of a record's plain part by kind; 0 = the size varies. `segment_bytes`:
    size at which a segment is finished. `reserve_bytes`: bytes of the disk to hold until it is
    full. `encryptor`: None = the protected sections are written in clear. `before_changes` is
    called with the end of the log before recovery changes a byte; it may raise. `begin` returns the
    history digest before the first event of the log.

    Raises `LogLockedError`, `LogFormatError`, `LogCorruptError`, `LogUnusableError`.
    """
    try:
        make_folder(path)
        folder.check_format(path)
        lock = folder.lock(path)
        try:
            folder.create(path)
            log_id = folder.read_identity(path)
            recovery = folder.recover(path, log_id, tags, before_changes)
            committer = Committer(
                path=path,
                log_id=log_id,
                lock=lock,
                segment_bytes=segment_bytes,
                tags=tags,
                encryptor=encryptor,
                reserve=Reserve(path, reserve_bytes),
                epoch=recovery.epoch + 1,
                chain=recovery.chain,
                last_time_us=recovery.last_time_us,
                known=recovery.sealed or (history.BEGIN, 0),
            )
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise LogUnusableError(path, str(error)) from None
    pool = Pool(record_sizes, recovery.next_seq)
    end = recovery.next_seq, recovery.chain
    return EventLog(path, recovery, committer, linger_seconds, begin, pool, recovery.next_seq, end)
