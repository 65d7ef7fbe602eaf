"""Rebuild the state from the log: at start-up, and for whoever else wants it. Blocking."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracker.store import frames, opening_balance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Reader
    from tracker.domain.state import State

REPORT_EVERY = 20_000  # events
TOO_LITTLE_MEMORY = "there is too little memory for the state of this log"
"""The text for a `MemoryError`, which has none."""


def replay(
    reader: Reader,
    report: Callable[[int], None] = lambda _seq: None,
    state: State | None = None,
) -> State:
    """Apply everything the reader gives, to `state` if it goes on from one (see `snapshots.start`), else to that of the
    log's beginning. `report` is told the events done, now and then.

    Raises what reading and applying raise: `LogCorruptError`, `LogFormatError`, `ReplayError`,
    `CodecError`.
    """
    if state is None:
        state, _ = opening_balance.begin(reader.path, reader.first_seq)
    begins = state.seq == reader.first_seq
    opened = opening_balance.digest_of(reader.path, reader.first_seq) if begins else ""
    reported = state.seq
    state.recent.start(state.swarms)
    try:
        with collector_off():
            for frame in reader.frames():
                frames.apply(state, frame)
                if state.seq >= reported + REPORT_EVERY:
                    reported = state.seq
                    report(state.seq)
    finally:
        state.recent.stop()
    opening_balance.check(reader.path, reader.first_seq, opened, state)
    return state


@contextmanager
def collector_off() -> Iterator[None]:
    """Replay makes no reference cycles, and the collector would walk the growing tables again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
