"""Version 2 shows the webhooks, and has events sent once more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.asking import ask, problem

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from api.ports import Ports

NOW = "2023-03-28T12:25:00.058085Z"


async def test_webhooks(app: QuartTrio, ports: Ports) -> None:
    """The list has all of them; a change asks the tracker for it."""
    (hook,) = json.loads((await ask(app, "GET", "/api/v2/webhooks")).body)["webhooks"]
    assert hook == {
        "name": "site", "origin": "https://site.example", "types": ["key_issued"], "seq": 7,
        "behind": 2, "failing_since": NOW, "error": "status 500",
        "dead_letters": [{"first": 3, "last": 4, "time": NOW, "why": "status 500"}], "dropped": 1,
    }  # fmt: skip
    one = "/api/v2/webhooks/site"
    replayed = await ask(
        app, "POST", f"{one}/replay", body=b'{"from": 5}', content_type="application/json"
    )
    assert (replayed.status, json.loads(replayed.body)) == (200, {"from": 5})
    assert json.loads((await ask(app, "POST", f"{one}/retry")).body) == {"dead_letters": 1}
    assert ports.webhooks.asked == [("site", 5), ("site", None)]  # type: ignore[attr-defined] # the fake


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("webhooks/sight/retry", b"", 404),
        ("webhooks/sight/replay", b'{"from": 5}', 404),
        ("webhooks/site/replay", b"{}", 422),
        ("webhooks/site/replay", b'{"from": -1}', 422),
    ],
)
async def test_what_is_refused(app: QuartTrio, target: str, body: bytes, status: int) -> None:
    headers = {"content_type": "application/json"} if body else {}
    refused = problem(await ask(app, "POST", f"/api/v2/{target}", body=body, **headers))
    assert refused["status"] == status


async def test_consumers(app: QuartTrio) -> None:
    """A program registers its position, is listed beside the webhooks, and is forgotten."""
    one, body = "/api/v2/consumers/stats", {"content_type": "application/json"}
    registered = await ask(app, "PUT", one, body=b'{"seq": 5}', **body)
    stats = {
        "name": "stats", "webhook": False, "seq": 5, "behind": 4, "registered": NOW, "waited_for": False,
    }  # fmt: skip
    assert (registered.status, json.loads(registered.body)) == (200, stats)
    site = {**stats, "name": "site", "webhook": True, "seq": 7, "behind": 2, "registered": None}
    listed = json.loads((await ask(app, "GET", "/api/v2/consumers")).body)
    assert listed == {"consumers": [{**site, "waited_for": True}, stats]}
    assert (await ask(app, "DELETE", one)).status == 204
    assert problem(await ask(app, "DELETE", one))["status"] == 404
    for target, sent, why in (
        (one, b'{"seq": 10}', "the newest event is 9"),
        (one, b"{}", "seq: expected the number of an event"),
        ("/api/v2/consumers/Stats", b'{"seq": 5}', "name: expected 1 to 64 of"),
    ):
        refused = problem(await ask(app, "PUT", target, body=sent, **body))
        assert (refused["status"], why in refused["detail"]) == (422, True)
