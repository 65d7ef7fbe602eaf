"""A start goes on with what the detectors remembered, or has them hear the log again."""

from __future__ import annotations

import json
import zlib
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from eventlog import Reader
from tests.population.shares import Cheats
from tests.population.simulator import Population
from tests.population.writing import write
from tests.support import START_US, keys_of
from tracker.domain.detecting.cases import Found
from tracker.domain.detecting.declared import Declared
from tracker.domain.detecting.networks import ManyNetworks
from tracker.domain.detecting.watch import Watch
from tracker.domain.events import DAY_US
from tracker.store import case_files, detector_file, frames, snapshots
from tracker.upkeep.case_keeping import CaseKeeper, Hiding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracker.domain.detecting.cases import Said
    from tracker.domain.detecting.intervals import Detector
    from tracker.store.address_keys import Keyring

CHEATS = evolve(Cheats(), share=0.7)
MEMBERS = 40
PLACES = (0.3, 0.31, 0.8)
"""Where the follower is started again, in parts of the log."""


Newer: Any = type("ManyNetworks", (ManyNetworks,), {"version": 99})


class Site:
    """A log of cheats, and how a follower finds cases in it."""

    def __init__(self, folder: Path) -> None:
        self.log, self.keys = folder / "log", keys_of(folder / "secrets")
        self.count = sum(one.header.records for one in Reader(self.log, to_end=True).frames())
        self.told: list[str] = []
        self.file = self.log / case_files.FOLDER / detector_file.FILE

    def keeper(
        self,
        declared: Declared = Declared(),  # noqa: B008  # it is frozen
        newer: Detector | None = None,
    ) -> CaseKeeper:
        watch = Watch.of(declared, Hiding(self.keys))
        if newer:
            watch.detectors = [newer if one.name == newer.name else one for one in watch.detectors]
        return CaseKeeper(self.log, self.keys, self.told.append, watch)

    def follow(self, upto: float = 1, **given: Declared) -> CaseKeeper:
        """Follows a part of the log from where the last follower ended, and is killed then."""
        keeper = self.keeper(**given)
        state, reader = snapshots.start(self.log, self.keys, at_most=keeper.seq, to_end=True)
        for frame in reader.frames():
            keeper.before(state)
            frames.apply(state, frame)
            keeper.after(state, frame)
            if state.seq >= upto * self.count:
                break
        keeper.write()
        keeper.remember(state)
        return keeper

    def entries(self) -> list[Found | Said]:
        return case_files.read(self.log).entries


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write(Population(MEMBERS, 3, cheats=CHEATS), folder)
    return folder


@pytest.fixture(scope="module")
def whole(written: Path) -> list[Found | Said]:
    """What is found by one that is never started again."""
    site = Site(copytree(written, written.with_name("whole")))
    site.follow()
    assert len({one.finding.detector for one in site.entries() if isinstance(one, Found)}) > 3
    return site.entries()


@pytest.fixture
def site(written: Path, tmp_path: Path) -> Site:
    return Site(copytree(written, tmp_path / "site"))


def test_a_start_goes_on_where_the_last_one_ended(site: Site, whole: list[Found | Said]) -> None:
    ends = [0]
    for place in PLACES:
        assert site.keeper().seq == ends[-1]
        site.follow(place)
        assert site.keeper().seq >= place * site.count
        ends.append(site.keeper().seq)
    site.follow()
    assert site.entries() == whole
    assert not site.told


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    return data[:-60] + bytes([data[-60] ^ 1]) + data[-59:]


@pytest.mark.parametrize(("damage", "why"), [(_cut, "MAC"), (_flip, "MAC"), (lambda _: b"", "MAC")])
def test_what_is_damaged_is_told_and_the_log_heard_again(
    site: Site, whole: list[Found | Said], damage: Callable[[bytes], bytes], why: str
) -> None:
    site.follow(0.5)
    site.file.write_bytes(damage(site.file.read_bytes()))
    _hears_again(site, whole, why)


def _hears_again(site: Site, whole: list[Found | Said], why: str) -> None:
    assert site.keeper().seq == 0
    assert why in site.told[0]
    assert "hear the log again" in site.told[0]
    site.follow()
    assert site.entries() == whole


def test_what_is_missing_is_not_told(site: Site, whole: list[Found | Said]) -> None:
    site.follow(0.5)
    site.file.unlink()
    assert site.keeper().seq == 0
    assert not site.told
    site.follow()
    assert site.entries() == whole


def test_a_detector_of_another_version_hears_the_log_again(
    site: Site, whole: list[Found | Said]
) -> None:
    site.follow(0.5)
    assert site.keeper(newer=Newer()).seq == 0
    other = Declared(shared=("192.0.2.0/24",))
    assert site.keeper(other).seq == 0
    assert [why.count("another version") for why in site.told] == [1, 1]
    site.follow()
    assert site.entries() == whole


def test_what_a_defect_wrote_is_told_and_the_log_heard_again(
    site: Site, whole: list[Found | Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was restored before the place of the error is not used."""

    def spoil(log: Path, keys: Keyring, day: int, one: detector_file.Remembered) -> None:
        whole_write(log, keys, day, one._replace(data=one.data[:-1]))

    whole_write = detector_file.write
    with monkeypatch.context() as patch:
        patch.setattr(detector_file, "write", spoil)
        site.follow(0.5)
    _hears_again(site, whole, "")


def test_cases_that_begin_anew_have_the_log_heard_again(
    site: Site, whole: list[Found | Said]
) -> None:
    """Because what was found before is in none of them."""
    site.follow(0.5)
    for name in (case_files.LIST, case_files.TIMELINE):
        (site.log / case_files.FOLDER / name).unlink()
    assert site.keeper().seq == 0
    site.follow()
    assert site.entries() == whole


def test_shredding_reaches_it(site: Site) -> None:
    site.follow(0.5)
    for day in site.keys.days():
        site.keys.destroy(day)
    assert site.keeper().seq == 0
    assert "shredded" in site.told[0]
    site.follow()  # without a key nothing is written
    assert "shredded" in site.told[1]


def test_nothing_in_it_is_in_the_clear(site: Site) -> None:
    """Not even where it is decrypted: no address, and no end of a peer_id."""
    site.follow(0.5)
    data = _decrypted(site.file.read_bytes(), site.keys)
    said = list(Population(MEMBERS, 3, cheats=CHEATS).announces())
    # A network of 3 bytes is in it, so an address is looked for as a value: with its length.
    assert not any(bytes([5, len(one.address)]) + one.address in data for one in said)
    assert not any(one.peer_id[8:] in data for one in said)
    assert any(one.peer_id[:8] in data for one in said)


def _decrypted(data: bytes, keys: Keyring) -> bytes:
    line, _, hidden = data[:-48].partition(b"\n")
    head = json.loads(line)
    assert START_US // DAY_US <= head["day"] <= START_US // DAY_US + 3
    context = bytes.fromhex(head["nonce"]) + b"detectors"
    packed = keys.decrypt_section(head["day"], context, head["check"], hidden)
    assert packed is not None
    return zlib.decompress(packed)
