"""Every declared event can be read back as it was written, in the log's canonical form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import START_US, steady
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.domain.events.records import RECORDS
from tracker.domain.hit_and_run import Rule
from tracker.domain.moved import Moved
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent, FixedRecord

TEXTS = st.text(max_size=20)
POLICIES = st.builds(Policy, max_peers=st.integers(0, 99), clients_denied=st.just(("AZ", "XX")))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bytes: st.binary(min_size=20, max_size=20),
    int: st.integers(-(2**64) + 1, 2**64 - 1),
    str: TEXTS,
    dict[str, str]: st.dictionaries(TEXTS, TEXTS),
    tuple[str, ...]: st.lists(TEXTS).map(tuple),
    tuple[int, ...]: st.lists(st.integers(1, 99)).map(tuple),
    Settings: st.builds(Settings, private=st.booleans(), interval=st.integers(), policy=POLICIES),
    Rule: st.builds(
        Rule, window=st.sampled_from([None, 1]), seed_by_size=st.just(((1, 2), (3, 4)))
    ),
    Moved: st.builds(Moved, uploaded=st.integers(0, 2**64 - 1), snatched=st.integers(0, 9)),
    bool: st.booleans(),
    type(None): st.none(),
}
SIZES = {"H": 2, "I": 4, "Q": 8}


def value(hint: Any) -> st.SearchStrategy[Any]:
    if hint in VALUES:
        return VALUES[hint]
    if get_origin(hint) is not None and get_args(hint):
        return st.one_of(*map(value, get_args(hint)))
    raise AssertionError(f"a member of type {hint} needs an example here")


def admin_events() -> st.SearchStrategy[AdminEvent]:
    return st.sampled_from(list(ADMIN_EVENTS.values())).flatmap(
        lambda cls: st.builds(
            cls, **{each.name: value(get_type_hints(cls)[each.name]) for each in attrs.fields(cls)}
        )
    )


def part(code: str, size: str) -> st.SearchStrategy[Any]:
    """Draws a value for one part of a layout."""
    if code in SIZES:
        return st.integers(0, 2 ** (8 * SIZES[code]) - 1)
    return st.binary(min_size=int(size), max_size=int(size))


def text(size: str) -> st.SearchStrategy[str]:
    fits = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=int(size))
    return fits.filter(lambda each: len(each.encode()) <= int(size))


def fixed_records() -> st.SearchStrategy[FixedRecord]:
    def records(cls: type[FixedRecord]) -> st.SearchStrategy[FixedRecord]:
        parts = [
            each for each in re.findall(r"(\d*)([a-zA-Z])", cls.layout.format) if each[1] != "x"
        ]
        hints = get_type_hints(cls)
        values = {
            each.name: text(size) if hints[each.name] is str
            else st.booleans() if hints[each.name] is bool
            else part(code, size)
            for each, (size, code) in zip(attrs.fields(cls), parts, strict=True)
        }  # fmt: skip
        return st.builds(cls, **values)

    return st.sampled_from(list(RECORDS.values())).flatmap(records)


@steady
@given(admin_events())
def test_admin_events_come_back(event: AdminEvent) -> None:
    """An event comes back with every member; the JSON omits members at their default."""
    plain = codec.encode_event(event, START_US)
    (record,) = codec.decode_admin(plain)
    assert (record.event(), record.time_us, record.known) == (event, START_US, True)
    assert codec.encode_admin(event.number, START_US, record.data) == plain
    defaults = {
        one.name for one in attrs.fields(type(event)) if getattr(event, one.name) == one.default
    }
    required = {one.name for one in attrs.fields(type(event)) if one.default is attrs.NOTHING}
    members = {one.name for one in attrs.fields(type(event))}
    assert set(record.data) == members - (defaults - required)


@steady
@given(admin_events(), TEXTS)
def test_more_members_change_nothing(event: AdminEvent, more: str) -> None:
    """Members of a later version are ignored."""
    data = codec.to_data(event)
    assert codec.from_data(event.number, {f"{more} of later": 1, **data}) == event


@steady
@given(st.lists(fixed_records(), max_size=3))
def test_records_come_back(records: list[FixedRecord]) -> None:
    """Records come back one by one, each of the size that the event log knows."""
    for record in records:
        plain = record.pack() * 2
        assert len(plain) == 2 * codec.RECORD_SIZES[record.kind]
        assert list(codec.decode_records(record.kind, plain)) == [record, record]


@pytest.mark.parametrize("number", ADMIN_EVENTS)
def test_what_is_missing_or_of_another_type_is_damage(number: int) -> None:
    """A missing member without default, or one of another type, is damage."""
    cls = ADMIN_EVENTS[number]
    required = [one.name for one in attrs.fields(cls) if one.default is attrs.NOTHING]
    if required:
        with pytest.raises(codec.CodecError, match=cls.name):
            codec.from_data(number, {})
    for each in attrs.fields(cls):
        with pytest.raises(codec.CodecError, match=cls.name):
            codec.from_data(number, {**dict.fromkeys(required, "00"), each.name: 1.5})
