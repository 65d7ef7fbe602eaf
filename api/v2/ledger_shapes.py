"""Makes JSON of ledgers: entries and sums. `tracker ledger --json` prints the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.times import rfc3339
from tracker import times
from tracker.ports import LedgerCorrection, LedgerMove, LedgerOpening

if TYPE_CHECKING:
    from tracker.ports import (
        BookRow,
        Client,
        LedgerAnnounce,
        LedgerEntry,
        LedgerSums,
        LedgerTotals,
        SeriesDay,
    )


def entry_json(entry: LedgerEntry) -> dict[str, object]:
    if isinstance(entry, LedgerOpening):
        begun = {"type": "opening", "seq": entry.seq, "time": rfc3339(entry.time_us)}
        return begun | _totals_json(entry.totals)
    if isinstance(entry, LedgerCorrection):
        return _correction_json(entry)
    if isinstance(entry, LedgerMove):
        return _move_json(entry)
    return _announce_json(entry)


def _announce_json(entry: LedgerAnnounce) -> dict[str, object]:
    return {
        "type": "announce",
        "seq": entry.seq,
        "info_hash": entry.info_hash.hex(),
        "peer_id": entry.peer_id.hex(),
        "event": entry.event,
        "uploaded": entry.uploaded,
        "downloaded": entry.downloaded,
        "left": entry.left,
        "base_uploaded": entry.base_uploaded,
        "base_downloaded": entry.base_downloaded,
        "delta_uploaded": entry.delta_uploaded,
        "delta_downloaded": entry.delta_downloaded,
        "credited_uploaded": entry.credited_uploaded,
        "credited_downloaded": entry.credited_downloaded,
        "rule": entry.rule,
        "factors": entry.factors,
        "client": client_json(entry.client) if entry.client else None,
        "time": rfc3339(entry.time_us),
    }


def client_json(client: Client) -> dict[str, object]:
    """Makes JSON of a client, also for the list of all."""
    return {
        "client": client.number,
        "peer_id_prefix": client.peer_id_prefix,
        "user_agent": client.user_agent,
    }


def _correction_json(entry: LedgerCorrection) -> dict[str, object]:
    return {
        "type": "correction",
        "seq": entry.seq,
        "info_hash": entry.info_hash.hex() if entry.info_hash else None,
        "credited_uploaded": entry.credited_uploaded,
        "credited_downloaded": entry.credited_downloaded,
        "corrects": entry.corrects,
        "reason": entry.reason,
        "time": rfc3339(entry.time_us),
    }


def _move_json(entry: LedgerMove) -> dict[str, object]:
    return {
        "type": "move",
        "seq": entry.seq,
        "event": entry.what,
        "account": entry.account,
        "uploaded": entry.uploaded,
        "downloaded": entry.downloaded,
        "credited_uploaded": entry.credited_uploaded,
        "credited_downloaded": entry.credited_downloaded,
        "seeding_seconds": whole_seconds(entry.seeding_us),
        "partial_seeding_seconds": whole_seconds(entry.partial_us),
        "sessions": entry.sessions,
        "snatched": entry.snatched,
        "reason": entry.reason,
        "time": rfc3339(entry.time_us),
    }


def whole_seconds(us: int) -> int:
    """Returns whole seconds of an amount that may be negative, towards 0."""
    return us // 1_000_000 if us >= 0 else -(-us // 1_000_000)


def day_json(day: SeriesDay) -> dict[str, object]:
    """Makes JSON of a day of a series. A torrent's has two more members than an account's."""
    peaks = {"most_seeders": day.seeders, "most_leechers": day.leechers}
    return {
        "date": times.date(day.day),
        "uploaded": day.uploaded,
        "downloaded": day.downloaded,
        "credited_uploaded": day.credited_uploaded,
        "credited_downloaded": day.credited_downloaded,
        "seeding_seconds": day.seeding_us // 1_000_000,
        "completed": day.completed,
    } | (peaks if day.seeders is not None else {})


def sums_json(sums: LedgerSums) -> dict[str, object]:
    counts = {"announces": sums.announces, "corrections": sums.corrections}
    return counts | _totals_json(sums.totals)


ROW_AMOUNTS: Final = (
    "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "snatched", "sessions",
    "announces",
)  # fmt: skip
ROW_SECONDS: Final = {"seeding_seconds": "seeding_us", "partial_seeding_seconds": "partial_us"}
ROW_TIMES: Final = {
    "first_seen": "first_us", "last_seen": "last_us", "completed_at": "completed_us",
}  # fmt: skip
"""Fields of `BookRow`, by the members that show them."""


def row_json(row: BookRow, client: Client | None) -> dict[str, object]:
    """Makes JSON of a row of the book, but for its name. `client`: that of its number."""
    return {
        **{name: getattr(row, name) for name in ROW_AMOUNTS},
        **{name: whole_seconds(getattr(row, field)) for name, field in ROW_SECONDS.items()},
        "corrections": row.corrections,
        **{name: rfc3339(getattr(row, field)) for name, field in ROW_TIMES.items()},
        "client": client_json(client) if client else None,
    }


def _totals_json(totals: LedgerTotals) -> dict[str, object]:
    return {
        "uploaded": totals.uploaded,
        "downloaded": totals.downloaded,
        "credited_uploaded": totals.credited_uploaded,
        "credited_downloaded": totals.credited_downloaded,
        "seeding_seconds": totals.seeding_us // 1_000_000,
        "partial_seeding_seconds": totals.partial_us // 1_000_000,
        "sessions": totals.sessions,
        "snatched": totals.snatched,
        "first_seen": rfc3339(totals.first_us),
        "last_seen": rfc3339(totals.last_us),
    }
