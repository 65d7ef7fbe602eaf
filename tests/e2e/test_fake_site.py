"""A site on SQLite that keeps its own tables, by what changed and by webhooks, through kills of the
tracker and of itself: its sums are those of the ledger.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import all_pages, announce_target, ask, get, torrent
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Tracker

SECRET = "only these two know it, and nobody else"
TORRENTS = [torrent(number) for number in range(1, 6)]
MEMBERS, ROUNDS = 5, 8
_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (account INTEGER PRIMARY KEY, uploaded, downloaded, snatched, credited_uploaded);
CREATE TABLE IF NOT EXISTS torrents (info_hash TEXT PRIMARY KEY, seeders, completed, leechers);
CREATE TABLE IF NOT EXISTS keys (key_ref INTEGER PRIMARY KEY, account);
CREATE TABLE IF NOT EXISTS snatches (seq, n, time, account, info_hash, PRIMARY KEY (seq, n));
CREATE TABLE IF NOT EXISTS seeded (info_hash TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS positions (name TEXT PRIMARY KEY, position);
"""


class KilledError(Exception):
    """The site was killed before it could commit."""


class Site:
    """The site's database, and the server that takes the tracker's webhook."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._path, self._rng = folder / "site.db", rng
        self.begun_anew = 0
        self._serve(0)

    def _serve(self, port: int) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = site.take(body["events"])
                if answer is not None:  # else it hangs up, as one that is killed
                    self.send_response(answer)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        self.close()
        self._serve(self.port)

    def open(self) -> sqlite3.Connection:
        found = sqlite3.connect(self._path, isolation_level="IMMEDIATE", timeout=DEADLINE)
        found.executescript(_SCHEMA)
        return found

    def take(self, events: list[dict[str, Any]]) -> int | None:
        """Stores a delivery, or fails: before it commits, after it, or by hanging up."""
        fails = self._rng.random()
        if fails < 0.2:
            return 503
        with closing(self.open()) as tables, tables:
            last = position(tables, "webhook") or -1, position(tables, "webhook_n") or -1
            for event in events:
                place = event["seq"], event.get("position", {"n": -1})["n"]
                if place <= last:
                    continue  # it comes twice
                last = place
                enter(tables, event)
            keep(tables, "webhook", last[0])
            keep(tables, "webhook_n", last[1])
        return 200 if fails > 0.5 else 500 if fails > 0.35 else None

    def update(self, tracker: Tracker, *, killed: bool = False) -> None:
        """Asks for what changed since the last time. `killed`: in the middle of that."""
        for name in ("accounts", "torrents"):
            with closing(self.open()) as tables, tables:
                self._read(tracker, tables, name)
                if killed:
                    raise KilledError

    def _read(self, tracker: Tracker, tables: sqlite3.Connection, name: str) -> None:
        since, after = position(tables, name) or "start", ""
        while True:
            page = ask(tracker, "GET", f"/api/v2/{name}?limit=2&changed_since={since}{after}")
            if page.status == 409:
                self.begun_anew += 1
                since, after = "start", ""
                continue
            for row in page.json[name]:
                columns = [each[1] for each in tables.execute(f"PRAGMA table_info({name})")]
                values = [row[each] for each in columns]
                marks = ",".join("?" * len(values))
                tables.execute(f"INSERT OR REPLACE INTO {name} VALUES ({marks})", values)  # noqa: S608  # no input
            if page.json["next"] is None:
                keep(tables, name, page.json["position"])
                return
            after = f"&after={page.json['next']}"


def enter(tables: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Enters what the webhook said in the tables."""
    match event["type"]:
        case "key_issued":
            row = event["key_ref"], event["account"]
            tables.execute("INSERT INTO keys VALUES (?, ?)", row)
        case "key_revoked":
            tables.execute("DELETE FROM keys WHERE key_ref = ?", (event["key_ref"],))
        case "completed":
            snatch = snatched(event)
            tables.execute("INSERT INTO snatches VALUES (?, ?, ?, ?, ?)", snatch)
        case "first_seeder":
            tables.execute("INSERT INTO seeded VALUES (?)", (event["info_hash"],))
        case "last_seeder_left":
            tables.execute("DELETE FROM seeded WHERE info_hash = ?", (event["info_hash"],))


def snatched(event: dict[str, Any]) -> tuple[Any, ...]:
    named = event["time"], event["account"], event["info_hash"]
    return event["seq"], event["position"]["n"], *named


def position(tables: sqlite3.Connection, name: str) -> Any:
    found = tables.execute("SELECT position FROM positions WHERE name = ?", (name,)).fetchone()
    return found[0] if found else None


def keep(tables: sqlite3.Connection, name: str, value: object) -> None:
    tables.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (name, value))


@pytest.mark.faults  # it starts a tracker nine times
def test_a_site_that_keeps_its_own_tables(
    new_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    rng = random.Random(7)
    with closing(Site(tmp_path, rng)) as site:
        tracker = new_tracker(lasting_listeners())
        tracker.config.write_text(
            f"""{tracker.config.read_text()}
[[webhooks]]
name = "site"
url = "http://127.0.0.1:{site.port}/"
secret = "{SECRET}"
types = ["key_issued", "key_revoked", "completed", "first_seeder", "last_seeder_left"]
"""
        )
        tracker.switch_on("private")
        tracker.start()
        keys = [issue(tracker)["key"] for _ in range(MEMBERS)]
        totals = {(one, each): [0, 0] for one in range(MEMBERS) for each in range(len(TORRENTS))}
        for number in range(ROUNDS):
            play(tracker, keys, totals, rng)
            if number % 3 == 1:
                with pytest.raises(KilledError):
                    site.update(tracker, killed=True)
                site.restart()
            else:
                site.update(tracker)
            if number % 2:
                tracker.kill()
                tracker.start()
            revoked = f"/api/v2/keys/{issue(tracker)['key_ref']}"
            assert ask(tracker, "DELETE", revoked).status == 204
        assert site.begun_anew
        site.update(tracker)
        compare(site, tracker)
        assert tracker.command("verify").returncode == 0


def issue(tracker: Tracker) -> dict[str, Any]:
    key: dict[str, Any] = ask(tracker, "POST", "/api/v2/keys", {}).json
    return key


def play(
    tracker: Tracker, keys: list[str], totals: dict[tuple[int, int], list[int]], rng: random.Random
) -> None:
    """Members announce more than before, some leave, and staff corrects somebody."""
    for (member, number), said in rng.sample(sorted(totals.items()), 8):
        said[0] += rng.randrange(1000)
        said[1] = min(1000, said[1] + rng.randrange(600))
        event = rng.choice(["", "", "&event=stopped"])
        if said[1] == 1000 and not event:
            event = "&event=completed"
        target = announce_target(
            TORRENTS[number], member, 6001 + member, uploaded=said[0], downloaded=said[1], left=1000 - said[1]
        )  # fmt: skip
        get(tracker.http[0], f"/announce/{keys[member]}?{target[10:]}{event}")
    first = tracker.events_until(bool, "--type", "announced")[0]
    body = {"uploaded": 5, "corrects": first["seq"]}
    corrected = f"/api/v2/accounts/{rng.randrange(MEMBERS) + 1}/corrections"
    assert ask(tracker, "POST", corrected, body, X_Reason="a present").status == 201


def compare(site: Site, tracker: Tracker) -> None:
    """Compares the site's tables with the ledger, the swarms and the keys."""
    with closing(site.open()) as tables:
        for account, *row in tables.execute("SELECT * FROM accounts").fetchall():
            found, _ = all_pages(tracker, f"/api/v2/accounts/{account}/totals?", "totals")
            names = "uploaded", "downloaded", "snatched", "credited_uploaded"
            assert row == [sum(one[name] for one in found) for name in names]
        assert tables.execute("SELECT count(*) FROM accounts").fetchone() == (MEMBERS,)
        for info_hash, *row in tables.execute("SELECT * FROM torrents").fetchall():
            one = ask(tracker, "GET", f"/api/v2/torrents/{info_hash}").json
            assert row == [one["seeders"], one["completed"], one["leechers"]]
        compare_keys(tables, tracker)
        compare_snatches(tables, tracker)


def compare_keys(tables: sqlite3.Connection, tracker: Tracker) -> None:
    listed, _ = all_pages(tracker, "/api/v2/keys?", "keys")
    valid = {(one["key_ref"], one["account"]) for one in listed if one["state"] == "valid"}
    wait(lambda: {*tables.execute("SELECT * FROM keys")} == valid)


def compare_snatches(tables: sqlite3.Connection, tracker: Tracker) -> None:
    """The list of snatches is what the tracker counted, each with the place that it has now."""
    counted = {one[0]: one[1] for one in tables.execute("SELECT account, snatched FROM accounts")}
    of_each = "SELECT account, count(*) FROM snatches GROUP BY account"
    wait(lambda: dict.fromkeys(counted, 0) | dict(tables.execute(of_each)) == counted)
    listed, _ = all_pages(tracker, "/api/v2/events?type=completed&", "events")
    assert [*tables.execute("SELECT * FROM snatches ORDER BY seq, n")] == list(
        map(snatched, listed)
    )
    seeded = "SELECT info_hash FROM torrents WHERE seeders > 0"
    wait(lambda: {*tables.execute("SELECT * FROM seeded")} == {*tables.execute(seeded)})


def wait(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 2 * DEADLINE
    while not reached():
        assert time.monotonic() < give_up, "the webhook never told it all"
        time.sleep(0.05)
