"""The promises of the format about versions: older schemas are read, newer events are passed over
or named.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
import trio

import eventlog.log
from eventlog import IGNORABLE, LogError, LogFormatError, Reader, open_log
from tests.eventlog.logs import running
from tests.golden.test_log_v1 import FOLDER, contents
from tests.support import (
    START_US,
    Announce,
    Rig,
    StillLog,
    append_json,
    endpoint4,
    hash_of,
    own_keys,
)
from tests.tracker.logged import write_log
from tracker.cli import main
from tracker.domain import events, image
from tracker.domain.events import codec, schemas
from tracker.domain.events.admin import (
    KeyRevoked,
    SettingsChanged,
    TorrentWhitelisted,
    TrackerStarted,
)
from tracker.domain.events.records import Counted
from tracker.domain.settings import Settings
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ledger.account import Ledger
from tracker.offline.verify import Verification
from tracker.ports import EventFilter, LedgerAnnounce, LogPart, Moment
from tracker.service.read_model import Projection
from tracker.store import snapshots
from tracker.store.moments import ForwardReplay
from tracker.store.replay import replay
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventlog import EventLog, Finding

HASH = hash_of(1)
KILO = 1024


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)


# Older schemas. The format has none yet, so a made-up later version changes some members.


def kilobytes(plain: schemas.Section, protected: schemas.Section) -> schemas.Sections:
    """Converts an announce of the previous schema, which counted kilobytes."""
    rows = [list(row) for row in codec.PLAIN.iter_unpack(plain)]
    for row in rows:
        row[3] *= KILO
        row[4] *= KILO
    return b"".join(codec.PLAIN.pack(*row) for row in rows), protected


def tens(plain: schemas.Section, protected: schemas.Section) -> schemas.Sections:
    rows = Counted.layout.iter_unpack(plain)
    return b"".join(Counted.layout.pack(*row[:3], row[3] * 10) for row in rows), protected


def renamed(data: dict[str, Any]) -> dict[str, Any]:
    return {"info_hash": data.pop("torrent"), **data}


def release(patch: pytest.MonkeyPatch) -> None:
    """Makes a version with newer schemas the current one."""
    for kind, step in (events.ANNOUNCE, kilobytes), (Counted.kind, tens):
        patch.setitem(schemas.STEPS, (kind, schemas.NEWEST[kind]), step)
        patch.setitem(schemas.NEWEST, kind, schemas.NEWEST[kind] + 1)
    patch.setitem(schemas.NEWEST_ADMIN, TorrentWhitelisted.number, 2)
    patch.setitem(schemas.ADMIN_STEPS, (TorrentWhitelisted.number, 1), renamed)


def before(rig: Rig) -> Iterator[None]:
    """Writes events of the older schemas: announces of a key, counts and a renamed member."""
    rig.service.change_settings(Settings(private=True))
    anna = rig.issue(1, owner="anna")
    data = codec.encode_admin(TorrentWhitelisted.number, START_US, {"torrent": HASH.hex()})
    rig.log.pool.append(events.ADMIN, 1, START_US, data)
    rig.state.seq += 1
    for number in range(3):
        rig.announce(Announce(HASH, endpoint4(1), uploaded=number, key=anna))
    rig.service.count(events.UDP4_CONNECTS)
    rig.service.flush_counters()
    yield


def test_an_older_schema_is_read_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replay, events, API, verify, ledger, follower and moments read an older schema as the newest
    one.
    """
    log = tmp_path / "log"
    write_log(log, before)
    release(monkeypatch)
    state = replay(Reader(log))
    assert state.accounts.totals(1).uploaded == 2 * KILO
    assert set(state.access.listed_after(b"")) == {HASH}
    assert state.tally.counters == {(events.UDP4_CONNECTS, 0): 10}
    assert main(["events", "--log", str(log)]) == 4  # without the secrets
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["uploaded"] for each in told if each["type"] == "announced"] == [0, KILO, 2 * KILO]
    assert [each["delta"] for each in told if each["type"] == "counted"] == [10]
    assert {"torrent_whitelisted", HASH.hex()} < {
        str(each) for one in told for each in one.values()
    }
    worker = EventsWorker(log, None)
    log_events = LogEvents(
        StillLog(log, state.seq), state.access.account_of, trio.Event(), worker=worker
    )
    read = trio.run(log_events.read, LogPart(first=0), EventFilter(key_ref=1), 99)
    assert [one for one in read.events if one["type"] == "announced"] == [
        one for one in told if one["type"] == "announced"
    ]
    verification = Verification(log)
    assert list(verification.findings(lambda _done, _all: None)) == []
    assert verification.state.digest() == state.digest()
    entries = Ledger(1).entries(Reader(log).frames())
    assert [one.uploaded for one in entries if isinstance(one, LedgerAnnounce)] == [
        0,
        KILO,
        2 * KILO,
    ]
    past = ForwardReplay(log, lambda _done, _all: None)
    assert past.at(Moment(seq=4)).accounts.totals(1).uploaded == KILO
    follower = Follower(log, log / "secrets", lambda **_said: None)
    follower.catch_up()
    assert follower.state.digest() == state.digest()


def test_a_step_that_fails_names_kind_and_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that does not fit its schema is damage; the error names its kind and schema."""
    release(monkeypatch)
    with pytest.raises(codec.CodecError, match="records of kind 4 in schema 1"):
        schemas.newest(Counted.kind, 1, bytes(23), b"")
    with pytest.raises(codec.CodecError, match="admin event 10 in schema 1"):
        schemas.newest_admin(TorrentWhitelisted.number, 1, {})


@pytest.mark.parametrize("kind", schemas.NEWEST)
def test_every_older_schema_has_a_step(kind: int) -> None:
    """Each older schema has a step to the next one, and the newest has none."""
    assert [at for at in range(1, 20) if (kind, at) in schemas.STEPS] == list(
        range(1, schemas.NEWEST[kind])
    )


# Events of a newer version.

NEWER = {
    "kind": (77, 1, b"x" * 16, "records of kind 77, schema 1"),
    "schema": (Counted.kind, 2, bytes(24), "records of kind 4, schema 2"),
    "admin type": (
        events.ADMIN, 1, codec.encode_admin(999, START_US, {"a": 1}), "type 999, schema 1",
    ),
    "admin schema": (
        events.ADMIN, 1, codec.encode_admin(KeyRevoked.number, START_US, {}, schema=2),
        "type 21, schema 2",
    ),
}  # fmt: skip


def write_newer(folder: Path, name: str, flags: int) -> int:
    """Writes an event of version 7.1 and a count after it; returns the number of the event."""
    kind, schema, record, _ = NEWER[name]
    log = open_log(folder, {**codec.RECORD_SIZES, 77: 16}, own_keys(folder).tags, linger_seconds=0)

    async def write() -> int:
        async with running(log):
            started = codec.encode_admin(
                TrackerStarted.number, START_US, {"version": "7.1", "epoch": 1}
            )
            await commit(log, events.ADMIN, 1, started)
            number = await commit(log, kind, schema, record, flags)
            counted = Counted(START_US, events.UDP4_CONNECTS, 0, 1).pack()
            await commit(log, Counted.kind, 1, counted)
        return number

    return trio.run(write)


async def commit(log: EventLog, kind: int, schema: int, record: bytes, flags: int = 0) -> int:
    seq = log.pool.append(kind, schema, START_US, record)
    log.pool.frame(kind, schema, START_US).flags = flags
    log.appended()
    await log.wait_durable(seq)
    return seq


def verify(log: Path) -> list[Finding]:
    return list(Verification(log).findings(lambda _done, _all: None))


@pytest.mark.parametrize("name", NEWER)
def test_an_unknown_optional_event_is_passed_over(tmp_path: Path, name: str) -> None:
    """Replay passes over an unknown optional event; its number counts, and `verify` checks and
    notes it.
    """
    seq = write_newer(tmp_path, name, IGNORABLE)
    state = replay(Reader(tmp_path))
    assert (state.seq, state.tally.counters) == (seq + 2, {(events.UDP4_CONNECTS, 0): 1})
    (note,) = verify(tmp_path)
    assert (note.damage, note.seq) == (False, seq)
    assert NEWER[name][3] in note.what
    assert ForwardReplay(tmp_path, lambda _done, _all: None).at(Moment(seq=seq)).seq == seq + 1
    assert list(Ledger(1).entries(Reader(tmp_path).frames())) == []


@pytest.mark.parametrize("name", NEWER)
def test_an_unknown_required_event_is_named(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error for an unknown required event has its number, kind, schema and writer. Reading the
    log goes on.
    """
    seq = write_newer(tmp_path, name, 0)
    kind, schema, *_ = NEWER[name]
    with pytest.raises(codec.UnknownEventError) as caught:
        replay(Reader(tmp_path))
    said = str(caught.value)
    assert f"event {seq} is" in said
    assert "version 7.1 wrote it: use that one or a later one" in said
    unknown, ends = verify(tmp_path)
    assert (unknown.damage, unknown.seq) == (True, seq)
    assert NEWER[name][3] in unknown.what
    assert said in ends.what
    assert "newer version" in ends.advice
    assert main(["events", "--log", str(tmp_path)]) == 4  # without the secrets
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["type"] for each in told] == ["tracker_started", "unknown", "counted"]
    assert told[1]["kind"] == kind
    if kind == 77:
        assert (told[1]["schema"], told[1]["plain"]) == (schema, b"x".hex() * 16)


@pytest.mark.parametrize("name", NEWER)
def test_an_unknown_event_ends_a_ledger(tmp_path: Path, name: str) -> None:
    """A ledger ends at an unknown event, because that event may concern the account."""
    write_newer(tmp_path, name, 0)
    with pytest.raises(codec.UnknownEventError, match="event 1 is"):
        list(Ledger(1).entries(Reader(tmp_path).frames()))


def test_unknown_accounting_rules_are_refused() -> None:
    """Unknown settings are ignored, but unknown rules of accounting are refused."""
    rig = Rig()
    data = Settings().as_data()
    append_json(rig.service, SettingsChanged.number, {"settings": {**data, "colour": "red"}})
    with pytest.raises(codec.UnknownEventError, match=r"rules \(1, 3\)"):
        append_json(rig.service, SettingsChanged.number, {"settings": {**data, "accounting": 3}})


def test_unknown_members_are_ignored_and_shown() -> None:
    """Replay ignores unknown members of an admin event, and `tracker events` shows them."""
    rig = Rig()
    data = {"info_hash": HASH.hex(), "by": {"token": "ops", "colour": "red"}, "since": 7}
    append_json(rig.service, TorrentWhitelisted.number, data)
    assert set(rig.state.access.listed_after(b"")) == {HASH}
    (event,) = rig.events()
    assert {name: event[name] for name in data} == data


# Openings, which every later version reads.


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """A copy of the golden log that begins with an opening."""
    shutil.copytree(FOLDER / "pruned", tmp_path / "site")
    return tmp_path / "site" / "log"


@pytest.mark.parametrize("newest", ["opening", "snapshot"])
def test_an_image_of_earlier_rules_is_read(
    pruned: Path, newest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An opening and a snapshot of earlier rules are converted column by column."""
    whole = replay(Reader(pruned))
    keys = own_keys(pruned)
    if newest == "snapshot":
        assert snapshots.write(pruned, whole, keys)
    monkeypatch.setattr(image, "PROJECTOR", image.PROJECTOR + 1)

    def step(plain: dict[str, image.Buffer]) -> dict[str, image.Buffer]:
        rest = json.loads(bytes(plain["state"]))
        assert rest["counters"][0][:2] == [events.UDP4_CONNECTS, 0]
        rest["counters"][0][2] += 41
        return {**plain, "state": json.dumps(rest).encode()}

    monkeypatch.setitem(image.STEPS, image.PROJECTOR - 1, step)
    begun, reader = snapshots.start(pruned, keys, refused=pytest.fail)
    assert begun.seq == (whole.seq if newest == "snapshot" else reader.first_seq) > 0
    state = replay(reader, state=begun)
    whole.tally.counters[events.UDP4_CONNECTS, 0] += 41
    assert state.tally.counters == whole.tally.counters
    assert state.digest(addresses=False) == whole.digest(addresses=False)


def test_every_earlier_rules_have_a_step() -> None:
    """All rules since the first release have a step to the next."""
    assert sorted(image.STEPS) == list(range(1, image.PROJECTOR))


def test_an_opening_from_before_keys_had_a_last_use(pruned: Path) -> None:
    """Keys in an opening of rules 1 count as never used; their accounts keep the time last seen."""
    begun, reader = snapshots.start(pruned, None)
    keys = list(Projection(begun, {}).keys(0))
    assert [(key.key_ref, key.used_us) for key in keys] == [(1, None), (2, None)]
    assert all(key.account_seen_us for key in keys)
    state = replay(reader, state=begun)
    assert [key.used_us == key.account_seen_us for key in Projection(state, {}).keys(0)] == [
        True
    ] * 2


def test_an_opening_of_later_rules_is_refused(
    pruned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for an opening of later rules says what to do, and does not call it damage."""
    monkeypatch.setattr(image, "PROJECTOR", 0)
    with pytest.raises(
        LogFormatError, match=r"rules 1, .* use the version that wrote it, or a later"
    ):
        replay(Reader(pruned))
    assert any("use that one" in one.advice for one in verify(pruned))


# Files of another format.


def set_format(site: Path, file: str, number: int) -> None:
    """Writes another format number into the first file that matches."""
    path = min(site.glob(file))
    data = path.read_bytes()
    if path.suffix == ".json":
        path.write_bytes(data.replace(b'"format": 1', b'"format": %d' % number))
        return
    size = {".evl": 128, ".evk": 64, ".opening": 128}[path.suffix]
    head = data[:8] + number.to_bytes(2, "little") + data[10 : size - 4]
    data = head + crc32(head).to_bytes(4, "little") + data[size:]
    path.write_bytes(data)


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("file", ["identity.json", "seg/*", "seal/*"])
def test_another_format_is_refused_untouched(pruned: Path, file: str, number: int) -> None:
    """A start refuses another format before it writes anything, the lock included, and says what to
    do.
    """
    set_format(pruned, file, number)
    tags = own_keys(pruned).tags
    there = contents(pruned)
    what = "is of format 0, .* Move the log folder away" if not number else "is of format 3, and"
    with pytest.raises(LogFormatError, match=what):
        open_log(pruned, codec.RECORD_SIZES, tags)
    left = contents(pruned)
    left.pop(pruned / "LOCK", None)
    assert left == there
    assert (file == "seal/*") or not (pruned / "LOCK").exists()


@pytest.mark.parametrize("file", ["identity.json", "seg/*", "kept/*", "opening/*"])
def test_reading_another_format(
    pruned: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`events` and `replay` report another format with the exit code for a broken log."""
    set_format(pruned, file, 3)
    codes = [main([name, "--log", str(pruned)]) for name in ("events", "replay")]
    assert 3 in codes
    assert "of format 3" in capsys.readouterr().err


def test_the_folder_of_a_pre_release_is_no_empty_folder(tmp_path: Path) -> None:
    """No new log begins in the folder of a pre-release, whose segments had other names."""
    (tmp_path / "seg").mkdir()
    (tmp_path / "seg" / f"{0:020d}.000001.evl").write_bytes(b"old")
    with pytest.raises(LogError, match="is missing, but the folder holds segments"):
        open_log(tmp_path, codec.RECORD_SIZES, own_keys(tmp_path).tags)


def test_seals_may_have_more_fields(pruned: Path) -> None:
    """Unknown fields of a seal are ignored, and known fields are checked."""
    path = min((pruned / "seal").iterdir())
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps({**said, "root": "later"}) + "\n")
    assert verify(pruned) == []
    path.write_text(json.dumps({**said, "root": "later", "length": said["length"] + 1}) + "\n")
    assert [one.damage for one in verify(pruned)] == [True]
