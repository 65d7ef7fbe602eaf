"""Commands say whether the tags of the log that they read were checked."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.golden.test_log_v1 import FOLDER
from tests.nonsense.whole import put, whole
from tests.tracker.logged import HASH
from tracker.cli import main
from tracker.offline.verify import Verification
from tracker.store import tag_keys
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TORRENT = HASH.hex()
FORMAT_1 = FOLDER / "private"
COMMANDS = {
    "verify": ["verify"],
    "replay": ["replay"],
    "swarm": ["swarm", TORRENT],
    "stays": ["stays"],
    "diff": ["diff", "80", "90"],
    "diff up to the end": ["diff", "80", "now"],
    "ledger": ["ledger", "anna"],
    "events": ["events"],
    "explain": ["explain", "82"],
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("command", COMMANDS)
def test_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, as_json: bool
) -> None:
    """Without the secrets every result says that tags were not checked, and has exit code 4."""
    put(tmp_path, whole(pruned=False))
    line = [*COMMANDS[command], "--log", str(tmp_path / "log")]
    line += ["--json"] if as_json and command != "events" else []
    assert main(line) == 4
    said = capsys.readouterr()
    assert "tags not checked" in said.err
    assert "whole" not in said.out
    if as_json and command != "events":
        assert "tags not checked" in said.out
    assert main([*line, "--secrets", str(tmp_path / "secrets")]) == 0
    said = capsys.readouterr()
    assert "not checked" not in said.out + said.err


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_log_without_tags(
    capsys: pytest.CaptureFixture[str], command: str, as_json: bool
) -> None:
    """With the secrets, a log of format 1 is called whole, and no result says that tags were
    checked. Without them nothing was checked."""
    line = [*COMMANDS[command], "--log", str(FORMAT_1 / "log")]
    line = [{"80": "30", "90": "30", "82": "27"}.get(each, each) for each in line]
    line += ["--json"] if as_json and command != "events" else []
    assert main([*line, "--secrets", str(FORMAT_1 / "secrets")]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("no tags yet (format 1): ")
    assert "tags checked" not in said.out
    if as_json and command != "events":
        assert "no tags yet (format 1)" in said.out.splitlines()[-1]
    assert main(line) == 4
    assert "tags not checked" in capsys.readouterr().err


def test_while_segments_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a removal takes after it was listed is passed over."""
    put(tmp_path, whole(pruned=False))
    listed = tag_keys.segments_of(tmp_path / "log")
    monkeypatch.setattr(tag_keys, "segments_of", lambda _: listed)
    listed[0].unlink()
    assert tag_keys.can_check(tmp_path / "log", Keyring(tmp_path / "secrets").tags)


@pytest.mark.parametrize("command", COMMANDS)
def test_whose_reader_left(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """Standard error says it all the same, as in `tracker events | head`."""
    put(tmp_path, whole(pruned=False))
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as left:
        monkeypatch.setattr(sys, "stdout", left)
        assert main([*COMMANDS[command], "--log", str(tmp_path / "log")]) == 4
    assert "tags not checked" in capsys.readouterr().err


@pytest.fixture
def handlers() -> Iterator[None]:
    """Takes back what a command does to signals."""
    before = [(each, signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGTERM, lambda *_: pytest.fail("SIGTERM would end the process"))
    yield
    for each, handler in before:
        signal.signal(each, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """`events --follow` says it when it is ended, with its exit code. A command that owes one
    answer fails."""
    put(tmp_path, whole(pruned=False))
    monkeypatch.setattr(time, "sleep", lambda _: signal.raise_signal(number))
    log = ["--log", str(tmp_path / "log")]
    assert main(["events", "--follow", *log]) == 4
    assert "tags not checked" in capsys.readouterr().err
    monkeypatch.setattr(Verification, "findings", lambda *_: signal.raise_signal(number))
    assert main(["verify", *log]) == 1
    assert "interrupted: there is no result" in capsys.readouterr().err


def test_the_history_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` and `replay` print the same one, and a change of one byte changes it."""
    site = tmp_path / "site"
    put(site, whole(pruned=False))
    log, keys = str(site / "log"), ["--secrets", str(site / "secrets")]
    assert main(["verify", "--json", "--log", log, *keys]) == 0
    whole_log = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["replay", "--json", "--log", log, *keys]) == 0
    replayed = json.loads(capsys.readouterr().out)
    told = "history", "history_seq", "digest", "trust"
    assert {name: whole_log[name] for name in told} == {name: replayed[name] for name in told}
    at = replayed["history_seq"] - 1
    last = max((site / "log" / "seg").iterdir())
    data = last.read_bytes()
    last.write_bytes(data[:33] + bytes([data[33] ^ 1]) + data[34:])
    main(["replay", "--json", "--at", str(at), "--log", log])
    assert replayed["history"] not in capsys.readouterr().out


def test_a_snapshot_without_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is told to delete a snapshot that only could not be checked."""
    put(tmp_path, whole(pruned=True))
    assert main(["verify", "--json", "--log", str(tmp_path / "log")]) == 4
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    advice = [one["advice"] for one in found if one["type"] == "note" and "snap" in one["file"]]
    assert advice
    assert set(advice) == {"nothing has to be done"}


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("command", COMMANDS)
def test_another_server_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, pruned: bool
) -> None:
    """The advice is to restore the key; nothing is wrong with the log."""
    put(tmp_path, whole(pruned=pruned))
    (tmp_path / "secrets" / "server.key").write_bytes(bytes(range(32)))
    line = [*COMMANDS[command], "--log", str(tmp_path / "log")]
    assert main([*line, "--secrets", str(tmp_path / "secrets")]) == 3
    said = "".join(capsys.readouterr())
    assert "restore server.key and the folder `retired`" in said
    for wrong in "restore the file", "restore the seal", "delete the file", "begin a new log":
        assert wrong not in said
