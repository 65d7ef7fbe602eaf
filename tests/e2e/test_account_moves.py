"""A merge and the split that undoes it, by the command line, with clients on sockets."""

from __future__ import annotations

import json
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import announce_target, get, torrent
from tests.e2e.process import Tracker, lasting_listeners
from tracker.cli import main

if TYPE_CHECKING:
    from pathlib import Path

HASH = torrent(0xAB)
WHY = "--reason", "one person"


def ran(tracker: Tracker, words: str, *arguments: str, code: int = 0) -> str:
    """Runs a command in this process; returns what it printed, on an error why it ended."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        ended = main([*words.split(), *arguments, "--config", str(tracker.config)])
    assert ended == code, err.getvalue()
    return (err if code else out).getvalue()


def told(tracker: Tracker, words: str, *arguments: str) -> list[Any]:
    return [json.loads(line) for line in ran(tracker, words, *arguments, "--json").splitlines()]


def test_a_merge_and_its_undoing(tmp_path: Path) -> None:
    with closing(Tracker(tmp_path, lasting_listeners())) as tracker:
        tracker.switch_on("private")
        tracker.start()
        keys = [
            told(tracker, "key add", "--owner", owner)[0]["key"]
            for owner in ("anna", "bert", "bert")
        ]

        def announce(who: int, up: int) -> None:
            target = announce_target(HASH, who, 6000 + who, left=0, uploaded=up)[10:]
            assert b"8:interval" in get(tracker.http[0], f"/announce/{keys[who]}?{target}")

        for up in (0, 900):
            for who in (0, 1):
                announce(who, up)
        tracker.events_until(lambda found: sum(one["type"] == "announced" for one in found) == 4)
        preview = told(tracker, "account merge", "bert", "anna", "--preview", *WHY)[0]
        sides = preview["preview"]["before"]
        assert [(one["account"]["owner"], one["keys"], one["peers"]) for one in sides] == [
            ("bert", 2, 1), ("anna", 1, 1),
        ]  # fmt: skip
        assert [one["uploaded"] for one in preview["preview"]["after"]] == [0, 1800]
        assert "2 keys in force and 1 peers move" in ran(
            tracker, "account merge", "bert", "anna", "--preview", *WHY
        )
        (done,) = told(tracker, "account merge", "bert", "anna", *WHY)
        assert (done["account"], done["preview"]) == (1, None)
        page = told(tracker, "account show", "bert")[0]["account"]
        assert (page["account"], page["uploaded"], page["merged_into"]) == (2, 0, 1)
        assert [one["merged_into"] for one in told(tracker, "account list")] == [None, 1]
        assert told(tracker, "key list", "--owner", "anna")[1]["key_ref"] == 2
        refused = ran(tracker, "key add", "--owner", "bert", code=1)
        assert "the account of bert was merged into account 1" in refused
        announce(1, 1000)
        (told_now,) = told(tracker, "account show", "anna")
        assert (told_now["account"]["uploaded"], told_now["seeding"]) == (1900, 1)
        then = told(tracker, "swarm", HASH.hex(), "--at", str(done["seq"] - 1))
        assert {one["owner"] for one in then} == {"anna", "bert"}
        amounts = "--uploaded", "900"
        split = told(
            tracker, "account split", "anna", "--keys", "2,3", "--owner", "bert", *amounts, *WHY
        )
        assert split[0]["account"] == 2
        announce(1, 1200)
        assert tracker.stop() == 0
        tracker.start()
        announce(1, 1500)
        shown = told(tracker, "account list")
        assert [(one["owner"], one["uploaded"]) for one in shown] == [
            ("anna", 1000),
            ("bert", 1400),
        ]
        lines = [one for one in told(tracker, "ledger", "bert") if one["type"] == "move"]
        assert [one["uploaded"] for one in lines] == [-900, 900]
        assert "merged into account 1" in ran(tracker, "ledger", "bert")
        assert tracker.stop() == 0
        rmtree(tmp_path / "log" / "stays", ignore_errors=True)  # so that all of the log is in it
        lines = told(tracker, "stays", "--key", "2")
        assert [(one["account"], one["how"], one["why"]) for one in lines] == [
            (2, "joined", "account_changed"),
            (1, "another_account", "account_changed"),
            (2, "another_account", None),
        ]
        assert [one["left_seq"] for one in lines] == [done["seq"], split[0]["seq"], None]
        assert [one["seq"] for one in lines[1:]] == [done["seq"], split[0]["seq"]]
        named = told(tracker, "stays", "--account", "bert", "--names")
        assert lines[2] | {"owner": "bert", "label": None} in named
        row = ran(tracker, "stays", "--account", "anna", "--names").splitlines()[-1].split("\t")
        assert row[:2] + row[3:5] == [HASH.hex(), "-", "1", "anna"]
        assert {one["address"] for one in lines} == {"127.0.0.1"}
