"""Standard streams that are closed, full or of another encoding, and a folder full of traps."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import api, torrent, udp_client
from tests.e2e.process import COMMAND, DEADLINE, Tracker, clean_environment, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = "✓ é 😀"


def shell(redirections: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs `tracker` to its end, with its streams redirected by a shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {redirections}', *COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running tracker whose log has text that not every encoding can show."""
    folder = tmp_path_factory.mktemp("tracker")
    with closing(Tracker(folder, lasting_listeners())) as tracker:
        tracker.start()
        seq = ""  # of the factor
        for command in (
            ["key", "add", "--owner", TEXT, "--label", TEXT, "--reason", TEXT, "--json"],
            ["key", "add", "--owner", "plain", "--json"],
            ["factor", "set", "--account", TEXT, "--upload", "150", "--label", TEXT, "--json"],
            ["account", "correct", TEXT, "--uploaded", "1", "--reason", TEXT, "--json"],
        ):
            if "correct" in command:
                command += ["--corrects", seq]
            done = tracker.command(*command)
            assert done.returncode == 0, done.stderr
            seq = str(json.loads(done.stdout).get("seq", ""))
        yield tracker


SHOWING = [  # commands that print text of users, and an encoding for each
    ("key list", "latin-1"),
    ("key list --json", "ascii"),
    ("factor list", "ascii"),
    ("events --to 5", "latin-1"),  # ticks come meanwhile
    ("ledger", "ascii"),
    ("diff 0 4 --json", "ascii"),
]


def test_another_encoding(written: Tracker) -> None:
    """What an encoding cannot show is escaped: no line is lost, and JSON says the same."""
    for command, encoding in SHOWING:
        words = command.split() + ([TEXT] if command == "ledger" else [])
        wanted = written.command(*words).stdout
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=written.folder,
            env=clean_environment() | {"PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        shown = done.stdout.decode(encoding)
        assert (done.returncode, done.stderr) == (0, b""), command
        assert TEXT in wanted
        assert "\\u2713" in shown, command
        assert wanted.count("\n") == shown.count("\n"), command
        if wanted.startswith("{"):
            assert parsed(shown) == parsed(wanted), command


def parsed(lines: str) -> list[Any]:
    return [json.loads(line) for line in lines.splitlines()]


def test_commands_without_output(written: Tracker) -> None:
    """A full output ends a command with one line; a closed one is no error, nor a full stderr."""
    for command in ("check-config", "events", "key list"):
        words = command.split()
        full = shell(">/dev/full", *words, folder=written.folder)
        line = "tracker: standard output takes no more: No space left on device\n"
        assert (full.returncode, full.stderr) == (1, line), command
        closed = shell(">&- <&-", *words, folder=written.folder)
        assert (closed.returncode, closed.stderr) == (0, ""), command
    for redirection in ("2>&-", "2>/dev/full"):
        done = shell(redirection, "events", "--log", "nowhere", folder=written.folder)
        assert done.returncode == 1
    done = shell(">/dev/full", "--version", folder=written.folder)
    assert (done.returncode, done.stderr) == (1, line)


def test_nothing_that_a_terminal_obeys(written: Tracker) -> None:
    """Control characters and those that turn the direction of text are escaped, in JSON as well."""
    done = written.command("ledger", "x\x1b[31m\u202e")
    assert (done.returncode, done.stdout) == (1, "")
    assert "x\\u001b[31m\\u202e" in done.stderr
    config = written.folder / "odd.toml"
    shipped = (written.folder / "tracker.toml").read_text()
    config.write_text(
        shipped.replace("[core]", '[core]\n"odd\x9b31m" = 1'.replace("\x9b", "\\u009b"))
    )
    done = shell("", "check-config", "--config", "odd.toml", folder=written.folder)
    assert done.returncode == 0, done.stderr
    assert "core.odd\\u009b31m: unknown key" in done.stdout


def test_a_time_before_now(written: Tracker) -> None:
    """`-3m` is a value, although it begins like an option, and `now` is the end of the log."""
    for words in (["replay", "--at", "-1d12h"], ["diff", "-99d", "now"]):
        done = written.command(*words)
        assert "is not in the log, which holds" in done.stderr, done.stderr
    assert written.command("replay", "--at", "now").returncode == 0


def until_served(port: int) -> None:
    give_up = time.monotonic() + DEADLINE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)):
                return
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.02)


def test_serving_without_streams(tmp_path: Path) -> None:
    """The tracker serves with closed streams and a full output, and stops in order.

    Its files and those of its helper processes do not get the numbers of the closed streams.
    Nothing is imported from the working folder, by none of the processes.
    """
    with closing(Tracker(tmp_path / "tracker", lasting_listeners())) as tracker:
        with tracker.config.open("a") as file:
            file.write('follower = "at_stop"\n')  # it would be another helper after five seconds
        for name in sys.stdlib_module_names | {"trio", "attrs", "eventlog", "tracker"}:
            (tracker.folder / f"{name}.py").write_text('raise SystemExit("a trap")\n')
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" <&- >/dev/full 2>&-', *COMMAND],
            cwd=tracker.folder,
            env=clean_environment(),
        )
        try:
            tracker.api = ("127.0.0.1", int(tracker.listeners.api.rpartition(":")[2]))
            until_served(tracker.api[1])
            api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
            api(tracker, "/api/v1/key/100", "POST")
            assert api(tracker, "/api/v2/whitelist?at=1")["whitelist"] == []
            api(tracker, "/api/v2/accounts/1/totals")
            assert os.readlink(f"/proc/{process.pid}/fd/0") == os.devnull
            listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            helpers = [os.readlink(f"/proc/{one}/fd/2") for one in listed.split()]
            assert helpers.count(os.devnull) == 2
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait(DEADLINE)


@contextmanager
def pipe_that_nobody_reads() -> Iterator[tuple[int, int]]:
    """Both ends of a full pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def started(arguments: list[str], folder: Path, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )


def test_serving_while_nobody_reads(tmp_path: Path) -> None:
    """A start, announces, the API, helper processes, SIGHUP and the end wait for no reader."""
    with (
        closing(Tracker(tmp_path, lasting_listeners())) as tracker,
        pipe_that_nobody_reads() as ends,
    ):
        tracker.api = ("127.0.0.1", int(tracker.listeners.api.rpartition(":")[2]))
        udp = ("127.0.0.1", int(tracker.listeners.udp[0].rpartition(":")[2]))
        process = started([], tracker.folder, ends[1])
        try:
            until_served(tracker.api[1])
            for number in range(3):
                process.send_signal(signal.SIGHUP)
                with udp_client(udp) as client:
                    client.announce(torrent(1), 1, 2001)
                api(tracker, f"/api/v1/whitelist/{number:040x}", "POST")
            assert api(tracker, "/api/v2/whitelist?at=1")["whitelist"] == []
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait(DEADLINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_ends_while_nobody_reads(written: Tracker, number: signal.Signals) -> None:
    """A signal ends a command that waits for the reader of its output, and its output with it."""
    with pipe_that_nobody_reads() as ends:
        process = started(["events"], written.folder, ends[1])
        try:
            until_it_waits(process.pid)
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait(DEADLINE)


def until_it_waits(pid: int) -> None:
    """Waits until a process waits for room in a pipe."""
    give_up = time.monotonic() + DEADLINE
    while "pipe_w" not in Path(f"/proc/{pid}/wchan").read_text():
        assert time.monotonic() < give_up
        time.sleep(0.02)
