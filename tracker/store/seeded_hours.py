"""Computes who seeded what in an hour, and keeps it in files beside the log, so that a site's
software need not wait for a replay of the hour.

    <log>/hours/<2026-11-30T14>.rows   a line of JSON, then big-endian numbers

    torrents   40 bytes each   info hash, seeders, size and age; ascending
    rows       16 bytes each   account, number of the torrent, microseconds of seeding; ascending

The follower writes a file when an hour is over that it has replayed as a whole. A file has a MAC,
and names the log's history up to its last event. Each can be deleted at any time: the hour is then
replayed. Blocking.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_left, bisect_right
from hashlib import sha256
from hmac import compare_digest
from struct import Struct
from typing import TYPE_CHECKING, Any

from attrs import frozen

from eventlog import (
    LogError,
    border,
    first_seq,
    holds_frame,
    make_folder,
    parse_json,
    read_file,
    read_identity,
    write_new,
)
from tracker.ports import SeedingRow
from tracker.store.snapshot_file import SPARE_BYTES
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

FOLDER = "hours"
FORMAT = 1
HOUR_US = 3_600_000_000
"""An hour in microseconds."""
KEPT = 48
"""Hours that stay; a site that asks later waits for a replay."""
SEEDING = 4
"""The word of a row of `Booking` with microseconds of seeding."""
_OURS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}\.rows(\.tmp)?")
_PURPOSE = b"hours"
_TORRENT = Struct(">20sIQQ")
_ROW = Struct(">IIQ")
_PLACE = Struct(">II")  # with which a row begins
_NONE = 2**64 - 1  # in the place of a size or an age that is not known


class HourError(Exception):
    """A file does not tell of its hour."""


@frozen
class Hour:
    """An hour of the log that is over. Its dates follow log time with one lead."""

    from_us: int  # its first date
    begin: int  # its first event
    end: int  # the first event after it
    frame_end: int  # the event after the last whole frame of it, or before it
    chain: bytes  # chain value of that frame


@frozen
class HourRows:
    """Packed rows of an hour, by account and torrent."""

    torrents: bytes
    rows: bytes

    @classmethod
    def of(cls, state: State, found: Mapping[bytes, int], until_us: int) -> HourRows:
        """Packs what `seeded` found. `state`: that at the end of the hour; `until_us`: its date."""
        hashes = sorted({name[4:] for name in found})
        numbers = {info_hash: number for number, info_hash in enumerate(hashes)}
        rows = [
            _ROW.pack(int.from_bytes(name[:4], "little"), numbers[name[4:]], time_us)
            for name, time_us in found.items()
        ]
        rows.sort()
        torrents = (_TORRENT.pack(one, *_facts(state, one, until_us)) for one in hashes)
        return cls(b"".join(torrents), b"".join(rows))

    def after(self, account: int, info_hash: bytes, limit: int) -> list[SeedingRow]:
        """Returns at most `limit` rows after the one of an account and a torrent."""
        number = bisect_right(
            range(len(self.torrents) // _TORRENT.size),
            info_hash,
            key=lambda one: self.torrents[one * _TORRENT.size : one * _TORRENT.size + 20],
        )
        first = bisect_left(
            range(len(self.rows) // _ROW.size),
            _PLACE.pack(min(account, 2**32 - 1), number),
            key=lambda row: self.rows[row * _ROW.size : row * _ROW.size + _PLACE.size],
        )
        part = self.rows[first * _ROW.size : (first + limit) * _ROW.size]
        return [self._row(*fields) for fields in _ROW.iter_unpack(part)]

    def _row(self, account: int, number: int, time_us: int) -> SeedingRow:
        info_hash, seeders, *facts = _TORRENT.unpack_from(self.torrents, number * _TORRENT.size)
        size, age_us = (None if each == _NONE else each for each in facts)
        return SeedingRow(account, info_hash, time_us, seeders, size, age_us)


def still_open(state: State, time_us: int) -> dict[bytes, int]:
    """Returns the seeding time up to a log time that is not counted yet, because it goes on, by
    account and torrent (`packed.identity`).
    """
    time_us = max(time_us, state.time_us)
    return {
        account.to_bytes(4, "little") + info_hash: seeding_us
        for account in range(1, len(state.accounts.uploaded))
        for info_hash, seeding_us, _ in state.seeding.open(account, time_us)
        if seeding_us
    }


def seeded(
    before: Mapping[bytes, int], counted: Iterable[tuple[bytes, int]], after: Mapping[bytes, int]
) -> dict[bytes, int]:
    """Returns the seeding time of an interval by account and torrent: what was counted in it, and
    what was open after it and not before it.
    """
    found = dict(after)
    for name, time_us in counted:
        found[name] = found.get(name, 0) + time_us
    for name, time_us in before.items():
        found[name] = found.get(name, 0) - time_us
    return {name: time_us for name, time_us in found.items() if time_us > 0}


def _facts(state: State, info_hash: bytes, until_us: int) -> tuple[int, int, int]:
    """Returns seeders, size and age of a torrent."""
    said = state.facts.get(info_hash)
    facts = json.loads(said) if said else {}
    size = facts.get("size") or state.swarms.least_size(info_hash) or _NONE
    added_us = facts.get("added_us")
    age_us = _NONE if added_us is None else max(0, until_us - added_us)
    return state.swarms.counts(info_hash)[0], size, age_us


def hour_path(log: Path, from_us: int) -> Path:
    return log / FOLDER / f"{(rfc3339(from_us) or '')[:13]}.rows"


def write(log: Path, keys: Keyring, hour: Hour, rows: HourRows) -> None:
    """Writes the rows of an hour, and removes those of hours long over. Raises `SecretError`,
    `OSError`.
    """
    make_folder(log / FOLDER)
    data = rows.torrents + rows.rows
    room = os.statvfs(log)
    if room.f_bavail * room.f_frsize < SPARE_BYTES + len(data):
        raise OSError("too little free space for the hours of seeding")
    head = {
        "format": FORMAT, "from_us": hour.from_us, "begin": hour.begin, "end": hour.end,
        "frame_end": hour.frame_end, "chain": hour.chain.hex(),
        "torrents": len(rows.torrents), "key": keys.tags.key_id.hex(),
    }  # fmt: skip
    mac = keys.tags.mac(_PURPOSE, _signed(read_identity(log), head, data))
    line = json.dumps({**head, "mac": mac.hex()}).encode() + b"\n"
    write_new(hour_path(log, hour.from_us), line + data)
    _remove(log, lambda name: name <= hour_path(log, hour.from_us - KEPT * HOUR_US).name)


def remove_from(log: Path, date_us: int) -> None:
    """Removes the hours that end after a date, because the clock was set, and dates come again.
    Raises `OSError`."""
    _remove(log, lambda name: name >= hour_path(log, date_us).name)


def _remove(log: Path, which: Callable[[str], bool]) -> None:
    if not (log / FOLDER).is_dir():
        return
    for path in (log / FOLDER).iterdir():
        if _OURS.fullmatch(path.name) and which(path.name):
            path.unlink(missing_ok=True)


def read(log: Path, from_us: int, keys: Keyring | None) -> HourRows | None:
    """Reads the rows of the hour that begins at a date; None = it must be replayed, because there
    is no file that fits, or nobody can tell without `keys`.

    Raises what reading the log raises.
    """
    path = hour_path(log, from_us)
    if keys is None or not path.is_file():
        return None
    try:
        with border(HourError, HourError):
            return _read(log, path, from_us, keys)
    except HourError:
        return None


def _read(log: Path, path: Path, from_us: int, keys: Keyring) -> HourRows:
    try:
        line, _, data = read_file(path).partition(b"\n")
    except (LogError, OSError) as error:
        raise HourError(str(error)) from None
    head: Any = parse_json(line)
    mac = bytes.fromhex(head.pop("mac"))
    signed = _signed(read_identity(log), head, data)
    expected = keys.mac_of(bytes.fromhex(head["key"]), _PURPOSE, signed)
    if expected is None or not compare_digest(expected, mac):
        raise HourError("its MAC does not match")
    if (head["format"], head["from_us"]) != (FORMAT, from_us):
        raise HourError("it is of another format or hour")
    if first_seq(log) > head["begin"]:
        raise HourError("events of the hour were removed")
    if not holds_frame(log, head["frame_end"], bytes.fromhex(head["chain"])):
        raise HourError("it is of another history")
    return HourRows(data[: head["torrents"]], data[head["torrents"] :])


def _signed(log_id: bytes, head: dict[str, Any], data: bytes) -> bytes:
    hasher = sha256(log_id + json.dumps(head).encode() + b"\n")
    hasher.update(data)
    return hasher.digest()
