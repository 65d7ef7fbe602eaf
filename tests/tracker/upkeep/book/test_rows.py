"""The rows of the book are the sums of the ledger, whatever happens to the log."""

from __future__ import annotations

import pytest
from attrs import evolve

from eventlog import LogCorruptError, Reader, first_seq
from tests.support import hash_of
from tests.tracker.upkeep.book.site import MEMBERS, Site
from tracker.domain.settings import Settings
from tracker.ledger.worker import LedgerWorker
from tracker.ports import BookQuery, BookRow
from tracker.store import book_files, checked_segments, snapshots
from tracker.store.book import named, open_newest
from tracker.store.checked_segments import CheckedSegments
from tracker.store.replay import replay
from tracker.upkeep import bookkeeping


def test_the_book_is_the_ledger(site: Site) -> None:
    """Over restarts of tracker and follower, and removals; the parts stay few."""
    for number in range(6):
        site.go_on(pruned=number in (2, 4))
        site.follow()
        site.check()
        assert len(site.files(".part")) < 14
    assert first_seq(site.log) > 0
    assert len(site.files(".named")) == 1
    refused = [one["refused"] for one in site.said if "refused" in one]
    assert all(each.startswith("The index of stays is made anew") for each in refused)
    assert not [one for one in site.said if "unbooked" in one]


def test_it_is_made_again_from_what_the_log_names(site: Site) -> None:
    """Without any other file of the book the same one is made, also without a snapshot."""
    for number in range(3):
        site.go_on(pruned=number == 1)
        site.follow()
    expected = site.rows()
    (named,) = site.files(".named")
    parts = book_files.read_list(named, Reader(site.log)._log_id, site.keys).files
    kept = {named.name, *(part.name for part in parts)}
    for path in site.files(".book", ".part"):
        if path.name not in kept:
            path.unlink()
    for path in snapshots.found(site.log):
        path.unlink()
    site.follow()
    assert site.rows() == expected
    site.check()


def test_a_log_of_the_version_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first removal makes a book; what had been removed before is in the rows "no torrent"."""
    with monkeypatch.context() as before:
        before.setattr(bookkeeping.Bookkeeper, "name", lambda *_: ("", ""))
        site.go_on(pruned=True)
    gone = first_seq(site.log)
    assert gone
    site.go_on(pruned=True)
    assert site.files(".part")
    site.follow()
    rows, told, before_it = (
        site.rows(),
        site.ledger(site.frames[-1].header.next_seq),
        site.ledger(gone),
    )
    book = open_newest(site.log, site.keys)
    assert book is not None
    assert book.since == gone
    for account in range(1, MEMBERS + 1):
        here = [row for name, row in rows.items() if name[0] == account]
        there = [sums.totals for name, sums in told.items() if name[0] == account]
        for one in ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded",
                    "seeding_us", "partial_us", "sessions", "snatched"):  # fmt: skip
            assert sum(getattr(row, one) for row in here) == sum(getattr(row, one) for row in there)
        none = rows[account, None]
        up = sum(sums.totals.uploaded for name, sums in before_it.items() if name[0] == account)
        assert none.uploaded == up > 0
        assert none.announces == 0


def test_public_modes_have_no_book(site: Site) -> None:
    site.go_on(settings=Settings())
    site.follow()
    assert not (site.log / "book").exists()
    site.go_on(settings=Settings(), pruned=True)
    site.follow()
    assert not (site.log / "book").exists() or not site.files(".named", ".book", ".part")


def test_the_last_client_and_the_completion(site: Site) -> None:
    site.go_on(60)
    site.follow()
    rows = site.rows()
    assert {row.client for name, row in rows.items() if name[1]} == {1}
    done = [row for row in rows.values() if row.completed_us]
    assert done
    assert all(row.first_us <= row.completed_us <= row.last_us for row in done)  # type: ignore[operator]


@pytest.mark.parametrize("of", [1, hash_of(1)])
def test_pages_go_on_while_the_book_is_replaced(site: Site, of: int | bytes) -> None:
    """Each row of the first page's book comes once, in order, whatever happened to the files: newer
    lists, merges, a removal, and no list at all. A book that is open is read to its end."""
    site.go_on(60)
    site.follow()
    opened = open_newest(site.log, site.keys)
    assert opened is not None
    if isinstance(of, bytes):
        open_rows, expected = opened.of_torrent(of), list(opened.of_torrent(of))
    else:
        open_rows, expected = opened.of_account(of), list(opened.of_account(of))
    assert len(expected) >= 3
    found: list[BookRow] = []
    worker, query = LedgerWorker(site.log, site.log / "secrets"), BookQuery(limit=1)
    read = [next(open_rows)]
    for step in range(10):
        ask = worker.torrent_rows if isinstance(of, bytes) else worker.account_rows
        page = ask(of, None, query, True)  # type: ignore[arg-type]  # the right one of the two
        found += page.rows
        if page.following is None:
            break
        query = evolve(query, after=page.following)
        site.go_on(10, pruned=step == 1)
        if step < 2:
            site.follow()
        else:
            for path in site.files(".book"):
                path.unlink()
    names = [(row.account, row.info_hash) for row in found]
    assert {(row.account, row.info_hash) for row in expected} <= set(names)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (name[0], name[1] or b""))
    assert read + list(open_rows) == expected


def test_a_start_reads_only_parts_that_were_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_segments, "REST_NS", 0)
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    state = replay(Reader(site.log, to_end=True))

    def start() -> int:
        """Returns how many parts were read."""
        book_files._checked.clear()
        checked = CheckedSegments(site.log, site.keys)
        listed = named(site.log, state, site.keys, checked)
        checked.save()
        assert listed is not None
        return len(book_files._checked)

    (first, *_), whole = site.files(".named"), start()
    assert (start(), whole > 0) == (0, True)
    part = book_files.read_list(first, Reader(site.log)._log_id, site.keys).parts[0]
    path = first.with_name(part.name)
    path.chmod(0o640)
    assert (start(), start()) == (1, 0)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(LogCorruptError, match="restore the file"):
            start()
    path.unlink()
    with pytest.raises(LogCorruptError, match="is missing"):
        start()
