"""Finished segments are read again; damage in them is told once and counted until it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from eventlog.seals import seal_path, write_missing
from tests.eventlog.logs import segments
from tests.tracker.logged import write_log
from tracker.metrics import swarmlog
from tracker.upkeep.rereading import Rereading

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def reread(rereading: Rereading, until: set[str]) -> None:
    """Reads all segments twice, and on until these are known as damaged."""
    enough = rereading.segments + 20

    async def main() -> None:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rereading.run)
                while rereading.segments < enough or rereading.damaged != until:  # noqa: ASYNC110  # no event tells
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_damage_is_found_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Within a pass: a changed segment, one that cannot be read and a bad seal; no other file."""
    write_log(tmp_path, segment_bytes=1)
    write_missing(tmp_path)
    first, second, third, *_ = segments(tmp_path)
    rereading = Rereading(tmp_path, pass_seconds=0.01)
    reread(rereading, set())
    whole = first.read_bytes()
    first.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    second.unlink()
    second.mkdir()
    seal_path(third).write_bytes(b"[" * 10_000)
    reread(rereading, {first.name, second.name, third.name})
    told = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert len(told) == 3
    assert all(one.startswith("THE LOG IS DAMAGED: ") for one in told)
    damaged, _ = swarmlog.of_rereading(rereading)
    assert [one.value for one in damaged.samples] == [3]
    first.write_bytes(whole)
    reread(rereading, {second.name, third.name})
