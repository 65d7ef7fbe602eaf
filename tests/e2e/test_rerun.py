"""Re-runs the log of a real private tracker: both protocols, a rotated key, a restart."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import announce_datagram, announce_target, api, ask, get, torrent, udp_client
from tests.e2e.process import DEADLINE, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH, OTHER = torrent(0xCD), torrent(0x22)


class Site:
    """A private tracker and its members' keys. A member's port is its number."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.keys: list[str] = []  # of all members, also those that are not in force any more

    def http(self, key: str, info_hash: bytes, peer: int, **fields: int | str) -> bytes:
        target = announce_target(info_hash, peer, 6000 + peer, **fields)
        return get(self.tracker.http[0], target.replace("/announce", f"/announce/{key}", 1))

    def udp(self, key: str, info_hash: bytes, peer: int, **fields: int) -> bytes:
        path = f"/announce/{key}".encode()
        with udp_client(self.tracker.udp[0]) as client:
            sent = announce_datagram(client.connection_id, info_hash, peer, 6000 + peer, **fields)
            return client.exchange(sent + bytes([2, len(path)]) + path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A tracker that was restarted, after a key was rotated and another one revoked; stopped."""
    site = Site(Tracker(tmp_path_factory.mktemp("rerun")))
    tracker = site.tracker
    tracker.switch_on("private")
    tracker.start()
    try:
        anna, bert = site.keys = [api(tracker, "/api/v1/key/86400000", "POST")["key"] for _ in "ab"]
        site.http(anna, HASH, 1, left=0, event="started")
        site.udp(bert, HASH, 2, left=900, event=2)
        site.udp(bert, OTHER, 2, left=0)
        site.http(anna, HASH, 1, left=0, uploaded=500)
        rotated = ask(tracker, "POST", "/api/v2/keys/1/rotate").json["key"]
        site.http(rotated, HASH, 1, left=0, uploaded=800)
        assert b"failure" in site.http(anna, HASH, 1, left=0, uploaded=900)
        tracker.stop()
        tracker.start()
        site.keys.append(rotated)
        site.udp(bert, HASH, 2, left=0, downloaded=900, event=1)
        site.http(rotated, HASH, 1, left=0, uploaded=20)  # a new session
        site.udp(bert, HASH, 2, left=0, downloaded=900, event=3)
        tracker.stop()
        (tracker.folder / "members").write_text("\n".join(site.keys))
        yield site
    finally:
        tracker.close()


def lines(done: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_outcome_is_as_recorded(site: Site) -> None:
    """The whole log, and a part that begins and ends somewhere, come out as recorded."""
    events = site.tracker.events()
    done = site.tracker.command("replay", "--check", "--json", "0", "now")
    assert (done.returncode, done.stderr) == (0, "")
    (summary,) = lines(done)
    assert (summary["first"], summary["last"]) == (0, len(events) - 1)
    assert (summary["differing"], summary["not_decided"], summary["whole"]) == (0, {}, True)
    decided = [one for one in events if one["type"] in ("announced", "tick", "announce_refused")]
    assert summary["as_recorded"] == len(decided)
    assert sum(summary[name] for name in ("as_recorded", "brought_about", "inputs")) == len(events)
    first, last = decided[1]["time"], decided[-2]["seq"]
    done = site.tracker.command("replay", "--check", "--trace", "--json", first, str(last))
    *traced, summary = lines(done)
    assert [one["seq"] for one in traced] == [one["seq"] for one in decided[1:-1]]
    assert {one["outcome"] for one in traced} == {"as recorded"}
    done = site.tracker.command("replay", "--check", "--trace", first, str(last))
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == [
        str(one["seq"]) for one in traced
    ]


WRONG = [
    (("--check",), "need a part of the log, A B"),
    (("--check", "0", "now", "--at", "3"), "need a part of the log, A B"),
    (("--check", "9", "7"), "A has to come first"),
    (("--check", "now", "7"), "A has to come first"),
    (("0", "now"), "needs --check or --against"),
    (("--speed", "2"), "belong to --against"),
    (("--trace",), "belongs to --check"),
    (("--check", "--against", "udp://127.0.0.1:1", "0", "now"), "do not go together"),
    (("--against", "ftp://127.0.0.1:1", "0", "now"), "expected http://HOST:PORT/announce"),
    (("--against", "http://192.0.2.1:6969/announce", "0", "now"), "Give --yes if it is a test"),
    (("--against", "http://127.0.0.1:1/announce", "--keys", "members", "0", "now"), "127.0.0.1:1"),
    (
        ("--against", "http://127.0.0.1:1/announce", "--keys", "none", "0", "now"),
        "cannot read none: No such",
    ),
    (("--check", "0", "99999999"), "is not in the log"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda each: " ".join(each))
def test_parts_that_cannot_be(site: Site, arguments: tuple[str, ...], said: str) -> None:
    """A part that is not whole, or not in the log, gets exit code 1 and a line that says so."""
    done = site.tracker.command("replay", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert said in done.stderr


def test_what_other_settings_would_have_made_of_it(site: Site) -> None:
    """A tighter rule refuses members of the log, a longer interval lowers the load, and a rule
    without effect changes nothing; what was refused then is said to be unknown.
    """
    tracker = site.tracker
    done = tracker.command("what-if", "--json", "--set", "policy.max_peers=1", "0", "now")
    assert done.returncode == 0
    (shown,) = lines(done)
    announces = tracker.events("--type", "announced")
    assert shown["announces"] == shown["recorded"]["replies"] == len(announces)
    assert shown["settings"] == {"recorded": {"max_peers": 0}, "now": {"max_peers": 1}}
    assert shown["refused"] == {"peers_full": shown["announces"] - shown["now"]["replies"]}
    assert shown["not_recorded"] == {"key_revoked": 1}
    assert shown["credit"]["recorded"]["downloaded"] == 900
    assert (shown["accounts"][0]["account"], shown["accounts"][0]["downloaded"]) == (2, -900)
    done = tracker.command("what-if", "--set", "core.announce_policy.interval=240", "0", "now")
    assert "\ninterval  120       240\n\nrefused now: 0\n" in done.stdout
    (load,) = [line for line in done.stdout.splitlines() if line.startswith("announces, by the ")]
    assert load.split()[-3:] == ["8", "6", "-2"]
    assert "What was refused was not recorded" in done.stderr
    done = tracker.command("what-if", "--set", "policy.retry_in_minutes=1", "0", "now")
    assert (done.returncode, done.stdout) == (1, "")
    assert "policy.retry_in_minutes is no key that can be set here. These work: " in done.stderr
    hidden = ("--log", str(tracker.folder / "log"), "--set", "policy.max_peers=1", "0", "now")
    done = tracker.command("what-if", *hidden)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the secrets (--secrets)" in done.stderr


def instance(site: Site, folder: Path, extra: str = "") -> Tracker:
    """Starts an empty private tracker behind a proxy, where the members' keys are in force."""
    made = Tracker(folder, extra=f"[core.net]\non_reverse_proxy = true\n{extra}")
    made.switch_on("private")
    made.start()
    for key in site.keys:
        assert ask(made, "POST", "/api/v2/keys", {"key": key}).status in (200, 201)
    return made


def test_a_test_instance_over_http(site: Site, tmp_path: Path) -> None:
    """An instance with the same settings and keys gets the same announces, and answers as then.
    Without the keys nothing is sent.
    """
    with closing(instance(site, tmp_path)) as made:
        host, port = made.http[0]
        url, announces = f"http://{host}:{port}/announce", site.tracker.events("--type", "announced")  # fmt: skip
        done = site.tracker.command("replay", "--against", url, "0", "now")
        assert done.stdout.endswith(": 0 announces sent, 0 answered as then, 0 otherwise, 8 not sent\n")  # fmt: skip
        assert (
            "8 announces not sent, because the text of the key is not known: give --keys FILE"
            in done.stderr
        )
        command = ("replay", "--json", "--keys", "members", "--speed", "100", "0", "now")
        done = site.tracker.command(*command, "--against", url)
        assert (done.returncode, done.stderr) == (0, "")
        assert [(one["sent"], one["differing"]) for one in lines(done)] == [(8, 0)]
        sent = made.events_until(lambda events: len(events) == 8, "--type", "announced")
        told = ("info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "numwant", "address")  # fmt: skip
        assert sorted(str([one[name] for name in told]) for one in sent) == sorted(
            str([one[name] for name in told]) for one in announces
        )


def test_a_test_instance_over_udp(site: Site, tmp_path: Path) -> None:
    """What an instance with another setting answers otherwise is shown, and what it refuses."""
    interval = "[core.announce_policy]\ninterval = 300\n"
    with closing(instance(site, tmp_path, interval)) as made:
        host, port = made.udp[0]
        command = ("replay", "--json", "--speed", "1e6", "0", "now", "--against")
        done = site.tracker.command(*command, f"udp://{host}:{port}", "--keys", "members")
        *found, summary = lines(done)
        assert (done.returncode, summary["sent"], summary["differing"]) == (1, 8, 8)
        assert [each for one in found for each in one["differences"]] == [
            {"what": "interval", "recorded": 120, "now": 300}
        ] * 8
        done = site.tracker.command(*command, f"udp://{host}:{port}/announce/{'x' * 32}")
        *found, summary = lines(done)
        assert (done.returncode, summary["differing"], len(found)) == (1, 8, 8)
        assert all("Failed to read key" in one["differences"][0]["now"] for one in found)


def test_the_api_tells_the_same(site: Site) -> None:
    """What the commands print about a part, the running tracker's API says too. A client that
    leaves has its work ended, so that the next one gets an answer.
    """
    tracker = site.tracker
    last = len(tracker.events()) - 1
    part = ("0", str(last))
    tracker.start()
    try:
        (checked,) = lines(tracker.command("replay", "--check", "--json", *part))
        assert checked.pop("type") == "summary"
        told = api(tracker, f"/api/v2/replay/check?to={last}")
        assert told == {**checked, "outcomes": []}
        traced = lines(tracker.command("replay", "--check", "--trace", "--json", *part))[:-1]
        assert api(tracker, f"/api/v2/replay/check?to={last}&trace=true")["outcomes"] == traced
        (other,) = lines(tracker.command("what-if", "--json", "--set", "policy.max_peers=1", *part))
        assert other.pop("trust")
        target = f"/api/v2/what-if?to={last}&set=policy.max_peers=1"
        assert api(tracker, target) == other
        found = lines(tracker.command("outages", "--json"))
        assert [one["why"] for one in found] == ["stopped", "stopped"]
        assert api(tracker, "/api/v2/outages") == {"outages": found, "next": None}
        with socket.create_connection(tracker.api, DEADLINE) as leaving:
            head = (
                f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer MyAccessToken\r\n\r\n"
            )
            leaving.sendall(head.encode())
        assert api(tracker, target) == other
        refused = ask(tracker, "GET", "/api/v2/what-if?set=policy.contact=me")
        assert (refused.status, "is no key that can be set here" in refused.body) == (400, True)
    finally:
        tracker.stop()
