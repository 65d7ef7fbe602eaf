"""Logs that the first versions of formats 1 and 2 wrote open, verify and replay to the facts noted
then.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eventlog import Reader, first_seq, open_log
from tests.golden import facts
from tests.independent_reader import read_log
from tests.support import keys_of
from tracker.cli import main
from tracker.domain import events
from tracker.domain.events import codec
from tracker.offline.verify import Verification
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay

if TYPE_CHECKING:
    from tracker.domain.state import State

FOLDER = Path(__file__).parent / "log-v1"
FOLDER_2 = FOLDER.with_name("log-v2")
NAMES = sorted(each.name for each in FOLDER.iterdir())
SITES = sorted(path for folder in (FOLDER, FOLDER_2) for path in folder.iterdir())
MOST_BYTES = 500_000


@pytest.fixture(params=SITES, ids=lambda path: f"{path.parent.name}-{path.name}")
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a golden folder, so that no test changes the original."""
    copy = tmp_path / "site"
    shutil.copytree(request.param, copy)
    return copy


def contents(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def expected(site: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site / "expected.json").read_bytes())
    return found


def seen(log: Path, state: State) -> dict[str, Any]:
    return {"first_seq": first_seq(log), "seq": state.seq, "facts": facts.digest(state)}


def test_replays_to_the_noted_facts(site: Path) -> None:
    """A replay changes no file, and gives the same facts as on the first day."""
    before = contents(site)
    log = site / "log"
    state = replay(Reader(log, keys=Keyring(site / "secrets")))
    assert seen(log, state) == expected(site)
    assert contents(site) == before


def test_verifies_clean(site: Path) -> None:
    """Verifying finds no damage, and notes only the leftovers put there on purpose."""
    log = site / "log"
    verification = Verification(log, Keyring(site / "secrets"))
    found = list(verification.findings(lambda _done, _all: None))
    assert [one for one in found if one.damage] == []
    assert verification.replayed
    assert seen(log, verification.state) == expected(site)


def test_a_tracker_goes_on_with_it(site: Path) -> None:
    """A log opened for writing has the same end, and needs no repair."""
    log = site / "log"
    keyring = keys_of(site / "secrets")
    event_log = open_log(log, codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
    try:
        assert event_log.recovery.cut_bytes == 0
        state = replay(Reader(log, to_end=True, keys=keyring))
        assert event_log.next_seq == state.seq
        assert seen(log, state) == expected(site)
    finally:
        event_log.release()


def test_the_same_events_are_printed(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tracker events` prints what it printed on the first day."""
    options = ["events", "--log", str(site / "log"), "--secrets", str(site / "secrets")]
    assert main(options) == 0
    assert capsys.readouterr().out == (site / "events.jsonl").read_text()


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without keys"])
def test_a_stranger_reads_the_same(
    site: Path, capsys: pytest.CaptureFixture[str], keys: bool
) -> None:
    """The independent reader prints the same lines as `tracker events`."""
    log, secrets = str(site / "log"), str(site / "secrets")
    assert main(["events", "--log", log, *(["--secrets", secrets] if keys else [])]) == (
        0 if keys else 4
    )
    told = capsys.readouterr().out
    assert read_log.main([log, *([secrets] if keys else [])]) == 0
    assert capsys.readouterr().out == told


def test_a_stranger_computes_the_same_history(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The independent reader comes to the history digest that `tracker replay` prints."""
    log, secrets = str(site / "log"), str(site / "secrets")
    assert main(["replay", "--json", "--log", log, "--secrets", secrets]) == 0
    told = json.loads(capsys.readouterr().out)
    assert read_log.main(["--history", log, secrets]) == 0
    assert capsys.readouterr().out == f"{told['history']} {told['history_seq']}\n"


@pytest.mark.parametrize("folder", [FOLDER, FOLDER_2], ids=lambda path: path.name)
def test_a_stranger_sees_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """The independent reader finds damage in any byte of an older segment, of kept frames and of
    the opening."""
    shutil.copytree(folder / "pruned", tmp_path / "site")
    log = tmp_path / "site" / "log"
    paths = [min((log / "seg").iterdir()), min((log / "kept").iterdir())]
    paths.append(min((log / "opening").iterdir()))
    for path in paths:
        whole = path.read_bytes()
        for at in range(0, len(whole), 97):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert read_log.main([str(log)]) == 1, (path, at)
        path.write_bytes(whole)
    assert read_log.main([str(log)]) == 0
    assert capsys.readouterr().err


def test_every_event_is_there() -> None:
    """Every type occurs in a golden folder.

    Those of `log-v1` are never written again. The writer of `log-v2` takes in new types until a
    version with format 2 is released; from then on a new type needs a new folder.
    """
    told = [
        json.loads(line)
        for path in SITES
        for line in (path / "events.jsonl").read_text().splitlines()
    ]
    assert {event["type"] for event in told} == set(codec.EVENT_TYPES)
    counters = {event["counter"] for event in told if event["type"] == "counted"}
    assert counters == set(events.COUNTER_NAMES.values())


def test_they_stay_small() -> None:
    """Bytes in all golden folders."""
    assert sum(len(data) for path in SITES for data in contents(path).values()) < MOST_BYTES
