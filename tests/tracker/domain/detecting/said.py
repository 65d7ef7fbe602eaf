"""Makes intervals for tests of detectors."""

from __future__ import annotations

from typing import Any

from tests.support import hash_of
from tracker.domain.detecting.intervals import Interval

PEER_ID = b"-qB5010-abcdefghijkl"


def interval(seq: int, seconds: int, before: int | None = None, **changed: Any) -> Interval:
    """Makes an interval of account 1 in torrent 1; `before`: None = it is the first."""
    time_us = seconds * 1_000_000
    made = Interval(
        seq=seq, time_us=time_us, before_us=time_us if before is None else before * 1_000_000,
        account=1, info_hash=hash_of(1), peer_id=PEER_ID, address=bytes(4), port=6881, key=None,
        client=0, event=0, up=0, down=0, left=0, left_before=None if before is None else 0,
        uploaded=0, downloaded=0, first=before is None, refused=False, gone=False, size=0,
    )  # fmt: skip
    return again(made, **changed)


def again(one: Interval, **changed: Any) -> Interval:
    """Makes an interval as another one, with other fields."""
    return Interval(**(fields_of(one) | changed))


def fields_of(one: Interval) -> dict[str, Any]:
    """Returns the fields from which an interval is made."""
    names = ("name", "peer", "unowned")
    return {each: getattr(one, each) for each in Interval.__slots__ if each not in names}
