"""Events as JSON for people and tools: every kind, every field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from eventlog import Frame
from tests.support import START_US, Announce, Rig, endpoint6, events_in, hash_of
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS, KeyRevoked, TrackerStarted
from tracker.domain.settings import Settings
from tracker.history import event_json
from tracker.times import rfc3339

TIME = "2027-01-15T08:00:00.000000Z"


def test_announced() -> None:
    """An announce shows nineteen fields, from both sections of the record."""
    rig = Rig.with_settings()
    one = Announce(
        info_hash=hash_of(5),
        endpoint=endpoint6(7, 1),
        peer_id=bytes(range(20)),
        uploaded=2**63 - 1,
        downloaded=2,
        left=3,
        event=events.STARTED,
        udp=False,
        numwant=44,
        flags=0,
        key_hash=65535,
        listener=255,
    )
    rig.announce(one, evolve(one, event=events.PAUSED))
    _, first, second = rig.events()
    assert first == {
        "seq": 1,
        "time": TIME,
        "type": "announced",
        "info_hash": hash_of(5).hex(),
        "peer_id": bytes(range(20)).hex(),
        "address": "2001:db8::7",
        "port": 1,
        "uploaded": 2**63 - 1,
        "downloaded": 2,
        "left": 3,
        "event": "started",
        "numwant": 44,
        "compact": True,
        "protocol": "http",
        "listener": 255,
        "key_ref": None,
        "client_key_hash": 65535,
        "prev_seq": None,
        "rule": "first",
        "client": None,
    }
    changed = {"seq": 2, "event": "paused", "prev_seq": 1, "rule": "continued"}
    assert second == {**first, **changed}


FIELDS: dict[str, tuple[dict[str, Any], object]] = {
    "left": ({"left": events.LEFT_UNKNOWN}, None),
    "numwant": ({"flags": events.FLAG_NUMWANT_ABSENT}, None),
    "compact": ({"flags": events.FLAG_DICTIONARIES}, False),
    "protocol": ({"udp": True}, "udp"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_absent_fields_are_null(name: str) -> None:
    """An absent or unknown value is null, and a flag is a word."""
    changed, expected = FIELDS[name]
    rig = Rig()
    rig.announce(evolve(Announce(hash_of(1), endpoint6(1)), **changed))
    assert rig.events()[0][name] == expected


def test_the_other_kinds() -> None:
    """Ticks, counters and admin events come in the order of the log."""
    rig = Rig()
    rig.service.append(TrackerStarted("1.0", 3))
    rig.service.tick()
    rig.service.count(events.UDP_DROPPED)
    rig.service.flush_counters()
    rig.service.change_settings(Settings(interval=9))
    assert rig.events() == [
        {"seq": 0, "time": TIME, "type": "tracker_started", "version": "1.0", "epoch": 3, "wall_us": START_US},
        {
            "seq": 1, "time": TIME, "type": "tick", "interval_ms": 10_000, "goes_on": False,
            "wall_us": START_US,
        },
        {
            "seq": 2, "time": TIME, "type": "counted",
            "counter": "udp_dropped", "label": 0, "delta": 1,
        },
        {
            "seq": 3, "time": TIME, "type": "settings_changed",
            "settings": Settings(interval=9).as_data(),
        },
    ]  # fmt: skip
    assert {event["type"] for event in rig.events()} < set(codec.EVENT_TYPES)


@pytest.mark.parametrize("kind", ADMIN_EVENTS)
def test_every_admin_event_has_a_name(kind: int) -> None:
    """Every admin event has a name, and filters accept that name."""
    frame = admin_frame(codec.encode_admin(kind, START_US, {"text": "пароль"}))
    (event,) = events_in([frame])
    assert event == {
        "seq": 4, "time": TIME, "type": ADMIN_EVENTS[kind].name, "text": "пароль",
    }  # fmt: skip
    assert event["type"] in codec.EVENT_TYPES


def admin_frame(plain: bytes, kind: int = events.ADMIN) -> Frame:
    rig = Rig()
    rig.service.tick()
    header = rig.log.frames()[0].header._replace(kind=kind, schema=1, base_seq=4)
    return Frame(header, memoryview(plain), memoryview(b""))


def test_lines_are_json() -> None:
    """An event is one line of compact JSON with no needless escapes."""
    (event,) = events_in([admin_frame(codec.encode_admin(3, START_US, {"a": "ü\n"}))])
    text = event_json.line(event)
    assert "\n" not in text
    assert text == f'{{"seq":4,"time":"{TIME}","type":"clock_stepped","a":"ü\\n"}}'
    assert json.loads(text) == event


@pytest.mark.parametrize("kind", [0, 224, 0xF0, 255])
def test_unknown_kinds(kind: int) -> None:
    """A frame of an unknown kind is one line that shows its bytes as hex."""
    assert events_in([admin_frame(b"\1\2", kind)]) == [
        {
            "seq": 4, "time": TIME, "type": "unknown", "kind": kind, "schema": 1, "events": 1, "plain": "0102",
            "sealed": "",
        }
    ]  # fmt: skip


def test_unknown_admin_events() -> None:
    """An admin event of an unknown type or schema keeps its JSON under `data`."""
    data = {"seq": 1, "b": [2]}
    frame = admin_frame(codec.encode_admin(999, START_US, data))
    newer = admin_frame(codec.encode_admin(KeyRevoked.number, START_US, data, schema=2))
    body = {"seq": 4, "time": TIME, "type": "unknown", "kind": 2}
    assert events_in([frame, newer]) == [
        {**body, "admin_type": 999, "schema": 1, "data": data},
        {**body, "admin_type": KeyRevoked.number, "schema": 2, "data": data},
    ]


BROKEN = {
    "half a head": b"\1\0\0\0",
    "not JSON": codec.ADMIN.pack(1, 3, 1, 0) + b"{" + bytes(15),
    "not UTF-8": codec.ADMIN.pack(3, 3, 1, 0) + b'"\xff"' + bytes(13),
    "longer than the frame": codec.ADMIN.pack(99, 3, 1, 0) + b"{}" + bytes(14),
    "no object": codec.ADMIN.pack(1, 3, 1, 0) + b"7" + bytes(15),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_admin_records(name: str) -> None:
    """A record that contradicts its head is an error."""
    with pytest.raises(codec.CodecError):
        events_in([admin_frame(BROKEN[name])])


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (START_US + 999_999, "2027-01-15T08:00:00.999999Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times(time_us: int, text: str) -> None:
    """A time has all its microseconds, in UTC."""
    assert rfc3339(time_us) == text
