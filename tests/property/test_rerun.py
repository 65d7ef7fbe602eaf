"""A part of a random history comes out as recorded when it is decided again; an altered one does
not.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.property import replies
from tests.support import events_in, few_or_many
from tracker.domain.events import RULE_CONTINUED, RULE_NAMES, RULE_RESTARTED
from tracker.history.deciding import Difference
from tracker.history.rerun import NO_ADDRESS, NO_OTHER_ADDRESSES, Rerun

if TYPE_CHECKING:
    from eventlog import Frame

RECORD, UPLOADED, RULE = 80, 48, 77  # bytes of an announce, and places in it


def altered(frames: list[Frame], seq: int, at: int, value: int) -> list[Frame]:
    """Returns a copy of a log in which a byte of an announce is another one."""
    made = []
    for frame in frames:
        header = frame.header
        if header.base_seq <= seq < header.next_seq:
            plain = bytearray(frame.plain)
            plain[(seq - header.base_seq) * RECORD + at] = value
            made.append(frame._replace(plain=memoryview(bytes(plain))))
        else:
            made.append(frame)
    return made


@few_or_many(1, 20)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_every_decision_is_as_recorded(count: int, private: bool) -> None:
    """From wherever the re-run begins and ends: all announces, ticks and refusals are decided, and
    as they were. Without addresses nothing is called different.
    """
    for number in range(count):
        frames, _ = replies.life(f"rerun {number}", private, 2)
        events = events_in(frames)
        decided = ("announced", "tick", "announce_refused")
        chance, last = Random(number), len(events)
        for first, end in ((0, last), *(sorted(chance.sample(range(last), 2)) for _ in range(4))):
            rerun = Rerun(replies.Frames(frames), first, end)
            outcomes = list(rerun.outcomes())
            assert not [each for each in outcomes if each.differences or each.undecided]
            seqs = [each.frame.header.base_seq for each in outcomes]
            assert seqs == [each["seq"] for each in events[first:end] if each["type"] in decided]
        hidden = list(Rerun(replies.Frames(frames, hidden=True), 0, last).outcomes())
        assert not [each for each in hidden if each.differences]
        assert {each.undecided for each in hidden} <= {"", NO_ADDRESS, NO_OTHER_ADDRESSES}
        unread = sum(each.undecided == NO_ADDRESS for each in hidden)
        assert unread == sum(each["type"] == "announced" for each in events)


@few_or_many(1, 10)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_an_altered_rule_is_found(count: int, private: bool) -> None:
    """Where a record says another rule than was decided, the re-run names both, and goes on."""
    for number in range(count):
        frames, _ = replies.life(f"rule {number}", private, 2)
        events = events_in(frames)
        chosen = [each["seq"] for each in events if each.get("rule") == RULE_NAMES[RULE_CONTINUED]]
        if not chosen:  # staff refused everybody in this life
            continue
        seq = Random(number).choice(chosen)
        end = min((each["seq"] for each in events[seq:] if each["type"] == "tick"), default=len(events))  # fmt: skip
        found = list(Rerun(replies.Frames(altered(frames, seq, RULE, RULE_RESTARTED)), 0, end).outcomes())  # fmt: skip
        assert [each.differences for each in found if each.frame.header.base_seq == seq] == [
            (Difference("rule", "restarted", "continued"),)
        ]
        assert [each.frame.header.base_seq for each in found] == [
            each["seq"]
            for each in events[:end]
            if each["type"] in ("announced", "tick", "announce_refused")
        ]


def test_an_altered_counter_is_found() -> None:
    """Where a request was altered, the next tick holds the digest of another state."""
    frames, _ = replies.life("counter", True, 2)
    events = events_in(frames)
    tick = next(each["seq"] for each in events if each["type"] == "tick" and each["seq"] > 50)
    seq, uploaded = max((each["seq"], each["uploaded"]) for each in events[:tick] if each["type"] == "announced" and each["event"] != "stopped")  # fmt: skip
    broken = altered(frames, seq, UPLOADED, uploaded % 256 ^ 1)
    found = [each for each in Rerun(replies.Frames(broken), 0, tick + 1).outcomes() if each.differences]  # fmt: skip
    assert [each.frame.header.base_seq for each in found] == [tick]
    assert [each.what for each in found[0].differences] == ["digest"]
