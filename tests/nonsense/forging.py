"""Changes files of a log and makes every checksum and tag right again, as who has the secrets can.

All choices come from a seeded generator, so that the same seed gives the same nonsense.
"""

from __future__ import annotations

import json
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tests.attacks.support import Files as Files
from tests.attacks.support import Segment, pack_frame, tags_of, with_crc
from tests.independent_reader.read_log import Frame, parse_frame
from tracker.domain import events
from tracker.domain.events import codec
from tracker.store import snapshot_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

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
    """Forges a segment header or a frame; later frames and segments continue what came of it."""
    for one in [each for each in files if "/seal/" in each or "/reached/" in each]:
        del files[one]
    tags = tags_of(files)
    forged = Segment.of(files[name])
    target = chance.randrange(-1, len(forged.frames))
    field = ""
    if target < 0:
        field = chance.choice(("format", "size", "base_seq", "created", "boottime", "epoch"))
        if field not in ("format", "size"):
            limit = (1 << 32 if field == "epoch" else 1 << 64) - 1
            setattr(forged, field, _near(getattr(forged, field), limit, chance))
    else:
        forged.frames[target] = _frame(forged.frames[target], chance)
    data, chain = forged.pack(forged.previous, tags)
    if field in ("format", "size"):
        at, width = (8, 2) if field == "format" else (12, 4)
        number = _near(
            int.from_bytes(data[at : at + width], "little"), (1 << 8 * width) - 1, chance
        )
        head = data[:at] + number.to_bytes(width, "little") + data[at + width : 188]
        data = with_crc(head) + data[192:]
    files[name] = data
    for later in sorted(one for one in files if one.endswith(".evl") and one > name):
        files[later], chain = Segment.of(files[later]).pack(chain, tags)


def _frame(one: Frame, chance: Random) -> Frame:
    header, plain, protected = one
    how = chance.randrange(4)
    if how == 0:
        limits = {"kind": 8, "schema": 8, "flags": 16, "count": 32, "epoch": 32, "base_seq": 64, "durable_seq": 64, "time": 64, "boottime": 64, "key_epoch": 32, "key_check": 64}  # fmt: skip
        name = chance.choice(list(limits))
        value = _near(getattr(header, name), (1 << limits[name]) - 1, chance)
        changed: dict[str, Any] = {name: value}
        header = header._replace(**changed)
    elif header.kind == events.ADMIN and how < 3:
        record = next(iter(codec.decode_admin(memoryview(plain))))
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
    return Frame(header, plain, protected)


def _near(value: int, limit: int, chance: Random) -> int:
    return chance.choice((value + 1, max(0, value - 1), *_NUMBERS)) & limit


def _kept(files: Files, name: str, chance: Random) -> None:
    data = files[name]
    fields = list(_KEPT.unpack(data[:_KEPT_SIZE]))
    if chance.random() < 0.4:
        at = chance.choice((1, 3, 5, 6, 7))
        limit = {1: 16, 3: 32}.get(at, 64)
        fields[at] = _near(fields[at], (1 << limit) - 1, chance)
        body = data[_KEPT_SIZE:]
    else:
        body = data[_KEPT_SIZE:]
        at = 192 if body[:4] == b"\x89EVL" else 0
        one = parse_frame(body[at:], crc32(data[16:32]))
        packed, _ = pack_frame(_frame(one, chance), data[16:32], tags_of(files))
        body = body[:at] + packed + body[at + one.header.size :]
        fields[7] = len(body)
    head = _KEPT.pack(*fields)[:-4]
    files[name] = head + crc32(head).to_bytes(4, "little") + body


# Images of the state.


def _image(files: Files, name: str, chance: Random) -> None:
    """Forges a column, a row of the table, or a field of the header."""
    fields, rows, columns = taken_apart(files[name])
    how = chance.random()
    at = chance.randrange(len(rows))
    if how < 0.1:
        which = chance.choice((1, 2, 3, 5, 6, 8, 9))
        width = {1: 16, 2: 16, 3: 32}.get(which, 64)
        if which == 9:
            fields[which] = chance.randbytes(16)
        else:
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
    files[name] = image_of(files, name, fields, rows, columns, chance if how < 0.05 else None)


def with_state(files: Files, name: str, state: bytes) -> bytes:
    """Returns an image with other JSON in the place of its column `state`."""
    fields, rows, columns = taken_apart(files[name])
    at = next(place for place, row in enumerate(rows) if row[0].startswith(b"state\0"))
    columns[at] = state
    return image_of(files, name, fields, rows, columns)


_IMAGE, _ROW = snapshot_file._FORMAT_2, snapshot_file._ROW


def taken_apart(data: bytes) -> tuple[list[Any], list[list[Any]], list[bytes]]:
    """Returns the fields of an image's header, the rows of its table, and its sections."""
    fields = list(_IMAGE.unpack_from(data))
    rows = [list(row) for row in _ROW.iter_unpack(data[_IMAGE.size :][: _ROW.size * fields[3]])]
    return fields, rows, [data[row[1] : row[1] + row[2]] for row in rows]


def image_of(
    files: Files,
    name: str,
    fields: list[Any],
    rows: list[list[Any]],
    columns: list[bytes],
    chance: Random | None = None,
    mac: bytes = b"",
) -> bytes:
    """With `chance` the place or size of each column is wrong. `mac`: takes the place of the right
    one."""
    offset = _IMAGE.size + _ROW.size * len(rows)
    table, body = b"", b""
    for row, column in zip(rows, columns, strict=True):
        row[1:3] = offset + len(body), len(column)
        row[4] = crc32(column)
        if chance is not None:
            row[chance.choice((1, 2))] = chance.choice(_NUMBERS)
        table += _ROW.pack(*row)
        body += column + bytes(-len(column) % 16)
    fields[-2] = crc32(table)
    made = with_crc(_IMAGE.pack(*fields)[:-4]) + table + body
    footer = sha256(made).digest()
    purpose = b"opening" if name.endswith(".opening") else b"snapshot"
    return made + with_crc(footer + (mac or tags_of(files).mac(purpose, footer)))


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
