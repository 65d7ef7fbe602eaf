"""Opening after a crash or damage gives an exact prefix or a refusal, and never loses durable
events."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
import trio
from attrs import frozen

from eventlog import (
    LogCorruptError,
    LogError,
    LogFormatError,
    LogLockedError,
    Reader,
    open_log,
    seals,
)
from eventlog.findings import Finding
from eventlog.frame import build_header
from eventlog.verify import Verifier
from tests.eventlog.logs import (
    RECORD_SIZES,
    TAGS,
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
    from pathlib import Path

BATCHES = [[b"one", b"two"], [b"a record of thirty-two bytes, now"], [b"x" * 16, b"y" * 16, b""]]
SEGMENT_HEADER = 192


@frozen
class Image:
    """A healthy log, the records in it, and its last segment."""

    folder: Path
    read: Read
    last: Path
    data: bytes
    places: list[Place]

    @classmethod
    def of(cls, folder: Path) -> Image:
        last = segments(folder)[-1]
        data = last.read_bytes()
        return cls(folder, read(folder), last, data, places(data))

    def put(self, data: bytes) -> None:
        """Write the last segment with this content and restore everything else."""
        for newer in segments(self.folder):
            if newer.name > self.last.name:
                newer.unlink()
        shutil.rmtree(self.folder / "quarantine", ignore_errors=True)
        self.last.write_bytes(data)

    def durable_by_headers(self, data: bytes) -> int:
        """Returns the number below which whole, undamaged headers call the log durable."""
        return max(
            (
                place.header.durable_seq
                for place in self.places
                if data[place.offset : place.offset + 80]
                == self.data[place.offset : place.offset + 80]
            ),
            default=0,
        )

    def quarantined(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "quarantine").glob("*")]


@pytest.fixture
def image(folder: Path) -> Image:
    """Two segments; the last holds three commits and the watermark of an orderly end."""
    write(folder, [b"the first run"])
    write(folder, *BATCHES)
    return Image.of(folder)


def go_on(folder: Path, record: bytes) -> int:
    """Open, append one record, close. Returns the number of the record."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)

    async def main() -> int:
        async with running(log):
            return append(log, record)

    return trio.run(main)


@pytest.mark.faults
def test_truncated_at_every_byte(image: Image) -> None:
    """Recovery leaves an exact prefix with all durable events, and keeps the cut bytes."""
    ends = [0, SEGMENT_HEADER, *(place.end for place in image.places)]
    for size in range(len(image.data)):
        image.put(image.data[:size])
        number = go_on(image.folder, b"later")
        found = read(image.folder)
        assert found[:-1] == image.read[: len(found) - 1], size
        assert found[-1] == (number, b"later"), size
        assert number >= image.durable_by_headers(image.data[:size]), size
        end = max(end for end in ends if end <= size)
        torn = image.data[end:size]
        assert image.quarantined() == ([torn] if torn or size < SEGMENT_HEADER else []), size


def test_truncation_takes_no_more_than_the_torn_frame(image: Image) -> None:
    """A cut between frames loses no whole frame, and nothing goes to quarantine."""
    for number, place in enumerate(image.places):
        image.put(image.data[: place.end])
        go_on(image.folder, b"later")
        assert read(image.folder)[:-1] == image.read[: number + 2]
        assert image.quarantined() == []


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_anywhere(image: Image, bit: int) -> None:
    """A start refuses damage and touches nothing, or cuts only frames that no header calls
    durable."""
    refused = 0
    for at in range(len(image.data)):
        data = bytearray(image.data)
        data[at] ^= 1 << bit
        image.put(bytes(data))
        try:
            number = go_on(image.folder, b"later")
        except LogError:
            refused += 1
            assert image.last.read_bytes() == data, at
            assert image.quarantined() == [], at
        else:
            found = read(image.folder)
            assert found[:-1] == image.read[: len(found) - 1], at
            assert number >= image.durable_by_headers(bytes(data)), at
    assert refused > image.places[-1].offset // 2


def test_damage_before_the_watermark_is_refused(image: Image) -> None:
    """A frame that a later header calls durable is never cut; the error names file and offset."""
    damaged = bytearray(image.data)
    place = image.places[1]
    damaged[place.offset + 81] ^= 1
    image.put(bytes(damaged))
    with pytest.raises(LogCorruptError) as caught:
        open_log(image.folder, RECORD_SIZES, TAGS)
    assert (caught.value.path, caught.value.offset) == (image.last, place.offset)
    assert "Nothing was changed" in str(caught.value)


def test_damage_in_an_older_segment(folder: Path) -> None:
    """Every flipped bit of an older segment is refused, at opening or by the reader."""
    write(folder, [b"r" * 16], [b"s" * 16], [b"t" * 16], segment_bytes=1)
    assert len(segments(folder)) >= 3
    whole = read(folder)
    older = segments(folder)[1]
    data = older.read_bytes()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        older.write_bytes(damaged)
        with pytest.raises((LogCorruptError, LogFormatError)):
            read(folder)
    older.write_bytes(data)
    assert read(folder) == whole


def test_a_missing_older_segment_is_noticed(folder: Path) -> None:
    """The chain shows that frames are gone."""
    write(folder, [b"r"], [b"s"], [b"t"], segment_bytes=1)
    segments(folder)[1].unlink()
    with pytest.raises(LogCorruptError, match="does not follow"):
        read(folder)


def test_a_frame_of_another_log_is_noticed(tmp_path: Path) -> None:
    """The chain shows a frame that is whole, of the right epoch and number, but not the one
    written."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        write(folder, [folder.name.encode()], [b"second"], [b"third"])
        if folder.name == "a":  # a copy that went its own way: the same log id
            folders[1].mkdir()
            shutil.copy(folder / "identity.json", folders[1])
    own, other = (segments(folder)[0] for folder in folders)
    data = own.read_bytes()
    first, second = places(data)[:2]
    foreign = other.read_bytes()[first.offset : second.offset]
    own.write_bytes(data[: first.offset] + foreign + data[second.offset :])
    with pytest.raises(LogCorruptError, match="does not continue the chain"):
        open_log(folders[0], RECORD_SIZES, TAGS)


CREATION = {"empty": 0, "a byte": 1, "half a header": 64, "almost all": 127}


@pytest.mark.parametrize("name", CREATION)
def test_a_crash_while_a_segment_was_created(image: Image, name: str) -> None:
    """A segment without a whole header was never begun; the log goes on after the one before it."""
    image.put(image.data[: CREATION[name]])
    assert go_on(image.folder, b"later") == 1
    assert read(image.folder) == [image.read[0], (1, b"later")]
    assert image.quarantined() == [image.data[: CREATION[name]]]


def test_a_temporary_segment_is_left_aside(image: Image) -> None:
    """A crash before the rename leaves a file that is no segment."""
    (image.folder / "seg" / f"{6:020d}.000009.tmp").write_bytes(b"half")
    assert go_on(image.folder, b"later") == 7
    assert read(image.folder)[:-1] == image.read


def test_quarantine_keeps_everything(image: Image) -> None:
    """A second crash at the same offset keeps the quarantined bytes of the first one."""
    for size in (60, 70):
        image.last.write_bytes(image.data[:size])
        with Held(image.folder):
            pass
    assert sorted(image.quarantined(), key=len) == [image.data[:60], image.data[:70]]


class Held:
    """Recovery alone: opens the log for writing, and writes nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self.log = open_log(self._folder, RECORD_SIZES, TAGS)

    def __exit__(self, *_: object) -> None:
        async def main() -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                await self.log.run()

        trio.run(main)


def reheadered(data: bytes, at: int, value: bytes) -> bytes:
    """A segment with another field in its header, and the checksum to match."""
    header = bytearray(data[: SEGMENT_HEADER - 4])
    header[at : at + len(value)] = value
    return bytes(header) + crc32(header).to_bytes(4, "little") + data[SEGMENT_HEADER:]


FORMATS = {
    "a newer format": (8, b"\3\0", "is of format 3, and this version reads formats 1 to 2"),
    "the format before": (8, b"\0\0", "is of format 0, .* nothing reads or converts it"),
    "a longer header": (12, b"\0\1", "has a header of 256 bytes, not 192"),
    "another log": (16, b"another log's id", "belongs to another log"),
    "no log at all": (0, b"PK", "not a segment"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_foreign_segments_are_refused(image: Image, name: str) -> None:
    """A segment of another version or another log is refused and left as it is."""
    at, value, message = FORMATS[name]
    foreign = reheadered(image.data, at, value)
    image.put(foreign)
    with pytest.raises(LogFormatError, match=message):
        open_log(image.folder, RECORD_SIZES, TAGS)
    with pytest.raises(LogFormatError, match=message):
        read(image.folder)
    assert image.last.read_bytes() == foreign


IDENTITIES = {
    "no JSON": "{",
    "no id": "{}",
    "not hexadecimal": '{"log_id": "zz"}',
    "too short": '{"log_id": "00", "format": 1}',
    "no text": '{"log_id": 5}',
    "no format": f'{{"log_id": "{"0" * 32}"}}',
    "a format in words": f'{{"log_id": "{"0" * 32}", "format": "1"}}',
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_broken_identity_is_refused(image: Image, name: str) -> None:
    """Without its identity a log is not opened, for reading or writing."""
    (image.folder / "identity.json").write_text(IDENTITIES[name])
    with pytest.raises(LogFormatError, match="restore it from any backup of this log"):
        open_log(image.folder, RECORD_SIZES, TAGS)
    with pytest.raises(LogFormatError):
        Reader(image.folder)


def test_a_lost_identity_is_not_made_up(image: Image) -> None:
    """Segments without an identity belong to some log, so they get no new identity."""
    (image.folder / "identity.json").unlink()
    with pytest.raises(LogFormatError, match="holds segments"):
        open_log(image.folder, RECORD_SIZES, TAGS)
    with pytest.raises(LogFormatError, match="holds segments"):
        Reader(image.folder)


def test_a_refused_open_lets_go_of_the_lock(image: Image) -> None:
    """After a refusal another attempt fails in the same way."""
    image.put(reheadered(image.data, 16, b"another log's id"))
    for _ in range(2):
        with pytest.raises(LogFormatError):
            open_log(image.folder, RECORD_SIZES, TAGS)


FOLDERS = {
    "identity.json": "identity.json: is a folder, and should be a file: move it away",
    "LOCK": "LOCK is a folder, and should be a file: remove it",
    "reserve": "reserve is a folder, and should be a file: remove it",
    "seg": "evl: is a folder, and should be a file: move it away, and restore the file",
    "seal": "json: damaged at byte 0: is a folder, and should be a file",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_in_the_place_of_a_file(image: Image, name: str) -> None:
    """A start and a reader name the folder and say what it is, without an error number of the
    system."""
    seals.write_missing(image.folder, TAGS)
    path = image.folder / name
    if path.is_dir():
        path = min(path.iterdir())
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(LogError, match=FOLDERS[name]):
        open_log(image.folder, RECORD_SIZES, TAGS, reserve_bytes=4096)
    if name in ("identity.json", "seg"):
        with pytest.raises(LogFormatError, match=FOLDERS[name]):
            read(image.folder)
    if name in ("seg", "seal"):
        found = [each for each in Verifier(image.folder).walk() if isinstance(each, Finding)]
        assert [one.path for one in found if "is a folder" in one.what] == [path]
    assert path.is_dir()


@pytest.mark.parametrize("name", ["seg", "quarantine", "seal", "kept", "opening"])
def test_a_file_in_the_place_of_a_folder(image: Image, name: str) -> None:
    """Opening the log names the file and touches nothing."""
    path = image.folder / name
    if path.is_dir():
        shutil.rmtree(path)
    path.write_bytes(b"whose")
    said = f"{name} is a file, and should be a folder: move it away"
    with pytest.raises(LogError, match=said):
        open_log(image.folder, RECORD_SIZES, TAGS)
    with pytest.raises(LogError, match=said):
        read(image.folder)
    with pytest.raises(LogError, match=said):
        Verifier(image.folder)
    assert path.read_bytes() == b"whose"


def test_a_damaged_seal(image: Image) -> None:
    """A start gives the same advice as verifying, and it works, because a seal holds nothing that
    its segment does not."""
    seals.write_missing(image.folder, TAGS)
    path = seals.list_seals(image.folder)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(
        LogCorruptError, match=re.escape(f"{seals.NONE}. Nothing was changed; {seals.DROP}")
    ):
        open_log(image.folder, RECORD_SIZES, TAGS)
    (found,) = [each for each in Verifier(image.folder).walk() if isinstance(each, Finding)]
    assert (found.path, found.what, found.advice) == (path, seals.NONE, seals.DROP)
    path.unlink()
    seals.write_missing(image.folder, TAGS)
    assert path.read_bytes() == whole
    write(image.folder, [b"it goes on"])


async def test_one_writer_at_a_time(folder: Path) -> None:
    """The error for a second writer names the first one; it may begin when the first has ended."""
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        append(log, b"one")
        with pytest.raises(LogLockedError, match=r"process \d+") as caught:
            open_log(folder, RECORD_SIZES, TAGS)
        assert caught.value.holder.startswith("process ")
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        assert log.next_seq == 1


def test_a_record_cannot_imitate_a_frame_header(folder: Path) -> None:
    """A record with the bytes of a frame header does not make a torn tail look like damage, because
    strangers choose the content of records.
    """
    forged, _ = build_header(
        1,
        1,
        0,
        b"",
        b"",
        epoch=1,
        base_seq=99,
        durable_seq=99,
        time_us=0,
        boottime_ns=0,
        previous=bytes(16),
        seed=bytes(16),
        sign=lambda *_: bytes(16),
    )
    write(folder, [b"one"], [forged, b"two"])
    last = segments(folder)[-1]
    data = last.read_bytes()
    torn = places(data)[1]
    last.write_bytes(data[: torn.end - 1])
    assert go_on(folder, b"later") == 1
    assert read(folder) == [(0, b"one"), (1, b"later")]


@pytest.mark.parametrize("left", [0, 90])
def test_log_time_goes_on_after_a_segment_without_a_frame(tmp_path: Path, left: int) -> None:
    """After a kill in a new segment, perhaps within its first frame, the next writer still knows
    the log time."""
    write(tmp_path, [b"one"], [b"two"], segment_bytes=1)
    newest = segments(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[: SEGMENT_HEADER + left])
    for _ in range(2):
        log = open_log(tmp_path, RECORD_SIZES, TAGS)
        assert log.recovery.last_time_us == 1000
        log.release()
    write(tmp_path)  # nothing but a watermark
    assert not [one for one in Verifier(tmp_path).walk() if isinstance(one, Finding) and one.damage]
