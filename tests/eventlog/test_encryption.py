"""Encrypted sections: the bytes written, who can read them, and that checks need no key.

The cipher here is a toy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from eventlog import (
    NOT_ENCRYPTED,
    Encrypted,
    EventLog,
    FrameId,
    LogCorruptError,
    LogFailedError,
    Part,
    Reader,
    open_log,
)
from tests.eventlog.logs import PAIR, RECORD_SIZES, TAGS, places, running, segments

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = bytes(16)
SECRET = b"somebody lives here"


@define
class Toy:
    """A toy cipher that inverts every byte; a key is the number of its day."""

    keys: set[int] = field(factory=set)
    places: list[FrameId] = field(factory=list)
    error: OSError | None = None

    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        if self.error is not None:
            raise self.error
        self.places.append(frame_id)
        self.keys.add(time_us)
        return Encrypted(time_us, frame_id.base_seq + 7, turned(data))

    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | None:
        assert check == frame_id.base_seq + 7
        return turned(data) if key_epoch in self.keys else None

    def tag(self, key_id: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes | None:
        return TAGS.tag(key_id, log_id, seed, *parts)


def turned(data: bytes | bytearray | memoryview) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def append(log: EventLog, time_us: int, *, close: bool = True) -> int:
    """Append a record with a protected part; with `close` in a frame of its own."""
    frame = log.pool.frame(PAIR, 1, time_us)
    frame.plain += PLAIN
    frame.protected += SECRET
    if close:
        log.pool.append(1, 1, time_us, b"between")
    log.appended()
    return log.next_seq - 1


async def write(folder: Path, toy: Toy | None, *times: int) -> None:
    async with running(open_log(folder, RECORD_SIZES, TAGS, encryptor=toy)) as log:
        for time_us in times:
            await log.wait_durable(append(log, time_us))


def protected_parts(reader: Reader) -> list[bytes]:
    return [bytes(one.protected) for one in reader.frames() if one.header.kind == PAIR]


async def test_only_the_key_opens_it(folder: Path) -> None:
    """No clear text is in the file.

    A reader gets the sections its keys decrypt and empty ones otherwise; headers keep the length.
    """
    toy = Toy()
    await write(folder, toy, 5, 6)
    data = segments(folder)[0].read_bytes()
    assert SECRET not in data
    assert data.count(turned(SECRET)) == 2
    assert protected_parts(Reader(folder, keys=toy)) == [SECRET, SECRET]
    assert protected_parts(Reader(folder, keys=Toy({6}))) == [b"", SECRET]
    assert protected_parts(Reader(folder)) == [b"", b""]
    headers = [one.header for one in Reader(folder).frames()]
    assert [(one.key_epoch, one.key_check, one.protected_size) for one in headers] == [
        (5, 7, len(SECRET)),
        (NOT_ENCRYPTED, 0, 0),
        (6, 9, len(SECRET)),
        (NOT_ENCRYPTED, 0, 0),
    ]


async def test_a_log_may_be_written_in_clear(folder: Path) -> None:
    """Without an encryptor every reader gets the section as it was given; a later run may
    encrypt."""
    await write(folder, None, 5)
    await write(folder, Toy(), 6)
    assert protected_parts(Reader(folder)) == [SECRET, b""]
    assert protected_parts(Reader(folder, keys=Toy({6}))) == [SECRET, SECRET]


async def test_no_place_comes_twice(folder: Path) -> None:
    """No place is encrypted twice, over runs and after the loss of the last writes."""
    toy = Toy()
    await write(folder, toy, 5, 6)
    await write(folder, toy, 7)
    newest = segments(folder)[-1]
    first = places(newest.read_bytes())[0]
    with newest.open("r+b") as file:
        file.truncate(first.end - 5)
    await write(folder, toy, 8)
    assert [place.base_seq for place in toy.places] == [0, 2, 4, 4]
    assert len({(place.epoch, place.base_seq) for place in toy.places}) == 4
    assert {place.log_id for place in toy.places} == {newest.read_bytes()[16:32]}


async def test_damage_is_found_without_a_key(folder: Path) -> None:
    """The checksum covers the encrypted bytes."""
    await write(folder, Toy(), 5, 6)
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    data[data.index(turned(SECRET)) + 3] ^= 1
    path.write_bytes(data)
    for look in (
        lambda: protected_parts(Reader(folder, to_end=True)),
        lambda: open_log(folder, RECORD_SIZES, TAGS),
    ):
        with pytest.raises(LogCorruptError, match="frame checksum does not match"):
            look()


async def test_without_a_key_nothing_is_written(folder: Path) -> None:
    """An encryptor that cannot make its key fails the commit, as a disk would."""
    toy = Toy(error=OSError("no room for a key"))
    with pytest.RaisesGroup(LogFailedError):
        async with running(open_log(folder, RECORD_SIZES, TAGS, encryptor=toy)) as log:
            with pytest.raises(LogFailedError, match="no room for a key"):
                await log.wait_durable(append(log, 5))
    assert SECRET not in b"".join(path.read_bytes() for path in segments(folder))
