"""Tests a dispute: the log answers each question of staff about a transfer of real clients."""

from __future__ import annotations

import json
import random
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.clients.conftest import QUICK, SIZE
from tests.e2e.clients import announce_target, ask, get
from tests.e2e.process import DEADLINE, Event, Tracker, lasting_listeners
from tests.e2e.swarm import Client, Content, content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorrent import settings_pack

pytestmark = pytest.mark.clients

HOME, AWAY = "127.0.0.1", "127.0.0.2"
ELSEWHERE: settings_pack = {"listen_interfaces": f"{AWAY}:0", "outgoing_interfaces": AWAY}
SLOW = 400_000  # bytes a second, so that a download lasts longer than the tracker is down
CLAIM = 10**10  # bytes that Carl says he sent, from one announce to the next
ANNA, BEN, CARL = 1, 2, 3  # key_refs and accounts: the seeder, the downloader, the cheat


@frozen
class Site:
    """A private site with a rule, three members, and a torrent as each of two has it."""

    tracker: Tracker
    keys: tuple[str, str, str]
    ours: Content  # with Anna's key
    theirs: Content  # with Ben's

    def told(self, *arguments: str) -> list[Any]:
        """Returns what a command prints with --json."""
        done = self.tracker.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def announces(self, key_ref: int) -> list[Event]:
        found = self.tracker.events("--type", "announced")
        return [one for one in found if one["key_ref"] == key_ref]

    def until(self, wanted: Callable[[], Any]) -> Any:
        """Waits until `wanted` returns something true, because the follower comes later."""
        give_up = time.monotonic() + DEADLINE
        while not (found := wanted()):
            assert time.monotonic() < give_up, "it never came"
            time.sleep(0.2)
        return found


def test_a_dispute(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """Ben downloads from Anna at two addresses, over a crash of the tracker, and leaves. Anna's key
    is rotated, because it was stolen. Carl claims what nobody has received.
    """
    site = opened(new_tracker(lasting_listeners(), QUICK))
    stolen = transferred(site, tmp_path)
    cheated(site)
    the_credit_is_explained(site)
    the_key_is_accounted_for(site, stolen)
    who_was_there_is_known(site)
    the_peers_are_known(site)
    what_ben_owes_is_known(site)
    the_cheat_is_a_case(site)


def opened(tracker: Tracker) -> Site:
    tracker.switch_on("private")
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[event_log]\n", "[event_log]\ncases = true\n"))
    tracker.start()
    keys = [
        ask(tracker, "POST", "/api/v2/keys", {"owner": owner}).json["key"]
        for owner in ("anna", "ben", "carl")
    ]
    ((host, port),) = tracker.http
    data = random.Random(7).randbytes(SIZE)
    contents = [content(data, f"http://{host}:{port}/announce/{key}") for key in keys]
    site = Site(tracker, (keys[0], keys[1], keys[2]), contents[0], contents[1])
    site.told("torrent", "describe", site.ours.info_hash.hex(), "--size", str(SIZE))
    site.told("hit-and-run", "set", "--seed", "3d", "--ratio", "2", "--reason", "as voted")
    return site


def transferred(site: Site, folder: Path) -> str:
    """Returns the key that was revoked."""
    have, want = site.ours.put_into(folder / "have"), folder / "want"
    with closing(Client(site.ours, have)) as seed:
        seed.wait_announced()
        with closing(Client(site.theirs, want, download_limit=SLOW)) as leech:
            leech.wait_downloading()
            site.tracker.kill()
            site.tracker.start()
            leech.wait_complete()
            seed.reannounce()
            leech.reannounce()
        with closing(Client(site.theirs, want, settings=ELSEWHERE)) as moved:
            moved.wait_announced()
            moved.leave()
            site.until(lambda: site.announces(BEN)[-1]["event"] == "stopped")
        seed.leave()
        site.until(lambda: site.announces(ANNA)[-1]["event"] == "stopped")
        (rotated,) = site.told("key", "rotate", site.keys[0], "--reason", "stolen")
        assert rotated["key"] not in site.keys
        refused = get(site.tracker.http[0], f"/announce/{site.keys[0]}?{target(site, 9)}")
        assert b"failure reason" in refused
    return site.keys[0]


def cheated(site: Site) -> None:
    """Carl uploads 40 GB to nobody."""
    for uploaded in range(0, 5 * CLAIM, CLAIM):
        answer = get(
            site.tracker.http[0], f"/announce/{site.keys[2]}?{target(site, 7, uploaded=uploaded)}"
        )
        assert b"8:interval" in answer


def target(site: Site, peer: int, **fields: int) -> str:
    return announce_target(site.ours.info_hash, peer, 6881, left=0, **fields)[10:]


def the_credit_is_explained(site: Site) -> None:
    """Ben has the file, over the crash and at both addresses, and each announce says why."""
    *entries, sums = site.told("ledger", "ben")
    assert (sums["downloaded"], sums["uploaded"]) == (SIZE, 0)
    announces = [one for one in entries if one["type"] == "announce"]
    assert sum(one["delta_downloaded"] for one in announces) == SIZE
    for one in announces:
        (explained,) = site.told("explain", str(one["seq"]))
        assert explained["decided_again"] == "as recorded"
    *_, sums = site.told("ledger", "anna")
    assert (sums["uploaded"], sums["downloaded"]) == (SIZE, 0)


def the_key_is_accounted_for(site: Site, stolen: str) -> None:
    """Who revoked it, how and why; and nothing was announced with it afterwards."""
    (rotated,) = site.tracker.events("--type", "key_rotated")
    assert (rotated["by"]["token"], rotated["by"]["address"]) == ("admin", HOME)
    assert (rotated["by"]["reason"], rotated["old_key_ref"]) == ("stolen", ANNA)
    assert stolen not in json.dumps(rotated)
    assert all(one["seq"] < rotated["seq"] for one in site.announces(ANNA))


def who_was_there_is_known(site: Site) -> None:
    """Ben was there at two addresses, one after the other, and left."""
    first, second = site.until(lambda: ended(site.told("stays", "--account", "ben")))
    assert [(one["address"], one["why"]) for one in (first, second)] == [
        (HOME, "stopped"), (AWAY, "stopped"),
    ]  # fmt: skip
    assert first["left"] <= second["joined"]
    assert {first["info_hash"], second["info_hash"]} == {site.ours.info_hash.hex()}
    (there,) = site.told("stays", "--account", "anna", "--at", str(second["seq"]))
    assert there["joined"] <= first["joined"]


def ended(stays: list[Any]) -> list[Any]:
    """Returns the stays, if all of them are over."""
    return stays if len(stays) == 2 and all(one["why"] for one in stays) else []


def the_peers_are_known(site: Site) -> None:
    """Anna's address was handed to Ben first, and that is what Ben received."""
    first = site.told("handed", HOME, "--port", str(site.announces(ANNA)[0]["port"]))[0]
    assert first["seq"] == site.announces(BEN)[0]["seq"]
    (peer,) = first["peers"]
    assert site.told("received", "ben")[0]["peers"] == [peer]
    assert peer["seq"] == site.announces(ANNA)[0]["seq"]


def what_ben_owes_is_known(site: Site) -> None:
    """Ben is liable since the announce that showed a tenth of the file, and now absent."""
    (found,) = site.until(lambda: site.told("hit-and-run", "list", "ben"))
    shown = next(one for one in site.announces(BEN) if one["downloaded"] >= SIZE / 10)
    assert (found["state"], found["position"]["seq"]) == ("liable", shown["seq"])
    assert found["since"] == shown["time"]
    assert found["facts"]["absent_since"] == site.announces(BEN)[-1]["time"]


def the_cheat_is_a_case(site: Site) -> None:
    """What Carl claims is put before staff, and names his announces; the others have no case."""
    cases = site.until(lambda: site.told("cases", "list"))
    assert {one["account"] for one in cases} == {CARL}
    assert "upload_beyond_received" in [one["detector"] for one in cases]
    shown = site.told("cases", "show", "carl", "upload_beyond_received")[0]
    found = shown["findings"][-1]
    seqs = [one["seq"] for one in site.announces(CARL)]
    assert set(found["evidence"]) <= set(seqs)
    assert found["facts"]["sent_in_all"] == 4 * CLAIM
