"""A listening Unix socket: for the API behind a proxy on the same machine."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

BACKLOG = 128
NO_OTHERS = 0o117
"""What a new socket file is denied: it gets mode 0660, for the tracker's user and group alone."""


def open_socket(path: str) -> socket.socket:
    """A listening, non-blocking socket at `path`; a file that an ended tracker left there is replaced.

    Raises `OSError`, also when somebody listens there, or when the file is no socket.
    """
    _remove_stale(Path(path))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(NO_OTHERS)  # at once, as nobody may connect before a chmod
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
