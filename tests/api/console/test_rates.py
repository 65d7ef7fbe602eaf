"""Tests how announces and refusals are counted in pieces of time, over a made-up log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.console.rates import WEEK_US, Pieces, counted, rows
from tests.api.console.fakes import Browser, FakeApi
from tracker.times import parse, rfc3339

if TYPE_CHECKING:
    from api.console.api import Query

MINUTE_US = 60_000_000
END_US = 1_800_000_000_000_000
BEGIN_US = END_US - 6 * MINUTE_US
TICK_US = 10_000_000


class Log(FakeApi):
    """Answers about counters by short pages, and counts announces and ticks by steps."""

    def __init__(self, announces: list[int], refused: list[int], first: int = 0) -> None:
        """`announces` and `refused`: how many there were in each ten seconds before END_US, from
        `first` on.
        """
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.counts: list[tuple[int, int]] = []  # times of ticks, and announces before each
        seq = 100
        for at, (count, refusals) in enumerate(zip(announces, refused, strict=True)):
            seq += count
            time = rfc3339(BEGIN_US + (at + 1) * TICK_US - TICK_US // 2)
            if at < first:
                continue
            if refusals:
                self.events.append({"seq": seq, "time": time, "type": "counted", "label": 10,
                                    "counter": "refused_requests", "delta": refusals})  # fmt: skip
                seq += 1
            self.counts.append((parse(time) or 0, count))

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any:
        assert query is not None
        if path == "/api/v2/events/counts":
            return self._counted(dict(query))
        assert (path, names) == ("/api/v2/events", {})
        assert query["type"] == "counted"
        low, high = parse(str(query["from"])) or 0, parse(str(query["to"])) or 0
        fit = [
            one for one in self.events
            if low <= (parse(one["time"]) or 0) <= high and one["seq"] > (query["after"] or 0)
        ]  # fmt: skip
        return {"events": fit[:7], "next": fit[6]["seq"] if len(fit) > 7 else None, "end": 0}

    def _counted(self, query: dict[str, Any]) -> Any:
        """Counts half of the pieces in each of two pages."""
        begin, end = parse(query["from"]) or 0, parse(query["to"]) or 0
        step_us, second = query["step"] * 1_000_000, query.get("after") is not None
        counts: list[dict[str, Any]] = [{"types": {}} for _ in range(begin, end + 1, step_us)]
        for time_us, announces in self.counts:
            at = (time_us - begin) // step_us
            if 0 <= at < len(counts) and (at * 2 >= len(counts)) == second:
                types = counts[at]["types"]
                for name, count in (("announced", announces), ("tick", 1)):
                    types[name] = types.get(name, 0) + count
        return {"counts": counts, "next": None if second else 9, "end": 0}


some = st.lists(st.integers(0, 40), min_size=36, max_size=36)


@settings(max_examples=20, deadline=None)
@given(announces=some, refused=some)
async def test_every_announce_and_refusal_is_counted_once(
    announces: list[int], refused: list[int]
) -> None:
    made = await counted(Log(announces, refused), END_US, 6 * MINUTE_US, 6)
    assert made.seconds == 60
    by_minute = [sum(announces[at : at + 6]) for at in range(0, 36, 6)]
    assert made.announces == by_minute
    assert [made.refused_in(at) for at in range(6)] == [
        sum(refused[at : at + 6]) for at in range(0, 36, 6)
    ]
    assert made.a_minute("torrent_blacklisted", 1) is not None


async def test_before_the_log_nothing_is_known() -> None:
    """That is no rate of 0, and it is left out of an average."""
    made = await counted(Log([6] * 36, [1] * 36, first=18), END_US, 6 * MINUTE_US, 6)
    assert made.announces[:3] == [None] * 3
    assert made.a_second(2) == pytest.approx(0.6)
    before = Pieces(BEGIN_US - WEEK_US, END_US - WEEK_US, [None] * 6)
    assert before.a_minute("torrent_blacklisted") is None
    assert rows(made, before)[-1] == {
        "from": rfc3339(END_US - MINUTE_US), "log": f"/log?from={rfc3339(END_US - MINUTE_US)}",
        "a_second": 0.6, "a_second_last_week": None, "refused": 6, "refused_last_week": None,
    }  # fmt: skip


async def test_the_page_draws_both_weeks() -> None:
    browser = Browser(FakeApi())
    await browser.sign_in()
    assert (await browser.text("/today/rates?hours=1")).count("a week before") >= 2
    answer = await browser.get("/today/rates?hours=2")
    assert "hours: expected one of 1, 6, 24" in await answer.get_data(as_text=True)
