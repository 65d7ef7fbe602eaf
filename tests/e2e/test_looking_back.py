"""Tests `tracker verify`, `replay`, `swarm` and `diff` on a running tracker's log and a copy."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import api, ask, torrent, udp_client
from tests.e2e.process import COMMAND, DEADLINE, Tracker, clean_environment, run
from tracker.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = torrent(0xCD)
OTHER = torrent(0x22)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running tracker that has seen three peers come and one go."""
    tracker = Tracker(tmp_path_factory.mktemp("tracker")).start()
    try:
        with udp_client(tracker.udp[0]) as client:
            client.announce(HASH, 1, 1, left=0)
            client.announce(HASH, 2, 2, left=7)
            client.announce(OTHER, 3, 3, left=1)
            client.announce(HASH, 2, 2, left=7, event=3)
        api(tracker, f"/api/v1/whitelist/{HASH.hex()}", "POST")
        tracker.events_until(
            lambda events: events[-1]["type"] in ("torrent_whitelisted", "counted", "tick")
        )
        yield tracker
    finally:
        tracker.close()


@pytest.fixture(scope="module")
def seqs(tracker: Tracker) -> list[int]:
    """The seqs of the four announces and of the whitelisting."""
    types = ("--type", "announced", "--type", "torrent_whitelisted")
    found = tracker.events_until(lambda events: len(events) == 5, *types)
    return [one["seq"] for one in found]


def printed(tracker: Tracker, *arguments: str) -> list[dict[str, Any]]:
    """Returns what a command prints with --json."""
    done = tracker.command(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_verify_beside_the_tracker(tracker: Tracker) -> None:
    """A running tracker's log is whole, and `verify` changes nothing in its folder."""
    log = tracker.folder / "log"
    files = lasting(log)
    done = tracker.command("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("The log is whole. 1 segment, ")
    (summary,) = (one for one in printed(tracker, "verify") if one["type"] == "summary")
    assert summary["findings"] == 0
    assert summary["digest"]
    assert lasting(log) == files


def lasting(log: Path) -> list[Path]:
    """Returns the files of a log, but for the index of stays, which the follower writes."""
    return sorted(path for path in log.rglob("*") if "stays" not in path.parts)


def test_swarm_at_a_moment(tracker: Tracker, seqs: list[int]) -> None:
    """`swarm --at` lists the peers of that moment with addresses, totals and latest announce."""
    both = printed(tracker, "swarm", HASH.hex(), "--at", str(seqs[1]))
    assert [(one["addresses"], one["role"], one["left"], one["last_seq"]) for one in both] == [
        (["127.0.0.1:1"], "seeder", 0, seqs[0]),
        (["127.0.0.1:2"], "leecher", 7, seqs[1]),
    ]
    assert both[0]["peer_id"] == b"-QS0001.000000000001".hex()
    now = printed(tracker, "swarm", HASH.hex())
    assert [one["addresses"] for one in now] == [["127.0.0.1:1"]]
    (event,) = tracker.events("--from", str(seqs[0]), "--to", str(seqs[0]))
    assert now[0]["last_time"] == event["time"]
    by_time = printed(tracker, "swarm", HASH.hex().upper(), "--at", event["time"])
    assert by_time[0]["addresses"] == ["127.0.0.1:1"]


def test_an_announce_is_explained(tracker: Tracker, seqs: list[int]) -> None:
    """Command and API explain an announce alike, with the peers that its client got."""
    (shown,) = printed(tracker, "explain", str(seqs[1]))
    assert [(one["address"], one["port"], one["seq"]) for one in shown["peers"]] == [
        ("127.0.0.1", 1, seqs[0])
    ]
    assert (shown["withheld"], shown["decided_again"]) == (None, "as recorded")
    assert shown["before"]["swarm"]["leechers"] + 1 == shown["after"]["swarm"]["leechers"] == 1
    why = {"x_reason": "a test"}
    told = named(ask(tracker, "GET", f"/api/v2/announces/{seqs[1]}/explain", **why).json)
    assert told | {"trust": shown["trust"]} == shown
    assert ask(tracker, "GET", f"/api/v2/announces/{seqs[4]}/explain").status == 404
    assert "no such reply" in tracker.command("handed", "192.0.2.1").stderr
    (reply,) = printed(tracker, "handed", "127.0.0.1", "--port", "1")
    assert (reply["seq"], reply["peers"]) == (seqs[1], shown["peers"])
    page = ask(tracker, "GET", "/api/v2/handed?address=127.0.0.1&port=1", **why).json
    assert named(page) == {"replies": [reply], "next": None, "unread": []}


def named(value: Any) -> Any:
    """Returns JSON values without the pseudonyms, which stand beside each address."""
    if isinstance(value, list):
        return [named(each) for each in value]
    if not isinstance(value, dict):
        return value
    assert ("address" in value) == bool(value.get("pseudonym"))
    return {name: named(each) for name, each in value.items() if name != "pseudonym"}


def test_swarm_as_a_table(tracker: Tracker, seqs: list[int]) -> None:
    """On a terminal `swarm` prints a heading, a line a peer, and counts. Elsewhere it prints only a
    line a peer. No peers is no error.
    """
    words = ("swarm", HASH.hex(), "--at", str(seqs[1]))
    first, second = tracker.command(*words).stdout.splitlines()
    assert first.startswith("127.0.0.1:1\t")
    assert second.startswith("127.0.0.1:2\t")
    lines = on_terminal(tracker, *words, columns=80)
    assert max(map(len, lines)) <= 80
    heading, first, second, counts = lines
    assert heading.startswith("address ")
    assert first.startswith("127.0.0.1:1 ")
    assert counts.startswith(f"1 seeder, 1 leecher, 0 completed; after event {seqs[1]}, ")
    assert printed(tracker, "swarm", "00" * 20) == []


def on_terminal(tracker: Tracker, *arguments: str, columns: int) -> list[str]:
    """Returns what a command prints on a terminal of that width without colours."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    environment = clean_environment() | {"NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    command = [*COMMAND, "--config", str(tracker.config), *arguments]
    with subprocess.Popen(
        command, env=environment, stdin=its, stdout=its, stderr=subprocess.DEVNULL
    ) as process:
        os.close(its)
        shown = b""
        with suppress(OSError):  # what a terminal says at its end
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        assert process.wait(DEADLINE) == 0
    return shown.decode().splitlines()


def test_replay_at_a_moment(tracker: Tracker, seqs: list[int]) -> None:
    """`replay` prints the numbers of a moment and a digest that repeats."""
    (before,) = printed(tracker, "replay", "--at", str(seqs[2]))
    assert (before["torrents"], before["seeders"], before["leechers"]) == (2, 1, 2)
    assert (before["seq"], before["announces"]["udp4"], before["whitelisted"]) == (seqs[2], 3, 0)
    (after,) = printed(tracker, "replay", "--at", str(seqs[4]))
    assert (after["leechers"], after["whitelisted"]) == (1, 1)
    assert after["digest"] != before["digest"]
    lines = tracker.command("replay", "--at", str(seqs[2])).stdout.splitlines()
    assert f"digest {before['digest']}" in lines
    assert "announces.udp4 3" in lines


def test_diff(tracker: Tracker, seqs: list[int]) -> None:
    """`diff` prints the changes between two moments, in either direction."""
    first, last = str(seqs[1]), str(seqs[4])
    changes = printed(tracker, "diff", first, last, "--info-hash", HASH.hex())
    by_type = {one["type"]: one for one in changes if one["type"] != "count"}
    assert by_type["whitelisted"]["info_hash"] == HASH.hex()
    assert by_type["torrent_appeared"]["info_hash"] == OTHER.hex()
    assert by_type["peer_left"]["addresses"] == ["127.0.0.1:2"]
    counts = {
        one["name"]: (one["before"], one["after"]) for one in changes if one["type"] == "count"
    }
    assert counts["torrents"] == (1, 2)
    assert counts["announces.udp4"] == (2, 4)
    back = tracker.command("diff", last, first, "--info-hash", HASH.hex()).stdout.splitlines()
    assert back[back.index("delisted") + 2].startswith(HASH.hex())
    assert [line.split() for line in back if line.startswith("torrents ")] == [
        ["torrents", "2", "1"]
    ]
    assert back[back.index("peer_joined") + 2].startswith("127.0.0.1:2 ")
    assert printed(tracker, "diff", first, first) == []


OUTSIDE = [
    ("replay", "--at", "99999999"),
    ("swarm", HASH.hex(), "--at", "2020-01-01T00:00:00Z"),
    ("diff", "0", "9999-01-01"),
]


@pytest.mark.parametrize("arguments", OUTSIDE, ids=lambda each: each[0])
def test_a_moment_outside_the_log(tracker: Tracker, arguments: tuple[str, ...]) -> None:
    """A moment outside the log gets exit code 1 and the range that the log holds."""
    done = tracker.command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not in the log, which holds events 0 to " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def copy(tracker: Tracker, tmp_path: Path) -> Path:
    """A copy of the running tracker's log."""
    shutil.copytree(tracker.folder / "log", tmp_path / "log")
    return tmp_path / "log"


def test_verify_finds_damage(copy: Path, tmp_path: Path) -> None:
    """Damage gets exit code 3; each finding has its place and advice, as text and as JSON."""
    (path,) = (copy / "seg").glob("*.evl")
    data = bytearray(path.read_bytes())
    data[192 + 150] ^= 1
    path.write_bytes(data)
    done = run("verify", "--log", str(copy), folder=tmp_path)
    assert done.returncode == 3
    first, advice, *_, last = done.stdout.splitlines()
    assert first.startswith(
        f"DAMAGE: seg/{path.name}, byte 192, event 0: frame checksum does not match"
    )
    assert "restore the file from a backup" in advice
    assert last.startswith("The log is damaged: 1 finding.")
    done = run("verify", "--json", "--log", str(copy), folder=tmp_path)
    assert done.returncode == 3
    found, summary = map(json.loads, done.stdout.splitlines())
    assert (found["type"], found["file"], found["offset"], found["seq"]) == (
        "damage",
        f"seg/{path.name}",
        192,
        0,
    )
    assert (summary["findings"], summary["replayed_seq"], summary["digest"]) == (1, 0, None)
    done = run("replay", "--log", str(copy), folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{path}: damaged at byte 192: " in done.stderr
    assert "`tracker verify`" in done.stderr


def test_a_torn_end_is_no_damage(copy: Path, tmp_path: Path) -> None:
    """The torn end that a crash leaves is a note, and no damage."""
    (path,) = (copy / "seg").glob("*.evl")
    path.write_bytes(path.read_bytes() + b"EVF2 and no more")
    done = run("verify", "--log", str(copy), folder=tmp_path)
    assert done.returncode == 4  # without the secrets
    assert done.stdout.startswith(f"note: seg/{path.name}, byte ")


@pytest.mark.parametrize("arguments", [("replay", "--at", "someday"), ("diff", "1")], ids=" ".join)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Wrong usage gets exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    assert (ended.value.code, capsys.readouterr().out) == (2, "")


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Without a log, one line says so, and nothing is created."""
    assert main([command, "--log", str(tmp_path / "none")]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert "there is none" in output.err
    assert not (tmp_path / "none").exists()


def test_the_api_tells_the_same(tracker: Tracker, seqs: list[int]) -> None:
    """What `swarm`, `replay --at` and `diff` print of these moments, the API says too."""
    first, last = seqs[1], seqs[4]

    def told(target: str) -> Any:
        reply = ask(tracker, "GET", f"/api/v2/{target}", x_reason="ticket 7")
        assert reply.status == 200, reply.body
        return reply.json

    def as_printed(one: dict[str, Any]) -> dict[str, Any]:
        shown = [f"{each['address']}:{each['port']}" for each in one["addresses"]]
        assert all(each["pseudonym"] for each in one["addresses"])
        return {**one, "addresses": shown}

    swarm = told(f"torrents/{HASH.hex()}/peers?at={first}&limit=1")
    rest = told(f"torrents/{HASH.hex()}/peers?at={first}&after={swarm['next']}")
    found = [as_printed(one) for one in (*swarm["peers"], *rest["peers"])]
    assert found == printed(tracker, "swarm", HASH.hex(), "--at", str(first))
    assert (swarm["seq"], rest["next"], swarm["seeders"], swarm["leechers"]) == (first, None, 1, 1)
    (numbers,) = printed(tracker, "replay", "--at", str(last))
    assert told(f"state?at={last}") == {
        name: each for name, each in numbers.items() if name not in ("trust", "outage")
    }
    target = f"diff?from={first}&to={last}&info_hash={HASH.hex()}"
    page = told(f"{target}&limit=2")
    changes = [*page["changes"], *told(f"{target}&after={page['next']}")["changes"]]
    changes = [as_printed(one) if "addresses" in one else one for one in changes]
    assert changes == printed(tracker, "diff", str(first), str(last), "--info-hash", HASH.hex())
    assert page["outages"] == [None, None]
    assert told("diff?from=0")["next"] is None
