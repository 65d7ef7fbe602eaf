"""Opens a Unix socket, on which a proxy on the same machine is served."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

BACKLOG = 4096  # connections not yet accepted
NO_OTHERS = 0o117
"""The umask for the socket file, which gives it mode 0660: the tracker's user and group alone."""


def open_socket(path: str) -> socket.socket:
    """Returns a listening, non-blocking socket at `path`, replacing one that an ended tracker left
    there.

    Raises `OSError`, also when another process listens there or the file is no socket.
    """
    _remove_stale(Path(path))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(NO_OTHERS)  # because a later chmod would leave a moment for others
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def remove(path: str) -> None:
    """Removes the file of a socket that is closed. Whatever else is there stays."""
    with suppress(OSError):
        _remove_stale(Path(path))


def check(path: str) -> None:
    """Raises the `OSError` by which `open_socket` would fail, and changes nothing."""
    place = Path(path)
    place.parent.stat()
    if os.path.lexists(place) and not stat.S_ISSOCK(place.lstat().st_mode):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISSOCK(mode) and not _answers(path):
        path.unlink(missing_ok=True)
        return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
