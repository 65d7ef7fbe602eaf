"""Twenty people who click through the console: python -m benchlib.people PORT SECONDS HASH...

Each has a connection, and opens the next page of a round through the console. All of them click in
the same instant, which is the worst case. When everybody has opened a page once, "ready" goes to
the output; at the end one line of JSON says how long the pages took.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlencode

from benchlib.servers import TOKEN

PEOPLE = 20
PERIOD = 2.0
"""Seconds from click to click."""
PAGES = (
    "/today", "/members/{n}", "/torrents/{h}", "/torrents/{h}/peers", "/log", "/keys",
    "/members/{n}/ledger", "/cases", "/health", "/settings", "/torrents/{h}/snatches", "/changes",
)  # fmt: skip


class Person:
    def __init__(self, number: int, port: int, info_hash: str) -> None:
        self.number, self.hash = number, info_hash
        self.console = HTTPConnection("127.0.0.1", port, timeout=60)
        self.waits_ms: list[float] = []
        self.errors: list[str] = []
        headers = {
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self.console.request("POST", "/sign-in", urlencode({"token": TOKEN}), headers)
        answer = self.console.getresponse()
        answer.read()
        self.cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]

    def click(self, turn: int) -> None:
        page = PAGES[(self.number + turn) % len(PAGES)].format(n=self.number + 1, h=self.hash)
        began = time.perf_counter()
        self.console.request("GET", page, headers={"Cookie": self.cookie})
        answer = self.console.getresponse()
        text = answer.read()
        self.waits_ms.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            self.errors.append(f"{page}: status {answer.status}: {text[:200]!r}")


def main(port: int, seconds: float, hashes: list[str]) -> None:
    people = [Person(number, port, hashes[number % len(hashes)]) for number in range(PEOPLE)]
    _all_click(people, 0)
    for person in people:
        person.waits_ms.clear()
    print("ready", flush=True)
    began = time.monotonic()
    for turn in range(1, int(seconds / PERIOD) + 1):
        time.sleep(max(0.0, began + (turn - 1) * PERIOD - time.monotonic()))
        _all_click(people, turn)
    waits = sorted(wait for person in people for wait in person.waits_ms)
    errors = [one for person in people for one in person.errors]
    shown = {"pages": len(waits), "p50_ms": waits[len(waits) // 2], "max_ms": waits[-1]}
    print(json.dumps(shown | {"errors": errors}))


def _all_click(people: list[Person], turn: int) -> None:
    threads = [threading.Thread(target=person.click, args=(turn,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
