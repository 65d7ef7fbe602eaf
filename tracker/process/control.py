"""Takes commands for the running tracker on a Unix socket, so that they work without an API.

A connection carries one request and one reply, each a line of JSON. The socket needs no token,
because a user who may open it may read the secrets' folder as well.
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
from attrs import asdict

from eventlog import parse_json
from tracker.frontends.listeners import PatientListener
from tracker.ports import TAKES_NOTHING_IN, Actor, LogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tracker.upkeep.shredding import Shredder

    Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

log = logging.getLogger("tracker")

NAME = "control.sock"
TIMEOUT_SECONDS = 60
"""Longest time for a request and its reply, in seconds, for the tracker and the client."""
_MAX_LINE = 4096  # the most bytes of a request
_MAX_ANSWER = 1 << 20  # the most bytes of a reply


class ControlError(Exception):
    """No tracker replies at the socket."""


async def shred(shredder: Shredder, request: dict[str, Any]) -> dict[str, Any]:
    """Answers the only kind of request: shred `days` (first and last, or null = the days due)."""
    by = Actor("shred", "", str(request["request_id"]), str(request["reason"]))
    try:
        days = request["days"] and (int(request["days"][0]), int(request["days"][1]))
        return asdict(await shredder.shred(days, by))
    except (LogUnavailableError, OSError) as error:
        return {"error": f"the tracker could not: {str(error) or TAKES_NOTHING_IN}"}


async def serve(
    folder: Path,
    answer: Answer,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests until cancelled.

    If the folder cannot hold a socket, it warns and returns, and the tracker runs without a socket.
    """
    try:
        listening = _listen(folder)
    except OSError as error:
        log.warning("No control socket in %s: %s", folder, error)
        task_status.started()
        return
    listener = PatientListener(listening)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, partial(_converse, answer), [listener])
            task_status.started()
    finally:
        (folder / NAME).unlink(missing_ok=True)


async def _converse(answer: Answer, stream: trio.SocketStream) -> None:
    with trio.move_on_after(TIMEOUT_SECONDS):
        try:
            request: Any = parse_json(await _line(stream))
            reply = await answer(request)
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            reply = {"error": f"not understood: {error}"}
        except trio.BrokenResourceError:
            return
        try:
            await stream.send_all(json.dumps(reply).encode() + b"\n")
        except trio.BrokenResourceError:
            log.debug("the client at the control socket did not wait for the answer")


async def _line(stream: trio.SocketStream) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) < _MAX_LINE:
        more = await stream.receive_some(_MAX_LINE)
        if not more:
            break
        received += more
    return received


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Sends a request to the running tracker and returns its reply. Blocks meanwhile.

    Raises `ControlError` when no tracker replies.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(TIMEOUT_SECONDS)
            with _short(folder) as short:
                client.connect(f"{short}/{NAME}")
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as answer:
                reply = parse_json(answer.readline(_MAX_ANSWER))
    except (OSError, ValueError) as error:
        raise ControlError(str(error)) from None
    if not isinstance(reply, dict):
        raise ControlError("what answers there is no tracker")
    return reply


def _listen(folder: Path) -> socket.socket:
    (folder / NAME).unlink(missing_ok=True)  # left by a run that was killed
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
    """Gives a short path to a folder, because the path of a Unix socket has 107 bytes at most."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
