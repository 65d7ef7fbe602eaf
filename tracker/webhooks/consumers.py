"""Implements `ports.Consumers`: notes how far programs that read the log are, in a small file.

A program that follows the stream, or reads pages of events, registers the event up to which it has
everything. Webhooks need not, because their places are known.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field, frozen

from eventlog import NotAFileError, border, in_thread, parse_json, read_file, write_new
from tracker.ports import BusyError, Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracker.ports import Events, WebhookState

log = logging.getLogger("tracker")

FILE = "consumers.json"
"""The file, in the folder of the log."""
MOST = 64
"""The most programs that may be registered."""


@frozen
class _Registered:
    seq: int
    time_us: int  # date of the registration


@define(eq=False)
class Consumers:
    """Implements `ports.Consumers`, and tells retention for whom to wait."""

    _path: Path
    _log_id: str
    _events: Events
    _hooks: Callable[[], Sequence[WebhookState]]
    waited_for: str | None = None  # for whom retention keeps events that are too old
    _registered: dict[str, _Registered] = field(factory=dict)
    _writing: trio.Lock = field(factory=trio.Lock)

    @classmethod
    def load(
        cls,
        log_path: Path,
        log_id: str,
        events: Events,
        hooks: Callable[[], Sequence[WebhookState]],
    ) -> Consumers:
        """Reads who is registered. Nobody is where the file is of another log, of a later one, or
        cannot be read; the text log says so. Raises `OSError`.
        """
        made = cls(log_path / FILE, log_id, events, hooks)
        try:
            data = read_file(made._path)
            with border(ValueError):
                made._registered = _registered(parse_json(data), log_id, events.end)
        except FileNotFoundError:
            pass
        except (NotAFileError, ValueError) as error:
            log.warning("Retention waits for no registered consumer: %s: %s", made._path, error)
        return made

    def all(self) -> list[Consumer]:
        end = self._events.end
        found: list[tuple[str, bool, int, int | None]] = [
            (hook.name, True, hook.seq, None) for hook in self._hooks()
        ]
        found += [
            (name, False, one.seq, one.time_us) for name, one in sorted(self._registered.items())
        ]
        return [
            Consumer(name, webhook, seq, max(0, end - 1 - seq), time_us, name == self.waited_for)
            for name, webhook, seq, time_us in found
        ]

    def slowest(self) -> Consumer | None:
        """Returns who is the furthest behind; None = there is nobody."""
        return min(self.all(), key=lambda one: one.seq, default=None)

    async def register(self, name: str, seq: int) -> Consumer:
        if seq >= self._events.end:
            raise ValueError(f"seq: the newest event is {self._events.end - 1}")
        if name in {hook.name for hook in self._hooks()}:
            raise ValueError(f"name: {name} is a webhook, whose place is known")
        if name not in self._registered and len(self._registered) >= MOST:
            raise ValueError(f"name: {MOST} programs are registered; delete one first")
        one = _Registered(seq, time.time_ns() // 1000)
        await self._save({**self._registered, name: one})
        return next(each for each in self.all() if (each.name, each.webhook) == (name, False))

    async def forget(self, name: str) -> bool:
        if name not in self._registered:
            return False
        await self._save({key: one for key, one in self._registered.items() if key != name})
        return True

    async def _save(self, registered: dict[str, _Registered]) -> None:
        data = {
            "log_id": self._log_id,
            "consumers": {
                name: {"seq": one.seq, "time_us": one.time_us} for name, one in registered.items()
            },
        }  # fmt: skip
        try:
            await in_thread(write_new, self._path, json.dumps(data).encode())
        except OSError as error:
            raise BusyError(f"the position cannot be noted: {error}") from None
        self._registered = registered


def _registered(found: Any, log_id: str, end: int) -> dict[str, _Registered]:
    """Makes the registered programs of JSON. Raises anything for nonsense."""
    if found["log_id"] != log_id:
        raise ValueError("it is of another log")
    made = {
        str(name): _Registered(int(one["seq"]), int(one["time_us"]))
        for name, one in found["consumers"].items()
    }
    if not all(-1 <= one.seq < end for one in made.values()):
        raise ValueError("it is of a later log, or has numbers below 0")
    return made
