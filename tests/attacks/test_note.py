"""The log, its note in the secrets and the server's key belong together, or nothing starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio
from attrs import evolve

from eventlog import open_log
from tests.attacks.support import (
    NO_TAG,
    Files,
    Log,
    check_accepted,
    check_refused,
    files_in,
    site,
)
from tests.e2e.clients import api
from tests.e2e.process import Tracker
from tests.eventlog.logs import running
from tests.nonsense.whole import findings, no_progress, put, refusal
from tracker import ports
from tracker.config.schema import EventLog as LogConfig
from tracker.domain.events import codec
from tracker.offline import key_change
from tracker.store import high_water_mark
from tracker.store.high_water_mark import OlderLogError
from tracker.store.tag_keys import OtherKeyError, TagKeys

if TYPE_CHECKING:
    from pathlib import Path


def note_of(files: Files) -> str:
    (name,) = (name for name in files if "/reached/" in name)
    return name


# Cut off.


def test_cut_off(tmp_path: Path) -> None:
    """A change that was acknowledged before a kill is cut off, with and without a torn tail: the
    start is refused, and `verify` finds damage. Once the bytes are back the log is in order.
    """
    tracker = Tracker(tmp_path / "site").start()
    try:
        api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
        tracker.kill()
    finally:
        tracker.close()
    newest = max((tracker.folder / "log" / "seg").iterdir())
    whole = newest.read_bytes()
    end = whole.rindex(b"EVF2\x02", 0, whole.index(b"%040x" % 1))  # the frame of that change
    for tail in (b"", whole[end : end + 200], whole[end:-1][:150] + bytes(90)):
        newest.write_bytes(whole[:end] + tail)
        before = files_in(tracker.folder)
        assert "or its end was cut off" in tracker.start_refused(3)
        verified = tracker.command("verify")
        assert (verified.returncode, "DAMAGE: seg, " in verified.stdout) == (3, True)
        assert "or its end was cut off" in verified.stdout
        assert files_in(tracker.folder) == before
    newest.write_bytes(whole)
    assert tracker.command("verify").returncode == 0
    tracker.start()
    assert f"{1:040x}" in str(api(tracker, "/api/v2/whitelist"))
    assert tracker.stop() == 0


@pytest.mark.parametrize("segments", [1, 2])
def test_whole_segments_cut_off(tmp_path: Path, segments: int) -> None:
    """The newest segments and their seals are gone."""
    files = dict(site())
    for name in sorted(name for name in files if name.endswith(".evl"))[-segments:]:
        del files[name]
    for stem in {name.rpartition("/")[2][:-5] for name in files if "/seal/" in name}:
        if f"log/seg/{stem}.evl" not in files or f"log/seg/{stem}.evl" == max(
            name for name in files if name.endswith(".evl")
        ):
            files.pop(f"log/seal/{stem}.json")
    check_refused(tmp_path / "site", files)


def test_another_log(tmp_path: Path) -> None:
    """An empty folder, and a new log, in the place of the log: nothing is begun."""
    folder = tmp_path / "site"
    secrets = {name: data for name, data in site().items() if name.startswith("secrets/")}
    put(folder, secrets)
    assert isinstance(refusal(folder), OlderLogError)
    assert not (folder / "log").exists()
    identity = {"log/identity.json": site()["log/identity.json"]}
    put(folder, secrets | identity)
    (folder / "log" / "seg").mkdir()
    check_refused_as_it_is(folder)
    with_another_id = {"log/identity.json": identity["log/identity.json"].replace(b"0", b"1")}
    put(folder, secrets | with_another_id)
    (folder / "log" / "seg").mkdir()
    check_refused_as_it_is(folder)


def check_refused_as_it_is(folder: Path) -> None:
    before = files_in(folder)
    said = findings(folder)
    assert not isinstance(said, Exception)
    assert any(one.damage for one in said)
    assert isinstance(refusal(folder), OlderLogError)
    assert files_in(folder) == before


def without_tags() -> Log:
    """Returns the log with all frames written back as format 1."""
    log = Log.of(site())
    for one in log.segments:
        one.format, one.key_id, one.seed, one.tag = 1, NO_TAG, NO_TAG, NO_TAG
        one.digest, one.digest_seq = bytes(32), 0
        for at in range(len(one.frames)):
            one.alter(at, format=1)
    return log


def test_untagged_events_after_the_first_note(tmp_path: Path) -> None:
    """A start with tags wrote its first note, and no event: then nothing without a tag may follow.

    The frames of format 1 that follow stand in the segment that was there before.
    """
    log = without_tags()
    files = log.files()
    files = {name: data for name, data in files.items() if "/seal/" not in name}
    frames = Log.of(files).segments[-1].frames
    end = frames[-1].header
    for last, is_refused in ((end, False), (frames[-3].header, True)):
        put(tmp_path / "site", files)
        seq = last.base_seq + last.count
        assert is_refused == (seq < end.base_seq + end.count)
        mark = high_water_mark.Mark(seq, last.chain, 0, tagged_from=seq)
        log_id = bytes.fromhex(json.loads(files["log/identity.json"])["log_id"])
        high_water_mark.mark_path(tmp_path / "site" / "secrets", log_id).unlink()
        high_water_mark.write(tmp_path / "site" / "secrets", log_id, mark)
        if is_refused:
            check_refused(tmp_path / "site", files_in(tmp_path / "site"))
        else:
            assert refusal(tmp_path / "site") is None


def test_all_without_tags(tmp_path: Path) -> None:
    """All frames are written back as format 1, and the note is the newest one or an older one."""
    files = without_tags().files()
    check_refused(tmp_path / "site", files)
    files[note_of(files)] = site(1)[note_of(files)]
    check_refused(tmp_path / "site", files)


# The note.


@pytest.mark.parametrize("content", [None, b"", b"{}\n"])
def test_no_note(tmp_path: Path, content: bytes | None) -> None:
    """The note is gone, or says nothing."""
    files = dict(site())
    name = note_of(files)
    del files[name]
    if content is not None:
        files[name] = content
    check_refused(tmp_path / "site", files)


def test_an_older_note(tmp_path: Path) -> None:
    """A log beyond its note is honest: a crash leaves one, and so does a backup of the secrets."""
    files = dict(site())
    files[note_of(files)] = site(1)[note_of(files)]
    check_accepted(tmp_path / "site", files)


def test_a_newer_note(tmp_path: Path) -> None:
    """A log that was put back to what it was before."""
    files = dict(site(2))
    files[note_of(files)] = site(3)[note_of(files)]
    check_refused(tmp_path / "site", files)


@pytest.mark.parametrize("which", [0, -1])
def test_a_seal_is_gone(tmp_path: Path, which: int) -> None:
    """A seal that the note knows of; one that it does not know of may be missing."""
    files = dict(site())
    del files[sorted(name for name in files if "/seal/" in name)[which]]
    check_refused(tmp_path / "site", files)
    put(tmp_path / "site", files)
    log_id = bytes.fromhex(json.loads(files["log/identity.json"])["log_id"])
    secrets = tmp_path / "site" / "secrets"
    mark = high_water_mark.read(secrets, log_id)
    assert mark is not None
    high_water_mark.write(secrets, log_id, evolve(mark, number=mark.number + 1, sealed_to=0))
    check_accepted(tmp_path / "site", files_in(tmp_path / "site"))


# The server's key.


@pytest.mark.parametrize("content", [None, b"k" * 32, b"short"])
def test_the_servers_key(tmp_path: Path, content: bytes | None) -> None:
    """`server.key` is gone, or is another one: the start makes no new one."""
    files = dict(site())
    del files["secrets/server.key"]
    if content is not None:
        files["secrets/server.key"] = content
    check_refused(tmp_path / "site", files)


@pytest.mark.parametrize("there", [False, True], ids=["no segments", "damaged headers"])
def test_the_servers_key_and_the_segments(tmp_path: Path, there: bool) -> None:
    """`server.key` is gone, and so is every header that names it: the note tells of it, and the
    start makes no new one."""
    files = {name: data for name, data in site().items() if name != "secrets/server.key"}
    for name in [name for name in files if name.endswith(".evl")]:
        data = files.pop(name)
        if there:
            files[name] = data[:40] + bytes([data[40] ^ 1]) + data[41:]
    folder = tmp_path / "site"
    check_refused(folder, files)
    assert isinstance(refusal(folder), OtherKeyError)


def changed(folder: Path) -> Files:
    """Returns the files of the site after a change of its key; `folder` holds them."""
    put(folder, dict(site()))
    config = LogConfig(path=str(folder / "log"), secrets_path=str(folder / "secrets"))
    by = ports.Actor("change-server-key", "", "request-1", "it leaked")
    key_change.change(config, by, no_progress, lambda _: None)
    return files_in(folder)


def test_a_changed_key(tmp_path: Path) -> None:
    """The log starts with the new key; without the old one, or with that in its place, it does
    not."""
    files = changed(tmp_path / "site")
    check_accepted(tmp_path / "site", files)
    (retired,) = (name for name in files if "/retired/" in name)
    without = {name: data for name, data in files.items() if name != retired}
    check_refused(tmp_path / "site", without)
    check_refused(tmp_path / "site", {**without, "secrets/server.key": files[retired]})


def test_a_retired_key_makes_nothing_new(tmp_path: Path) -> None:
    """Whoever has seen the old key appends a segment with it, after the change."""
    folder = tmp_path / "site"
    files = changed(folder)
    (retired,) = (name for name in files if "/retired/" in name)
    thief = tmp_path / "thief"
    thief.mkdir()
    (thief / "server.key").write_bytes(files[retired])

    class Both(TagKeys):
        """Checks with both keys, and signs with the old one."""

        def tag(self, *args: object) -> bytes | None:
            return super().tag(*args) or TagKeys(folder / "secrets").tag(*args)  # type: ignore[arg-type]  # passed on

    log = open_log(folder / "log", {**codec.RECORD_SIZES, 99: 0}, Both(thief))

    async def main() -> None:
        async with running(log):
            await log.wait_durable(log.pool.append(99, 1, 2**57, b""))

    trio.run(main)
    check_refused(folder, files_in(folder))
    assert isinstance(refusal(folder), OtherKeyError)
