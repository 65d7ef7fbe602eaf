"""Rebuilds a state from the frames of a log. Blocking."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracker.store import frames, opening_balance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Frame, Reader
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

REPORT_EVERY = 20_000
"""Events from one report of progress to the next."""
TOO_LITTLE_MEMORY = "there is too little memory for the state of this log"
"""The text for a `MemoryError`, which has none."""


def apply_all(
    state: State, found: Iterable[Frame], report: Callable[[int], None] = lambda _seq: None
) -> None:
    """Applies frames to a state, one after the other.

    Tells `report` now and then how many events the state has seen.

    Raises what reading and applying raise: `LogCorruptError`, `LogFormatError`, `ReplayError`,
    `CodecError`.
    """
    reported = state.seq
    with collector_off():
        for frame in found:
            frames.apply(state, frame)
            if state.seq >= reported + REPORT_EVERY:
                reported = state.seq
                report(reported)


def replay(
    reader: Reader,
    report: Callable[[int], None] = lambda _seq: None,
    state: State | None = None,
    keys: Keyring | None = None,
) -> State:
    """Applies everything that the reader gives, and checks the opening balance that it began with.

    `state` is the one that the reader goes on from (see `snapshots.start`); None = that of the
    log's beginning; `keys` check its opening. Tells `report` now and then how many events were
    applied. Raises what `apply_all` does.
    """
    if state is None:
        state = opening_balance.begin(reader.path, reader.first_seq, keys).state
    begins = state.seq == reader.first_seq
    opened = opening_balance.digest_of(reader.path, reader.first_seq) if begins else ""
    state.recent.start(state.swarms)
    try:
        apply_all(state, reader.frames(), report)
    finally:
        state.recent.stop()
    opening_balance.check(reader.path, reader.first_seq, opened, state)
    return state


@contextmanager
def collector_off() -> Iterator[None]:
    """Switches the garbage collector off, because it would walk the growing tables again and again.

    Replay makes no reference cycles that it could find.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
