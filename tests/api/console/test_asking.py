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
    """Answers about events `0` to `end`, of which every `each`-th one fits, by pages of `most`."""

    end: int = 0
    each: int = 1
    most: int = 1
    shown: int = field(default=0, init=False)

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any:
        assert (path, names) == ("/api/v2/events", {})
        given: Any = query
        upto = self.end if given["before"] is None else min(given["before"], self.end)
        fits = [seq for seq in range(upto) if not seq % self.each]
        page = fits[-min(given["last"], self.most) :]
        self.shown += len(page)
        previous = page[0] if len(fits) > len(page) else None
        return {"events": [{"seq": seq} for seq in page], "previous": previous, "end": self.end}


@given(
    end=st.integers(0, 3000),
    each=st.sampled_from((1, 7, 900)),
    most=st.sampled_from((1, 60, 1000)),
    count=st.sampled_from((1, 10, 100)),
    before=st.none() | st.integers(0, 4000),
)
def test_the_newest_events(end: int, each: int, most: int, count: int, before: int | None) -> None:
    """They are the last ones that fit, however short pages are, and no others are sent."""
    api = _Log(end=end, each=each, most=most)
    found, upto = trio.run(lambda: newest_before(api, count, before, type=["kept"]))
    fits = [seq for seq in range(end if before is None else min(end, before)) if not seq % each]
    assert [one["seq"] for one in found] == fits[::-1][:count]
    assert (upto, api.shown) == (end, len(found))
