"""Limits a warning about a lasting condition: logged when it begins, once a day while it lasts, and
at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

AGAIN_SECONDS = 86_400.0
"""Seconds between two warnings about the same condition."""


class RepeatedWarning:
    """Warns about one condition. Call `warn` or `over` as often as it is checked."""

    def __init__(
        self, logger: logging.Logger, over: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`over`: line to log at the end of the condition. `clock`: returns seconds."""
        self._logger = logger
        self._over = over
        self._clock = clock
        self._logged_at: float | None = None

    def warn(self, what: str, *arguments: object) -> None:
        """The condition holds: log this line, with arguments as loggers take them, unless it was
        logged lately."""
        now = self._clock()
        if self._logged_at is None or now - self._logged_at >= AGAIN_SECONDS:
            self._logged_at = now
            self._logger.warning(what, *arguments)

    def over(self) -> None:
        """The condition does not hold: log its end if a warning was logged."""
        if self._logged_at is not None:
            self._logged_at = None
            self._logger.warning(self._over)
