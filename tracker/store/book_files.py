"""Writes and reads the files of the book: what each account did in each torrent (docs/adr/0026).

    <log>/book/<upto>.book        a list of parts; the newest one is the book
    <log>/book/<first>.named      the list that `log_pruned` names, for a log that begins with
                                  that event
    <log>/book/<upto>.<8>.part    rows of the book, sorted; never changed

The rows of all parts are added up. A new part has what came since the list before it. Parts are
merged when the newer ones grow, so that a row is copied a few times and a reader looks into few
files. A list has the SHA-256 of each part, and a MAC, which is checked before the list is believed.
Blocking.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from hashlib import sha256
from hmac import compare_digest
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, Any, NamedTuple

from eventlog import (
    FORMAT,
    NO_KEY,
    NotAFileError,
    border,
    create_file,
    first_seq,
    frames_with,
    make_folder,
    open_header,
    parse_json,
    read_file,
    read_identity,
    segments_of,
    sync_directory,
    write_all,
    write_new,
)
from tracker.domain.book_days import BookDays
from tracker.store.book_bytes import DAY_SIZE, JUDGED_SIZE, PAIR_SIZE, ROW_SIZE, SEEDED_SIZE
from tracker.store.book_rows import Run, merged, pair
from tracker.store.snapshot_file import OF_RETIRED_KEY, Position
from tracker.store.snapshots import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tracker.store.address_keys import Keyring
    from tracker.store.book_rows import History

FOLDER = "book"
KEPT = 2
"""Lists that stay, because a reader may be opening one; older ones are removed."""
GROWTH = 3
"""A part is merged with the one before it unless that one has more than so many times its rows."""

MOST_DROPPED = 500_000
"""Rows that are removed at a time because they are old: their names are in memory meanwhile."""

MAGIC = b"\x89EVB\r\n\x1a\n"
_HEADER = 32  # bytes: magic, format, zeros, log id
_LIST = re.compile(r"([0-9]{20})\.book")
_OURS = re.compile(r"[0-9]{20}\.[0-9a-f]{8}\.part|[0-9]{20}\.(book|named|[0-9]+\.made)(\.tmp)?")
_PURPOSE = b"book"
_WRITE_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk that is full."""
_checked: set[tuple[str, int, int, int]] = set()
"""Parts that this process compared with their SHA-256, as they were then."""


class BookError(Exception):
    """The file is no usable book of this log; the text says why."""


class Layout(NamedTuple):
    """Sizes of what a part holds, in bytes."""

    row: int
    pair: int
    pair_name: int


BOOK = Layout(ROW_SIZE, PAIR_SIZE, PAIR_SIZE)
JUDGED = Layout(JUDGED_SIZE, 58, 37)
"""What is known of downloads, and in the place of pairs their transitions: see `judged_rows`."""
PLACED = Layout(50, 1, 1)
"""Transitions, or milestones, in the order of the log; there are no pairs: see `placed_rows`."""
SERIES = Layout(DAY_SIZE, 1, 1)
"""Rows of the daily series, and no pairs: see `daily_rows`."""
SEEDED = Layout(SEEDED_SIZE, 1, 1)
"""When torrents were seeded, and no pairs: see `seeded_rows`."""


class Part(NamedTuple):
    """A file of rows."""

    name: str
    sha256: str
    rows: int
    pairs: int
    layout: Layout = BOOK

    @property
    def size(self) -> int:
        return _HEADER + self.rows * self.layout.row + self.pairs * self.layout.pair


class Judged(NamedTuple):
    """What a list says of downloads and the rule of hit and run."""

    parts: tuple[Part, ...]  # the oldest first
    placed: tuple[Part, ...] | None  # None = an earlier version wrote the list
    data: dict[str, Any]  # see `Judge.as_data`


class Series(NamedTuple):
    """What a list says of the daily series, of when torrents were seeded, and of milestones."""

    parts: tuple[Part, ...]  # the oldest first
    begun: int  # the first event that is counted


class Facts(NamedTuple):
    """What a list says of its book."""

    days: BookDays  # by which rows grow old
    hidden: int  # rows of earlier days do not show
    dropped: int  # `days.cut` when old rows were removed last
    begun: int  # the first event that is counted by torrent


class Listed(NamedTuple):
    """A list: the book of the events below `position.seq`."""

    path: Path
    sha256: str
    position: Position
    parts: tuple[Part, ...]  # the oldest first
    facts: Facts
    judged: Judged | None = None  # None = there never was a rule
    series: Series | None = None  # None = of a version without series
    seeded: Series | None = None  # likewise
    milestones: Series | None = None  # likewise

    @property
    def files(self) -> tuple[Part, ...]:
        """All parts that the list has."""
        judged, series = self.judged, self.series
        found = self.parts + (judged.parts + (judged.placed or ()) if judged else ())
        found += series.parts if series else ()
        found += self.seeded.parts if self.seeded else ()
        return found + (self.milestones.parts if self.milestones else ())


def found(log: Path) -> list[Path]:
    """The lists of a log, the oldest first, without those that an event names."""
    folder = log / FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _LIST.fullmatch(path.name))


def seq_of(path: Path) -> int:
    """The first event that is not in the book of a list, from the file's name."""
    return int(path.name[:20])


def named_path(log: Path, first_seq: int) -> Path:
    """Path of the list that the log names where it begins with this event."""
    return log / FOLDER / f"{first_seq:020d}.named"


def read_list(path: Path, log_id: bytes, keys: Keyring | None, digest: str | None = None) -> Listed:
    """Reads a list, and checks its MAC, and its SHA-256 if an event names that: `digest`.

    Without `keys` the MAC is not checked. A retired server.key is good only for the list that an
    event names. Raises `BookError`, `OSError`.
    """
    try:
        data = read_file(path)
    except NotAFileError as error:
        raise BookError(error.what) from None
    with border(BookError, BookError):
        body, _, foot = data.rpartition(b"\n")
        key_id, mac = bytes.fromhex(foot[:32].decode()), bytes.fromhex(foot[32:].decode())
        if digest is not None and sha256(data).hexdigest() != digest:
            raise BookError("this is not the book that the log vouches for")
        if keys is not None:
            _check_mac(keys, key_id, sha256(body).digest(), mac, old=path.suffix != ".book")
        said: Any = parse_json(body)
        if said["format"] != FORMAT:
            raise BookError(f"is of format {said['format']}, and this version's is {FORMAT}")
        if said["log_id"] != log_id.hex():
            raise BookError("is of another log")
        chained = bytes.fromhex(said["chain"])
        position = Position(log_id, said["upto"], said["frame_seq"], chained)
        parts = _parts(said["parts"], BOOK)
        facts = Facts(*(said[each] for each in Facts._fields))
        facts = facts._replace(days=BookDays(*said["days"]))
        judged = None
        if (told := said.get("judged")) is not None:
            own, placed = _parts(told.pop("parts"), JUDGED), told.pop("placed", None)
            judged = Judged(own, None if placed is None else _parts(placed, PLACED), told)
        more = [
            Series(_parts(told["parts"], layout), told["begun"])
            if (told := said.get(name))
            else None
            for name, layout in (("series", SERIES), ("seeded", SEEDED), ("milestones", PLACED))
        ]
        digest = sha256(data).hexdigest()
        return Listed(path, digest, position, parts, facts, judged, *more)


def _told(parts: Iterable[Part]) -> list[list[Any]]:
    return [list(part[:4]) for part in parts]


def _parts(listed: Iterable[Iterable[Any]], layout: Layout) -> tuple[Part, ...]:
    return tuple(Part(*part)._replace(layout=layout) for part in listed)


def _check_mac(keys: Keyring, key_id: bytes, digest: bytes, mac: bytes, *, old: bool) -> None:
    expected = keys.tags.mac_of(key_id, _PURPOSE, digest)
    if expected is None:
        raise BookError(f"its MAC is {NO_KEY}")
    if key_id != keys.tags.key_id and not old:
        raise BookError(OF_RETIRED_KEY)
    if not compare_digest(expected, mac):
        raise BookError("its MAC does not match: these are not the bytes that the tracker wrote")


def follow(log: Path, listed: Listed, keys: Keyring | None) -> None:
    """Checks that the log has the events that a book was made of, and what is after them.

    Raises `BookError`, and what reading the log raises.
    """
    position, begin = listed.position, first_seq(log)
    if position.seq < begin:
        raise BookError("ends before the log begins")
    if position.seq == begin:  # its last frame was removed
        fits = open_header(segments_of(log)[0]).previous == position.chain
    else:
        frame = next(frames_with(log, [position.seq - 1], keys), None)
        header = frame.header if frame else None
        fits = header is not None and (header.base_seq, header.next_seq, header.chain) == (
            position.frame_seq, position.seq, position.chain
        )  # fmt: skip
    if not fits:
        raise BookError("was made of another history than this log's")


class Opened:
    """Parts, mapped into memory. Their files may be removed meanwhile."""

    def __init__(self, log: Path, parts: Iterable[Part], *, check: bool = True) -> None:
        """`check`: compare every byte with its SHA-256. Raises `BookError`, `OSError`."""
        self.rows: list[Run] = []
        self.pairs: list[Run] = []
        for part in parts:
            data = _mapped(log / FOLDER / part.name, part, check=check)
            row, pair, named = part.layout
            self.rows.append(Run(data, _HEADER, part.rows, row))
            begin = _HEADER + part.rows * row
            self.pairs.append(Run(data, begin, part.pairs, pair, named))


def _mapped(path: Path, part: Part, *, check: bool) -> mmap:
    if not re.fullmatch(_OURS, path.name):
        raise BookError(f"names {path.name}, which is no part by its name")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BookError(f"its part {path.name} cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if found.st_size != part.size:
            raise BookError(f"its part {path.name} has another size than the list says")
        data = mmap(descriptor, 0, access=ACCESS_READ)
        seen = part.sha256, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
    finally:
        os.close(descriptor)
    if check and seen not in _checked:
        if sha256(data).hexdigest() != part.sha256:
            raise BookError(f"the SHA-256 of its part {path.name} does not match")
        _checked.add(seen)
    return data


def write_part(
    log: Path,
    seq: int,
    rows: Iterable[bytes],
    pairs: Iterable[bytes],
    most: int,
    spare: int,
    layout: Layout = BOOK,
) -> Part:
    """Writes a part, whole and durable. `most`: the most rows that it can have; `spare`: free bytes
    to leave.

    It does not count before a list has it. Raises `OSError`.
    """
    folder = log / FOLDER
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < most * (layout.row + layout.pair) + spare:
        raise OSError(errno.ENOSPC, "too little free space for the book", str(folder))
    path = folder / f"{seq:020d}.{secrets.token_hex(4)}.part"
    head = MAGIC + FORMAT.to_bytes(2, "little") + bytes(6) + read_identity(log)
    hasher, size, held = sha256(), 0, bytearray(head)
    descriptor = create_file(path)
    try:
        ends = []
        for pieces in rows, pairs:
            for piece in pieces:
                held += piece
                if len(held) >= _WRITE_BYTES:
                    hasher.update(held)
                    size = write_all(descriptor, [held], size)
                    held = bytearray()
            ends.append(size + len(held))
        hasher.update(held)
        write_all(descriptor, [held], size)
        os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_directory(folder)
    row_bytes, pair_bytes = ends[0] - _HEADER, ends[1] - ends[0]
    counts = row_bytes // layout.row, pair_bytes // layout.pair
    return Part(path.name, hasher.hexdigest(), *counts, layout)


def with_rows(
    log: Path,
    seq: int,
    parts: tuple[Part, ...],
    noted: tuple[bytes, bytes],
    history: History,
    spare: int,
    layout: Layout = BOOK,
) -> tuple[Part, ...]:
    """Writes a part of new rows and pairs, which are sorted. It has also the rows of the newest
    parts where merging them is due, and where there is room.

    Raises `OSError`, `BookError`.
    """
    rows, pairs = noted
    new = Run(rows, 0, len(rows) // layout.row, layout.row)
    more = Run(pairs, 0, len(pairs) // layout.pair, layout.pair, layout.pair_name)
    kept, most = len(parts), max(new.count, more.count)
    while kept and parts[kept - 1].rows <= GROWTH * most:
        kept -= 1
        most = max(most, parts[kept].rows, parts[kept].pairs)
    if kept < len(parts):
        opened = Opened(log, parts[kept:], check=False)
        opened.rows.append(new)
        opened.pairs.append(more)
        ended = dict(history.ended)
        try:
            return (*parts[:kept], _merged(log, seq, opened, history, spare, layout))
        except OSError as error:
            history.ended = ended  # because the rows that ended meanwhile are still in the parts
            if error.errno not in FULL:
                raise
    most = max(new.count, more.count)
    return (*parts, write_part(log, seq, (rows,), (pairs,), most, spare, layout))


def _merged(
    log: Path, seq: int, opened: Opened, history: History, spare: int, layout: Layout
) -> Part:
    rows, pairs = merged(opened.rows, history), merged(opened.pairs, history)
    most = max(sum(run.count for run in runs) for runs in (opened.rows, opened.pairs))
    return write_part(log, seq, rows, pairs, most, spare, layout)


def without_old(
    log: Path, seq: int, parts: tuple[Part, ...], history: History, spare: int
) -> tuple[Part, ...]:
    """Removes rows that are over, at most `MOST_DROPPED`; then there is one part.

    That takes as much room as the book. Raises `OSError`, `BookError`; then `history` is of no use.
    """
    opened = Opened(log, parts, check=False)
    if not any(
        history.is_over(run.at(number)) for run in opened.rows for number in range(run.count)
    ):
        return parts
    gone: set[bytes] = set()
    rows = _young(merged(opened.rows, history), history, gone)
    pairs = _each(merged(opened.pairs, history), PAIR_SIZE)
    left = (one for one in pairs if one not in gone)
    return (write_part(log, seq, rows, left, sum(part.rows for part in parts), spare),)


def _young(pieces: Iterable[bytes], history: History, gone: set[bytes]) -> Iterator[bytes]:
    for row in _each(pieces, ROW_SIZE):
        if len(gone) < MOST_DROPPED and history.is_over(row):
            history.end(row)
            gone.add(pair(row[5:25], int.from_bytes(row[:4], "big")))
        else:
            yield row


def _each(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yields the rows or pairs of pieces one by one."""
    return (piece[at : at + size] for piece in pieces for at in range(0, len(piece), size))


def write_list(
    log: Path,
    position: Position,
    parts: tuple[Part, ...],
    facts: Facts,
    keys: Keyring,
    path: Path | None = None,
    judged: Judged | None = None,
    series: Series | None = None,
    seeded: Series | None = None,
    milestones: Series | None = None,
) -> Path:
    """Writes a list, whole and durable or not at all. `path`: in place of its own name.

    Raises `SecretError`, `OSError`.
    """
    path = path or log / FOLDER / f"{position.seq:020d}.book"
    more: dict[str, Any] = {}
    if judged is not None:
        more["judged"] = {"parts": _told(judged.parts), **judged.data}
        if judged.placed is not None:
            more["judged"]["placed"] = _told(judged.placed)
    for name, one in (("series", series), ("seeded", seeded), ("milestones", milestones)):
        if one is not None:
            more[name] = {"parts": _told(one.parts), "begun": one.begun}
    body = json.dumps(
        {
            "format": FORMAT,
            "log_id": position.log_id.hex(),
            "upto": position.seq,
            "frame_seq": position.frame_seq,
            "chain": position.chain.hex(),
            **facts._asdict(),
            "parts": _told(parts),
            **more,
        }
    ).encode()
    mac = keys.tags.mac(_PURPOSE, sha256(body).digest())
    data = body + b"\n" + keys.tags.key_id.hex().encode() + mac.hex().encode()
    write_new(path, data)
    return path


def clean(log: Path, keys: Keyring, newest: Path) -> None:
    """Removes old lists, lists that are of no use, and parts that no list has.

    The folder must be locked. `newest`: the list that was just written; later ones are of no use,
    because its writer passed over them. Nothing is removed where a list that an event may name
    cannot be read, because its parts are not known. Raises `OSError`.
    """
    folder, log_id = log / FOLDER, read_identity(log)
    files = [path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.is_file()]
    lists = sorted(path for path in files if path.suffix in (".book", ".named", ".made"))
    used: set[str] = set()
    kept = [path for path in found(log) if path <= newest][-KEPT:]
    for path in lists:
        if path.suffix == ".book" and path not in kept:
            continue
        try:
            used.update(part.name for part in read_list(path, log_id, keys).files)
        except BookError:
            if path.suffix != ".book":
                return
        else:
            used.add(path.name)
    for path in files:
        if path.name not in used:
            path.unlink(missing_ok=True)


def locked(log: Path, *, wait: bool = False) -> AbstractContextManager[None]:
    """Locks the folder against other processes that write; makes it where it is missing."""
    make_folder(log / FOLDER)
    return writing(log / FOLDER, wait=wait)


def wrong_parts(log: Path, listed: Listed) -> Iterator[tuple[Path, str]]:
    """Yields what is wrong with the parts of a list: the file, and what."""
    for part in listed.files:
        path = log / FOLDER / part.name
        try:
            _mapped(path, part, check=True)
        except FileNotFoundError:
            yield path, "is missing"
        except BookError as error:
            yield path, str(error)
