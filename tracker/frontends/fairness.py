"""Gives the engines turns, one after the other, and lets all other tasks run between them.

An engine is the task of one listener, UDP or HTTP. Under a flood it is always ready, and one pass
of the event loop would hold a long piece of work of each of them. A reply of the API takes a dozen
passes. So all engines of a process share one scheme: together they serve for `SERVE_NS`, and then
the others run as long as any of them is ready, for a share of that time.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

import trio

SERVE_NS: Final = 2_000_000
"""Nanoseconds that the engines serve together before other tasks run."""
SHARE: Final = 2
"""Other tasks that are always ready get one part in this many of the time that engines served."""
SAVED_NS: Final = 5_000_000
"""Nanoseconds of that share that they can save up, which is enough for a request of the API."""
_QUIET: Final = 2
"""Passes in a row without a step of another task, after which none is ready. It takes two, because
a task may have its step before ours in one pass and after ours in the next. Steps during a turn
count for the pass after it, because the task that had them may go on in the same way.
"""


class _Engines(trio.abc.Instrument):
    """What all engines of one event loop share."""

    def __init__(self) -> None:
        self.steps = 0  # of tasks that are no engines
        self.seen = 0  # of these steps
        self.quiet = 0  # passes in a row without a step of another task
        self.served_ns = 0  # since other tasks had their share
        self.share_ns = SAVED_NS  # that they have
        self.taken = False  # an engine has the turn
        self.waiting = trio.lowlevel.ParkingLot()
        trio.lowlevel.add_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002  # trio's call
        self.steps += 1

    def pass_on(self) -> None:
        if self.waiting:
            self.waiting.unpark()
        else:
            self.taken = False

    async def let_others_run(self) -> None:
        began = now = perf_counter_ns()
        share_ns = min(self.share_ns + self.served_ns // SHARE, SAVED_NS)
        self.served_ns = 0
        ready = True
        while ready:
            await trio.lowlevel.checkpoint()
            self.steps -= 1  # ours
            self.quiet = self.quiet + 1 if self.steps == self.seen else 0
            self.seen = self.steps
            now = perf_counter_ns()
            ready = self.quiet < _QUIET and now - began < share_ns
        self.share_ns = share_ns - (now - began)


_engines: Final = trio.lowlevel.RunVar[_Engines]("engines")


class Turn:
    """The turns of one engine: `begin`, serve until `until`, `over`."""

    __slots__ = ("_began", "_engines", "_mine", "until")

    def __init__(self) -> None:
        """Call it in the event loop."""
        try:
            self._engines = _engines.get()
        except LookupError:
            self._engines = _Engines()
            _engines.set(self._engines)
        self._mine = False
        self._began = 0
        self.until = 0  # when the turn has to end, by `perf_counter_ns`

    async def begin(self) -> None:
        """Waits for a turn. It is no checkpoint if no engine has one and there is time left."""
        engines = self._engines
        if engines.taken:
            await engines.waiting.park()  # whoever had the turn has passed it on
            engines.steps -= 1  # ours
        engines.taken = True
        if engines.served_ns >= SERVE_NS:
            try:
                await engines.let_others_run()
            except BaseException:
                engines.pass_on()
                raise
        self._mine = True
        self._began = perf_counter_ns()
        self.until = self._began + SERVE_NS - engines.served_ns

    def over(self) -> bool:
        """Ends the turn, if there is one. Tells whether its time was up, so that work may be left;
        then `begin` is a checkpoint.
        """
        engines = self._engines
        if not self._mine:
            return False
        self._mine = False
        engines.served_ns += perf_counter_ns() - self._began
        engines.pass_on()
        return engines.served_ns >= SERVE_NS
