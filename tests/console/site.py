"""Makes the site that staff looks at in a browser: a real tracker with members, torrents, refusals,
hostile names, changes by staff, and a restart.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from attrs import define, field

from tests.e2e import clients
from tests.e2e.process import DEADLINE, Listeners, Tracker, free_ports

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
"""Stands in a label, an owner, a reason and a User-Agent."""
INTERVAL = 120
TOKENS = {"staff": "moderator", "watch": "read"}
"""Labels of the further access tokens, and their scopes; `admin` is a full one."""


def key_of(member: int) -> str:
    return f"{member:032d}"


@define
class Site:
    """A running tracker in private mode. Members have the numbers of their accounts."""

    tracker: Tracker
    console: str  # URL
    tokens: dict[str, str] = field(factory=dict)  # by label

    @classmethod
    def start(cls, folder: Path) -> Site:
        """Starts the tracker on ports that stay the same when it starts again."""
        site = cls.prepared(folder)
        site.tracker.start()
        site._found()
        return site

    @classmethod
    def prepared(cls, folder: Path, core: str = "") -> Site:
        """Writes the configuration of a tracker, with more TOML for `[core]`; starts nothing."""
        http, api, console = free_ports(3)
        more = f'{core}\n[console]\nbind_address = "127.0.0.1:{console}"\nname = "production"'
        listeners = Listeners(("127.0.0.1:0",), (f"127.0.0.1:{http}",), f"127.0.0.1:{api}")
        tracker = Tracker(folder, listeners, more)
        tracker.switch_on("private")
        text = tracker.config.read_text()
        tracker.config.write_text(re.sub(r"(?m)^(\[event_log\])$", r"\1\ncases = true", text))
        return cls(tracker, f"http://127.0.0.1:{console}", {"admin": "MyAccessToken"})

    def ask(self, method: str, path: str, body: Any = None, reason: str = "as agreed") -> Any:
        """Asks the API with the full token; returns the JSON of a good answer."""
        answer = clients.ask(self.tracker, method, f"/api/v2/{path}", body, X_Reason=reason)
        assert answer.status in (200, 201, 204), answer
        return answer.json if answer.body else None

    def announce(
        self, member: int, torrent: int, *, agent: str = "qBittorrent/4.6.3", **fields: Any
    ) -> None:
        """Announces as a member's client over HTTP."""
        given = {"uploaded": 0, "downloaded": 0, "left": 0, "port": 20_000 + member, **fields}
        query = "&".join(f"{name}={value}" for name, value in given.items())
        info_hash, peer = clients.torrent(torrent), b"-qB4630-%012d" % member
        target = (
            f"/{key_of(member)}/announce?info_hash={quote_from_bytes(info_hash)}"
            f"&peer_id={quote_from_bytes(peer)}&{query}"
        )
        head = (
            f"GET {target} HTTP/1.1\r\nHost: t\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        )
        assert b"200" in clients.exchange(self.tracker.http[0], head.encode())[:15]

    def _found(self) -> None:
        """Fills the site, with a restart in the middle."""
        for member, owner in enumerate(("anna", "bert", HOSTILE, "dora"), 1):
            self.ask(
                "POST", "keys", {"key": key_of(member), "owner": owner, "label": f"seat {member}"}
            )
        for label, scope in TOKENS.items():
            form = {"label": label, "scope": scope}
            self.tokens[label] = self.ask("POST", "tokens", form, "joined staff")["text"]
        gib = 1 << 30
        for torrent, label in enumerate(("Debian 13", HOSTILE, "Fedora 44"), 1):
            facts = {"label": label, "size": 4 * gib, "uploader": "anna", "tags": ["linux"]}
            self.ask("PUT", f"torrents/{clients.torrent(torrent).hex()}/facts", facts)
        self.ask("PUT", "hit-and-run/rule", {"seed_seconds": 259_200})
        self.announce(1, 1, event="started")
        self.announce(2, 1, left=4 * gib, event="started")
        self.announce(3, 1, left=4 * gib, agent=HOSTILE, event="started")
        self.announce(1, 2, event="started")
        self.tracker.events_until(lambda found: count(found) >= 4)
        self.tracker.stop()
        self.tracker.start()
        self.announce(1, 1, uploaded=3 * gib)
        self.announce(2, 1, left=gib, downloaded=3 * gib)
        self.announce(1, 2, event="stopped")
        self.ask("DELETE", "keys/4", reason=HOSTILE)
        for _ in range(3):
            self.announce(4, 1)
        self.tracker.events_until(lambda found: count(found) >= 7)
        self._wait_for_stays()

    def until_later(self) -> None:
        """Waits until the log's time has gone on: announces within one tick have the same time."""
        begin, give_up = self._log_time(), time.monotonic() + DEADLINE
        while self._log_time() == begin:
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def _log_time(self) -> str:
        end = self.ask("GET", "events?limit=1")["end"]
        return str(self.ask("GET", f"events?from={end - 1}&limit=1")["events"][0]["time"])

    def _wait_for_stays(self) -> None:
        """Waits until the index of stays is there: it is some seconds behind the log."""
        give_up = time.monotonic() + DEADLINE
        while clients.ask(self.tracker, "GET", "/api/v2/stays").status != 200:
            assert time.monotonic() < give_up
            time.sleep(0.1)

    def close(self) -> None:
        self.tracker.close()


def count(events: list[dict[str, Any]]) -> int:
    """Counts announces."""
    return sum(event["type"] == "announced" for event in events)
