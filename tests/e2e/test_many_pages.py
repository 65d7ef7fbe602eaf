"""Ten members who look at their pages at the same time get ten answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.clients import announce_target, ask, get, torrent
from tests.e2e.process import lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

MEMBERS = range(1, 11)
TARGETS = ("accounts/{}/ledger", "accounts/{}/totals", "accounts/{}/torrents", "accounts/{}?at={}")


def test_ten_at_once(new_tracker: Callable[..., Tracker]) -> None:
    """Each question waits for its turn; none is refused."""
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    tracker.start()
    for member in MEMBERS:
        key = ask(tracker, "POST", "/api/v2/keys", {}).json["key"]
        target = announce_target(torrent(1), member, 6000 + member, left=0)
        assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")
    last = ask(tracker, "GET", "/api/v2/events?limit=1").json["end"] - 1
    with ThreadPoolExecutor(len(MEMBERS)) as pool:
        for target in TARGETS:
            asked = [f"/api/v2/{target.format(member, last)}" for member in MEMBERS]
            replies = list(pool.map(partial(ask, tracker, "GET"), asked))
            assert [reply.status for reply in replies] == [200] * len(MEMBERS)
