"""A ledger for people and tools: what can be asked of one, and its entries and sums as plain values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.ledger.account import Correction, Entry, Opening, Sums
from tracker.times import rfc3339

if TYPE_CHECKING:
    from tracker import ports


class EntriesAsked(NamedTuple):
    """A page of an account's ledger, of one torrent perhaps. `after`: -1 or the seq of an entry, or where a page ended."""

    account: int
    info_hash: bytes | None
    moment: ports.Moment | None
    after: int
    limit: int


class SumsAsked(NamedTuple):
    """A page of an account's sums by torrent, or of a torrent's by account. `after`: the last row's name; None = from the first."""

    of: int | bytes
    moment: ports.Moment | None
    after: int | bytes | None
    limit: int


def entry_shown(entry: Entry | Correction | Opening) -> dict[str, object]:
    if isinstance(entry, Opening):
        begun = {"type": "opening", "seq": entry.seq, "time": rfc3339(entry.time_us)}
        balance = sums_shown(Sums(totals=entry.totals))
        del balance["announces"], balance["corrections"]
        return begun | balance
    kind = "correction" if isinstance(entry, Correction) else "announce"
    shown: dict[str, object] = {"type": kind, **entry._asdict()}
    shown["time"] = rfc3339(entry.time_us)
    del shown["time_us"]
    shown["info_hash"] = entry.info_hash.hex() if entry.info_hash else None
    if not isinstance(entry, Correction):
        shown["peer_id"] = entry.peer_id.hex()
    return shown


def sums_shown(sums: Sums) -> dict[str, object]:
    shown: dict[str, object] = {"announces": sums.announces, "corrections": sums.corrections}
    shown |= sums.totals._asdict()
    del shown["first_us"], shown["last_us"]
    return shown | {name: text or None for name, text in seen(sums).items()}


def seen(sums: Sums) -> dict[str, str]:
    times = {"first_seen": sums.totals.first_us, "last_seen": sums.totals.last_us}
    return {name: rfc3339(time_us) if time_us else "" for name, time_us in times.items()}
