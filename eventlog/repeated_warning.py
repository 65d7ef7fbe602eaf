"""Warnings of a condition that stands: said when it begins, once a day while it lasts, and when it is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

AGAIN_SECONDS = 86_400.0


class RepeatedWarning:
    """One condition. It may be looked at as often as anybody likes."""

    def __init__(
        self, logger: logging.Logger, over: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`over`: the line that says its end. `clock`: seconds."""
        self._logger = logger
        self._over = over
        self._clock = clock
        self._said: float | None = None

    def warn(self, what: str, *arguments: object) -> None:
        """It holds now; a line as loggers take it."""
        now = self._clock()
        if self._said is None or now - self._said >= AGAIN_SECONDS:
            self._said = now
            self._logger.warning(what, *arguments)

    def over(self) -> None:
        """It does not hold now."""
        if self._said is not None:
            self._said = None
            self._logger.warning(self._over)
