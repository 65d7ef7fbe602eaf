"""The ledger: every announce behind an account's totals, with where each byte of credit comes from.

It is a walk over the log, from each announce to the one it refers to as its previous one. The differences it lists
sum exactly to the totals that the projection keeps for the account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import codec, events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventlog import Frame

DUPLICATE_US = 30_000_000
"""The same words within this time are a client that announces from several addresses, or once more."""


class Entry(NamedTuple):
    """One announce. Bytes; `base_*` are the previous announce's totals, None for the first of a session."""

    seq: int
    time_us: int
    info_hash: bytes
    peer_id: bytes  # its first 8 bytes only, where the rest cannot be read
    event: str
    uploaded: int
    downloaded: int
    left: int | None
    base_uploaded: int | None
    base_downloaded: int | None
    delta_uploaded: int
    delta_downloaded: int
    rule: str


class Ledger:
    """Feed it the log's frames in order; it yields the entries of one account.

    `who` is an account's owner (an id of the site's) or the number of one of its keys.
    """

    def __init__(self, who: str, info_hash: bytes | None = None) -> None:
        self._who = who
        self._info_hash = info_hash
        self._accounts: dict[int, int] = {}  # by key_ref
        self._account: int | None = None
        self._last: dict[int, tuple[int, int, int, int]] = {}  # time, up, down, event by seq

    @property
    def known(self) -> bool:
        """Whether the account turned up in the frames so far."""
        return self._account is not None

    def entries(self, frames: Iterable[Frame]) -> Iterator[Entry]:
        for frame in frames:
            if frame.header.kind == events.ADMIN:
                for record in codec.decode_admin(bytes(frame.plain)):
                    if record.type in (events.KEY_ISSUED, events.KEY_ROTATED):
                        self._learn(record.data)
            elif frame.header.kind == events.ANNOUNCE and self.known:
                yield from self._announces(frame)

    def _learn(self, data: dict[str, object]) -> None:
        key_ref = int(str(data["key_ref"]))
        account = int(str(data.get("account", key_ref)))
        self._accounts[key_ref] = account
        if self._who in (data.get("owner"), str(key_ref)) and self._account is None:
            self._account = account

    def _announces(self, frame: Frame) -> Iterator[Entry]:
        rows = codec.decode_announces(frame.plain, frame.sealed)
        for seq, (row, sealed) in enumerate(rows, frame.header.base_seq):
            id_tail = sealed[1] if sealed else b""
            if row[6] and self._accounts.get(row[6]) == self._account:
                entry = self._entry(seq, row, id_tail)
                if self._info_hash in (None, entry.info_hash):
                    yield entry

    def _entry(
        self,
        seq: int,
        row: codec.Plain,
        id_tail: bytes,
    ) -> Entry:
        time_us, info_hash, id_head, uploaded, downloaded, left, _, prev_seq, *_, what, rule = row
        event = what & 0x0F
        before = self._last.pop(prev_seq, None)
        if rule != events.RULE_CONTINUED:
            before = None  # a new session has a new base
        if event != events.STOPPED:
            self._last[seq] = (time_us, uploaded, downloaded, event)
        up = down = 0
        said = events.RULE_NAMES.get(rule, str(rule))
        if before is not None:
            up, down = max(0, uploaded - before[1]), max(0, downloaded - before[2])
            same = (uploaded, downloaded, event) == before[1:]
            if same and time_us - before[0] < DUPLICATE_US:
                said = f"duplicate of {prev_seq}"
        return Entry(
            seq,
            time_us,
            info_hash,
            id_head + id_tail,
            events.EVENT_NAMES[event],
            uploaded,
            downloaded,
            None if left == events.LEFT_UNKNOWN else left,
            before[1] if before else None,
            before[2] if before else None,
            up,
            down,
            said,
        )
