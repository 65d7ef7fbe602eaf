"""Measures how long pages of the console take on a large log, for scripts/bench pages.

The log is that of scripts/bench audit (`auditparts`), written so that it ends now. The tracker
serves it, with its follower and the console, and one person opens each page once and then five
times; pages of members and announces those of another one each time.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from benchlib.auditbench import part
from benchlib.load import Load, LoadError
from benchlib.servers import TOKEN, tracker, wait_for_follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchlib.load import Target

TURNS = 5
REST_SECONDS = 150.0
"""Seconds without a click after which helper processes were replaced by new ones (after 120)."""
STAYS_LISTED = "[core.tracker_policy]\nmax_peer_timeout = 86400\n"
"""Keeps the peers of a log that ended some hours ago."""
PAGES = (
    "/today", "/today/rates", "/cases", "/hit-and-run", "/hit-and-run/rule",
    "/log", "/log?type=announced", "/log?account={member}", "/log?info_hash={hash}", "/log?from=2h+ago",
    "/log/kinds", "/log/kinds?from=1h+ago", "/events/3", "/events/{announce}",
    "/events/{announce}?wait=1", "/stays", "/stays?account={member}", "/stays?info_hash={hash}",
    "/changes", "/changes?who=bench", "/members/{member}", "/members/{member}/ledger", "/members/{member}/torrents",
    "/members/{member}/hit-and-run", "/members/{member}/notes", "/torrents/{hash}", "/torrents/{hash}/peers",
    "/torrents/{hash}/snatches", "/torrents/{hash}/handed?account={member}&from=2h+ago",
    "/torrents/{hash}/handed?account={member}&from=2h+ago&wait=1", "/torrents/{hash}/time?span=all",
    "/torrents/{hash}/time?span=all&at=2h+ago", "/keys", "/keys?q=member{member}", "/keys/{member}",
    "/whitelist", "/bulk", "/settings", "/settings?key=policy.max_peers", "/health",
    "/search?q=member{member}", "/search?q={announce}",
)  # fmt: skip
HEAD = "| page | first, ms | then, ms |\n| --- | --- | --- |"


class Person:
    """Somebody who is signed in."""

    def __init__(self, target: Target) -> None:
        self._port = target.console_port
        answer, _ = self._ask("POST", "/sign-in", urlencode({"token": TOKEN}))
        self._cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]

    def open(self, path: str) -> float:
        """Opens a page. Returns the milliseconds until it was whole. Raises LoadError."""
        began = time.perf_counter()
        answer, text = self._ask("GET", path)
        took = (time.perf_counter() - began) * 1000
        if answer.status not in (200, 303):
            raise LoadError(f"{path}: status {answer.status}: {text[:200]!r}")
        return took

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        headers = {"Sec-Fetch-Site": "same-origin"}
        if body is None:
            headers["Cookie"] = self._cookie
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer, text


def bench(events: int, log: Path | None, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Measures all pages; returns the table. `log`: a folder with the log and secrets of an earlier
    run, in place of new ones. The tracker writes to it. Raises ServerError, LoadError, PartError.
    """
    if log is None:
        log = folder
        part("generate", folder / "log", events, time.time_ns() // 1000)
        part("follow", folder / "log")
    lines = [HEAD]
    say(HEAD)
    with tracker(log, None, Load("udp", private=True), whole=True, more=STAYS_LISTED) as target:
        wait_for_follower(target)
        person, announces = Person(target), _announces(target, events // 2)
        info_hash = random.Random(1).randbytes(20).hex()  # noqa: S311  # the first of `auditparts`
        for page in PAGES:
            first, *more = (
                person.open(page.format(hash=info_hash, announce=announces.pop(), member=77 + turn))
                for turn in range(1 + TURNS)
            )
            lines.append(_row(_named(page), first, statistics.median(more)))
            say(lines[-1])
        time.sleep(REST_SECONDS)
        first, *more = (person.open("/today") for _ in range(1 + TURNS))
        lines.append(_row("`/today` after two minutes of rest", first, statistics.median(more)))
        say(lines[-1])
    return lines


def _named(page: str) -> str:
    return f"`{page.format(hash='HASH', announce='ANNOUNCE', member='MEMBER')}`"


def _row(name: str, first: float, then: float) -> str:
    return f"| {name} | {first:.0f} | {then:.0f} |"


def _announces(target: Target, seq: int) -> list[int]:
    """Returns announces behind an event, one for each time that a page is opened, because the
    explanation of the latest one is kept.
    """
    wanted, found = (1 + TURNS) * len(PAGES), list[int]()
    query: dict[str, Any] = {"from": seq, "type": "announced", "limit": wanted}
    connection = HTTPConnection("127.0.0.1", target.api_port, timeout=120)
    while len(found) < wanted:  # a page is short where it takes long
        path = f"/api/v2/events?{urlencode(query)}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        page = json.loads(connection.getresponse().read())
        if "events" not in page:
            raise LoadError(f"{path}: {page}")
        found += [one["seq"] for one in page["events"]]
        query["after"] = page["next"]
        if page["next"] is None and len(found) < wanted:
            raise LoadError(f"there are only {len(found)} announces behind event {seq}")
    connection.close()
    return found


def block(command: str, facts: dict[str, str], lines: list[str]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    return "\n".join([f"`{command}`", "", named, "", *lines])
