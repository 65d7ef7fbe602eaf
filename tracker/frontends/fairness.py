"""Lets other tasks run between two long batches of a listener."""

from __future__ import annotations

from time import perf_counter_ns

import trio

_SHARE = 4
"""Other tasks get one part in this many of the time that the last batch took."""
_SHORT_NS = 1_000_000
"""Nanoseconds; after a shorter batch other tasks need no extra time."""


class FairShare:
    """Gives other tasks a share of the time of one task that is always ready and runs for
    milliseconds.

    One reply of the API takes several tasks a dozen steps, and each step would wait for one batch.
    So after a long batch the others run as long as any is ready, for a quarter of the batch's time.
    Their last step is not cut short: one of milliseconds (hundreds of HTTP connections) comes on
    top.
    """

    __slots__ = ("_others_ran",)

    def __init__(self) -> None:
        self._others_ran = False  # at the last call

    async def let_others_run(self, batch_ns: int) -> None:
        """Waits while other tasks are ready; `batch_ns` is how long the last batch took.

        With no other task ready it only looks, and is no checkpoint.
        """
        if batch_ns < _SHORT_NS:
            return
        until = perf_counter_ns() + batch_ns // _SHARE
        others_ran = self._others_ran
        self._others_ran = alone = False
        while not alone and perf_counter_ns() < until:
            if trio.lowlevel.current_statistics().tasks_runnable:
                self._others_ran = others_ran = True
            elif others_ran:
                # A task resumed together with this one may not have run yet; the next step shows
                # it.
                others_ran = False
            else:
                alone = True
                continue
            await trio.lowlevel.checkpoint()
