"""Implements `ports.Reruns`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports import Moment

CHECK: dict[str, Any] = {
    "first": 3, "last": 9, "as_recorded": 5, "differing": 1, "not_decided": {"why": 1},
    "brought_about": 0, "inputs": 0, "whole": True, "outcomes": [
        {
            "seq": 4, "time": "2027-01-15T08:00:00.000000Z", "type": "announced",
            "outcome": "differs", "why": None,
            "differences": [{"what": "rule", "recorded": "first", "now": None}],
        }
    ],
}  # fmt: skip
WHAT_IF: dict[str, Any] = {
    "first": 3, "last": 9, "settings": {}, "announces": 5, "refused": {}, "recorded": {}, "now": {},
    "credit": {}, "accounts": [], "not_recorded": {}, "left_out": [],
}  # fmt: skip


@attrs.define
class FakeReruns:
    """Tells the same of every part, and records what was asked; or fails."""

    asked: list[tuple[object, ...]] = attrs.field(factory=list)
    failure: Exception | None = None

    async def check(
        self, first: Moment | None, last: Moment | None, *, trace: bool
    ) -> dict[str, Any]:
        return self._told(CHECK, first, last, trace)

    async def what_if(
        self, first: Moment | None, last: Moment | None, settings: Sequence[str]
    ) -> dict[str, Any]:
        return self._told(WHAT_IF, first, last, *settings)

    def _told(self, told: dict[str, Any], *asked: object) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        self.asked.append(asked)
        return told
