"""The control socket: permissions, requests and malformed requests."""

from __future__ import annotations

import json
import stat
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tracker.process import control

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def doubled(request: dict[str, Any]) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"twice": request["number"] * 2}


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[None]:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(control.serve, folder, doubled)
            yield
            nursery.cancel_scope.cancel()


async def ask(folder: Path, request: object) -> dict[str, Any]:
    return await trio.to_thread.run_sync(partial(control.ask, folder, request))  # type: ignore[arg-type]  # also wrong ones


async def test_question_and_answer(tmp_path: Path) -> None:
    """The server answers a line with a line. Only the owner may use the socket, and it goes when
    the server ends.
    """
    async with serving(tmp_path):
        assert await ask(tmp_path, {"number": 21}) == {"twice": 42}
        mode = (tmp_path / control.NAME).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not (tmp_path / control.NAME).exists()


async def test_long_paths(tmp_path: Path) -> None:
    """The socket works in a folder whose path is longer than a socket address may be."""
    folder = tmp_path / ("long" * 30) / ("longer" * 30)
    folder.mkdir(parents=True)
    async with serving(folder):
        assert await ask(folder, {"number": 1}) == {"twice": 2}


async def test_a_killed_run_leaves_a_socket(tmp_path: Path) -> None:
    """The next run replaces the socket that a killed run left behind."""
    control._listen(tmp_path).close()
    with pytest.raises(control.ControlError, match="refused"):
        await ask(tmp_path, {})
    async with serving(tmp_path):
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


@pytest.mark.parametrize("request_line", [{}, [], 5, {"number": None}, {"number": "x" * 5000}])
async def test_a_malformed_request_gets_an_error(tmp_path: Path, request_line: object) -> None:
    """The server answers a malformed request with an error and serves the next one."""
    async with serving(tmp_path):
        assert "not understood" in (await ask(tmp_path, request_line))["error"]
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


@pytest.mark.parametrize("sent", [b"", b"{", b"\xff\xfe\n", b'{"number": 1}'])
async def test_a_client_hangs_up(tmp_path: Path, sent: bytes) -> None:
    """A client that sends half a line or leaves before the answer disturbs no other client."""
    async with serving(tmp_path):
        stream = await trio.open_unix_socket(str(tmp_path / control.NAME))
        if sent:
            await stream.send_all(sent)
        await stream.aclose()
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


async def test_no_server(tmp_path: Path) -> None:
    """A request without a socket or a folder raises `ControlError`."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(control.ControlError):
            await ask(folder, {})


async def test_a_socket_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The tracker runs without the socket and logs a warning."""
    async with serving(tmp_path / "none"):
        assert "No control socket" in caplog.text


async def test_a_foreign_answer(tmp_path: Path) -> None:
    """A client refuses an answer that is no object, because another program listens there."""

    async def answer(_request: dict[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        return json.loads("[]")

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(control.serve, tmp_path, answer)
            with pytest.raises(control.ControlError, match="no tracker"):
                await ask(tmp_path, {})
            nursery.cancel_scope.cancel()
