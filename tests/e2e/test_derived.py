"""What is made from events comes by stream, by page and by command, the same after a kill."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import all_pages, announce_target, ask, get, server_sent, torrent
from tests.e2e.process import Follower, Tracker, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = torrent(1)
MADE = "completed", "first_seeder", "last_seeder_left"


@pytest.mark.faults  # the book is written every ten seconds
def test_what_is_made_from_events(new_tracker: Callable[..., Tracker]) -> None:
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    tracker.start()
    keys = [
        ask(tracker, "POST", "/api/v2/keys", {"owner": owner}).json["key"]
        for owner in ("anna", "ben")
    ]
    types = [f"--type={each}" for each in (*MADE, "announced")]
    issued = "--type=completed", "--type=key_issued"
    # It is known before anybody announces that nothing was made from these events.
    tracker.events_until(lambda found: len(found) == len(keys), *issued)
    with closing(Follower(tracker, *types)) as follower:
        for member, left, event in (
            (0, 0, "started"), (1, 9, "started"), (1, 0, "completed"), (0, 0, "stopped"),
            (1, 0, "stopped"),
        ):  # fmt: skip
            say(tracker, keys, member, left, event)
        seen = follower.until(lambda found: len(made(found)) >= 3)
        tracker.kill()
        tracker.start()
        say(tracker, keys, 0, 0, "started")
        seen = follower.until(lambda found: len(made(found)) >= 4)
    shown = [(one["type"], one["account"]) for one in made(seen)]
    assert shown == [
        ("first_seeder", 1), ("completed", 2), ("last_seeder_left", 2), ("first_seeder", 1)
    ]  # fmt: skip
    before = [seen[number - 1]["seq"] for number, one in enumerate(seen) if one in made(seen)]
    assert before == [one["seq"] for one in made(seen)]  # each comes after its event
    tracker.events_until(lambda found: made(found) == made(seen), *types)
    ask(tracker, "POST", "/api/v2/keys", {"owner": "carl"})
    tracker.events_until(lambda found: len(found) == len(keys) + 2, *issued)  # no announce follows
    query = "&".join(f"type={each}" for each in MADE)
    pages, _ = all_pages(tracker, f"/api/v2/events?{query}&limit=1&", "events")
    assert [bare(one) for one in pages] == made(seen)
    first, *rest = streamed(tracker, f"{query}&type=announced&after=0", 9)
    assert rest[-1] == streamed(tracker, f"{query}&type=announced&after={rest[-2][0]}", 1)[0]
    assert first[0].endswith(":-1")
    of_ben = streamed(tracker, f"{query}&account=owner:ben&after=0", 2)
    assert [one for _, one in of_ben] == ["completed", "last_seeder_left"]


def say(tracker: Tracker, keys: list[str], member: int, left: int, event: str) -> None:
    target = announce_target(HASH, member, 6001 + member, left=left, event=event)
    get(tracker.http[0], f"/announce/{keys[member]}?{target[10:]}")


def made(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if "position" in one]


def bare(event: dict[str, Any]) -> dict[str, Any]:
    """Returns an event without the names that the API puts beside numbers."""
    return {name: each for name, each in event.items() if name not in ("owner", "label")}


def streamed(tracker: Tracker, query: str, number: int) -> list[tuple[str, str]]:
    """Returns ids and types of the first items of a stream."""
    with closing(server_sent(tracker, f"/api/v2/events/stream?{query}")) as stream:
        found = [next(stream) for _ in range(number)]
    return [(one["id"], one["event"]) for one in found]
