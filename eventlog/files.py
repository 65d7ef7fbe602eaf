"""File operations that are durable when they return. Blocking calls."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from eventlog.errors import NotAFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

A_FOLDER = "is a folder, and should be a file"
A_FILE = "is a file, and should be a folder"


NO_FILE = "is no regular file, and should be one"


def open_file(path: Path) -> BufferedReader:
    """Open a file of ours to read it.

    Looks before it opens, because opening a pipe waits for a writer, and a device may have no end.
    Raises `NotAFileError` for anything else in the place of a file, `OSError`.
    """
    check_file(path)
    return BufferedReader(_Named(path))


class _Named(FileIO):
    """Names the file in an error of reading, such as a bad sector, because the system does not."""

    def readinto(self, buffer: Buffer, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self._naming(error) from None

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise self._naming(error) from None

    def _naming(self, error: OSError) -> OSError:
        return OSError(error.errno, error.strerror, str(self.name))


def check_file(path: Path) -> None:
    """Raises `NotAFileError` where something else than a regular file stands, `OSError`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise NotAFileError(path, _link_to_nothing(path)) from None
        raise
    if not stat.S_ISREG(mode):
        raise NotAFileError(path, A_FOLDER if stat.S_ISDIR(mode) else NO_FILE)


def _link_to_nothing(path: Path) -> str:
    return f"is a link to {os.readlink(path)}, which is not there: is its disk mounted?"


def read_file(path: Path) -> bytes:
    """Read a whole file of ours. Raises what `open_file` raises."""
    with open_file(path) as file:
        return file.read()


def make_folder(path: Path, mode: int = 0o750) -> None:
    """Make a folder and its parents where they are missing, and make their names durable, up to the
    root of the file system.

    Call it before each file in it that matters, also where the folder exists: an earlier attempt
    may have made it and ended before it synced. Raises `OSError`, which says what stands in the
    way.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _in_the_way(Path(error.filename)) from None
    path = path.absolute()
    sync_directory(path)
    while not path.is_mount():
        path = path.parent
        try:
            sync_directory(path)
        except PermissionError:
            return  # we made no entry there: that takes more permissions


def check_folder(path: Path) -> None:
    """Raise the `OSError` of `make_folder` if something else than a folder stands in the way; make
    nothing.
    """
    if path.is_dir():
        return
    if os.path.lexists(path):
        raise _in_the_way(path)
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _in_the_way(there: Path) -> OSError:
    what = _link_to_nothing(there) if there.is_symlink() else A_FILE
    return OSError(f"{there} {what}")


def sync_directory(path: Path) -> None:
    """Make creations, renames and removals in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_file(path: Path, mode: int = 0o640) -> int:
    """Make an empty file in the place of one that an attempt left, and open it to write and read.

    Never opens what is there, because a link planted in the log's folder may lead to a file of the
    secrets. Raises `OSError`.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)


def write_new(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Create a small file with this content, whole and durable, or not at all. Raises `OSError`."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = create_file(temporary, mode)
    try:
        try:
            write_all(descriptor, [data], 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()  # it may take the last space of the disk
        raise
    sync_directory(path.parent)


def destroy_file(path: Path) -> None:
    """Overwrite a small file, then remove it, durably. Does nothing when the file is missing.

    Copies of the old blocks in the file system or the device (journals, snapshots, flash) are out
    of reach from here.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe has no reader to wait for
    except FileNotFoundError:
        return
    try:
        write_all(descriptor, [os.urandom(os.fstat(descriptor).st_size)], 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_all(descriptor: int, buffers: Sequence[bytes | bytearray], offset: int) -> int:
    """Write all buffers at `offset`, in as many calls as it takes.

    Returns the offset after them.
    """
    data = b"".join(buffers)
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        if not written:
            raise OSError("the file system accepted no byte of a write")
        view = view[written:]
        offset += written
    return offset
