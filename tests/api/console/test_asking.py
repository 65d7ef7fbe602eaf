"""Tests how a page asks the API for the newest events, against a list of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from api.console.asking import newest_before
from tests.api.console.fakes import FakeApi

if TYPE_CHECKING:
    from api.console.api import Query


@define
class _Log(FakeApi):
    """Answers about events `0` to `end`, of which every `each`-th one is wanted, by short pages."""

    end: int = 0
    each: int = 1
    fits: range = range(10**9)
    shown: int = field(default=0, init=False)
    looks: int = field(default=0, init=False)

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any:
        assert (path, names) == ("/api/v2/events", {})
        given: Any = query
        first = max(given["from"], -1 if given.get("after") is None else given["after"] + 1)
        last = min(given.get("to", self.end - 1), self.end - 1)
        each = self.each if "type" in given else 1
        fits = [seq for seq in range(first, last + 1) if not seq % each and seq in self.fits]
        self.looks += 1
        page, rest = fits[: given["limit"]], fits[given["limit"] :]
        self.shown += len(page)
        return {
            "events": [{"seq": seq} for seq in page],
            "next": page[-1] if rest else None,
            "end": self.end,
        }


@given(
    end=st.integers(0, 30_000),
    each=st.sampled_from((1, 7, 900, 50_000)),
    count=st.sampled_from((1, 10, 100)),
    before=st.none() | st.integers(0, 40_000),
)
def test_the_newest_events(end: int, each: int, count: int, before: int | None) -> None:
    """They are the last ones that fit, and few others are sent."""
    api = _Log(end=end, each=each)
    filters = {"type": ["kept"]} if each > 1 else {}
    found, upto = trio.run(lambda: newest_before(api, count, before, **filters))
    assert upto == (end if before is None else min(end, before))
    fits = [seq for seq in range(upto) if not seq % each]
    assert [one["seq"] for one in found] == fits[::-1][:count]
    assert api.shown <= 1 + 100 * count


def test_changes_of_the_first_day() -> None:
    """Where all that fits came at once and long ago, the newest of it are still found soon."""
    api = _Log(end=400_000, fits=range(50, 20_050))
    found, _ = trio.run(lambda: newest_before(api, 100, None, type=["kept"]))
    assert [one["seq"] for one in found] == list(range(20_049, 19_949, -1))
    assert api.looks < 20
