"""A crash at any step of a removal leaves a whole log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventlog import EventLog, Reader, first_seq, kept_frames
from tests.tracker.pruned import InlinePruner
from tests.tracker.upkeep.retention.logs import findings, live
from tracker.store.replay import replay
from tracker.upkeep import pruning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support import Rig


class KilledError(Exception):
    """Stands for the end of the process."""


async def killed_in_make(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(pruning, "keep_frames", keep)
    await pruner.look()


async def killed_before_the_name(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(pruning, "adopt", adopt)
    await pruner.look()


async def killed_before_the_event(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(InlinePruner, "_write", write)
    await pruner.look()


def killed_at_removal(number: int) -> Callable[..., Awaitable[None]]:
    async def killed(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Path.unlink
        left = [number]

        def unlink(path: Path, missing_ok: bool = False) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            real(path, missing_ok=missing_ok)

        def finish(folder: Path, begin: int) -> int:
            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(Path, "unlink", unlink)
                return pruning_finish(folder, begin)

        pruning_finish = pruning.finish
        monkeypatch.setattr(pruning, "finish", finish)
        await pruner.look()

    killed.__name__ = f"killed_at_removal_{number}"
    return killed


POINTS = [killed_in_make, killed_before_the_name, killed_before_the_event]
POINTS += [killed_at_removal(number) for number in (0, 1, 2, 5, 9, 14, 17, 20, 22)]


@pytest.mark.parametrize("point", POINTS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_killed_removal(
    prunable_log: Path, tmp_path: Path, point: Callable[..., Awaitable[None]]
) -> None:
    """A removal that is cut off at any step leaves a whole log, and the next look completes it."""
    folder = tmp_path / "log"
    shutil.copytree(prunable_log, folder)

    async def until_killed(rig: Rig, log: EventLog) -> None:
        with pytest.MonkeyPatch.context() as patches, pytest.raises(KilledError):
            await point(InlinePruner(rig.service, log, 36_500, 2000, log.path / "secrets"), patches)

    digest = live(folder, until_killed)
    found, after = findings(folder)
    assert [one for one in found if one.damage] == []
    assert after == digest
    assert replay(Reader(folder)).digest() == digest

    async def look(rig: Rig, log: EventLog) -> None:
        assert rig.state.digest() == digest
        await InlinePruner(rig.service, log, 36_500, 10**9, log.path / "secrets").finish()

    assert live(folder, look) == digest
    assert findings(folder) == ([], digest)
    begin = first_seq(folder)
    assert len(list((folder / "opening").iterdir())) == 1
    assert {each.path.name for each in kept_frames.files_below(folder, begin)} == {
        e.name for e in (folder / "kept").iterdir()
    }
    assert all(
        int(each.name[:20]) >= begin
        for kind in ("seg", "seal")
        for each in (folder / kind).iterdir()
    )
