"""An import turns another tracker's keys, whitelist and completed counts into events."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, LogLockedError, Reader, open_log
from tests.support import hash_of, keys_of
from tests.tracker.offline.imports import (
    FULL,
    H1,
    H2,
    H3,
    A,
    B,
    C,
    Site,
    database,
    keys_file,
    silent,
)
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.offline import importing
from tracker.offline.importing import Summary
from tracker.store import high_water_mark
from tracker.store.noting import NotVouchedError

if TYPE_CHECKING:
    from pathlib import Path


def test_database(site: Site, tmp_path: Path) -> None:
    """Every row becomes one event, and a count of zero becomes none. The state follows from the
    log."""
    source = database(tmp_path, **FULL)
    summary = site.imports(source)
    assert summary == Summary(keys=2, whitelisted=2, completed=2, present=0)
    assert str(summary) == "2 keys, 2 torrents whitelisted, 2 completed counts; 0 already there"
    state = site.state()
    assert set(state.access.listed_after(b"")) == {H1, H2}
    known = {key.key_ref: key.valid_until_us for key in state.access.keys.values()}
    assert known == {1: None, 2: 1_900_000_000_000_000}
    assert state.access.keys.keys() == {sha256(key.encode()).digest() for key in (A, B)}
    assert [state.swarms.counts(one)[1] for one in (H1, H2, H3)] == [7, 0, 1]
    assert state.swarms.completed_total == 8


def test_imported_events_name_the_import(site: Site, tmp_path: Path) -> None:
    """Every event names the import, its file, and one id for the whole import. No event holds a
    key."""
    site.imports(database(tmp_path, **FULL))
    events = site.events()
    (by,) = {tuple(sorted(event["by"].items())) for event in events}
    assert dict(by).items() >= {"token": "import", "address": "", "reason": "torrust.db"}.items()
    assert len(dict(by)["request_id"]) == 36
    assert A not in str(events)
    assert B not in str(events)


def test_a_second_import_appends_nothing(site: Site, tmp_path: Path) -> None:
    source = database(tmp_path, **FULL)
    site.imports(source)
    before = site.events()
    assert site.imports(source) == Summary(present=6)
    assert site.events() == before


def test_completed_counts_of_a_later_copy(site: Site, tmp_path: Path) -> None:
    """A later copy adds only the difference to earlier imports. A lower count changes nothing."""
    for count in (5, 9, 3, 9):
        site.imports(database(tmp_path, torrents=[(H1.hex(), count)]))
    assert [event["completed"] for event in site.events()] == [5, 4]
    assert site.state().swarms.completed_total == 9


def test_revoked_and_delisted(site: Site, tmp_path: Path) -> None:
    """An import keeps a revoked key revoked, and whitelists a delisted torrent again."""
    source = database(tmp_path, whitelist=[(H1.hex(),)], keys=[(A, None)])
    site.imports(source)
    _append(site, "key_revoked", {"key_hash": sha256(A.encode()).hexdigest(), "key_ref": 1})
    _append(site, "torrent_delisted", {"info_hash": H1.hex()})
    assert site.imports(source) == Summary(whitelisted=1, present=1)
    assert not site.state().access.keys


def _append(site: Site, name: str, data: dict[str, object]) -> None:
    """Appends an admin event as a tracker does."""
    import trio

    from tests.eventlog.logs import running
    from tests.support import SELECTION_KEY, append_json
    from tracker.service.clock import LogClock
    from tracker.service.service import Service

    async def main() -> None:
        state = site.state()
        log = open_log(site.path, codec.RECORD_SIZES, keys_of(site.secrets).tags)
        service = Service(log, state, LogClock(state.time_us), SELECTION_KEY)
        async with running(log):
            numbers = {one.name: number for number, one in ADMIN_EVENTS.items()}
            append_json(service, numbers[name], data)

    trio.run(main)


def test_csv(site: Site, tmp_path: Path) -> None:
    """CSV columns may have any order. Keys of one owner share an account, in later imports too."""
    text = (
        "\ufeffLabel,valid_until, owner ,key\r\n"
        f"laptop,,alice,{A}\r\n"
        "\r\n"
        f',2030-01-01T00:00:00.5Z,"bob ""b""",{B}\r\n'
    )
    assert site.imports(keys_file(tmp_path, text)) == Summary(keys=2)
    more = keys_file(tmp_path, f"key,owner,valid_until\n{C},alice,1900000000\n{B},bob,\n", "2.csv")
    assert site.imports(more) == Summary(keys=1, present=1)
    keys = sorted(site.state().access.keys.values(), key=lambda key: key.key_ref)
    assert [(key.account, key.owner, key.label) for key in keys] == [
        (1, "alice", "laptop"),
        (2, 'bob "b"', None),
        (1, "alice", None),
    ]
    assert [key.valid_until_us for key in keys] == [
        None,
        1_893_456_000_500_000,
        1_900_000_000_000_000,
    ]
    assert [event["by"]["reason"] for event in site.events()] == ["keys.csv", "keys.csv", "2.csv"]


def test_keys_without_owner_are_their_own_account(site: Site, tmp_path: Path) -> None:
    """Without an owner or an owner column every key has its own account."""
    site.imports(keys_file(tmp_path, f"key\n{A}\n{B}\n"))
    assert sorted(key.account for key in site.state().access.keys.values()) == [1, 2]


def test_dry_run(site: Site, tmp_path: Path) -> None:
    """A dry run returns the events that an import would append, and changes no file."""
    source = database(tmp_path, **FULL)
    summary, events = site.rehearses(source)
    assert not site.path.exists()
    assert summary == site.imports(source)
    without_by = [
        {name: value for name, value in event.items() if name not in ("seq", "time", "type", "by")}
        for event in site.events()
    ]
    assert events == without_by
    files = sorted(path.stat().st_mtime_ns for path in site.path.rglob("*"))
    assert site.rehearses(source) == (Summary(present=6), [])
    assert sorted(path.stat().st_mtime_ns for path in site.path.rglob("*")) == files


def test_dry_run_checks_the_tags(site: Site, tmp_path: Path) -> None:
    """A dry run decides by the log, so it reads it with the secrets."""
    source = database(tmp_path, **FULL)
    site.imports(source)
    (site.secrets / "server.key").write_bytes(bytes(32))
    with pytest.raises(LogCorruptError, match=r"server\.key that these secrets do not hold"):
        site.rehearses(source)


def test_dry_run_of_one_torrent_twice(site: Site, tmp_path: Path) -> None:
    """A dry run counts the second spelling of a torrent as present."""
    source = database(tmp_path, whitelist=[("ab" * 20,), ("AB" * 20,)])
    assert site.rehearses(source)[0] == Summary(whitelisted=1, present=1)


def test_an_import_waits_for_the_disk_after_each_batch(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import waits for the disk after each batch, because unwritten events stay in memory."""
    monkeypatch.setattr(importing, "BATCH", 16)
    rows: list[tuple[object, ...]] = [(hash_of(number).hex(),) for number in range(100)]
    reported: list[tuple[int, int | None]] = []
    summary = importing.run(
        database(tmp_path, whitelist=rows),
        site.config,
        silent,
        silent,
        lambda done, total: reported.append((done, total)),
        lambda _recovery: None,
    )
    assert summary == Summary(whitelisted=100)
    assert reported[-1] == (100, 100)
    assert [done for done, _ in reported] == [16, 32, 48, 64, 80, 96, 100]
    frames = list(Reader(site.path, to_end=True).frames())
    assert len(frames) >= 100 // 16
    assert max(frame.header.records for frame in frames) <= 16 + 1  # one is `format_begun`


def test_an_import_without_a_note(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the note cannot be written, the command says that the events are in the log and not
    yet vouched for."""
    site.imports(database(tmp_path, **FULL))

    def fails(*_: object) -> None:
        raise OSError("no right to write")

    monkeypatch.setattr(high_water_mark, "write", fails)
    with pytest.raises(NotVouchedError, match=r"not yet vouched for.* no right to write"):
        site.imports(keys_file(tmp_path, f"key\n{C}\n"))
    assert sum(event["type"] == "key_issued" for event in site.events()) == 3


def test_log_in_use(site: Site, tmp_path: Path) -> None:
    """A log that another process writes refuses the import and allows a dry run."""
    source = database(tmp_path, **FULL)
    log = open_log(site.path, codec.RECORD_SIZES, keys_of(site.secrets).tags)
    try:
        with pytest.raises(LogLockedError, match="is in use by another process"):
            site.imports(source)
        assert site.rehearses(source)[0] == Summary(keys=2, whitelisted=2, completed=2)
    finally:
        log.release()
    assert site.imports(source) == Summary(keys=2, whitelisted=2, completed=2)
