"""A page of an account's ledger as JSON on standard output: `python -m tracker.ledger_page LOG ACCOUNT HASH AFTER LIMIT SECRETS`.

It reads the log from its first event on, so it is a process of its own, of low priority: the tracker goes on beside it.
`HASH` is `-` for every torrent, `SECRETS` where there are no keys. Entries with a seq larger than AFTER, at most LIMIT; the totals come with the last page.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventlog import Reader, kept_frames
from tracker import narrate, opening
from tracker.keyring import Keyring
from tracker.ledger import Correction, Ledger, Opening, Sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.ledger import Entry


def page(
    folder: Path,
    account: int,
    info_hash: bytes | None,
    after: int,
    limit: int,
    keys: Keyring | None = None,
) -> dict[str, Any]:
    """`entries`, `next` (the `after` of the next page, None = that was all) and then `totals`."""
    ledger = Ledger(account, info_hash)
    entries: list[dict[str, object]] = []
    for entry in every_entry(folder, ledger, keys):
        if entry.seq <= after:
            continue
        if len(entries) == limit:
            return {"entries": entries, "next": entries[-1]["seq"], "totals": None}
        entries.append(entry_shown(entry))
    sums = ledger.account if info_hash is None else ledger.torrents.get(info_hash, Sums())
    return {"entries": entries, "next": None, "totals": sums_shown(sums)}


def every_entry(
    folder: Path, ledger: Ledger, keys: Keyring | None
) -> Iterator[Opening | Correction | Entry]:
    """The ledger's entries over a whole log: one without its oldest events begins with the balance of them."""
    reader = Reader(folder, keys=keys)
    if reader.first_seq:
        kept = kept_frames(folder, reader.first_seq)
        yield from ledger.opening(kept, opening.begin(folder, reader.first_seq)[0])
    yield from ledger.entries(reader.frames())


def entry_shown(entry: Entry | Correction | Opening) -> dict[str, object]:
    if isinstance(entry, Opening):
        begun = {"type": "opening", "seq": entry.seq, "time": narrate.rfc3339(entry.time_us)}
        balance = sums_shown(Sums(totals=entry.totals))
        del balance["announces"], balance["corrections"]
        return begun | balance
    kind = "correction" if isinstance(entry, Correction) else "announce"
    shown: dict[str, object] = {"type": kind, **entry._asdict()}
    shown["time"] = narrate.rfc3339(entry.time_us)
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
    return {name: narrate.rfc3339(time_us) if time_us else "" for name, time_us in times.items()}


def main() -> None:
    folder, account, info_hash, after, limit, secrets = sys.argv[1:]
    os.nice(10)
    only = None if info_hash == "-" else bytes.fromhex(info_hash)
    keys = None if secrets == "-" else Keyring(Path(secrets))
    found = page(Path(folder), int(account), only, int(after), int(limit), keys)
    sys.stdout.write(json.dumps(found, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
