"""Changes files of a log and makes every checksum right again, as an insider can.

All choices come from a seeded generator, so that the same seed gives the same nonsense.
"""

from __future__ import annotations

import json
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from eventlog import frame, segment
from tests.eventlog.logs import places
from tracker.domain import events
from tracker.domain.events import codec
from tracker.store import snapshot_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Files = dict[str, bytes]

_KEPT = Struct("<8sHHI16sQQQII")
_KEPT_SIZE = 64
_NUMBERS = (0, 1, 2, 7, 15, 16, 255, 256, 65_535, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 48, 1 << 63, (1 << 64) - 1)  # fmt: skip


def forge(files: Files, chance: Random) -> Files:
    """Returns the files with one of them forged."""
    name = chance.choice([one for one in sorted(files) if _forger(one)])
    forger = _forger(name)
    assert forger is not None
    forged = dict(files)
    forger(forged, name, chance)
    if not name.endswith(".snap") and chance.random() < 0.7:
        drop(forged, ".snap")  # else a start would not look at what comes before it
    return forged


def drop(files: Files, *ends: str) -> None:
    for name in [one for one in files if one.endswith(ends)]:
        del files[name]


def _forger(name: str) -> Callable[[Files, str, Random], None] | None:
    if name.endswith(".evl"):
        return _segment
    if name.endswith((".snap", ".opening")):
        return _image
    if name.endswith(".evk"):
        return _kept
    return _text if name.endswith((".json", ".key", "LOCK")) else None


# Text, and JSON.


def nonsense(chance: Random) -> str:
    """Returns JSON that no tracker writes."""
    return chance.choice(
        (
            "[" * 10_000,
            '{"a":' * 10_000,
            "9" * 5_000,
            "1" * 4_000,
            '"\\ud800"',
            "null",
            "NaN",
            "1e999",
            "[[], {}]",
            "-1",
            '"\\u0000"',
            "",
            '{"": 1, "": 2}',
        )
    )


def _altered(value: Any, chance: Random) -> Any:
    """Returns JSON data with one part of it replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _altered(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], _altered(value[at], chance), *value[at + 1 :]]
    return chance.choice((None, True, -1, 1 << 63, 1 << 70, 1.5, "", "\ud800", "00", [], {}, [[1]], {"a": 1}, "9" * 300))  # fmt: skip


def _forged_json(data: bytes, chance: Random) -> bytes:
    if chance.random() < 0.3:
        return nonsense(chance).encode()
    try:
        value = json.loads(data)
    except ValueError:
        return chance.randbytes(chance.randrange(100))
    return json.dumps(_altered(value, chance)).encode() + b"\n" * chance.randrange(2)


def _text(files: Files, name: str, chance: Random) -> None:
    files[name] = _forged_json(files[name], chance)


# Frames.


def _segment(files: Files, name: str, chance: Random) -> None:
    """Forges a segment header or a frame; later frames continue what came of it."""
    for one in [each for each in files if "/seal/" in each or "/reached/" in each]:
        del files[one]
    data = files[name]
    fields = list(segment._HEADER.unpack(data[: segment.HEADER_SIZE]))
    frames = [(data[at.offset : at.end], at.header) for at in places(data)]
    target = chance.randrange(-1, len(frames))
    if target < 0:
        at = chance.choice((1, 3, 5, 6, 7, 8))
        limit = (1 << 16 if at == 1 else 1 << 32 if at in (3, 8) else 1 << 64) - 1
        fields[at] = _near(fields[at], limit, chance)
    seed = frame.seed_of(data[16:32])
    head = segment._HEADER.pack(*fields)[:-4]
    made, chain = head + crc32(head).to_bytes(4, "little"), fields[9]
    for number, (raw, header) in enumerate(frames):
        values = header._asdict()
        payload = raw[frame.HEADER_SIZE :]
        plain = payload[: header.plain_size]
        protected = payload[header.plain_size : header.plain_size + header.protected_size]
        if number == target:
            plain, protected = _frame(values, plain, protected, chance)
        made += _packed(values, plain, protected, chain, seed)
        chain = int.from_bytes(made[-_size(plain, protected) :][76:80], "little")
    files[name] = made
    _rechain(files, name, chain)


def _size(plain: bytes, protected: bytes) -> int:
    size = len(plain) + len(protected)
    return frame.HEADER_SIZE + size + frame.padding(size)


def _frame(
    values: dict[str, int], plain: bytes, protected: bytes, chance: Random
) -> tuple[bytes, bytes]:
    how = chance.randrange(4)
    if how == 0:
        limits = {"kind": 8, "schema": 8, "flags": 16, "records": 32, "epoch": 32, "base_seq": 64, "durable_seq": 64, "time_us": 64, "boottime_ns": 64, "key_epoch": 32, "key_check": 64}  # fmt: skip
        name = chance.choice(list(limits))
        values[name] = _near(values[name], (1 << limits[name]) - 1, chance)
    elif values["kind"] == events.ADMIN and how < 3:
        record = next(iter(codec.decode_admin(plain)))
        body = _forged_json(json.dumps(record.data, sort_keys=True).encode(), chance)
        number = chance.choice((record.type, chance.randrange(40), 65_535))
        plain = codec.ADMIN.pack(len(body), number, record.schema, record.time_us)
        plain += body + bytes(-len(body) % 16)
    elif plain and how < 3:
        at = chance.randrange(len(plain))
        size = chance.choice((1, 2, 4, 8))
        number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
        plain = (plain[:at] + number.to_bytes(size, "little") + plain[at + size :])[: len(plain)]
    elif chance.random() < 0.5:
        plain = plain[: chance.randrange(len(plain) + 1)]
    else:
        protected = chance.randbytes(chance.randrange(100))
    return plain, protected


def _near(value: int, limit: int, chance: Random) -> int:
    return chance.choice((value + 1, max(0, value - 1), *_NUMBERS)) & limit


def _packed(values: dict[str, int], plain: bytes, protected: bytes, chain: int, seed: int) -> bytes:
    names = ("epoch", "base_seq", "durable_seq", "time_us", "boottime_ns", "flags", "key_epoch", "key_check")  # fmt: skip
    head, _ = frame.build_header(
        values["kind"], values["schema"], values["records"], plain, protected,
        prev_crc=chain, seed=seed, **{name: values[name] for name in names},
    )  # fmt: skip
    return head + plain + protected + bytes(frame.padding(len(plain) + len(protected)))


def _rechain(files: Files, changed: str, chain: int) -> None:
    """Makes the segments after a changed one continue it."""
    for name in sorted(one for one in files if one.endswith(".evl") and one > changed):
        data = files[name]
        fields = list(segment._HEADER.unpack(data[: segment.HEADER_SIZE]))
        fields[9] = chain
        head = segment._HEADER.pack(*fields)[:-4]
        made = head + crc32(head).to_bytes(4, "little")
        for at in places(data):
            body = data[at.offset + frame.HEADER_SIZE : at.end]
            plain = body[: at.header.plain_size]
            protected = body[at.header.plain_size :][: at.header.protected_size]
            one = _packed(at.header._asdict(), plain, protected, chain, frame.seed_of(data[16:32]))
            chain = int.from_bytes(one[76:80], "little")
            made += one
        files[name] = made


def _kept(files: Files, name: str, chance: Random) -> None:
    data = files[name]
    fields = list(_KEPT.unpack(data[:_KEPT_SIZE]))
    if chance.random() < 0.4:
        at = chance.choice((1, 3, 5, 6, 7))
        limit = {1: 16, 3: 32}.get(at, 64)
        fields[at] = _near(fields[at], (1 << limit) - 1, chance)
        body = data[_KEPT_SIZE:]
    else:
        seed = frame.seed_of(data[16:32])
        header = frame.parse_header(data[_KEPT_SIZE : _KEPT_SIZE + frame.HEADER_SIZE], seed)
        begin = _KEPT_SIZE + frame.HEADER_SIZE
        values = header._asdict()
        plain, protected = _frame(values, data[begin : begin + header.plain_size], b"", chance)
        body = _packed(values, plain, protected, header.prev_crc, seed)
        body += data[begin + header.payload_size :]
        fields[7] = len(body)
    head = _KEPT.pack(*fields)[:-4]
    files[name] = head + crc32(head).to_bytes(4, "little") + body


# Images of the state.


def _image(files: Files, name: str, chance: Random) -> None:
    """Forges a column, a row of the table, or a field of the header."""
    data = files[name]
    header = snapshot_file._HEADER
    fields = list(header.unpack(data[: header.size]))
    rows = [
        list(row) for row in snapshot_file._ROW.iter_unpack(data[header.size :][: 64 * fields[3]])
    ]
    columns = [data[row[1] : row[1] + row[2]] for row in rows]
    how = chance.random()
    at = chance.randrange(len(rows))
    if how < 0.1:
        which = chance.choice((1, 2, 3, 5, 6, 8, 9))
        width = {1: 16, 2: 16, 3: 32, 9: 32}.get(which, 64)
        fields[which] = _near(fields[which], (1 << width) - 1, chance)
    elif how < 0.15:
        rows[at][0] = chance.choice((b"\xff" * 32, b"", b"buckets"))
    elif how < 0.5:
        at = next(place for place, row in enumerate(rows) if row[0].startswith(b"state\0"))
        columns[at] = _forged_json(columns[at], chance)
    elif rows[at][0].rstrip(b"\0").endswith(b".names"):
        columns[at] = _forged_json(columns[at], chance)
    else:
        columns[at] = _column(columns[at], chance)
    files[name] = _image_of(fields, rows, columns, chance if how < 0.05 else None)


def with_state(data: bytes, state: bytes) -> bytes:
    """Returns an image with other JSON in the place of its column `state`."""
    header = snapshot_file._HEADER
    fields = list(header.unpack(data[: header.size]))
    rows = [
        list(row) for row in snapshot_file._ROW.iter_unpack(data[header.size :][: 64 * fields[3]])
    ]
    columns = [
        state if row[0].startswith(b"state\0") else data[row[1] : row[1] + row[2]] for row in rows
    ]
    return _image_of(fields, rows, columns, None)


def _image_of(
    fields: list[Any], rows: list[list[Any]], columns: list[bytes], chance: Random | None
) -> bytes:
    """With `chance` the place or size of each column is wrong."""
    header = snapshot_file._HEADER
    offset = header.size + 64 * len(rows)
    table, body = b"", b""
    for row, column in zip(rows, columns, strict=True):
        row[1:3] = offset + len(body), len(column)
        row[4] = crc32(column)
        if chance is not None:
            row[chance.choice((1, 2))] = chance.choice(_NUMBERS)
        table += snapshot_file._ROW.pack(*row)
        body += column + bytes(-len(column) % 16)
    fields[-2] = crc32(table)
    head = header.pack(*fields)[:-4]
    made = head + crc32(head).to_bytes(4, "little") + table + body
    return made + sha256(made).digest()


def _column(column: bytes, chance: Random) -> bytes:
    how = chance.randrange(4)
    if how == 0 or not column:
        return column + chance.randbytes(chance.choice((1, 4, 20, 64, 72)))
    if how == 1:
        return column[: chance.randrange(len(column))]
    size = chance.choice((1, 2, 4, 8))
    at = chance.randrange(0, len(column), size)
    number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    return (column[:at] + number.to_bytes(size, "little") + column[at + size :])[: len(column)]
