"""The files of the book may be damaged, cut off or forged, and the disk may be full."""

from __future__ import annotations

import errno
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from eventlog import LogCorruptError, LogPrunedError, Reader, first_seq
from tests.support import hash_of, replayed
from tests.tracker.upkeep.book.site import MEMBERS, Site, seq_of_newest
from tracker.ledger.account import Ledger
from tracker.ledger.walk import Decryption, Walk
from tracker.store import book_files, book_rows, snapshots
from tracker.store.book_rows import EMPTY, History, pair
from tracker.upkeep import bookkeeping, follower_process

if TYPE_CHECKING:
    from pathlib import Path


def test_a_removal_takes_the_parts(site: Site) -> None:
    """A follower whose last list ended before the log now begins ends, and the next one goes on."""
    site.go_on()
    follower = site.follow(pause=1000)
    (last,) = site.files(".book")
    site.go_on(60)
    follower.catch_up()
    site.go_on(1, pruned=True)
    assert book_files.seq_of(last) < first_seq(site.log) < follower.state.seq
    follower.catch_up()
    follower._book_from = 0.0
    with pytest.raises(LogPrunedError):
        follower.catch_up()
    assert not [one for one in site.said if "unbooked" in one]
    site.follow()
    site.check()


@pytest.mark.parametrize("damage", ["cut", "bit", "list", "gone"])
def test_a_damaged_book_is_made_again(site: Site, damage: str) -> None:
    """With one line; from the list before it, or from the log."""
    for _ in range(2):
        site.go_on()
        site.follow()
    expected = site.rows()
    newest = site.files(".book")[-1]
    part = site.files(".part")[-1]
    if damage == "list":
        newest.write_bytes(newest.read_bytes().replace(b'"upto"', b'"updo"'))
    elif damage == "gone":
        part.unlink()
    else:
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data[: -1 if damage == "cut" else None])
    site.said.clear()
    site.follow()
    assert site.rows() == expected
    site.check()
    refused = [one["refused"] for one in site.said if "refused" in one]
    assert len(refused) <= 3


@pytest.mark.parametrize("what", ["lists", "parts", "server key"])
def test_a_book_is_made_again_beside_later_lists(
    site: Site, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written several times before it reaches as far as the lists that were passed over."""
    monkeypatch.setattr(follower_process, "_REPORTED_FRAMES", 3)
    monkeypatch.setattr(follower_process, "BOOK_SECONDS", 0.0)
    for _ in range(2):
        site.go_on()
        site.follow()
    expected = site.rows()
    if what == "server key":
        site.keys.tags.change()
    for path in {"lists": site.files(".book"), "parts": site.files(".part")}.get(what, []):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    site.said.clear()
    site.follow()
    assert site.rows() == expected
    assert not [one for one in site.said if "unbooked" in one]
    assert len(site.files(".book", ".part")) < 14


@pytest.mark.parametrize(("damage", "error"), [("cut", OSError), ("gone", LogPrunedError)])
def test_a_part_that_is_damaged_meanwhile(site: Site, damage: str, error: type[Exception]) -> None:
    """The follower ends, because only its next start can make the book again."""
    site.go_on()
    follower = site.follow()
    site.go_on()
    for path in site.files(".part"):
        path.unlink()
        if damage == "cut":
            path.touch()
    with pytest.raises(error, match=r"the book cannot be written|were removed"):
        follower.catch_up()
    site.follow()
    site.check()


@pytest.mark.parametrize("opening", [False, True])
def test_a_removal_that_holds_the_folder(
    site: Site, opening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower begins all the same, holds few rows, and writes no snapshot beyond the book.
    Afterwards it goes on."""
    if opening:
        with monkeypatch.context() as before:
            before.setattr(bookkeeping.Bookkeeper, "name", lambda *_: ("", ""))
            site.go_on(pruned=True)
    monkeypatch.setattr(bookkeeping, "MOST_ROWS", 2)
    site.go_on(10)
    there = snapshots.found(site.log)
    with book_files.locked(site.log):
        follower = site.follow()
        for _ in range(3):
            site.go_on(10)
            follower.catch_up()
            assert len(follower._keeper._booking) <= 4 * 2 + 3
        stopped = follower.state.seq
        assert stopped < site.frames[-1].header.next_seq
        assert site.said[-1] == {"seq": stopped}
        assert (site.files(".book"), snapshots.found(site.log)) == ([], there)
    follower.catch_up()
    assert follower.state.seq == site.frames[-1].header.next_seq
    assert seq_of_newest(site) == snapshots.seq_of(snapshots.found(site.log)[-1])
    assert not [one for one in site.said if "unbooked" in one]
    if not opening:
        site.check()
    rows, state = site.rows(), replayed(site.frames)
    for account in range(1, MEMBERS + 1):
        assert site.totals(rows, account) == state.accounts.totals(account)[:7]


@pytest.mark.parametrize("damage", ["list", "part"])
def test_a_damaged_book_that_the_log_names(site: Site, damage: str) -> None:
    """Nothing is made in its place, because what was removed is in no other file."""
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    (named,) = site.files(".named")
    for path in site.files(".book"):
        path.unlink()
    parts = book_files.read_list(named, Reader(site.log)._log_id, site.keys).parts
    path = named if damage == "list" else named.with_name(parts[0].name)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogCorruptError, match="restore the file"):
        site.follow()


def test_a_forged_book_is_seen_without_secrets(site: Site) -> None:
    """The log names its SHA-256, which a reader without the secrets can check."""
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    rows = list(Walk(site.log, Decryption(site.log, None)).tell(Ledger(1)))
    assert rows == list(Walk(site.log, Decryption(site.log, site.keys)).tell(Ledger(1)))
    (named,) = site.files(".named")
    part = book_files.read_list(named, Reader(site.log)._log_id, site.keys).parts[0]
    data = bytearray(named.with_name(part.name).read_bytes())
    data[32 + 44] ^= 1  # of the bytes uploaded of the first row
    named.with_name(part.name).write_bytes(data)
    said = named.read_bytes().replace(part.sha256.encode(), sha256(data).hexdigest().encode())
    named.write_bytes(said)
    with pytest.raises(LogCorruptError, match="not the book that the log vouches for"):
        list(Walk(site.log, Decryption(site.log, None)).tell(Ledger(1)))


@pytest.mark.parametrize("step", range(1, 15))
def test_a_kill_at_any_step_of_writing(
    site: Site, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves a usable book, and the next one is the same as without the kill."""
    monkeypatch.setattr(book_files, "GROWTH", 10**9)
    site.go_on()
    site.follow()
    site.go_on()
    left = [step]

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as killing:
        for name in ("create_file", "write_all", "sync_directory", "write_new"):
            killing.setattr(book_files, name, counted(getattr(book_files, name)))
        killing.setattr(type(site.log), "unlink", counted(type(site.log).unlink))
        with suppress(KeyboardInterrupt):
            site.follow()
    site.follow()
    site.check()
    assert len(site.files(".part")) <= 4 * book_files.KEPT
    monkeypatch.undo()


def test_a_disk_that_is_full_in_the_middle_of_a_merge(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended in that merge is still in the older part, and must not be counted again."""
    site.go_on(3)
    history, write = History(0), book_files.write_part

    def noted(day: int) -> tuple[bytes, bytes]:
        row = EMPTY._replace(announces=1, cut=day - 1, day=day)
        return book_rows.pack(book_rows.name(1, hash_of(1)), row), pair(hash_of(1), 1)

    def full(log: Path, seq: int, rows: Any, pairs: Any, most: int, *more: Any) -> Any:
        if most == 2:
            assert len(list(rows)) == 1
            raise OSError(errno.ENOSPC, "a test")
        return write(log, seq, rows, pairs, most, *more)

    with book_files.locked(site.log):
        old = book_files.with_rows(site.log, 1, (), noted(1), history, 0)
        monkeypatch.setattr(book_files, "write_part", full)
        parts = book_files.with_rows(site.log, 2, old, noted(3), history, 0)
    assert [part.rows for part in parts] == [1, 1]
    assert not history.ended
