"""An insider without secrets changes frames and segments, and makes all checksums right.

`verify` says damage for each change, and a start ends with exit code 3 and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from tests.attacks.support import (
    Files,
    Log,
    Segment,
    check_accepted,
    check_refused,
    pack_frame,
    site,
    with_crc,
)
from tests.independent_reader.read_log import NO_DAY
from tests.nonsense.whole import refusal
from tracker.domain import events
from tracker.domain.events.records import Tick
from tracker.store.high_water_mark import OlderLogError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_was_not_changed_is_accepted(tmp_path: Path) -> None:
    """Taking a log apart and putting it together changes no byte, so the other tests mean what they
    say."""
    for files in site(), site(shredded=True):
        assert Log.of(files).files() == files
        check_accepted(tmp_path / "site", files)


# Frames.


def other_words(old: bytes, new: bytes) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        segment, at = log.authored()
        segment.replace_plain(at, old, new)

    return change


def other_address(log: Log) -> None:
    """Flips a bit of an address that the insider knows, under the encryption."""
    segment, at = log.find(events.ANNOUNCE)
    one = segment.frames[at]
    protected = one.protected[:15] + bytes([one.protected[15] ^ 1]) + one.protected[16:]
    segment.frames[at] = one._replace(protected=protected)


def as_ticks(log: Log) -> None:
    """Puts as many ticks in the place of announces, so that no number is missing."""
    segment, at = log.find(events.ANNOUNCE)
    ticks = next(one.frames[n] for one, n in log.places(Tick.kind))
    count = segment.frames[at].header.count
    header = segment.frames[at].header._replace(kind=Tick.kind, key_epoch=NO_DAY, key_check=0)
    segment.frames[at] = ticks._replace(
        header=header, plain=ticks.plain[:32] * count, protected=b""
    )


def drop(log: Log) -> None:
    segment, at = log.authored()
    del segment.frames[at]


def insert(log: Log) -> None:
    """Repeats a change with another author."""
    segment, at = log.authored()
    segment.frames.insert(at + 1, segment.frames[at])
    segment.replace_plain(at + 1, b'"alice"', b'"mallory"')


def repeat(log: Log) -> None:
    segment, at = log.authored()
    segment.frames.insert(at + 1, segment.frames[at])


def exchange(log: Log) -> None:
    """Exchanges two neighbours that have as many records."""
    segment, at = log.authored()
    segment.frames[at : at + 2] = reversed(segment.frames[at : at + 2])


def other_border(log: Log) -> None:
    """Moves the border between the two sections, and with it two lengths."""
    segment, at = log.find(events.ANNOUNCE)
    one = segment.frames[at]
    segment.frames[at] = one._replace(
        plain=one.plain + one.protected[:1], protected=one.protected[1:]
    )


def header_field(name: str, kind: int = events.ANNOUNCE) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        segment, at = log.find(kind)
        value = getattr(segment.frames[at].header, name)
        less = value - 1 if name == "durable_seq" else None  # more would be made right again
        other = bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) else value ^ 1
        segment.alter(at, **{name: other if less is None else less})

    return change


def segment_field(name: str) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        segment = log.segments[1]
        value = getattr(segment, name)
        other = bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) else value + 1
        setattr(segment, name, other)

    return change


def later_times(log: Log) -> None:
    """Moves the last life to another hour, time by time."""
    for one, at in list(log.places(events.ADMIN))[-3:]:
        one.alter(at, time=one.frames[at].header.time + 3_600_000_000)


def another_key(log: Log) -> None:
    """Names a key that nobody has in the last segment, so that no tag could be checked."""
    log.segments[-1].key_id = b"mallory's own key"[:16]


FIELDS = (
    "kind", "schema", "flags", "durable_seq", "time", "boottime", "key_epoch", "key_check", "seed", "chain",
)  # fmt: skip
SEGMENT_FIELDS = ("created", "boottime", "key_id", "digest", "digest_seq", "seed", "tag")
FRAMES: dict[str, Callable[[Log], None]] = {
    "author": other_words(b'"alice"', b'"mallo"'),
    "author, longer": other_words(b'"alice"', b'"mallory and friends"'),
    "address of the author": other_words(b"192.0.2.1", b"192.0.2.9"),
    "reason": other_words(b"a paid invoice", b"an odd invoice"),
    "request id": other_words(b"request-1", b"request-2"),
    "address": other_address,
    "ticks": as_ticks,
    "drop": drop,
    "insert": insert,
    "repeat": repeat,
    "exchange": exchange,
    "sections": other_border,
    "times": later_times,
    "key": another_key,
    **{f"frame {name}": header_field(name) for name in FIELDS},
    **{f"watermark {name}": header_field(name, 0xF0) for name in FIELDS[3:6]},
    **{f"segment {name}": segment_field(name) for name in SEGMENT_FIELDS},
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_changed_log(tmp_path: Path, name: str) -> None:
    """A change of any field, with all checksums made right and the seals deleted."""
    log = Log.of(site())
    FRAMES[name](log)
    check_refused(tmp_path / "site", log.files())


def test_bytes_not_in_use(tmp_path: Path) -> None:
    """The tag covers the bytes of the header that no field uses."""
    files = dict(site())
    (name, *_) = (one for one in sorted(files) if one.endswith(".evl"))
    data = files[name]
    log_id = data[16:32]
    head = data[192:320]
    head = with_crc(head[:104] + b"\1" + head[105:124], crc32(log_id))
    files[name] = data[:192] + head + data[320:]
    check_refused(tmp_path / "site", files)


def test_an_address_that_is_shredded(tmp_path: Path) -> None:
    """The tag does not need the key of the day."""
    log = Log.of(site(shredded=True))
    other_address(log)
    check_refused(tmp_path / "site", log.files())


# Tagged frames written back as format 1.


def as_format_1(*segments: Segment) -> None:
    for segment in segments:
        segment.format = 1
        for number in range(len(segment.frames)):
            segment.alter(number, format=1)


UNTAGGED: dict[str, Callable[[Log], None]] = {
    "first segment": lambda log: as_format_1(log.segments[0]),
    "one segment": lambda log: as_format_1(log.segments[1]),
    "last segment": lambda log: as_format_1(log.segments[-1]),
    "all segments": lambda log: as_format_1(*log.segments),
    "a frame": lambda log: log.segments[1].alter(1, format=1),
    "the last frame": lambda log: log.segments[-1].alter(-1, format=1),
}


@pytest.mark.parametrize("name", UNTAGGED)
def test_tags_taken_away(tmp_path: Path, name: str) -> None:
    """An untagged frame after the first tagged one, and a log whose first tagged one is gone."""
    log = Log.of(site())
    UNTAGGED[name](log)
    check_refused(tmp_path / "site", log.files())


def test_an_untagged_frame_at_the_end_is_no_torn_write(tmp_path: Path) -> None:
    """A frame without a tag behind all that the tracker wrote is not cut off as torn."""
    log = Log.of(site())
    last = log.segments[-1]
    last.frames.append(last.frames[last.at(events.ADMIN)])
    last.alter(-1, format=1)
    check_refused(tmp_path / "site", log.files())


@pytest.mark.parametrize("covered", ["", "by the note", "by a later header"])
def test_a_last_frame_that_is_whole_but_for_its_tag(tmp_path: Path, covered: str) -> None:
    """It is torn, and goes to quarantine, unless something says that it was durable."""
    log = Log.of(site())
    last = log.segments[-1]
    if covered == "by the note":
        assert last.frames.pop().header.kind == 0xF0  # the frame before has events
        last.alter(-1, chain=bytes(16))
    else:
        last.frames.append(last.frames[last.at(events.ADMIN)])
    files = log.files()
    if covered == "by a later header":
        end = last.frames[-1].header
        mark = last.frames[last.at(0xF0)]
        seq = end.base_seq + end.count
        header = mark.header._replace(base_seq=seq, durable_seq=seq)
        files[last.name] += pack_frame(mark._replace(header=header), last.log_id)[0]
    folder = tmp_path / "site"
    if covered:
        check_refused(folder, files)
        assert isinstance(refusal(folder), OlderLogError) == (covered == "by the note")
        return
    check_accepted(folder, files)
    (cut,) = (folder / "log" / "quarantine").iterdir()
    assert files[last.name].endswith(cut.read_bytes())


# Segments of another branch, and a log cut short.


def last_life(files: Files) -> Files:
    """Returns the segments of the last life, and their seals."""
    epoch = max(one.epoch for one in Log.of(files).segments)
    return {name: data for name, data in files.items() if f".{epoch:010d}." in name}


@pytest.mark.parametrize("most", [1, 100], ids=["its first segment", "all segments"])
def test_segments_of_another_branch(tmp_path: Path, most: int) -> None:
    """Segments that the same server wrote after the same events, as a copy of the folder has
    them: their tags are right, and the note tells."""
    mine, other = site(), last_life(site(branch=7))
    files = {name: data for name, data in mine.items() if name not in last_life(mine)}
    taken = [name for name in sorted(other) if name.endswith(".evl")][:most]
    check_refused(tmp_path / "site", files | {name: other[name] for name in taken})


def test_a_segment_of_another_branch_in_the_middle(tmp_path: Path) -> None:
    """The segments after it do not continue it."""
    mine, other = site(), last_life(site(branch=7))
    name = next(one for one in sorted(other) if one.endswith(".evl"))
    assert name in mine
    assert mine[name] != other[name]
    check_refused(tmp_path / "site", mine | {name: other[name]})


@pytest.mark.parametrize("torn", [False, True], ids=["clean", "with a torn tail"])
def test_a_log_cut_after_an_acknowledged_change(tmp_path: Path, torn: bool) -> None:
    """The note tells, and nothing is cut off before it was asked."""
    log = Log.of(site())
    del log.segments[-1].frames[-2:]
    files = log.files()
    if torn:
        name = log.segments[-1].name
        files[name] += site()[name][len(files[name]) :][:100]
    check_refused(tmp_path / "site", files)
