"""Remembers who is signed in, in memory only: a random id in a cookie stands for an access token.

A session ends when its owner signs out, after `LASTS_SECONDS`, when the API no longer knows the
token, and when the process ends.
"""

from __future__ import annotations

import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import define, field

from api.console.work import Work, cancel

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS_SECONDS: Final = 12 * 3600.0
MOST: Final = 1_000
"""Sessions at a time; then the oldest one ends for a new one."""
_ID_BYTES: Final = 32


@define(eq=False)
class Session:
    """Who is signed in. `scope` and `addresses` are as the API said at the sign-in."""

    token: str = field(repr=False)
    label: str
    scope: str
    addresses: bool
    ends: float
    notice: str = ""  # what the next page says once
    works: dict[str, Work] = field(factory=dict)  # long changes, which end with the session


@define
class Sessions:
    clock: Callable[[], float] = time.monotonic
    _open: dict[bytes, Session] = field(factory=dict)

    def begin(self, token: str, label: str, scope: str, *, addresses: bool) -> str:
        """Begins a session; returns the id for its cookie."""
        now = self.clock()
        for key in [key for key, one in self._open.items() if one.ends <= now]:
            cancel(self._open.pop(key).works.values())
        if len(self._open) >= MOST:
            cancel(self._open.pop(next(iter(self._open))).works.values())
        text = secrets.token_urlsafe(_ID_BYTES)
        self._open[_key(text)] = Session(token, label, scope, addresses, now + LASTS_SECONDS)
        return text

    def find(self, text: str) -> Session | None:
        """Returns the session of an id; None = there is none, or it is over."""
        found = self._open.get(_key(text))
        if found is not None and found.ends <= self.clock():
            self.end(text)
            return None
        return found

    def end(self, text: str) -> None:
        found = self._open.pop(_key(text), None)
        if found is not None:
            cancel(found.works.values())


def _key(text: str) -> bytes:
    """Keeps ids out of memory, and comparisons from telling how much of one was right."""
    return sha256(text.encode(errors="replace")).digest()
