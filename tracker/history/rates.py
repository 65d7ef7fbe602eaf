"""Computes how fast peers are: bytes a second between an announce and the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventlog import frames_with
from tracker.store import frames
from tracker.store.moments import split

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from eventlog import Frame
    from tracker.store.address_keys import Keyring

_SECOND_US = 1_000_000


class _Said(NamedTuple):
    time_us: int  # log time
    uploaded: int
    downloaded: int
    prev_seq: int  # 0 = none


def rates(log: Path, seqs: Iterable[int], keys: Keyring | None) -> dict[int, tuple[int, int]]:
    """Returns bytes a second, up and down, by the numbers of announces; without those that have no
    rate.

    Raises the errors of `Reader`, and `CodecError`.
    """
    last = _read(log, set(seqs), keys)
    before = _read(log, {one.prev_seq for one in last.values()} - {0}, keys)
    pairs = {seq: (before.get(one.prev_seq), one) for seq, one in last.items()}
    found = {seq: _rate(older, one) for seq, (older, one) in pairs.items() if older}
    return {seq: rate for seq, rate in found.items() if rate}


def _rate(before: _Said, one: _Said) -> tuple[int, int] | None:
    taken_us = one.time_us - before.time_us
    up, down = one.uploaded - before.uploaded, one.downloaded - before.downloaded
    if taken_us <= 0 or min(up, down) < 0:
        return None
    return up * _SECOND_US // taken_us, down * _SECOND_US // taken_us


def _read(log: Path, seqs: set[int], keys: Keyring | None) -> dict[int, _Said]:
    found: dict[int, _Said] = {}
    for frame in frames_with(log, seqs, keys):
        for seq in seqs.intersection(range(frame.header.base_seq, frame.header.next_seq)):
            for row, _ in frames.announces(_single(frame, seq)):
                time_us, _, _, uploaded, downloaded, _, _, prev_seq, *_ = row
                found[seq] = _Said(time_us, uploaded, downloaded, prev_seq)
    return found


def _single(frame: Frame, seq: int) -> Frame:
    """Returns one record of a frame, without its protected part."""
    upto = split(frame, seq + 1)[0]
    one = split(upto, seq)[1] or upto
    return one._replace(protected=memoryview(b""))
