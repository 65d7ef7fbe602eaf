"""Measures how long the event loop stalls, and once a minute how fast the log grows."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86_400
"""Seconds over which the log's growth is averaged."""
_MINUTE = 60  # seconds over which the longest stall counts


class Watch(trio.abc.Instrument):
    """The latest measurements. `run` takes them.

    A stall is the time between two looks of the loop at what is ready: in it no other task goes on.
    Where the loop would have waited anyway, only the tasks that ran before count.
    """

    def __init__(self, written_bytes: Callable[[], int]) -> None:
        """`written_bytes` returns the bytes written to the log since the start."""
        self._written_bytes = written_bytes
        self._lags: deque[float] = deque(maxlen=_MINUTE)
        self._looked = perf_counter()
        self._longest = 0.0  # seconds, since the last `look`
        self._written: deque[tuple[float, int]] = deque(maxlen=DAY // _MINUTE)  # one a minute

    async def run(self) -> None:
        self._looked = perf_counter()
        trio.lowlevel.add_instrument(self)
        while True:
            due = trio.current_time() + 1
            await trio.sleep_until(due)
            self.look(due, trio.current_time())

    def before_io_wait(self, timeout: float) -> None:
        """Is called by trio before each look, which may wait so long."""
        if timeout:
            self._longest = max(self._longest, perf_counter() - self._looked)

    def after_io_wait(self, timeout: float) -> None:
        now = perf_counter()
        if not timeout:
            self._longest = max(self._longest, now - self._looked)
        self._looked = now

    def look(self, due: float, now: float) -> None:
        """Records a measurement that was due at `due` and taken at `now` (seconds of one clock)."""
        self._lags.append(max(self._longest, now - due))
        self._longest = 0.0
        if not self._written or now - self._written[-1][0] >= _MINUTE:
            self._written.append((now, self._written_bytes()))

    @property
    def loop_lag(self) -> float:
        """The longest stall of the last minute, in seconds."""
        return max(self._lags, default=0.0)

    @property
    def measured_seconds(self) -> float:
        """The time over which `bytes_a_day` is the average, at most a day."""
        return self._written[-1][0] - self._written[0][0] if self._written else 0.0

    @property
    def bytes_a_day(self) -> float | None:
        """Average growth of the log in the last day, or since the start.

        None while the log does not grow, and in the first minute or two.
        """
        if len(self._written) < 2:
            return None
        grown = self._written[-1][1] - self._written[0][1]
        return grown / self.measured_seconds * DAY if grown > 0 else None
