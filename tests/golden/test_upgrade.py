"""A log of format 1 goes over to format 2 with the first segment that this version begins.

`served-v1` is the folder of a tracker of the version before, pruned twice and stopped in order:
with openings, kept frames, a snapshot, the note and all secrets. That version's writer of the
pruned golden log wrote it, with three events more.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventlog import Reader, open_header
from tests.golden.test_log_v1 import FOLDER, NAMES, contents, expected, seen
from tests.independent_reader import read_log
from tests.nonsense.whole import no_progress
from tests.support import SELECTION_KEY
from tracker.cli import main
from tracker.config.schema import EventLog as LogConfig
from tracker.domain.events.admin import TrackerStarted
from tracker.offline.verify import Verification
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import high_water_mark
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay
from tracker.store.session import GOES_OVER, open_session

if TYPE_CHECKING:
    from tracker.domain.state import State

SERVED = Path(__file__).parent / "served-v1"
SITES = {name: FOLDER / name for name in NAMES} | {"served": SERVED}


def start(site: Path) -> State:
    """Starts as a tracker does, appends the event of the start, and stops; returns the state that
    it began with, and leaves the note."""
    config = LogConfig(path=str(site / "log"), secrets_path=str(site / "secrets"))
    session = open_session(
        config, Keyring(site / "secrets"), lambda _: None, no_progress, serving=True
    )
    event_log = session.event_log
    began = replay(Reader(site / "log", to_end=True, keys=Keyring(site / "secrets")))
    assert began.digest() == session.state.digest()

    async def first_event() -> None:
        clock = LogClock(session.time_us)
        service = Service(event_log, session.state, clock, SELECTION_KEY)
        session.append_first(service.append)
        await event_log.wait_durable(service.append(TrackerStarted("2", event_log.epoch)))

    session.run(first_event)
    high_water_mark.note(site / "secrets", event_log, session.state.time_us)
    return began


def formats(site: Path) -> list[int]:
    return [open_header(path).format for path in sorted((site / "log/seg").glob("*.evl"))]


@pytest.mark.parametrize("name", SITES)
def test_going_over(
    tmp_path: Path,
    name: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every fact stays, no file is rewritten, the start says once that there is no way back, and
    all readers read both formats."""
    site = tmp_path / "site"
    shutil.copytree(SITES[name], site)
    before, old = contents(site / "log"), formats(site)
    assert set(old) == {1}
    began = start(site)
    assert seen(site / "log", began) == expected(site)
    said = [one.getMessage() for one in caplog.records]
    assert [one for one in said if "no way back" in one] == [GOES_OVER % began.seq]
    after = contents(site / "log")
    assert {path: after[path] for path in before} == before
    assert formats(site) == [*old, 2]
    caplog.clear()
    assert start(site).seq == began.seq + 2
    assert "no way back" not in caplog.text
    verification = Verification(site / "log", Keyring(site / "secrets"))
    assert [one.what for one in verification.findings(no_progress) if one.damage] == []
    log, secrets = str(site / "log"), str(site / "secrets")
    capsys.readouterr()
    assert main(["events", "--log", log, "--secrets", secrets]) == 0
    told = capsys.readouterr().out
    assert told.startswith((SITES[name] / "events.jsonl").read_text())
    assert read_log.main([log, secrets]) == 0
    assert capsys.readouterr().out == told


def test_a_start_from_the_snapshot_of_the_version_before(tmp_path: Path) -> None:
    """Every total is as it was."""
    site = tmp_path / "site"
    shutil.copytree(SERVED, site)
    config = LogConfig(path=str(site / "log"), secrets_path=str(site / "secrets"))
    session = open_session(config, Keyring(site / "secrets"), lambda _: None, no_progress)
    session.event_log.release()
    assert seen(site / "log", session.state) == expected(site)
