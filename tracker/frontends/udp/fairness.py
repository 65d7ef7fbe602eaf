"""Other tasks' turn between two batches of a busy socket."""

from __future__ import annotations

from time import perf_counter_ns

import trio

_SHARE = 4
_SHORT_NS = 1_000_000


class GivingWay:
    """Of one task that is always about to run, and takes milliseconds each time.

    An answer of the API is made in a dozen steps by several tasks: it would wait for as many batches. So others go on
    as long as there are some about to run, for a quarter of the time that the last batch took; after a short one there is no need.
    Their last step is not cut short: one that takes milliseconds (hundreds of HTTP connections) comes on top.
    """

    __slots__ = ("_company",)

    def __init__(self) -> None:
        self._company = False  # whether there was somebody the last time

    async def others(self, took_ns: int) -> None:
        """`took_ns`: the last batch. Without anybody else this is a look, and no checkpoint."""
        if took_ns < _SHORT_NS:
            return
        until = perf_counter_ns() + took_ns // _SHARE
        company = self._company
        self._company = alone = False
        while not alone and perf_counter_ns() < until:
            if trio.lowlevel.current_statistics().tasks_runnable:
                self._company = company = True
            elif company:
                # Who was resumed together with this task has perhaps not run yet, and is seen after the next step.
                company = False
            else:
                alone = True
                continue
            await trio.lowlevel.checkpoint()
