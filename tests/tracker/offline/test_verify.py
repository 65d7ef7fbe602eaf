"""Verification finds events that are wrong although the checksums of their bytes are right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import EventLog, open_log
from tests.eventlog.logs import running, segments
from tests.support import SECOND, Announce, Rig, endpoint4, own_keys
from tests.tracker.logged import HASH, record, write_log
from tracker.domain import events
from tracker.domain.events import codec, schemas
from tracker.domain.events.admin import KeyRevoked, TrackerStopped
from tracker.domain.events.records import Counted
from tracker.offline.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventlog import Finding

UNKNOWN = 77


def no_progress(_done: int, _total: int) -> None:
    """Drops the progress."""


def verify(folder: Path) -> tuple[Verification, list[Finding]]:
    verification = Verification(folder)
    return verification, list(verification.findings(no_progress))


def test_a_healthy_log(tmp_path: Path) -> None:
    """A healthy log has no findings, and its replay gives the state of the live tracker."""
    write_log(tmp_path)
    verification, findings = verify(tmp_path)
    assert findings == []
    live = record()
    assert (verification.state.digest(), verification.replayed) == (live[max(live)], True)


def test_damage_ends_the_replay_and_not_the_check(tmp_path: Path) -> None:
    """Records behind a lost frame are still checked. The state is that before the frame."""
    write_log(tmp_path)
    for path in segments(tmp_path)[1:3]:
        data = bytearray(path.read_bytes())
        data[300] ^= 1
        path.write_bytes(data)
    verification, findings = verify(tmp_path)
    assert [one.path for one in findings] == segments(tmp_path)[1:3]
    assert verification.state.seq == int(segments(tmp_path)[1].name[:20])
    assert not verification.replayed


def append_raw(log: EventLog, kind: int, schema: int, record: bytes, *, records: int = 1) -> None:
    """Appends a record without the checks of the tracker."""
    frame = log.pool.frame(kind, schema, 10**16)
    frame.plain += record
    frame.variable += records
    log.appended()


def admin(body: bytes, kind: int = TrackerStopped.number, schema: int = 1) -> bytes:
    return codec.ADMIN.pack(len(body), kind, schema, 10**16) + body + bytes(-len(body) % 16)


STOPPED = codec.encode_admin(TrackerStopped.number, 10**16, {"reason": "signal"})
COUNTED = Counted(10**16, 1, 0, 1).pack()


def append_earlier(log: EventLog) -> None:
    append_raw(log, Counted.kind, 1, COUNTED + Counted(5, 1, 0, 1).pack())


def announce(
    log: EventLog, what: int, rule: int, prev_seq: int = 0, key_ref: int = 0, client: int = 0
) -> None:
    plain = codec.PLAIN.pack(
        10**16, HASH, bytes(8), 0, 0, 0, key_ref, prev_seq, 0, 0, 0, what, rule, client
    )
    frame = log.pool.frame(events.ANNOUNCE, schemas.NEWEST[events.ANNOUNCE], 10**16)
    frame.plain += plain
    frame.protected += codec.PROTECTED.pack(bytes(16), bytes(12), bytes(2), 0)
    log.appended()


HARM: dict[str, tuple[Callable[[EventLog], None], list[str]]] = {
    "kind": (
        lambda log: append_raw(log, UNKNOWN, 1, b"?" * 16),
        [
            "1 records of kind 77, schema 1, are unknown to this version",
            "replay ends in this frame",
        ],
    ),
    "schema": (
        lambda log: append_raw(log, Counted.kind, 9, COUNTED),
        ["1 records of kind 4, schema 9, are unknown", "replay ends in this frame: event 1 is of"],
    ),
    "too many protected bytes": (
        lambda log: (
            log.pool.frame(Counted.kind, 1, 10**16).protected.extend(b"16 bytes too many")
            or append_raw(log, Counted.kind, 1, COUNTED)
        ),
        ["1 records of kind 4 do not have this length"],
    ),
    "fewer admin records than are counted": (
        lambda log: append_raw(log, events.ADMIN, 1, STOPPED, records=2),
        ["2 records of kind 2 do not have this length"],
    ),
    "admin type": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b"{}", kind=999)),
        ["an admin event of type 999, schema 1, unknown", "replay ends in this frame: event"],
    ),
    "admin schema": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b"{}", schema=2)),
        ["an admin event of type 2, schema 2, unknown", "replay ends in this frame"],
    ),
    "not canonical": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b'{"reason":"", "a":2}')),
        ["an admin event that is not in canonical form"],
    ),
    "padding": (
        lambda log: append_raw(log, events.ADMIN, 1, STOPPED[:-1] + b"!"),
        ["an admin event that is not in canonical form"],
    ),
    "a float": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b'{"a":1.5,"reason":""}')),
        ["an admin event whose JSON cannot be read"],
    ),
    "no JSON": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b"{")),
        ["an admin event whose JSON cannot be read", "replay ends in this frame"],
    ),
    "no object": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b"[]")),
        ["an admin event whose JSON is no object", "replay ends in this frame"],
    ),
    "a field is missing": (
        lambda log: append_raw(log, events.ADMIN, 1, admin(b"{}", KeyRevoked.number)),
        ["replay ends in this frame: key_revoked: 'key_hash' is missing"],
    ),
    "time": (append_earlier, ["log time goes back"]),
    "event": (lambda log: announce(log, 0x09, 1), ["event and protocol 0x09"]),
    "protocol": (
        lambda log: announce(log, 0x70, 1),
        ["event and protocol 0x70", "replay ends in this frame"],
    ),
    "rule": (lambda log: announce(log, 0, 8), ["by rule 8, unknown"]),
    "client": (
        lambda log: announce(log, 0, 1, client=4097),
        ["an announce of client 4097, beyond all numbers of clients"],
    ),
    "predecessor": (
        lambda log: announce(log, 0, 1, prev_seq=1),
        ["replay ends in this frame: event 1 continues 1, but that peer's last announce is 0"],
    ),
    "a key that was never issued": (
        lambda log: announce(log, 0, 1, key_ref=5),
        ["replay ends in this frame"],
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_events_that_no_tracker_writes(tmp_path: Path, name: str) -> None:
    """Each impossible event is found at its frame and described."""
    harm, texts = HARM[name]
    sizes = {**codec.RECORD_SIZES, UNKNOWN: 16}
    log = open_log(tmp_path, sizes, own_keys(tmp_path).tags, linger_seconds=0)

    async def main() -> None:
        async with running(log):
            append_raw(
                log,
                events.ADMIN,
                1,
                admin(json.dumps({"reason": "x"}, separators=(",", ":")).encode()),
            )
            await log.wait_durable(log.next_seq - 1)
            harm(log)

    trio.run(main)
    _, findings = verify(tmp_path)
    assert len(findings) == len(texts), findings
    for one, text in zip(findings, texts, strict=True):
        assert text in one.what
        assert (one.path.suffix, one.offset > 128, one.damage) == (".evl", True, True)


def test_a_restart_at_a_torn_end(tmp_path: Path) -> None:
    """After a crash and a restart the cut-off bytes are reported as quarantined, and the log is
    whole."""
    write_log(tmp_path, segment_bytes=1 << 20)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    _, (torn,) = verify(tmp_path)
    assert not torn.damage

    def again(rig: Rig) -> Iterator[None]:
        rig.time.advance(1000 * SECOND)
        rig.announce(Announce(HASH, endpoint4(1)))
        yield

    write_log(tmp_path, again)
    _, (kept,) = verify(tmp_path)
    assert (kept.damage, kept.path.parent.name) == (False, "quarantine")
