"""Computes who seeded what in an hour, and keeps it in files beside the log, so that a site's
software need not wait for a replay of the hour.

    <log>/hours/<2026-11-30T14>.rows   a line of JSON, then 60 bytes a row

A row has account, info hash, microseconds of seeding, seeders, size and age. The account is
big-endian, so that rows are in the order of their bytes; all else is little-endian.

The follower writes a file when an hour is over that it has replayed as a whole. A file has a MAC,
and names the log's history up to its last event. Each can be deleted at any time: the hour is then
replayed. Blocking.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
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
KEPT = 72
"""Hours that stay; a site that asks later waits for a replay."""
SEEDING = 4
"""The word of a row of `Booking` with microseconds of seeding."""
_OURS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}\.rows(\.tmp)?")
_PURPOSE = b"hours"
_NAME = Struct(">I20s")
_REST = Struct("<QIQQ8x")
_SIZE = _NAME.size + _REST.size
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

    data: bytes

    @classmethod
    def of(cls, rows: Iterable[SeedingRow]) -> HourRows:
        return cls(b"".join(map(_pack, rows)))

    def after(self, account: int, info_hash: bytes, limit: int) -> list[SeedingRow]:
        """Returns at most `limit` rows after the one of an account and a torrent."""
        name = _NAME.pack(min(account, 2**32 - 1), info_hash)
        data, size = self.data, _NAME.size
        first = bisect_right(
            range(len(data) // _SIZE), name, key=lambda row: data[row * _SIZE : row * _SIZE + size]
        )
        return [
            _unpack(data, at)
            for at in range(first * _SIZE, min((first + limit) * _SIZE, len(data)), _SIZE)
        ]


def _pack(row: SeedingRow) -> bytes:
    size = _NONE if row.size is None else row.size
    age_us = _NONE if row.age_us is None else row.age_us
    rest = _REST.pack(row.seeding_us, row.seeders, size, age_us)
    return _NAME.pack(row.account, row.info_hash) + rest


def _unpack(data: bytes, at: int) -> SeedingRow:
    account, info_hash = _NAME.unpack_from(data, at)
    seeding_us, seeders, size, age_us = _REST.unpack_from(data, at + _NAME.size)
    return SeedingRow(
        account,
        info_hash,
        seeding_us,
        seeders,
        None if size == _NONE else size,
        None if age_us == _NONE else age_us,
    )


def still_open(state: State, time_us: int) -> dict[tuple[int, bytes], int]:
    """Returns the seeding time up to a log time that is not counted yet, because it goes on."""
    time_us = max(time_us, state.time_us)
    return {
        (account, info_hash): seeding_us
        for account in range(1, len(state.accounts.uploaded))
        for info_hash, seeding_us, _ in state.seeding.open(account, time_us)
        if seeding_us
    }


def seeded(
    before: Mapping[tuple[int, bytes], int],
    counted: Iterable[tuple[tuple[int, bytes], int]],
    after: Mapping[tuple[int, bytes], int],
) -> dict[tuple[int, bytes], int]:
    """Returns the seeding time of an interval by account and torrent: what was counted in it, and
    what was open after it and not before it.
    """
    found = dict(after)
    for name, time_us in counted:
        found[name] = found.get(name, 0) + time_us
    for name, time_us in before.items():
        found[name] = found.get(name, 0) - time_us
    return {name: time_us for name, time_us in found.items() if time_us > 0}


def rows_of(
    state: State, found: Mapping[tuple[int, bytes], int], until_us: int
) -> list[SeedingRow]:
    """Returns the rows of an interval that ends at a date. `state`: that at its end."""
    torrents: dict[bytes, tuple[int, int | None, int | None]] = {}
    rows = []
    for (account, info_hash), time_us in sorted(found.items()):
        if info_hash not in torrents:
            torrents[info_hash] = _facts(state, info_hash, until_us)
        rows.append(SeedingRow(account, info_hash, time_us, *torrents[info_hash]))
    return rows


def _facts(state: State, info_hash: bytes, until_us: int) -> tuple[int, int | None, int | None]:
    """Returns seeders, size and age of a torrent."""
    facts = json.loads(state.facts.get(info_hash) or "{}")
    size = facts.get("size") or state.swarms.least_size(info_hash) or None
    added_us = facts.get("added_us")
    age_us = None if added_us is None else max(0, until_us - added_us)
    return state.swarms.counts(info_hash)[0], size, age_us


def hour_path(log: Path, from_us: int) -> Path:
    return log / FOLDER / f"{(rfc3339(from_us) or '')[:13]}.rows"


def write(log: Path, keys: Keyring, hour: Hour, rows: HourRows) -> None:
    """Writes the rows of an hour, and removes those of hours long over. Raises `SecretError`,
    `OSError`.
    """
    make_folder(log / FOLDER)
    room = os.statvfs(log)
    if room.f_bavail * room.f_frsize < SPARE_BYTES + len(rows.data):
        raise OSError("too little free space for the hours of seeding")
    head = {
        "format": FORMAT, "from_us": hour.from_us, "begin": hour.begin, "end": hour.end,
        "frame_end": hour.frame_end, "chain": hour.chain.hex(), "key": keys.tags.key_id.hex(),
    }  # fmt: skip
    mac = keys.tags.mac(_PURPOSE, _signed(read_identity(log), head, rows.data))
    line = json.dumps({**head, "mac": mac.hex()}).encode() + b"\n"
    write_new(hour_path(log, hour.from_us), line + rows.data)
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
    if (head["format"], head["from_us"]) != (FORMAT, from_us) or len(data) % _SIZE:
        raise HourError("it is of another format or hour")
    if first_seq(log) > head["begin"]:
        raise HourError("events of the hour were removed")
    if not holds_frame(log, head["frame_end"], bytes.fromhex(head["chain"])):
        raise HourError("it is of another history")
    return HourRows(data)


def _signed(log_id: bytes, head: dict[str, Any], data: bytes) -> bytes:
    hasher = sha256(log_id + json.dumps(head).encode() + b"\n")
    hasher.update(data)
    return hasher.digest()
