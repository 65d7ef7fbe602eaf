"""Changes a log as a person does who may write its folder, but has no secrets.

`Log` takes the segments of a site apart. A test changes fields, and `Log.files` makes all that
needs no key right again: numbers, lengths, padding, checksums, chain values and file names. Tags
stay what they were, because nobody can make them. The seals of changed segments are gone.

With `tags` the parts here make tags too, for tests of nonsense that the server itself would vouch
for.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zlib import crc32

import trio
from attrs import define, field

from eventlog import (
    LogError,
    LogLockedError,
    LogPrunedError,
    LogUnusableError,
    Reader,
    open_log,
)
from tests.eventlog.logs import running
from tests.independent_reader.read_log import (
    FRAME_1,
    FRAME_2,
    NO_DAY,
    SEGMENT_1,
    SEGMENT_2,
    Frame,
    chain_of,
    parse_frame,
)
from tests.nonsense.whole import findings, put, refusal
from tests.support import SECOND, START_US, Announce, HandTime, Rig, endpoint4, keys_of
from tests.tracker.logged import HASH, history
from tracker import ports
from tracker.domain.events import codec
from tracker.domain.events.admin import TorrentDelisted, TorrentWhitelisted
from tracker.domain.events.codec import CodecError
from tracker.domain.events.errors import ReplayError
from tracker.store import high_water_mark
from tracker.store.replay import replay
from tracker.store.tag_keys import TagKeys
from tracker.upkeep.shredding import Shredder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Tags

Files = dict[str, bytes]
"""The files of a site by their paths below its folder: `log` and `secrets`."""
BY = ports.Actor("alice", "192.0.2.1", "request-1", "a paid invoice")
DAMAGED = (LogError, ReplayError, CodecError)
"""The errors that end a start with exit code 3; `CANNOT` are those with another one."""
CANNOT = (LogLockedError, LogPrunedError, LogUnusableError)
NO_TAG = bytes(16)
_SEGMENT = re.compile(r"log/seg/[0-9]{20}\.[0-9]{10}\.evl")


# Honest sites.


@cache
def site(lives: int = 3, *, shredded: bool = False, branch: int = 0) -> Files:
    """Returns the files of a tracker that ran some times, in segments of some frames each.

    There are no snapshots, so that a start reads all of the log. `shredded`: the addresses were
    shredded. `branch` tells apart sites that share all but their last life.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        before = site(lives - 1) if lives > 1 else {}
        put(folder, before)
        _live(folder, branch, shredded=shredded)
        return files_in(folder)


def files_in(folder: Path) -> Files:
    """Returns the files of a site, without the lock and the reserve, which every start makes."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    paths = [path for path in paths if path.name not in ("LOCK", "reserve")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _live(folder: Path, branch: int, *, shredded: bool) -> None:
    keyring, path = keys_of(folder / "secrets"), folder / "log"
    log = open_log(
        path, codec.RECORD_SIZES, keyring.tags, segment_bytes=1500, linger_seconds=0, encryptor=keyring,
    )  # fmt: skip
    state = replay(Reader(path, to_end=True, keys=keyring))
    rig = Rig(log=log, time=HandTime(wall=max(START_US, state.time_us + SECOND)), state=state)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            for _ in _changes(rig, branch):
                await log.wait_durable(log.next_seq - 1)
            if shredded:
                await Shredder(rig.service, log, keyring).shred((0, 1 << 20), BY)
            await log.wait_durable(log.next_seq - 1)
            await log.seal_finished()

    trio.run(main)
    high_water_mark.note(folder / "secrets", log, rig.state.time_us)


def _changes(rig: Rig, branch: int) -> Iterator[None]:
    yield from history(rig)
    for event in TorrentDelisted(HASH), TorrentWhitelisted(HASH):
        rig.service.append(event, BY)
        yield
    rig.time.advance(branch * SECOND)
    for number in range(3):
        key = rig.issue(10 + number)
        rig.announce(Announce(HASH, endpoint4(20 + number), key=key))
        yield


# A log taken apart.


@define
class Segment:
    """A segment, with the fields of its header. `chain` is the chain value at its end."""

    format: int
    log_id: bytes
    base_seq: int
    created: int
    boottime: int
    epoch: int
    previous: bytes
    key_id: bytes = NO_TAG
    digest: bytes = bytes(32)
    digest_seq: int = 0
    seed: bytes = NO_TAG
    tag: bytes = NO_TAG
    frames: list[Frame] = field(factory=list)

    @classmethod
    def of(cls, data: bytes) -> Segment:
        layout = SEGMENT_1 if data[8] == 1 else SEGMENT_2
        _, version, _, size, *fields, _ = layout.unpack_from(data)
        if version == 1:
            fields[-1] = chain_of(fields[-1])
        found = cls(version, *fields)
        while size < len(data):
            found.frames.append(parse_frame(data[size:], crc32(found.log_id)))
            size += found.frames[-1].header.size
        return found

    @property
    def name(self) -> str:
        return f"log/seg/{self.base_seq:020d}.{self.epoch:010d}.evl"

    def head(self, tags: Tags | None = None) -> bytes:
        """Returns the header's bytes, with the tag that it has or, with `tags`, the right one."""
        if tags is not None:
            self.key_id = tags.key_id
            self.tag = tags.sign(self.log_id, self.seed, self.head()[:172])
        start = b"\x89EVL\r\n\x1a\n", self.format, 0
        fields = self.log_id, self.base_seq, self.created, self.boottime, self.epoch
        if self.format == 1:
            body = SEGMENT_1.pack(*start, 128, *fields, _crc_of(self.previous), 0)
        else:
            body = SEGMENT_2.pack(
                *start, 192, *fields, self.previous, self.key_id, self.digest, self.digest_seq, self.seed, self.tag, 0
            )  # fmt: skip
        return with_crc(body[:-4])

    def pack(self, chain: bytes, tags: Tags | None = None) -> tuple[bytes, bytes]:
        """Returns the segment's bytes, as they continue a chain value, and the chain value after
        it."""
        self.previous = chain
        data = self.head(tags)
        for at in range(len(self.frames)):
            self.alter(at, previous=chain)
            packed, chain = pack_frame(self.frames[at], self.log_id, tags)
            data += packed
        return data, chain

    def at(self, kind: int) -> int:
        """Returns the place of the first frame of a kind."""
        return next(n for n, one in enumerate(self.frames) if one.header.kind == kind)

    def alter(self, at: int, **fields: Any) -> None:
        """Changes fields of a frame's header."""
        one = self.frames[at]
        self.frames[at] = one._replace(header=one.header._replace(**fields))

    def replace_plain(self, at: int, old: bytes, new: bytes) -> None:
        one = self.frames[at]
        assert old in one.plain
        self.frames[at] = one._replace(plain=one.plain.replace(old, new))


def _crc_of(chain: bytes) -> int:
    return int.from_bytes(chain[:4], "little")


@cache
def _tags_of(secret: bytes) -> TagKeys:
    with TemporaryDirectory() as folder:
        (Path(folder) / "server.key").write_bytes(secret)
        tags = TagKeys(Path(folder))
        assert tags.key_id
        return tags


def tags_of(files: Files) -> TagKeys:
    """Returns what makes the tags of a site."""
    return _tags_of(files["secrets/server.key"])


def with_crc(body: bytes, start: int = 0) -> bytes:
    """Returns a header with the checksum of all before in its last four bytes."""
    return body + crc32(body, start).to_bytes(4, "little")


def pack_frame(one: Frame, log_id: bytes, tags: Tags | None = None) -> tuple[bytes, bytes]:
    """Returns a frame's bytes with its checksums and lengths made right, and its chain value."""
    header = one.header
    payload = one.plain + one.protected
    first = (
        b"EVF%d" % header.format, header.kind, header.schema, header.flags, header.count, len(one.plain),
        len(one.protected), header.epoch, header.base_seq, header.durable_seq, header.time, header.boottime,
    )  # fmt: skip
    if header.format == 1:
        day = 0 if header.key_epoch == NO_DAY else header.key_epoch
        body = FRAME_1.pack(
            *first, day, _crc_of(header.previous), crc32(payload), header.key_check, 0
        )
    else:
        body = FRAME_2.pack(
            *first, header.key_epoch, crc32(payload), header.key_check, header.seed, header.previous,
            header.lead, header.chain, 0,
        )  # fmt: skip
        if tags is not None:
            body = body[:108] + tags.sign(log_id, header.seed, body[:108], payload) + body[-4:]
    head = with_crc(body[:-4], crc32(log_id))
    chain = head[108:124] if header.format > 1 else chain_of(int.from_bytes(head[-4:], "little"))
    return head + payload + bytes(-len(payload) % 16), chain


@define
class Log:
    """All segments of a site, in order, to be changed. `kept` are its other files."""

    segments: list[Segment]
    _before: Files

    @classmethod
    def of(cls, files: Files) -> Log:
        return cls(
            [Segment.of(files[name]) for name in sorted(files) if _SEGMENT.fullmatch(name)], files
        )

    def find(self, kind: int) -> tuple[Segment, int]:
        """Returns the first segment with a frame of this kind, and the frame's place."""
        return next(self.places(kind))

    def places(self, kind: int) -> Iterator[tuple[Segment, int]]:
        """Yields segment and place of each frame of this kind."""
        for one in self.segments:
            for at, each in enumerate(one.frames):
                if each.header.kind == kind:
                    yield one, at

    def authored(self) -> tuple[Segment, int]:
        """Returns segment and place of the first administrator's change."""
        return next((one, at) for one, at in self.places(2) if b'"alice"' in one.frames[at].plain)

    def files(self) -> Files:
        """Returns the site's files with these segments, whose events follow each other."""
        made: Files = {}
        seq, chain = self.segments[0].base_seq, self.segments[0].previous
        for one in self.segments:
            one.base_seq = seq
            for at, each in enumerate(one.frames):
                one.alter(at, base_seq=seq, durable_seq=min(each.header.durable_seq, seq))
                seq += each.header.count
            data, chain = one.pack(chain)
            made[one.name] = data
        return _beside(self._before, made)


def _beside(before: Files, segments: Files) -> Files:
    """Returns the files of a site with other segments, without the seals of changed ones."""
    kept = {name: data for name, data in before.items() if not _SEGMENT.fullmatch(name)}
    for name, data in before.items():
        if _SEGMENT.fullmatch(name) and segments.get(name) != data:
            kept.pop(seal_of(name), None)
    return kept | segments


def seal_of(segment: str) -> str:
    """Returns the name of the seal of a segment."""
    return segment.replace("/seg/", "/seal/").replace(".evl", ".json")


# What the tracker says.


def check_refused(folder: Path, files: Files) -> None:
    """Checks that `verify` finds damage, and that a start ends with exit code 3 and changes
    nothing."""
    put(folder, files)
    before = files_in(folder)
    found = findings(folder)
    assert not isinstance(found, Exception), found
    assert any(one.damage for one in found)
    refused = refusal(folder)
    assert isinstance(refused, DAMAGED)
    assert not isinstance(refused, CANNOT)
    assert files_in(folder) == before


def check_accepted(folder: Path, files: Files) -> None:
    """Checks that `verify` finds nothing, and that a start succeeds."""
    put(folder, files)
    found = findings(folder)
    assert not isinstance(found, Exception), found
    assert [one.what for one in found if one.damage] == []
    assert refusal(folder) is None
