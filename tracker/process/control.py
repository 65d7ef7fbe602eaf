"""Commands to the running tracker from its own machine, where no API need be configured: a Unix socket among the secrets.

One connection, one request: a line of JSON, and a line in answer. Whoever may open the socket may read the keys as
well, so it asks for no token.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

log = logging.getLogger("tracker")

NAME = "control.sock"
TIMEOUT_SECONDS = 60
_MAX_LINE = 4096
_MAX_ANSWER = 1 << 20


class ControlError(Exception):
    """Nobody answers at the socket, or not as a tracker does."""


async def serve(
    folder: Path,
    answer: Answer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; without a socket, and with a warning, where the folder cannot hold one."""
    try:
        listening = _listen(folder)
    except OSError as error:
        log.warning("No control socket in %s: %s", folder, error)
        task_status.started()
        return
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    try:
        await trio.serve_listeners(
            partial(_converse, answer), [listener], task_status=_Quietly(task_status)
        )
    finally:
        (folder / NAME).unlink(missing_ok=True)


class _Quietly:
    """`started()` for whoever does not want the listeners."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, _value: object = None) -> None:
        self._task_status.started()


async def _converse(answer: Answer, stream: trio.SocketStream) -> None:
    with trio.move_on_after(TIMEOUT_SECONDS):
        try:
            request = json.loads(await _line(stream))
            said = await answer(request)
        except (ValueError, LookupError, TypeError) as error:
            said = {"error": f"not understood: {error}"}
        except trio.BrokenResourceError:
            return
        try:
            await stream.send_all(json.dumps(said).encode() + b"\n")
        except trio.BrokenResourceError:
            log.debug("whoever asked at the control socket did not wait for the answer")


async def _line(stream: trio.SocketStream) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) < _MAX_LINE:
        more = await stream.receive_some(_MAX_LINE)
        if not more:
            break
        received += more
    return received


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The running tracker's answer. Blocking. Raises `ControlError`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(TIMEOUT_SECONDS)
            with _short(folder) as short:
                asking.connect(f"{short}/{NAME}")
            asking.sendall(json.dumps(request).encode() + b"\n")
            with asking.makefile("rb") as answer:
                said = json.loads(answer.readline(_MAX_ANSWER))
    except (OSError, ValueError) as error:
        raise ControlError(str(error)) from None
    if not isinstance(said, dict):
        raise ControlError("what answers there is no tracker")
    return said


def _listen(folder: Path) -> socket.socket:
    (folder / NAME).unlink(missing_ok=True)  # of a run that was killed
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), 0o600)
        with _short(folder) as short:
            listening.bind(f"{short}/{NAME}")
        listening.listen(8)
    except BaseException:
        listening.close()
        raise
    return listening


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Another name of a folder: the path of a Unix socket may have 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
