"""An insider without secrets changes the folder of a real tracker, between a stop and a start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.support import Log, files_in
from tests.e2e.clients import api
from tests.e2e.process import Tracker
from tests.nonsense.whole import put

if TYPE_CHECKING:
    from pathlib import Path


def test_another_author(tmp_path: Path) -> None:
    """A start and `verify` end with exit code 3, the change is named, and no file is touched. The
    start would begin with a later snapshot."""
    tracker = Tracker(tmp_path / "site").start()
    try:
        api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
        assert tracker.stop() == 0
        tracker.start()
        assert tracker.stop() == 0
    finally:
        tracker.close()
    before = files_in(tracker.folder)
    log = Log.of(before)
    segment, at = next(
        (one, at) for one, at in log.places(2) if b'"token":"admin"' in one.frames[at].plain
    )
    segment.replace_plain(at, b'"token":"admin"', b'"token":"other"')
    files = log.files() | {name: data for name, data in before.items() if "/seal/" in name}
    assert segment is not log.segments[-1]
    assert any(name.endswith(".snap") for name in files)
    put(tracker.folder, files)
    assert f"{segment.name[-35:]}: damaged" in tracker.start_refused(3)
    verified = tracker.command("verify")
    assert verified.returncode == 3
    event = segment.frames[at].header.base_seq
    assert f"DAMAGE: {segment.name.removeprefix('log/')}, byte " in verified.stdout
    assert f", event {event}: frame tag does not match" in verified.stdout
    assert files_in(tracker.folder) == files
