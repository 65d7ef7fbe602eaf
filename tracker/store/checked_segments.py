"""Remembers which finished segments were found as they were written, so that a start reads only
those that somebody touched since.

    <secrets_path>/checked/<log id>.json   one line:
    {"segments": {name: [bytes, modified_ns, changed_ns, inode]}, "begin": first event of the log,
     "kept": {name: SHA-256 of a file of kept frames}, "parts": {name: as of segments}}

A start from a snapshot does not replay what lies before it, and hashing a large log takes minutes.
But the kernel notes when a file was last changed, and nobody can set that time without setting the
clock or writing to the device. So a segment whose file has the same size, times and inode as when
it was read holds the same bytes. Others are read again: a copy from a backup once, and each segment
that was written to. Segments of format 2 are compared with their seals, or by all their tags. Those
of format 1 have no tags, so the first event of format 2 tells of all of them together.

The parts of the book that the log names are remembered in the same way. They never change.

Kept frames of format 1 have no tags either. Their SHA-256 by the log stands here, so that readers
need not look for the event that has it.

A file that is missing or damaged costs time and nothing else. Blocking.
"""

from __future__ import annotations

import json
import logging
import os
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from eventlog import (
    LogCorruptError,
    LogError,
    LogPrunedError,
    base_seq_of,
    border,
    kept_digests,
    make_folder,
    open_header,
    parse_json,
    read_file,
    read_identity,
    read_kept_frames,
    segments_of,
    write_new,
    wrong_by_seal,
)
from tracker.store import format_border, opening_balance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from eventlog import Frame
    from tracker.store.address_keys import Keyring

    Report = Callable[[int, int], None]
    """Called with the bytes read, and the bytes to read in all."""

log = logging.getLogger("tracker")

FOLDER = "checked"
REST_NS = 2_000_000_000
"""Nanoseconds since the last change of a file that is to be remembered, because the kernel's times
are coarse: two changes within some milliseconds may get the same one."""
_TOLD_BYTES = 256 << 20  # a start that reads more says so in the text log
_OLD_HELD: dict[
    Path, dict[str, Stamp]
] = {}  # by log: segments of format 1 compared by this process


class _Content(NamedTuple):
    """What the file holds."""

    segments: dict[str, Stamp]
    begin: int  # the first event of the log for which `kept` holds
    kept: dict[str, str]  # SHA-256 of files of kept frames, by name
    parts: dict[str, Stamp]  # of the book that the log names


class Stamp(NamedTuple):
    """What the file system says of a file."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


def checked_path(secrets: Path, log_id: bytes) -> Path:
    return secrets / FOLDER / f"{log_id.hex()}.json"


def finished(path: Path) -> list[Path]:
    """Lists the segments that a newer one follows. One whose making was cut off does not count.

    Raises `LogFormatError`, `OSError`.
    """
    there = segments_of(path)
    while there and not _has_header(there[-1]):
        there.pop()
    return there[:-1]


def _has_header(path: Path) -> bool:
    try:
        open_header(path)
    except LogCorruptError:
        return False
    return True


class CheckedSegments:
    """The finished segments of one log, for one process that holds it."""

    def __init__(self, path: Path, keys: Keyring) -> None:
        """`path`: of the log. Raises `LogFormatError`, `OSError`."""
        self._log, self._keys = path, keys
        self._file = checked_path(keys.secrets, read_identity(path))
        self._saved = _read(self._file)
        self._known, self._begin, self._kept, self._parts = self._saved

    def unknown(self) -> list[Path]:
        """Lists the finished segments that have changed since they were read, or were never read.

        Raises `LogFormatError`, `OSError`.
        """
        there = finished(self._log)
        names = {path.name for path in there}
        self._known = {name: one for name, one in self._known.items() if name in names}
        return [path for path in there if self._known.get(path.name) != _stamp(path)]

    def tagged(self) -> list[Path]:
        """Lists those of `unknown` that have tags, and can be read one by one."""
        return _by_format(self.unknown())[1]

    def check(self, report: Report) -> None:
        """Reads the segments that are not known, and remembers them. Call `save` when the log is
        accepted.

        Raises `LogCorruptError` for the first one that is not as it was written, and what reading
        the log raises.
        """
        new = self.unknown()
        old, tagged = _by_format(new)
        done, total = 0, sum(path.stat().st_size for path in tagged)
        if total > _TOLD_BYTES:
            log.info(
                "Reading %d finished segments (%d MB) that are new or were touched since they were read last",
                len(tagged),
                total >> 20,
            )
        if old:
            self.check_old(report)
        for path in tagged:
            begun = self.begin(path)
            if wrong := wrong_by_seal(path, self._keys, cached=True):
                raise LogCorruptError(path, 0, wrong)
            self.remember(path, begun)
            done += path.stat().st_size
            report(done, max(total, done))

    def check_old(self, report: Report) -> None:
        """Compares all segments of format 1 with the first event of format 2, and remembers them.

        Raises what `check` raises.
        """
        begun = self.old()
        if _compare_old(self._log, self._keys, report):
            self.remember_old(begun)

    def old(self) -> dict[Path, Stamp | None]:
        """Begins to read all segments of format 1, as `begin` does."""
        return {path: self.begin(path) for path in takewhile(_is_old, segments_of(self._log))}

    def remember_old(self, begun: dict[Path, Stamp | None]) -> None:
        """Remembers segments of format 1 that the first event of format 2 vouches for."""
        for path, stamp in begun.items():
            self.remember(path, stamp)

    def begin(self, path: Path) -> Stamp | None:
        """Returns what the file system says of a segment that is to be read now; None = it changed
        a moment ago, so it cannot be remembered. Raises `OSError`.

        Its bytes are on the disk then, so that a change through memory that somebody has mapped
        gets a time of its own.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        found = _stamp(path)
        return found if time.time_ns() - found.changed_ns >= REST_NS else None

    def remember(self, path: Path, begun: Stamp | None) -> None:
        """Remembers a segment that was read and found whole, unless it changed meanwhile."""
        if begun is not None and _stamp(path) == begun:
            self._known[path.name] = begun

    def note_kept(self, begin: int, kept: Mapping[str, str]) -> None:
        """Remembers the files of kept frames of a log that begins with event `begin`: SHA-256 by
        name, as the log says."""
        self._begin, self._kept = begin, dict(kept)

    def check_parts(self, parts: Sequence[Path], check: Callable[[Sequence[bool]], None]) -> None:
        """Has those files of the book read that are not known, and remembers all of them.

        `check` gets which ones are not known. Raises what it raises, `OSError`.
        """
        known = [self._parts.get(path.name) == _stamp(path) for path in parts]
        begun = [
            _stamp(path) if old else self.begin(path)
            for path, old in zip(parts, known, strict=True)
        ]
        check([not old for old in known])
        self._parts = {
            path.name: stamp
            for path, stamp in zip(parts, begun, strict=True)
            if stamp is not None and _stamp(path) == stamp
        }

    def save(self) -> None:
        """Writes what is remembered, if that has changed. Only warns when it cannot."""
        now = _Content(dict(self._known), self._begin, self._kept, self._parts)
        if now == self._saved:
            return
        try:
            make_folder(self._file.parent, 0o700)
            write_new(self._file, json.dumps(now._asdict()).encode() + b"\n", 0o600)
        except OSError as error:
            log.warning(
                "Cannot note which segments were read, so the next start reads them again: %s",
                error,
            )
        else:
            self._saved = now


def check_old(path: Path, seq: int, keys: Keyring | None, report: Report = lambda *_: None) -> None:
    """Compares what was written before format 2 with its first event, for a reader of the events
    from `seq` on. It reads no byte where no such event is among them, or nothing has changed since
    the comparison before.

    Without `keys` nothing is compared, because anybody could have made that first event. Raises
    `LogCorruptError`, and what reading the log raises.
    """
    if keys is None:
        return
    every = segments_of(path)
    try:
        old = list(takewhile(_is_old, every))
        later = every[len(old) :]
        if not old or not later or base_seq_of(later[0]) <= seq:
            return
        stamps = {one.name: _stamp(one) for one in old}
    except FileNotFoundError:
        raise LogPrunedError(path) from None
    known = _read(checked_path(keys.secrets, read_identity(path))).segments
    if all(known.get(name) == stamp for name, stamp in stamps.items()):
        return
    if _OLD_HELD.get(path) != stamps:
        _compare_old(path, keys, report)
        _OLD_HELD[path] = stamps


def read_kept(path: Path, begin: int, keys: Keyring | None) -> Iterator[Frame]:
    """Reads the kept frames of a log that begins with event `begin`.

    Their files are compared with what the log says. Without `keys` they are not, because anybody
    could have written that too. Raises `LogCorruptError`, and what reading the log raises.
    """
    if begin and keys is not None:
        _, known, said, _ = _read(checked_path(keys.secrets, read_identity(path)))
        there = kept_digests(path, begin)
        if (known, said) != (begin, there):
            opening_balance.compare_kept(path, begin, there, keys)
    yield from read_kept_frames(path, begin, keys)


def _compare_old(path: Path, keys: Keyring, report: Report) -> bool:
    """Returns False where there is no first event of format 2 yet."""
    if format_border.event(path, keys) is None:
        return False
    format_border.check_history(path, opening_balance.history(path, keys), keys, report)
    return True


def _by_format(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Returns the segments without tags, and those with them."""
    old: list[Path] = []
    tagged: list[Path] = []
    for path in paths:
        (old if _is_old(path) else tagged).append(path)
    return old, tagged


def _is_old(path: Path) -> bool:
    return open_header(path).format == 1


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _read(path: Path) -> _Content:
    """Returns what is remembered; nothing where the file is missing or damaged."""
    try:
        with border(ValueError):
            content = cast("dict[str, Any]", parse_json(read_file(path)))
            segments, parts = (
                {
                    str(name): Stamp(*map(int, stamp))
                    for name, stamp in content.get(each, {}).items()
                }
                for each in ("segments", "parts")
            )
            return _Content(segments, int(content["begin"]), dict(content["kept"]), parts)
    except (LogError, OSError, ValueError):
        return _Content({}, 0, {}, {})
