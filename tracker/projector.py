"""Rebuild the state from the log: at start-up, and for whoever else wants it. Blocking."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracker.domain.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Reader

REPORT_EVERY = 20_000  # events


def replay(
    reader: Reader,
    report: Callable[[int], None] = lambda _seq: None,
    state: State | None = None,
) -> State:
    """Apply everything the reader gives, to `state` if it goes on from one (see `snapshots.start`). `report` is told the
    events done, now and then.

    Raises what reading and applying raise: `LogCorruptError`, `LogFormatError`, `ReplayError`,
    `CodecError`.
    """
    state = state or State()
    reported = state.seq
    with collector_off():
        for frame in reader.frames():
            header = frame.header
            state.apply(header.kind, header.schema, header.base_seq, frame.plain, frame.sealed)
            if state.seq >= reported + REPORT_EVERY:
                reported = state.seq
                report(state.seq)
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
