"""The power goes at any moment of a change of the server's key: the log starts, and tells of it."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import Reader
from tests.nonsense.whole import findings, no_progress
from tests.simulation.disk import Disk, PowerCut
from tests.support import events_in
from tracker import ports
from tracker.config.schema import EventLog as LogConfig
from tracker.offline import key_change
from tracker.store.address_keys import Keyring
from tracker.store.session import open_session
from tracker.upkeep import shredding

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 200
"""System calls from the begin of a change, more than it makes."""
SEEDS = [*range(6), *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(6, 600))]
BY = ports.Actor("change-server-key", "", "request-1", "a test")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_while_the_key_changes(tmp_path: Path, seed: int) -> None:
    """After a cut the next change succeeds, and each key in use has its event."""
    chance = random.Random(seed)
    disk = Disk(tmp_path / "disk", chance)
    disk.path.mkdir()
    config = LogConfig(path=str(disk.path / "log"), secrets_path=str(disk.path / "secrets"))
    keyring = Keyring(disk.path / "secrets")
    with disk.attached():
        session = open_session(config, keyring, lambda _: None, no_progress)
        session.run(trio.lowlevel.checkpoint)
        first = keyring.tags.key_id.hex()
        key_change.change(config, BY, no_progress, lambda _: None)
        disk.cut_in = chance.randrange(CALLS)
        try:
            key_change.change(config, BY, no_progress, lambda _: None)
        except* PowerCut:
            pass
    disk.power_up()
    with disk.attached():
        said = findings(disk.path)
        assert not isinstance(said, Exception)
        assert [one.what for one in said if one.damage] == []
        shredding.shred_offline(config, (0, 1), BY, no_progress, lambda _: None)
        key_change.change(config, BY, no_progress, lambda _: None)
    changes = [
        (one["before"], one["after"])
        for one in events_in(Reader(disk.path / "log", to_end=True).frames())
        if one["type"] == "server_key_changed"
    ]
    assert changes[0][0] == first
    assert [before for before, _ in changes[1:]] == [after for _, after in changes[:-1]]
    assert changes[-1][1] == Keyring(disk.path / "secrets").tags.key_id.hex()
    shutil.rmtree(tmp_path)
