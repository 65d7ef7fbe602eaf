"""What the log needs of the secrets, and is gone, replaced or open to others, is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventlog import Reader
from tests.days import Site
from tracker.domain.dates import Dates
from tracker.history import state_summary
from tracker.offline.verify import Verification
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.store.replay import replay
from tracker.store.secret_checks import lost_days

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import Finding


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A log of three days."""
    made = Site(tmp_path)
    made.live(3)
    return made


def found(site: Site) -> list[Finding]:
    verification = Verification(site.log, Keyring(site.secrets))
    return list(verification.findings(lambda _done, _total: None))


def key(site: Site, number: int) -> Path:
    return site.secrets / "privacy" / f"{site.day(number)}.key"


def test_all_is_well(site: Site) -> None:
    """Nothing is said of keys that are there, nor of days that were shredded."""
    assert (found(site), lost_days(site.log, Keyring(site.secrets), (), Dates())) == ([], [])


@pytest.mark.parametrize("content", [None, bytes(32)], ids=["deleted", "replaced"])
def test_a_lost_key(site: Site, content: bytes | None) -> None:
    """Verifying names the day, and a start does where it is the last of a segment."""
    for number in (0, 2):
        if content is None:
            key(site, number).unlink()
        else:
            key(site, number).write_bytes(content)
    days = [one.what.split()[3] for one in found(site) if one.damage]
    assert days == [site.day(0), site.day(2)]
    assert lost_days(site.log, Keyring(site.secrets), (), Dates()) == [site.day(2)]
    assert lost_days(site.log, Keyring(site.secrets), {site.day(2)}, Dates()) == []


def test_digests_without_keys(site: Site) -> None:
    """A replay without keys comes to one digest, from a snapshot or from the beginning."""
    state = site.live(1, leave=False)
    snapshots.write(site.log, state, Keyring(site.secrets))
    site.live(1, leave=False)

    def digests(keys: Keyring | None) -> list[str]:
        quick = ForwardReplay(site.log, lambda _done, _total: None, keys).at(None)
        reader = Reader(site.log, to_end=True, keys=keys)
        return [state_summary.digest(quick), state_summary.digest(replay(reader))]

    without, whole = digests(None), digests(Keyring(site.secrets))
    assert without[0] == without[1] != whole[0] == whole[1]


def test_without_secrets(site: Site) -> None:
    """Whoever verifies without secrets is told nothing about keys."""
    key(site, 0).unlink()
    assert list(Verification(site.log).findings(lambda _done, _total: None)) == []


def test_a_file_that_is_no_key(site: Site) -> None:
    """No tracker starts with a server's secret of another size, or such a key of today."""
    (site.secrets / "server.key").write_bytes(b"short")
    key(site, 2).write_bytes(b"short")
    damaged = [one for one in found(site) if one.damage]
    assert [one.path.name for one in damaged[-2:]] == ["server.key", key(site, 2).name]
    assert all("should hold 32 bytes" in one.what for one in damaged[-2:])


def test_what_others_may_read(site: Site) -> None:
    """A key that others may read, and a folder that they may write in, are worth a note."""
    key(site, 1).chmod(0o640)
    site.secrets.chmod(0o777)
    notes = found(site)
    assert [one.damage for one in notes] == [False, False]
    assert [one.path for one in notes] == [site.secrets, key(site, 1)]
    assert "(mode 0640)" in notes[1].what
