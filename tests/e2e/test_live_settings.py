"""Settings change while the tracker serves, and the log tells the same after a restart."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import announce, ask, torrent, udp_client
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

HASH = torrent(0x51)


def test_settings_change_under_load(new_tracker: Callable[..., Tracker]) -> None:
    """Announces over UDP and HTTP get the interval of the newest change before them, while staff
    changes it; a restart and an explanation tell the same.
    """
    tracker = new_tracker().start()
    stop, intervals = threading.Event(), {"udp": [120], "http": [120]}
    failures: list[BaseException] = []

    def load(which: str, once: Callable[[int], int]) -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                intervals[which].append(once(number % 50))
        except BaseException as error:
            failures.append(error)
            raise

    def over_http(number: int) -> int:
        found: int = announce(tracker.http[0], HASH, number, 6000 + number)["interval"]
        return found

    with udp_client(tracker.udp[0]) as client:
        threads = [
            threading.Thread(
                target=load,
                args=("udp", lambda n: client.announce(HASH, n, 7000 + n, left=1).interval),
            ),
            threading.Thread(target=load, args=("http", over_http)),
        ]
        for one in threads:
            one.start()
        try:
            for interval in range(200, 210):
                asked = {"settings": {"core.announce_policy.interval": interval}}
                reply = ask(tracker, "PATCH", "/api/v2/settings", asked, x_reason=f"{interval}")
                assert (reply.status, reply.json["changed"][0]["value"]) == (200, interval)
                # What begins after the reply has the new value.
                assert over_http(99) == interval
        finally:
            stop.set()
            for one in threads:
                one.join(DEADLINE)
    assert not failures
    for found in intervals.values():
        assert found == sorted(found)  # never an older one after a newer one
        assert len(found) > 10

    announced = [one["seq"] for one in tracker.events("--type", "announced")]
    changes = [one["seq"] for one in tracker.events("--type", "settings_changed")]
    asked_for = [announced[len(announced) * part // 5] for part in range(1, 5)]
    told = [explained(tracker, seq) for seq in asked_for]
    last = tracker.events()[-1]["seq"]
    before = digest(tracker, last)
    tracker.stop()
    tracker.start()
    assert digest(tracker, last) == before
    assert [explained(tracker, seq) for seq in asked_for] == told
    for seq, one in zip(asked_for, told, strict=True):
        assert one["settings_seq"] == max(each for each in changes if each < seq)
    assert tracker.command("verify").returncode == 0
    assert in_force(tracker)["core.announce_policy.interval"]["value"] == 209


def test_the_newest_change_wins(new_tracker: Callable[..., Tracker]) -> None:
    """The file's value, staff's, and the file's again, which is a new one; each command says so."""
    tracker = new_tracker(lasting_listeners(), "[policy]\nmax_peers = 5\n").start()
    key = "policy.max_peers"
    refused = tracker.command("settings", "set", f"{key}=7")
    assert (refused.returncode, "this needs a reason" in refused.stderr) == (1, True)
    preview = tracker.command("settings", "set", f"{key}=7", "--dry-run")
    assert preview.stdout == f"{key} 7 (before: 5)\n"
    refused = tracker.command("settings", "set", "core.private=true", "--reason", "no")
    assert "change it in the file, and start again" in refused.stderr
    done = tracker.command("settings", "set", f"{key}=7", "--reason", "a new server")
    assert done.stdout.startswith(f"{key} 7 (before: 5)\n")

    tracker.stop()
    tracker.start()
    shown = in_force(tracker)[key]
    assert (shown["value"], shown["file"], shown["by"], shown["reason"]) == (
        7, 5, "admin", "a new server",
    )  # fmt: skip
    (changed,) = tracker.command("settings", "show", "--changed").stdout.splitlines()
    assert changed.split() == [key, "7", "5", str(shown["seq"]), shown["time"], "admin", "a", "new", "server"]  # fmt: skip
    checked = tracker.command("check-config").stdout
    assert f"# {key} is 7, set by admin in event {shown['seq']}; the file has 5\n" in checked
    assert tracker.lines is not None
    assert any(f"{key} is 7, set by admin" in line for line in tracker.lines.so_far())

    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("max_peers = 5", "max_peers = 6"))
    checked = tracker.command("check-config").stdout
    assert f"# {key} is 7 until the next start, which puts the file's 6 in force\n" in checked
    tracker.stop()
    tracker.start()
    shown = in_force(tracker)[key]
    assert (shown["value"], shown["file"], shown["by"]) == (6, 6, None)
    history = tracker.command("settings", "history", "--json").stdout.splitlines()
    values = [json.loads(line)["settings"].get(key) for line in history]
    assert values == [5, 7, 6]


def in_force(tracker: Tracker) -> dict[str, dict[str, Any]]:
    found = ask(tracker, "GET", "/api/v2/settings").json["keys"]
    return {one["key"]: one for one in found}


def explained(tracker: Tracker, seq: int) -> dict[str, Any]:
    done = tracker.command("explain", str(seq), "--json")
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def digest(tracker: Tracker, seq: int) -> str:
    done = tracker.command("replay", "--at", str(seq), "--json")
    found: str = json.loads(done.stdout)["digest"]
    return found
