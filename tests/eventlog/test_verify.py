"""Verifying reports all findings at their places, and damage exactly where a start refuses."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define

from eventlog import Finding, LogError, Verifier, open_log
from eventlog.frame import HEADER_SIZE, build_header, crc_start_of, parse_header
from tests.eventlog.logs import (
    RECORD_SIZES,
    TAGS,
    Gate,
    Place,
    Read,
    append,
    places,
    read,
    running,
    segments,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BATCHES = [[b"one", b"two"], [b"a record of thirty-two bytes, now"], [b"x" * 16, b"y" * 16, b""]]
SEGMENT_HEADER = 192


@define
class Damaged:
    """A log of three segments, the last with three commits and a watermark.

    `reset` undoes changes.
    """

    folder: Path
    whole: dict[Path, bytes]
    read: Read

    @classmethod
    def of(cls, folder: Path) -> Damaged:
        write(folder, [b"the first run"], [b"in two commits"])
        write(folder, [b"the second run"])
        write(folder, *BATCHES)
        return cls(folder, {path: path.read_bytes() for path in segments(folder)}, read(folder))

    @property
    def paths(self) -> list[Path]:
        return list(self.whole)

    def places(self, path: Path) -> list[Place]:
        return places(self.whole[path])

    def reset(self) -> None:
        shutil.rmtree(self.folder / "quarantine", ignore_errors=True)
        for path in segments(self.folder):
            if path not in self.whole:
                path.unlink()
        for path, data in self.whole.items():
            path.write_bytes(data)

    def starts(self) -> bool:
        """Returns whether a start accepts the log: it opens, recovers its end and reads all. The
        events are an exact prefix with everything that intact headers call durable.
        """
        durable = self._durable_by_headers()
        try:
            log = open_log(self.folder, RECORD_SIZES, TAGS)
        except LogError:
            return False

        async def end() -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                await log.run()

        trio.run(end)
        try:
            found = read(self.folder)
        except LogError:
            return False
        assert found == self.read[: len(found)]
        assert log.recovery.next_seq >= durable
        return True

    def _durable_by_headers(self) -> int:
        """Returns the number below which intact headers in their places call the log durable."""
        marks = [0]
        for path, whole in self.whole.items():
            data = path.read_bytes() if path.exists() else b""
            for place in places(whole):
                header = slice(place.offset, place.offset + HEADER_SIZE)
                if data[header] == whole[header]:
                    marks.append(place.header.durable_seq)
        return max(marks)


@pytest.fixture
def log(folder: Path) -> Damaged:
    return Damaged.of(folder)


def verify(folder: Path) -> list[Finding]:
    """Returns findings and notes, and checks that verifying touches nothing."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = [one for one in Verifier(folder).walk() if isinstance(one, Finding)]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return found


def damage(folder: Path) -> list[Finding]:
    return [one for one in verify(folder) if one.damage]


def agree(log: Damaged, what: object) -> bool:
    """Check that verifying finds damage exactly where a start refuses. Returns whether it does."""
    found = damage(log.folder)
    assert log.starts() == (not found), (what, found)
    return bool(found)


def test_a_whole_log(log: Damaged) -> None:
    """A healthy log has no findings, every frame is walked over, and the counts are right."""
    verifier = Verifier(log.folder)
    walked = [one for one in verifier.walk() if not isinstance(one, Finding)]
    assert len(walked) == verifier.frames == sum(len(log.places(path)) for path in log.paths)
    records = [one.frame for one in walked if one.frame.header.records]
    assert [(one.header.base_seq, bytes(one.plain)) for one in records] == log.read
    assert verify(log.folder) == []
    assert (verifier.segments, verifier.next_seq, verifier.durable_seq) == (3, 9, 9)
    assert verifier.bytes == verifier.size() == sum(map(len, log.whole.values()))


def test_an_empty_log(folder: Path) -> None:
    """An empty log has no damage."""
    write(folder)
    assert verify(folder) == []


# Sweeps: a sample every time, every byte under `scripts/test --faults`.

STEPS = [pytest.param(1, marks=pytest.mark.faults), 23]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_truncated(log: Damaged, number: int, step: int) -> None:
    """The newest segment may end anywhere unless a header calls the missing events durable; an
    older one may not."""
    path = log.paths[number]
    for size in range(0, len(log.whole[path]), step):
        log.reset()
        path.write_bytes(log.whole[path][:size])
        found = agree(log, size)
        assert found == (number < 2), size


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "behind", [bytes(200), b"EVF1" * 50, b"\xff" * 7], ids=["zeros", "magic", "ones"]
)
def test_truncated_and_something_behind(log: Damaged, behind: bytes, step: int) -> None:
    """The same where other bytes of the disk follow the cut."""
    path = log.paths[-1]
    for size in range(SEGMENT_HEADER, len(log.whole[path]), step):
        log.reset()
        path.write_bytes(log.whole[path][:size] + behind)
        assert not agree(log, size)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_flipped_bits(log: Damaged, number: int, step: int) -> None:
    """A flipped bit is found wherever a start refuses, and always below the durable end."""
    path = log.paths[number]
    data = log.whole[path]
    last_mark = log.places(path)[-1].offset
    for at in range(0, len(data), step):
        for bit in range(8) if step == 1 else [at % 8]:
            log.reset()
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            path.write_bytes(flipped)
            assert agree(log, (at, bit)) or (number == 2 and at >= last_mark)


def rearranged(frames: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Every frame dropped, doubled, and swapped with every other one."""
    for one in range(len(frames)):
        yield f"drop {one}", frames[:one] + frames[one + 1 :]
        yield f"double {one}", frames[: one + 1] + frames[one:]
        for other in range(one):
            swapped = list(frames)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            yield f"swap {one} {other}", swapped


@pytest.mark.parametrize("number", [0, 1, 2])
def test_frames_out_of_place(log: Damaged, number: int) -> None:
    """Whole frames at wrong places are found, except the last watermark, which no later header
    calls durable."""
    path = log.paths[number]
    data = log.whole[path]
    frames = [data[place.offset : place.end] for place in log.places(path)]
    for what, order in rearranged(frames):
        log.reset()
        path.write_bytes(data[:SEGMENT_HEADER] + b"".join(order))
        harmless = number == 2 and order[: len(frames) - 1] == frames[:-1]
        assert agree(log, what) != harmless, what


@pytest.mark.faults
def test_lost_sectors(log: Damaged) -> None:
    """Any set of 64-byte pieces of the newest segment zeroed: damage is found exactly where a start
    refuses."""
    path = log.paths[-1]
    data = log.whole[path]
    pieces = range(0, len(data), 64)
    for chosen in range(1, 1 << len(pieces)):
        log.reset()
        holed = bytearray(data)
        for number, at in enumerate(pieces):
            if chosen >> number & 1:
                holed[at : at + 64] = bytes(len(data[at : at + 64]))
        path.write_bytes(holed)
        agree(log, bin(chosen))


# Texts of findings.


def put(path: Path, at: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)


def test_all_findings_not_only_the_first(log: Damaged) -> None:
    """Damage in each of three segments gives three findings, each with place, events, and where the
    walk goes on."""
    spots = []
    for path in log.paths:
        place = log.places(path)[0]
        put(path, place.offset + 129, b"?")
        spots.append((path, place.offset, place.header.base_seq))
    found = damage(log.folder)
    assert [(one.path, one.offset, one.seq) for one in found] == spots
    assert (
        "frame checksum does not match; event 0 cannot be read; the file goes on at byte"
        in found[0].what
    )
    assert all("restore the file from a backup" in one.advice for one in found)


def test_two_places_in_one_segment(log: Damaged) -> None:
    """The same within a segment: all intact frames between them are walked over."""
    path = log.paths[-1]
    first, middle, second, _ = log.places(path)
    put(path, first.offset, b"gone")
    put(path, second.offset + 81, b"?")
    found = damage(log.folder)
    assert [one.offset for one in found] == [first.offset, second.offset]
    walked = [
        one.offset
        for one in Verifier(log.folder).walk()
        if not isinstance(one, Finding) and one.path == path
    ]
    assert middle.offset in walked


def lost_segment(log: Damaged) -> None:
    log.paths[1].unlink()


def lost_first(log: Damaged) -> None:
    log.paths[0].unlink()


def another_log(log: Damaged) -> None:
    other = log.folder.with_name("other")
    write(other, [b"a"], [b"b"])
    shutil.copy(segments(other)[0], log.paths[1])


def another_name(log: Damaged) -> None:
    log.paths[2].rename(log.paths[2].with_name("00000000000000000003.0000000009.evl"))


def no_segments(log: Damaged) -> None:
    shutil.rmtree(log.folder / "seg")


def not_a_segment(log: Damaged) -> None:
    put(log.paths[0], 0, b"PK")


def header_of_an_old_one(log: Damaged) -> None:
    put(log.paths[0], 40, b"\1\2\3")


def nothing_left(log: Damaged) -> None:
    log.paths[0].write_bytes(log.whole[log.paths[0]][:SEGMENT_HEADER] + bytes(500))


SAID = [
    (lost_segment, ["event 2 is missing before this file"]),
    (lost_first, ["events 0 to 1 are missing before this file"]),
    (another_log, ["belongs to another log"]),
    (another_name, ["begins with event 3 in epoch 3, not as its name says"]),
    (no_segments, ["there is no folder of segments"]),
    (not_a_segment, ["this is not a segment of an event log"]),
    (header_of_an_old_one, ["segment header checksum does not match"]),
    (nothing_left, ["no frame begins here; nothing after it in this file can be read"]),
]


@pytest.mark.parametrize(("harm", "said"), SAID, ids=lambda each: getattr(each, "__name__", ""))
def test_findings_as_text(log: Damaged, harm: Callable[[Damaged], None], said: list[str]) -> None:
    """One cause is one finding, in words."""
    harm(log)
    found = damage(log.folder)
    assert len(found) == len(said)
    for one, text in zip(found, said, strict=True):
        assert text in one.what


def rebuilt(log: Damaged, **changed: int) -> None:
    """Write the last watermark again with other fields and the right checksum."""
    path = log.paths[-1]
    place = log.places(path)[-1]
    fields = place.header
    kept: dict[str, Any] = {
        "epoch": fields.epoch, "base_seq": fields.base_seq, "durable_seq": fields.durable_seq,
        "time_us": fields.time_us, "boottime_ns": 0, "previous": fields.previous,
        "seed": fields.seed, "sign": lambda *_: bytes(16),
    }  # fmt: skip
    kind = changed.pop("kind", fields.kind)
    crc_start = crc_start_of(log.whole[path][16:32])
    header, _ = build_header(kind, 0, 0, b"", b"", crc_start=crc_start, **{**kept, **changed})
    path.write_bytes(log.whole[path][: place.offset] + header)
    assert parse_header(header, crc_start).kind == kind


ODD = {
    "time": ({"time_us": 5}, "log time goes back"),
    "mark too far": ({"durable_seq": 10}, "says that the log was durable to 10"),
    "mark back": ({"durable_seq": 1}, "the durable end goes back"),
    "kind": ({"kind": 0xF7}, "a frame of kind 247"),
}


@pytest.mark.parametrize("name", ODD)
def test_rules_that_checksums_do_not_know(log: Damaged, name: str) -> None:
    """Whole, chained frames that break a rule are found."""
    changed, said = ODD[name]
    rebuilt(log, **changed)
    (found,) = damage(log.folder)
    assert said in found.what
    assert "report" in found.advice


# Notes, which are no damage.


def test_notes(log: Damaged) -> None:
    """A torn end, a segment never begun, quarantine and stray files are noted, and are no
    damage."""
    last = log.paths[-1]
    torn = log.places(last)[-1]
    last.write_bytes(log.whole[last][: torn.end - 3])
    (last.parent / f"{9:020d}.0000000004.evl").write_bytes(b"\x89EVL")
    (last.parent / "00000000000000000009.0000000004.tmp").write_bytes(b"")
    (log.folder / "quarantine").mkdir()
    (log.folder / "quarantine" / "old").write_bytes(b"12345")
    found = verify(log.folder)
    assert [(one.path.name, one.damage) for one in found] == [
        ("00000000000000000009.0000000004.tmp", False),
        ("old", False),
        (last.name, False),
        ("00000000000000000009.0000000004.evl", False),
    ]
    assert "5 bytes that a start cut off" in found[1].what
    assert (found[2].offset, found[2].seq) == (torn.offset, 9)
    assert "125 bytes that are not whole frames" in found[2].what


async def test_beside_a_writer(folder: Path, gate: Gate) -> None:
    """Frames not yet synced are no finding, nor are frames that appear during the walk."""
    async with running(
        open_log(folder, RECORD_SIZES, TAGS, segment_bytes=300, linger_seconds=0)
    ) as log:
        append(log, b"one")
        await gate.entered()
        assert verify(folder) == []
        gate.open()
        walk = None
        for number in range(12):
            await log.wait_durable(append(log, b"record %d" % number))
            walk = walk or Verifier(folder).walk()
            assert not isinstance(next(walk, None), Finding)
        assert not [one for one in walk if isinstance(one, Finding)]
        assert len(segments(folder)) > 2


class Overtaken(Verifier):
    """A writer finishes a frame just when the walk looks at the headers after it."""

    def __init__(self, path: Path, last: Path, data: bytes) -> None:
        super().__init__(path)
        self._last = last
        self._data = data

    def _mark(self, path: Path, offset: int) -> int:
        self._last.write_bytes(self._data)
        return super()._mark(path, offset)


def test_overtaken_by_the_writer(log: Damaged) -> None:
    """A frame seen half written and called durable a moment later is read again."""
    last = log.paths[-1]
    for size in range(SEGMENT_HEADER + 1, len(log.whole[last]), 13):
        last.write_bytes(log.whole[last][:size])
        verifier = Overtaken(log.folder, last, log.whole[last])
        assert not [one for one in verifier.walk() if isinstance(one, Finding)]
        assert verifier.next_seq == 9
