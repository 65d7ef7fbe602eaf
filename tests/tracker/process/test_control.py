"""The control socket: who may ask, and what it makes of whatever comes."""

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
    """One line each; the socket is the owner's alone, and goes with the server."""
    async with serving(tmp_path):
        assert await ask(tmp_path, {"number": 21}) == {"twice": 42}
        mode = (tmp_path / control.NAME).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not (tmp_path / control.NAME).exists()


async def test_long_paths(tmp_path: Path) -> None:
    """A folder whose path is longer than a socket's may be."""
    folder = tmp_path / ("long" * 30) / ("longer" * 30)
    folder.mkdir(parents=True)
    async with serving(folder):
        assert await ask(folder, {"number": 1}) == {"twice": 2}


async def test_a_socket_left_behind(tmp_path: Path) -> None:
    """Of a run that was killed: nobody answers there, and the next run takes its place."""
    control._listen(tmp_path).close()
    with pytest.raises(control.ControlError, match="refused"):
        await ask(tmp_path, {})
    async with serving(tmp_path):
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


@pytest.mark.parametrize("request_line", [{}, [], 5, {"number": None}, {"number": "x" * 5000}])
async def test_what_is_not_understood(tmp_path: Path, request_line: object) -> None:
    """Is told so, and the next one is served."""
    async with serving(tmp_path):
        assert "not understood" in (await ask(tmp_path, request_line))["error"]
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


@pytest.mark.parametrize("sent", [b"", b"{", b"\xff\xfe\n", b'{"number": 1}'])
async def test_who_hangs_up(tmp_path: Path, sent: bytes) -> None:
    """Without a whole line, or without waiting for the answer."""
    async with serving(tmp_path):
        stream = await trio.open_unix_socket(str(tmp_path / control.NAME))
        if sent:
            await stream.send_all(sent)
        await stream.aclose()
        assert await ask(tmp_path, {"number": 1}) == {"twice": 2}


async def test_nobody_there(tmp_path: Path) -> None:
    """No socket, no folder."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(control.ControlError):
            await ask(folder, {})


async def test_a_folder_that_holds_no_socket(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The tracker goes on without."""
    async with serving(tmp_path / "none"):
        assert "No control socket" in caplog.text


async def test_an_answer_that_is_none(tmp_path: Path) -> None:
    """Something else listens there."""

    async def answer(_request: dict[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        return json.loads("[]")

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(control.serve, tmp_path, answer)
            with pytest.raises(control.ControlError, match="no tracker"):
                await ask(tmp_path, {})
            nursery.cancel_scope.cancel()
