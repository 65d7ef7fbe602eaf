"""Locks and identifies the folder of a log, and recovers the log's end after a crash. Blocking
calls.

<log>/LOCK            locked while a writer lives; names the holder for people
<log>/identity.json   the log id, which all segments carry
<log>/seg/            segments
<log>/quarantine/     bytes that recovery cut off; removed with the segments around them
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections import deque
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from eventlog import seals, segment, versions
from eventlog.errors import (
    LogCorruptError,
    LogFormatError,
    LogLockedError,
    LogUnusableError,
    NotAFileError,
)
from eventlog.files import (
    A_FILE,
    check_file,
    make_folder,
    open_file,
    read_file,
    sync_directory,
    write_all,
    write_new,
)
from eventlog.first_event import list_openings, segments_of
from eventlog.frame import NO_CHAIN
from eventlog.nonsense import border, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog.frame import Frame
    from eventlog.tags import Tags


_FOLDERS = ("seg", "quarantine", "seal", "kept", "opening")
_AGAIN = "restore it from any backup of this log, it never changes. Nothing was changed"
_NO_IDENTITY = "is not the identity file of an event log"
_LOST = f"is missing, but the folder holds segments, or what was once one: {_AGAIN}"


@frozen
class Recovery:
    """The end of a log as recovery found it."""

    next_seq: int
    chain: bytes  # chain value of the last frame
    epoch: int  # of the last segment; 0 = none
    last_time_us: int
    cut_bytes: int = 0  # length of the torn tail that moved to quarantine
    quarantine: Path | None = None
    sealed: seals.Sealed | None = None  # the newest sealed history digest
    last: Frame | None = (
        None  # the last frame with records, its plain part; None = not in the newest segment
    )


def lock(folder: Path) -> int:
    """Take the writer's lock. Returns the descriptor that holds it.

    Raises `LogLockedError`, `LogUnusableError`, `OSError`.
    """
    path = folder / "LOCK"
    try:
        if os.path.lexists(path):  # else this makes it
            check_file(path)
        if path.is_symlink():
            raise NotAFileError(path, "is a link, and what it leads to would be overwritten")
    except NotAFileError as error:
        raise LogUnusableError(folder, f"LOCK {error.what}: remove it") from None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    try:
        _take(folder, descriptor)
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()}\n{_pid_namespace()}\n{socket.gethostname()}\n"
        os.pwrite(descriptor, holder.encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _take(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 500).decode(errors="replace")
        holder, namespace, host = [*text.splitlines(), "", "", ""][:3]
        if namespace and (namespace, host) != (_pid_namespace(), socket.gethostname()):
            holder += f" of another container or machine, which calls itself {host}"
        raise LogLockedError(folder, holder or "unknown") from None


def _pid_namespace() -> str:
    """Names the processes among which this one's number counts."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def create(path: Path) -> None:
    """Make an empty log folder, or complete one after an interruption.

    Raises `LogFormatError`, `OSError`.
    """
    # Before the identity, so that an identity implies a durable place for segments.
    make_folder(path / "seg")
    identity = path / "identity.json"
    if not identity.exists():
        if any((path / "seg").iterdir()):
            raise LogFormatError(identity, _LOST)
        body = {"log_id": secrets.token_hex(16), "format": versions.FORMAT}
        write_new(identity, json.dumps(body).encode() + b"\n")


def read_identity(path: Path) -> bytes:
    """Read the 16-byte id of the log, ignoring fields of other versions.

    Raises `LogUnusableError`, `LogFormatError`.
    """
    identity = path / "identity.json"
    try:
        with border(lambda _: LogFormatError(identity, f"{_NO_IDENTITY}: {_AGAIN}")):
            found: Any = parse_json(read_file(identity))
            log_id, version = bytes.fromhex(found["log_id"]), found["format"]
            if type(version) is not int:
                raise TypeError
    except FileNotFoundError:
        if (path / "seg").is_dir():
            raise LogFormatError(identity, _LOST) from None
        raise LogUnusableError(path, "there is none") from None
    versions.check(identity, version)
    if len(log_id) != 16:
        raise LogFormatError(identity, f"holds no 16-byte log id: {_AGAIN}")
    _check_folders(path)
    return log_id


def _check_folders(path: Path) -> None:
    """Raises `LogUnusableError` for a file in the place of a folder."""
    for name in _FOLDERS:
        if (path / name).is_file():
            raise LogUnusableError(path, f"{name} {A_FILE}: move it away. Nothing was changed")


def check_format(path: Path) -> None:
    """Check, before anything in a folder is touched, that a log in it has this version's format.

    Raises `LogFormatError`.
    """
    if (path / "identity.json").exists():
        read_identity(path)
    for each in segment.list_segments(path / "seg") if (path / "seg").is_dir() else ():
        with suppress(LogCorruptError):  # recovery reports it
            segment.open_header(each)


def recover(
    path: Path, log_id: bytes, tags: Tags, before_changes: Callable[[segment.End], None]
) -> Recovery:
    """Find the end of the log and cut a torn tail, keeping the bytes in quarantine.

    Walks only the newest segment. Older ones ended with a whole frame, a replay checks each of
    their frames, and here their headers are checked, and their lengths by their seals.
    `before_changes` is called with the end before anything is cut. Raises `LogCorruptError` when
    bytes that had been durable are damaged, `LogFormatError` for a segment of another log, and what
    `before_changes` raises.
    """
    paths = segment.list_segments(path / "seg")
    unborn = []
    while paths and _never_begun(paths[-1], log_id):
        unborn.append(paths.pop())
    _check_identity(paths, log_id, tags)
    sealed = seals.check_all(path, paths, tags)
    if not paths:
        if list_openings(path):
            raise LogCorruptError(path / "seg", 0, "the log has a beginning, and no segments")
        before_changes((0, NO_CHAIN))
    else:
        _check_borders(path, [each for each in segments_of(path) if each not in unborn])
        tail = _Tail.of(paths[-1], tags)
        before_changes((tail.next_seq, tail.chain))
    for each in unborn:
        _quarantine(path, each, 0)
        each.unlink()
    if not paths:
        return Recovery(0, NO_CHAIN, 0, 0)
    if sealed:  # seals that others take for durable: a crash may have come before that
        sync_directory(path / seals.FOLDER)
    found = evolve(tail.settled(path), sealed=sealed)
    return found if found.last_time_us else evolve(found, last_time_us=_last_time(paths))


def _never_begun(path: Path, log_id: bytes) -> bool:
    """Tells whether a crash came while the file was created.

    Then it has no whole header, and nothing durable after it.
    """
    try:
        segment.open_header(path)
    except LogCorruptError:
        data = read_file(path)
        if segment.highest_mark(data, 0, log_id) > segment.base_seq_of(path):
            raise
        if seals.follows_a_sealed_one(path):
            raise
        return True
    return False


def _check_borders(path: Path, counting: list[Path]) -> None:
    """Check that each segment that counts continues the one before it, from the beginning on.

    Raises `LogCorruptError`.
    """
    for first in counting[:1]:
        base = segment.base_seq_of(first)
        if base and base not in list_openings(path):
            missing = f"events 0 to {base - 1} are missing before this file"
            what = f"{missing}, and so is an opening balance in their place"
            raise LogCorruptError(first, 0, what)
    for each, following in pairwise(counting):
        segment.check_border(each, following)


def _check_identity(paths: list[Path], log_id: bytes, tags: Tags) -> None:
    for path in paths:
        header = segment.open_header(path)
        if header.log_id != log_id:
            what = "belongs to another log than identity.json says: restore the one that is wrong from a backup"
            raise LogFormatError(path, f"{what}. Nothing was changed")
        name = segment.file_name(header.base_seq, header.epoch)
        if name != path.name:
            raise LogFormatError(path, f"should be called {name} by its header: rename it")
        segment.open_header(path, tags)


def _last_time(paths: list[Path]) -> int:
    """Log time of the last frame of a log whose newest segment has no frame, as a crash may leave
    it."""
    for following, path in pairwise(reversed(paths)):
        with open_file(path) as file:
            walk = segment.Walk(path, file)
            for _ in walk.frames(file, segment.end_before(following, walk.header.epoch)):
                pass
        if walk.last_time_us:
            return walk.last_time_us
    return 0


@frozen
class _Tail:
    """The end of the newest segment, as it is in the file."""

    path: Path
    next_seq: int
    chain: bytes
    epoch: int
    last_time_us: int
    doubtful: int  # offset of the first frame that no later header calls durable
    end: int  # offset of the end of the last whole frame
    torn: bool  # there are bytes behind
    last: Frame | None  # with records

    @classmethod
    def of(cls, path: Path, tags: Tags) -> _Tail:
        """Walk to the end. Raises `LogCorruptError` where durable bytes are damaged."""
        # First event and offset of frames that no later header calls durable.
        doubtful: deque[tuple[int, int]] = deque()
        last = None
        with open_file(path) as file:
            walk = segment.Walk(path, file, tags)
            begin = walk.offset
            for one in walk.frames(file):
                doubtful.append((one.header.base_seq, begin))
                begin = walk.offset
                last = one if one.header.records else last
                while doubtful and doubtful[0][0] < walk.durable_seq:
                    doubtful.popleft()
            if walk.stopped is not None:
                file.seek(walk.offset)
                mark = segment.highest_mark(file.read(), 0, walk.header.log_id)
                if max(mark, walk.durable_seq) > walk.next_seq:
                    raise LogCorruptError(path, walk.offset, walk.stopped)
        return cls(
            path, walk.next_seq, walk.chain, walk.header.epoch, walk.last_time_us,
            doubtful[0][1] if doubtful else walk.offset, walk.offset, walk.stopped is not None, last,
        )  # fmt: skip

    def settled(self, folder: Path) -> Recovery:
        """Cut off what is torn, and make the rest durable."""
        quarantine, cut = None, 0
        if self.torn:
            cut = self.path.stat().st_size - self.end
            quarantine = _quarantine(folder, self.path, self.end)
        _settle(self.path, self.doubtful, self.end)
        last = self.last and self.last._replace(
            plain=memoryview(bytes(self.last.plain)), protected=memoryview(b"")
        )
        return Recovery(
            self.next_seq, self.chain, self.epoch, self.last_time_us, cut, quarantine, last=last
        )


def _quarantine(folder: Path, path: Path, offset: int) -> Path:
    """Copy the bytes from `offset` on to quarantine, before the caller cuts them off."""
    target = folder / "quarantine" / f"{path.name}.{offset}"
    make_folder(target.parent)
    again = 0
    while target.exists():  # a crash at the same offset before
        again += 1
        target = target.with_name(f"{path.name}.{offset}.{again}")
    write_new(target, read_file(path)[offset:])
    return target


def _settle(path: Path, durable: int, end: int) -> None:
    """Cut the file at `end`, and make the bytes between `durable` and `end` durable too.

    They may be in the page cache only, because the process was killed or a sync failed. After a
    failed sync the kernel takes them for written, and another sync succeeds without writing. So the
    same bytes are written again.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        write_all(descriptor, [os.pread(descriptor, end - durable, durable)], durable)
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
