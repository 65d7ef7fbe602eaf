"""An insider brings a log that no tag protects, changes what was written before there were tags, or
plants links in the log's folder."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

import trio

from eventlog import Reader, open_log
from tests.attacks.support import (
    Files,
    Log,
    check_accepted,
    check_refused,
    files_in,
    site,
)
from tests.eventlog.logs import running
from tests.golden.test_log_v1 import FOLDER
from tests.golden.test_upgrade import SERVED, start
from tests.nonsense.whole import put, refusal
from tracker.domain.events import codec
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.high_water_mark import OlderLogError
from tracker.store.replay import replay

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_of_format_1_with_another_id(tmp_path: Path) -> None:
    """Anybody can make a log of format 1, with keys and credit as he likes. It takes the place of
    the log, and the note is of the other id."""
    files = {name: data for name, data in site().items() if name.startswith("secrets/")}
    planted = files_in(FOLDER / "public")
    files |= {name: data for name, data in planted.items() if name.startswith("log/")}
    check_refused(tmp_path / "site", files)
    assert isinstance(refusal(tmp_path / "site"), OlderLogError)


# What was written before there were tags.


def went_over(folder: Path) -> Files:
    """Returns the files of a pruned log of format 1 that has gone on in format 2."""
    shutil.copytree(SERVED, folder)
    start(folder)
    return files_in(folder)


def same_crc(body: bytes, at: int, crc: int, initial: int) -> bytes:
    """Changes the four bytes at a place so that the checksum of a header comes to a given one."""
    wanted = crc32(body, initial) ^ crc
    rows: list[tuple[int, int]] = []  # what a bit changes in the checksum, and which bits they are
    for bit in range(32):
        flipped = bytearray(body)
        flipped[at + bit // 8] ^= 1 << bit % 8
        effect, which = crc32(flipped, initial) ^ crc32(body, initial), 1 << bit
        for other, bits in rows:
            if effect ^ other < effect:
                effect, which = effect ^ other, which ^ bits
        rows.append((effect, which))
        rows.sort(reverse=True)
    bits = 0
    for effect, which in rows:
        if wanted ^ effect < wanted:
            wanted, bits = wanted ^ effect, bits ^ which
    assert not wanted
    changed = int.from_bytes(body[at : at + 4], "little") ^ bits
    return body[:at] + changed.to_bytes(4, "little") + body[at + 4 :]


def other_author(data: bytes) -> bytes:
    """Changes an administrator's name in a segment of format 1, and no checksum after that: another
    boot time of the frame makes up for it."""
    found = Log.of({"log/seg/" + "0" * 20 + "." + "0" * 10 + ".evl": data}).segments[0]
    place = 128
    for one in found.frames:
        if one.header.kind == 2 and b'"token":"' in one.plain:
            break
        place += one.header.size
    else:
        raise AssertionError
    at = data.index(b'"token":"', place) + len(b'"token":"')
    changed = bytearray(data)
    changed[at] ^= 1
    payload = changed[place + 80 : place + 80 + len(one.plain) + len(one.protected)]
    head = bytes(changed[place : place + 64]) + crc32(payload).to_bytes(4, "little")
    head += bytes(changed[place + 68 : place + 76])
    crc = int.from_bytes(data[place + 76 : place + 80], "little")
    head = same_crc(head, 48, crc, crc32(found.log_id))
    return bytes(changed[:place]) + head + bytes(changed[place + 76 :])


def test_an_author_of_format_1(tmp_path: Path) -> None:
    """Checksums, chain and seal are right, and the snapshots are gone, so that a start reads the
    log from its beginning."""
    files = went_over(tmp_path / "served")
    check_accepted(tmp_path / "site", files)
    changed = resealed(files)
    changed = {name: data for name, data in changed.items() if not name.endswith(".snap")}
    check_refused(tmp_path / "site", changed)


def resealed(files: Files) -> Files:
    """Changes an author in a segment of format 1, whose seal is made right again."""
    name = next(
        name
        for name, data in sorted(files.items())
        if name.endswith(".evl") and data[8] == 1 and b'"token":"' in data
    )
    data = other_author(files[name])
    assert data != files[name]
    assert data[-16:] == files[name][-16:]
    seal = name.replace("/seg/", "/seal/").replace(".evl", ".json")
    content = json.loads(files[seal]) | {"sha256": sha256(data).hexdigest()}
    return {**files, name: data, seal: json.dumps(content).encode() + b"\n"}


# Links.


def test_links_in_the_folder(tmp_path: Path) -> None:
    """What the tracker writes in the log's folder does not go through links into the secrets."""
    files = dict(site())
    folder = tmp_path / "site"
    put(folder, files)
    key = folder / "secrets" / "server.key"
    lock = folder / "log" / "LOCK"
    lock.symlink_to(key)
    assert "LOCK is a link" in str(refusal(folder))
    assert key.read_bytes() == files["secrets/server.key"]
    lock.unlink()

    keyring = Keyring(folder / "secrets")
    log = open_log(folder / "log", {**codec.RECORD_SIZES, 99: 0}, keyring.tags)
    state = replay(Reader(folder / "log", to_end=True, keys=keyring))
    (folder / "log" / "snap").mkdir()
    name = f"{state.seq:020d}.snap.{os.getpid()}.tmp"
    (folder / "log" / "snap" / name).symlink_to(key)
    snapshot = snapshots.write(folder / "log", state, keyring)
    assert snapshot is not None
    assert not snapshot.is_symlink()
    segment = folder / "log" / "seg" / f"{log.next_seq:020d}.{log.epoch:010d}.tmp"
    segment.symlink_to(key)

    async def main() -> None:
        async with running(log):
            await log.wait_durable(log.pool.append(99, 1, 2**57, b""))

    trio.run(main)
    assert not segment.with_suffix(".evl").is_symlink()
    assert key.read_bytes() == files["secrets/server.key"]
