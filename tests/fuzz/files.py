"""What lies on the disk: every file of a log and of the secrets, with right checksums."""

from __future__ import annotations

import argparse
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout, suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from eventlog import (
    Frame,
    LogError,
    LogLockedError,
    Reader,
    first_and_last_frame,
    frame,
    frame_at,
    holds_frame,
    kept_frames,
    read_identity,
    read_kept_frames,
    seals,
    segment,
)
from eventlog import folder as folders
from eventlog.first_event import first_seq, list_openings, segments_of
from tests.fuzz.target import Target
from tests.independent_reader import read_log
from tests.nonsense.forging import forge
from tests.nonsense.test_forged_files import READERS
from tests.nonsense.test_serve_and_verify import damaged
from tests.nonsense.whole import OURS, findings, no_progress, put, refusal, whole
from tracker.cli.moment_options import moment
from tracker.domain.detecting.cases import Found, Said
from tracker.domain.detecting.intervals import CASE, Finding
from tracker.domain.events import codec
from tracker.domain.events.admin import CaseClosed
from tracker.domain.events.errors import ReplayError
from tracker.domain.state import State
from tracker.history import event_json
from tracker.history.event_scan import Filter, Scan
from tracker.ledger.cases import CaseList
from tracker.offline.record_checks import RecordChecks
from tracker.offline.verify import Verification
from tracker.ports import CasesQuery, EventFilter, LogPart, Moment, NoMomentError
from tracker.store import (
    case_files,
    frames,
    high_water_mark,
    secret_checks,
    server_secret,
    snapshot_file,
    snapshots,
)
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.store.opening_balance import begin
from tracker.upkeep.clock_leaps import segment_starts
from tracker.upkeep.retention import segments

if TYPE_CHECKING:
    from contextlib import ExitStack

    from eventlog import Tags
    from tracker.store.tag_keys import TagKeys

GOLDEN = Path(__file__).parents[1] / "golden/log-v1"


def _site(folder: Path, *, pruned: bool = True) -> tuple[Path, dict[str, bytes]]:
    """Writes a site; returns the folder and its files."""
    files = whole(pruned=pruned)
    put(folder / "site", files)
    return folder / "site", files


def _ending(files: dict[str, bytes], end: str) -> list[str]:
    return [name for name in sorted(files) if name.endswith(end)]


# Checksums.


def checked_frames(data: bytes, at: int, log_id: bytes, chain: bytes, tags: Tags) -> bytes:
    """Makes the checksums and tags of all frames from `at` on right, as far as their lengths
    lead."""
    made = bytearray(data)
    while made[at : at + 4] == b"EVF2" and at + frame.HEADER_SIZE <= len(made):
        size = sum(int.from_bytes(made[at + here : at + here + 4], "little") for here in (12, 16))
        body = at + frame.HEADER_SIZE
        made[at + 60 : at + 64] = crc32(made[body : body + size]).to_bytes(4, "little")
        made[at + 88 : at + 104] = chain
        tagged = bytes(made[at : at + 108]), bytes(made[body : body + size])
        chain = tags.sign(log_id, tagged[0][72:88], *tagged)
        made[at + 108 : at + 124] = chain
        made[at + 124 : at + 128] = crc32(made[at : at + 124], crc32(log_id)).to_bytes(4, "little")
        at = body + size + frame.padding(size)
    return bytes(made)


def checked_head(data: bytes, tags: Tags) -> bytes:
    """Returns the header of a segment with its tag and checksum made right."""
    head = data[:80] + tags.key_id + data[96:172]
    head += tags.sign(head[16:32], head[136:152], head)
    return head + crc32(head).to_bytes(4, "little")


def checked_segment(data: bytes, tags: Tags) -> bytes:
    if len(data) < segment.HEADER_SIZE:
        return data
    head = checked_head(data, tags)
    rest = head + data[segment.HEADER_SIZE :]
    return checked_frames(rest, segment.HEADER_SIZE, head[16:32], head[64:80], tags)


def checked_kept(data: bytes, tags: Tags) -> bytes:
    head = data[: kept_frames.HEADER_SIZE]
    if len(head) < kept_frames.HEADER_SIZE:
        return data
    length = len(data) - len(head)
    head = head[:48] + length.to_bytes(8, "little") + head[56:60]
    head += crc32(head).to_bytes(4, "little")
    rest, at = head + data[kept_frames.HEADER_SIZE :], kept_frames.HEADER_SIZE
    if rest.startswith(segment.MAGIC, at) and len(rest) >= at + segment.HEADER_SIZE:
        rest = rest[:at] + checked_head(rest[at:], tags) + rest[at + segment.HEADER_SIZE :]
        at += segment.HEADER_SIZE
    return checked_frames(rest, at, head[16:32], rest[at + 88 : at + 104].ljust(16, b"\0"), tags)


def checked_image(data: bytes, tags: TagKeys, purpose: bytes) -> bytes:
    header, row = snapshot_file._FORMAT_2, snapshot_file._ROW
    if len(data) < header.size:
        return data
    made = bytearray(data[:-68])
    rows = min(int.from_bytes(made[12:16], "little"), (len(made) - header.size) // row.size)
    for at in range(header.size, header.size + rows * row.size, row.size):
        begin, size = (
            int.from_bytes(made[here : here + 8], "little") for here in (at + 32, at + 40)
        )
        if begin + size <= len(made):
            made[at + 52 : at + 56] = crc32(made[begin : begin + size]).to_bytes(4, "little")
    table = made[header.size : header.size + rows * row.size]
    made[104:120] = tags.key_id
    made[header.size - 8 : header.size - 4] = crc32(table).to_bytes(4, "little")
    made[header.size - 4 : header.size] = crc32(made[: header.size - 4]).to_bytes(4, "little")
    footer = sha256(made).digest()
    footer += tags.mac(purpose, footer)
    return bytes(made) + footer + crc32(footer).to_bytes(4, "little")


# Targets.


def log_segment(folder: Path, _closing: ExitStack) -> Target:
    """A segment by itself: the first of the log, or its last one."""
    site, files = _site(folder)
    names = _ending(files, ".evl")
    for name in (*names[:-1], *_ending(files, ".json")):
        if "identity" not in name:
            (site / name).unlink()
    path = site / names[-1]
    log, keys = site / "log", Keyring(site / "secrets")

    def run(data: bytes) -> None:
        path.write_bytes(checked_segment(data, keys.tags) if len(data) % 8 else data)
        for read in (
            lambda: list(Reader(log, 0, to_end=True, keys=keys).frames()),
            lambda: first_and_last_frame(log),
            lambda: frame_at(log, 1_800_000_000_000_000),
            lambda: holds_frame(log, 60, bytes(16)),
            lambda: list(segment.headers_from_the_end(path, segment.open_header(path))),
            lambda: segment.first_frame_header(path),
            lambda: segment.check_border(path, path),
            lambda: seals.check_frames(path, path, keys.tags),
            lambda: seals.write_missing(log, keys.tags),
            lambda: segment_starts(log),
            lambda: segments(log),
            lambda: len(data) % 4 or list(Verification(log, keys).findings(no_progress)),
        ):
            with suppress(LogError, OSError):
                read()

    words = b"EVF2~EVF2\1\1\0\0~EVF2\2\1\0\0~EVF2\xf0\0\0\0"
    return Target([files[name] for name in names], run, words)


def kept(folder: Path, _closing: ExitStack) -> Target:
    """A file of kept frames."""
    site, files = _site(folder)
    name = _ending(files, ".evk")[0]
    first, end = (int(one) for one in (site / name).name.split(".")[:2])
    keys = Keyring(site / "secrets")

    def run(data: bytes) -> None:
        (site / name).write_bytes(checked_kept(data, keys.tags) if len(data) % 8 else data)
        with suppress(LogError, codec.CodecError):
            for one in read_kept_frames(site / "log", end, keys.tags):
                assert first <= one.header.base_seq < end
                list(event_json.narrate(one))

    return Target([files[name]], run, b"EVF2~EVF2\2\1\0\0")


def image(folder: Path, _closing: ExitStack) -> Target:
    """A snapshot, and an opening balance, which is of the same form."""
    site, files = _site(folder)
    keys, log_id = Keyring(site / "secrets"), read_identity(site / "log")
    opening = site / _ending(files, ".opening")[-1]
    at = first_seq(site / "log")
    path = folder / "one.snap"

    def run(data: bytes) -> None:
        for purpose, to in (b"snapshot", path), (b"opening", opening):
            to.write_bytes(checked_image(data, keys.tags, purpose) if len(data) % 8 else data)
        with suppress(snapshot_file.SnapshotError):
            state = snapshot_file.read(path, log_id, keys).state()
            state.digest()
            position = snapshot_file.Position(log_id, state.seq, 0, bytes(16))
            snapshot_file.write(path, position, state, keys)
        with suppress(LogError):
            begin(site / "log", at, keys)

    names = [*_ending(files, ".snap"), *_ending(files, ".opening")]
    return Target(
        [files[name] for name in names],
        run,
        b'{"~":[~null~-1~]]~[]~state\0',
    )


def notes(folder: Path, closing: ExitStack) -> Target:
    """The small files: identity, seals, high-water mark, keys and LOCK; the first byte chooses."""
    site, files = _site(folder)
    small = [name for name in sorted(files) if name.endswith((".json", ".key", "LOCK"))]
    log_id, lock = read_identity(site / "log"), folders.lock(site / "log")
    closing.callback(os.close, lock)

    def run(data: bytes) -> None:
        name = small[(data or b"\0")[0] % len(small)]
        path = site / name
        path.write_bytes(data[1:])
        with suppress(*OURS):
            read_identity(site / "log")
        with suppress(seals.SealError, LogError):
            seals.read_seal(path)
        high_water_mark.read(site / "secrets", log_id)
        keys = Keyring(site / "secrets")
        with suppress(*OURS):
            server_secret.load_or_create(site / "secrets")
        list(secret_checks.exposed(site / "secrets"))
        for day in keys.days():
            with suppress(*OURS):
                keys.prepare(day)
        with pytest.raises(LogLockedError):
            folders.lock(site / "log")
        path.write_bytes(files[name])

    words = b'"format": 1~"log_id"~"seq"~"crc"~"time_us"~"sha256"~: ~{~}~"length"~true~1.0~\n'
    return Target([bytes([n]) + files[name] for n, name in enumerate(small)], run, words)


def names(folder: Path, _closing: ExitStack) -> Target:
    """Names of files, one a line, in each folder of a site."""
    site, files = _site(folder)
    inside = (
        "log",
        "log/seg",
        "log/seal",
        "log/kept",
        "log/opening",
        "log/snap",
        "secrets/privacy",
        "secrets/reached",
    )

    def run(data: bytes) -> None:
        paths = []
        for line in data.split(b"\n")[:8]:
            name = line[1:].replace(b"/", b"").replace(b"\0", b"")[:200]
            path = (
                site
                / inside[line[0] % len(inside) if line else 0]
                / name.decode(errors="surrogateescape")
            )
            if name not in (b"", b".", b"..") and path.parent.is_dir() and not path.exists():
                path.touch()
                paths.append(path)
        log, keys = site / "log", Keyring(site / "secrets")
        with suppress(*OURS):
            segment.list_segments(log / "seg"), segments_of(log), list_openings(log), first_seq(log)
        with suppress(*OURS):
            kept_frames.list_kept(log)
            [snapshots.seq_of(one) for one in snapshots.found(log)]
        keys.days()
        if len(data) % 8 == 0:
            findings(site)
        for path in paths:
            path.unlink(missing_ok=True)

    there = [name.rpartition("/") for name in sorted(files)]
    seeds = [
        bytes([inside.index(place)]) + name.encode() for place, _, name in there if place in inside
    ]
    words = ".evl~.evk~.snap~.opening~.json~.key~.tmp~00000000000000000000~99999999999999999999~2026-02-30~\n\1~\n\3~\n\6"
    return Target(seeds, run, f"{words}~{'٣' * 20}".encode())


def records(_folder: Path, _closing: ExitStack) -> Target:
    """Records of a frame; the first two bytes are kind and schema. What is whole can be told."""
    log = _frames_of_a_life()
    seeds = [
        bytes((one.header.kind, one.header.schema, one.header.records)) + bytes(one.plain)
        for one in log
    ]
    account = State().access.account_of

    def run(data: bytes) -> None:
        kind, schema, count, plain = *data[:3].ljust(3, b"\0"), data[3:]
        count = count or 1  # no reader gives a frame without records
        protected = bytes(36 * count) if kind == 1 else b""
        packed, _ = frame.build_header(kind, schema, count, plain, protected, epoch=1, base_seq=7, durable_seq=0, time_us=5, boottime_ns=0, previous=bytes(16), seed=bytes(16), sign=lambda *_: bytes(16))  # fmt: skip
        one = Frame(frame.parse_header(packed), memoryview(plain), memoryview(protected))
        problems = list(RecordChecks().problems(one))
        for wanted in (
            EventFilter(),
            EventFilter(types=frozenset({"key_issued"})),
            EventFilter(account=1),
            EventFilter(info_hash=plain[:20]),
        ):
            with suppress(codec.CodecError):
                list(Filter(wanted, account).events(one, 1, None))
        try:
            told = [event_json.line(event) for event in event_json.narrate(one)]
        except codec.CodecError:
            assert problems or not frames.known(one)
        else:
            assert all(json.loads(line)["seq"] >= 7 for line in told)
        state = State()
        with suppress(codec.CodecError, ReplayError):
            frames.apply(state, one)
            state.digest()

    words = b'"account":~"key_hash":~"key_ref":~"valid_until_us":~"settings":~"policy":~"reason":~"days":~"opening":~"kept":~"first_seq":'
    return Target(seeds, run, words)


def _frames_of_a_life() -> list[Frame]:
    """Returns the frames of the golden logs, which hold every kind of record."""
    found = [
        one for log in sorted(GOLDEN.glob("*/log")) for one in Reader(log, to_end=True).frames()
    ]
    return [one for one in found if len(one.plain) < 2000]


def serve_and_verify(folder: Path, _closing: ExitStack) -> Target:
    """Whatever a start refuses, `verify` calls damaged; the input seeds the damage."""

    def run(data: bytes) -> None:
        chance = Random(data)
        change = damaged if chance.random() < 0.5 else forge
        put(folder / "site", change(whole(pruned=chance.random() < 0.5), chance))
        said = findings(folder / "site")
        calls_damaged = isinstance(said, Exception) or any(one.damage for one in said)
        why = refusal(folder / "site")
        assert calls_damaged or why is None, why

    return Target([bytes([one]) for one in range(20)], run)


def readers(folder: Path, _closing: ExitStack) -> Target:
    """A command or helper over a forged or damaged site; the input seeds the forging."""

    def run(data: bytes) -> None:
        chance = Random(data)
        change = damaged if chance.random() < 0.3 else forge
        site = folder / "site"
        put(site, change(whole(pruned=chance.random() < 0.5), chance))
        with suppress(*OURS, NoMomentError):
            READERS[chance.choice(sorted(READERS))](site)
        wanted = EventFilter(account=chance.choice((None, 1)), key_ref=chance.choice((None, 1)))
        with suppress(*OURS):
            part = LogPart(first=chance.randrange(80), from_us=5)
            Scan(site / "log", part, Filter(wanted, State().access.account_of), None).step(100)

    return Target([bytes([one]) for one in range(20)], run)


def moments(folder: Path, _closing: ExitStack) -> Target:
    """Moments of a whole log, as text: the answer or `NoMomentError`."""
    site, _ = _site(folder)

    def run(data: bytes) -> None:
        with suppress(argparse.ArgumentTypeError, NoMomentError, LogError):
            replay = ForwardReplay(site / "log", no_progress, None)
            found = moment(data.decode(errors="replace"))
            assert isinstance(found, Moment)
            replay.at(found)

    return Target(
        [b"40", b"60", b"2027-01-15T08:00:10Z", b"-3m", b"07:02", b"9" * 19],
        run,
        b"99999999999999999999999999~Z~T~0001-01-01",
    )


def other_reader(folder: Path, _closing: ExitStack) -> Target:
    """The independent reader tells what `tracker events` tells; neither ends in a traceback."""

    def run(data: bytes) -> None:
        chance = Random(data)
        site = folder / "site"
        change = damaged if chance.random() < 0.3 else forge
        put(site, change(whole(pruned=chance.random() < 0.5), chance))
        with redirect_stdout(io.StringIO()) as theirs, redirect_stderr(io.StringIO()):
            code = read_log.main([str(site / "log"), str(site / "secrets")])
        assert code in (0, 1)
        try:
            keys = Keyring(site / "secrets")
            reader = Reader(site / "log", keys=keys)
            read = [*read_kept_frames(site / "log", reader.first_seq, keys), *reader.frames()]
            ours = [event_json.line(event) for one in read for event in event_json.narrate(one)]
        except OURS:
            return  # it knows more rules than the page says
        # The other one also looks for the event that vouches for the beginning.
        assert code or ours == theirs.getvalue().splitlines()

    return Target([bytes([one]) for one in range(20)], run)


def timeline(folder: Path, _closing: ExitStack) -> Target:
    """What detectors found and staff said, with a right list."""
    site, _ = _site(folder)
    log = site / "log"
    last = [one.header for one in Reader(log, to_end=True).frames()][-1]
    finding = Finding("x", CASE, 1, bytes(20), 5, 6, 7, "bytes", (1, 2), {"up": 3})
    said = CaseClosed(1, "x", "harmless", 2, 3, by={"token": "ops"})
    case_files.Writer.open(log, None).write(
        [Found(1, 2, finding), Said(3, 4, said)], last.next_seq, last.chain
    )
    path, listed = log / case_files.FOLDER, json.loads((log / "cases/list.json").read_bytes())

    def run(data: bytes) -> None:
        (path / case_files.TIMELINE).write_bytes(data)
        body = listed | {"bytes": len(data), "crc": crc32(data)}
        (path / case_files.LIST).write_bytes(json.dumps(body).encode())
        with suppress(case_files.CasesError):
            found = CaseList(log)
            found.page(CasesQuery(limit=9))
            found.told(1, "x")

    return Target([(path / case_files.TIMELINE).read_bytes()], run, b'"found":~"said":75~null~"a"')


TARGETS = (
    timeline,
    log_segment,
    kept,
    image,
    notes,
    names,
    records,
    serve_and_verify,
    readers,
    moments,
    other_reader,
)
