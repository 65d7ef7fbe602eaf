"""Every endpoint of version 2 shows addresses of peers only as a look that is in the log."""

from __future__ import annotations

import json
import re
import socket
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import announce_target, api, ask, read_all, torrent
from tests.e2e.process import DEADLINE, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = torrent(0xAB)
KEY = "A" * 32
HOSTS = ("127.0.1.77", "127.0.2.78")
SHOWING = {
    "/api/v2/accounts/{account}/page",
    "/api/v2/accounts/{account}/peers",
    "/api/v2/accounts/{account}/received",
    "/api/v2/announces/{seq}/explain",
    "/api/v2/diff",
    "/api/v2/events",
    "/api/v2/events/stream",
    "/api/v2/handed",
    "/api/v2/stays",
    "/api/v2/swarms/{info_hash}",
    "/api/v2/torrents/{info_hash}/peers",
}
"""All that can show an address."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A private tracker with a member at two addresses, and a moderator without the right."""
    tracker = Tracker(tmp_path_factory.mktemp("site"))
    tracker.switch_on("private")
    text = tracker.config.read_text()
    tokens = (
        'access_tokens.admin = "MyAccessToken"\n'
        'access_tokens.moderator = "moderator"\n'
        "token_addresses.moderator = false\n"
    )
    tracker.config.write_text(text.replace('access_tokens.admin = "MyAccessToken"\n', tokens))
    try:
        tracker.start()
        assert ask(tracker, "POST", "/api/v2/keys", {"key": KEY, "owner": "anna"}).status == 201
        for number, host in enumerate(HOSTS, 1):
            target = announce_target(HASH, number, 6000 + number, left=number)
            head = f"GET {target.replace('announce', f'announce/{KEY}', 1)} HTTP/1.0\r\n\r\n"
            with socket.create_connection(tracker.http[0], DEADLINE, (host, 0)) as sock:
                sock.sendall(head.encode("latin-1"))
                assert b"200 OK" in read_all(sock)
        tracker.events_until(lambda events: len(events) == len(HOSTS), "--type", "announced")
        yield tracker
    finally:
        tracker.close()


def test_every_endpoint(site: Tracker) -> None:
    """No GET that the API describes gives an address to a token without the right, with a reason or
    without one, nor to one with the right and no reason. Else it is an event.
    """
    announces = site.events("--type", "announced")
    assert [one["address"] for one in announces] == list(HOSTS)
    filled = {
        "seq": announces[1]["seq"], "account": 1, "key_ref": 1, "factor": 1, "info_hash": HASH.hex(),
        "detector": "impossible_rate", "token": 1,
    }  # fmt: skip
    wait_for_stays(site)
    shown = set()
    paths = api(site, "/api/v2/openapi.json")["paths"]
    for path, operations in paths.items():
        if "get" not in operations or not path.startswith("/api/v2/"):
            continue
        target = path.format(**filled)
        if path.endswith("/handed"):
            target += f"?address={HOSTS[0]}"
        if path.endswith("/diff"):
            target += f"?from=0&info_hash={HASH.hex()}"
        for token, reason in (("moderator", ""), ("moderator", "why"), ("MyAccessToken", "")):
            body = answer(site, target, token, reason)
            assert not addresses(body), (path, token, reason)
        before = len(looks(site))
        body = answer(site, target, "MyAccessToken", "ticket 7")
        new = looks(site)[before:]
        assert bool(addresses(body)) == bool(new) == (path in SHOWING), path
        if not new:
            continue
        shown.add(path)
        (look,) = new
        assert look["asked"].partition("?")[0] == target.partition("?")[0]
        assert (look["by"]["token"], look["by"]["reason"]) == ("admin", "ticket 7")
        assert look.get("addresses") != 0
        assert not addresses(json.dumps(look["asked"]))
    assert shown == SHOWING


def addresses(body: str) -> list[str]:
    """Returns what of the peers' addresses stands in a body, networks too."""
    return re.findall(r"127\.0\.[12]\.\d+", body)


def looks(site: Tracker) -> list[dict[str, Any]]:
    """Returns the looks that the log has; each is durable before its answer."""
    found: list[dict[str, Any]] = api(site, "/api/v2/events?type=addresses_seen")["events"]
    return found


def wait_for_stays(site: Tracker) -> None:
    """Waits until the follower has written the index of both announces."""
    give_up = time.monotonic() + DEADLINE
    while time.monotonic() < give_up:
        reply = ask(site, "GET", "/api/v2/stays")
        if reply.status == 200 and len(reply.json["stays"]) == len(HOSTS):
            return
    raise AssertionError("the follower wrote no index")


def answer(site: Tracker, target: str, token: str, reason: str) -> str:
    """Returns the body of a request; of a stream, what comes up to the second announce. That of
    transitions has nothing, because nothing is judged.
    """
    if not target.endswith("/stream"):
        reply = ask(site, "GET", target, token=token, x_reason=reason)
        assert reply.status in (200, 400, 403, 404), (target, reply)
        return reply.body
    connection = HTTPConnection(*site.api, timeout=DEADLINE)
    headers = {"Authorization": f"Bearer {token}", "X-Reason": reason}
    received = b""
    try:
        whole = f"{target}?type=announced&after=0" if "events" in target else target
        connection.request("GET", whole, headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        while "events" in target and received.count(b"data: ") < len(HOSTS):
            received += response.readline()
    finally:
        connection.close()
    return received.decode()


def test_a_search_for_an_address(site: Tracker) -> None:
    """It finds what was there, needs the right, and its event has the pseudonym of the address."""
    wait_for_stays(site)
    (announce,) = (
        one for one in api(site, "/api/v2/events?type=announced")["events"] if one["port"] == 6001
    )
    for path in ("/api/v2/stays?address=", "/api/v2/handed?address="):
        target = f"{path}{HOSTS[0]}"
        assert ask(site, "GET", target, token="moderator", x_reason="why").status == 403
        assert ask(site, "GET", target).status == 400
        found = ask(site, "GET", target, x_reason="ticket 8").json
        if "stays" in found:
            assert [one["seq"] for one in found["stays"]] == [announce["seq"]]
            named = [one["pseudonym"] for one in found["stays"]]
        else:
            named = [one["pseudonym"] for each in found["replies"] for one in each["peers"]]
        assert named == [announce["pseudonym"]]
        look = looks(site)[-1]
        assert look["asked"] == f"{path}{announce['pseudonym']}"
        assert look["by"]["reason"] == "ticket 8"
