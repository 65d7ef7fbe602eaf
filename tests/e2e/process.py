"""Starts, stops and kills the tracker as a process, and reads its output and its log.

It uses the command line only, as an operator does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from threading import Condition, Thread
from typing import IO, TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from tests.e2e import forked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Address = tuple[str, int]
Event = dict[str, Any]
T = TypeVar("T")

DEADLINE = 60.0  # seconds until a wait fails the test; even a loaded machine needs only a few
HEALTH_STARTED = " HEALTH CHECK API: Started on: "  # the last line of a start
COMMAND = (sys.executable, "-P", "-m", "tracker")  # as installed: nothing of the working folder
_VARIABLES = (
    "TORRUST_",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "PYTHONUNBUFFERED",  # so that output through a pipe is buffered, as it is for users
    "PYTHONDONTWRITEBYTECODE",  # so that Python compiles the tracker once
)


@frozen
class Listeners:
    """Addresses to listen on, as the configuration writes them. Port 0 is any free port."""

    udp: tuple[str, ...] = ("127.0.0.1:0",)
    http: tuple[str, ...] = ("127.0.0.1:0",)
    api: str = "127.0.0.1:0"
    health: str = "127.0.0.1:0"


def lasting_listeners(udp_host: str = "127.0.0.1") -> Listeners:
    """Returns one listener of each kind, on ports that stay free across a restart.

    They lie below the range of ports that the system gives out for port 0, so that no other process
    gets one of them between a kill and the restart.
    """
    udp, http, api = free_ports(3)
    return Listeners((f"{udp_host}:{udp}",), (f"127.0.0.1:{http}",), f"127.0.0.1:{api}")


def free_ports(count: int) -> list[int]:
    """Returns free ports below the range that the system gives out for port 0."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(15_000, 32_000), 500):
        if _is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports below 32000")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("", port))
            except OSError:
                return False
    return True


def clean_environment() -> dict[str, str]:
    """Returns the environment without variables that configure a tracker or a client."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().startswith(tuple(map(str.lower, _VARIABLES)))
    }


class Lines:
    """The lines of a process's output. A thread reads them as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe
        self._lines: list[str] = []
        self._ended = False
        self._changed = Condition()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._pipe:
            for line in self._pipe:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def until(self, wanted: Callable[[list[str]], T | None]) -> T:
        """Returns the first result of `wanted`, called on the lines so far, that is not None."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or wanted(self._lines) is not None, DEADLINE)
            found = wanted(self._lines)
            assert found is not None, "the process said only:\n" + "\n".join(self._lines)
            return found

    def so_far(self) -> list[str]:
        """Returns the lines that have come so far."""
        with self._changed:
            return list(self._lines)

    def all(self) -> list[str]:
        """Returns every line, once the process has ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, DEADLINE), "it did not end"
            return list(self._lines)


def begin(
    arguments: list[str], folder: Path, more: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], Lines]:
    """Starts `tracker` with arguments, and with more variables in its environment.

    Standard error comes with the output.
    """
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**clean_environment(), **(more or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    return process, Lines(process.stdout)


class Tracker:
    """A tracker in its own folder. `udp`, `http`, `api` and `health` are its latest addresses."""

    def __init__(self, folder: Path, listeners: Listeners | None = None, extra: str = "") -> None:
        """`extra` is more TOML; it begins within `[core]`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "tracker.toml"
        self.environment: dict[str, str] = {}  # more variables, from the next start on
        self.listeners = listeners or Listeners()
        self.udp: list[Address] = []
        self.http: list[Address] = []
        self.api: Address = ("", 0)
        self.health: Address = ("", 0)
        self._process: subprocess.Popen[str] | forked.Forked | None = None
        self.lines: Lines | None = None
        self.config.write_text(_toml(folder, self.listeners, extra))

    def switch_on(self, *switches: str) -> None:
        """Turns switches of `[core]` on, before a start."""
        text = self.config.read_text()
        for switch in switches:
            text = text.replace(f"{switch} = false", f"{switch} = true")
        self.config.write_text(text)

    def add_read_token(self, token: str) -> None:
        """Configures one more API token, which may only read, before a start."""
        more = f'token_scopes.watch = "read"\naccess_tokens.watch = "{token}"\n'
        text = self.config.read_text()
        self.config.write_text(text.replace("access_tokens.admin", f"{more}access_tokens.admin"))

    def start(self, *arguments: str) -> Tracker:
        """Starts with more arguments, if any, and waits until everything is served.

        The process is forked, to save time, unless it needs variables or a network of its own.
        """
        assert self._process is None, "it is running"
        command = (*arguments, "--config", str(self.config))
        if self.environment or forked.elsewhere:
            self._process, self.lines = begin([*command], self.folder, self.environment)
        else:
            self._process = forked.Forked(command, self.folder, clean_environment())
            self.lines = Lines(self._process.output)
        started = self.lines.until(_complete)
        self.udp = _addresses(started, " UDP TRACKER: Started on: ")
        self.http = _addresses(started, " HTTP TRACKER: Started on: ")
        self.api = next(iter(_addresses(started, " API: Started on ")), ("", 0))
        (self.health,) = _addresses(started, HEALTH_STARTED)
        return self

    def start_refused(self, code: int = 1) -> str:
        """Makes a start that must fail with this exit code; returns its one line of error."""
        done = self.command()
        assert done.returncode == code
        assert "Started on" not in done.stdout
        (line,) = done.stderr.splitlines()
        assert line.startswith("tracker: ")
        return line

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal, waits for the end, and returns the exit code."""
        assert self._process is not None, "it is not running"
        self._process.send_signal(number)
        try:
            return self._process.wait(DEADLINE)
        finally:
            self.close()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal and does not wait."""
        assert self._process is not None, "it is not running"
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> int:
        """Waits until the tracker ends by itself; returns the exit code."""
        assert self._process is not None, "it is not running"
        try:
            return self._process.wait(DEADLINE)
        finally:
            self.close()

    def kill(self) -> None:
        assert self.stop(signal.SIGKILL) == -signal.SIGKILL

    def restart(self) -> None:
        """Starts again on the same ports."""
        before = (self.udp, self.http, self.api)
        self.start()
        assert (self.udp, self.http, self.api) == before

    def close(self) -> None:
        """Ends the process in any state."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
            self._process = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command, or a start, with its configuration, to its end. It is forked, to save
        time, unless it needs a network of its own.
        """
        command = ("--config", str(self.config), *arguments)
        if forked.elsewhere:
            return run(*command, folder=self.folder)
        return forked.run(command, self.folder, clean_environment(), DEADLINE)

    def events(self, *arguments: str) -> list[Event]:
        """Returns the output of `tracker events`: the durable part of the log.

        Beside a running tracker it has everything that the tracker has appended so far.
        """
        if self.running and not self._all_durable():
            # Not forked: it takes longer to start, and meanwhile the log is written.
            command = ("--config", str(self.config), "events", *arguments)
            return events_of(run(*command, folder=self.folder))
        return events_of(self.command("events", *arguments))

    def _all_durable(self) -> bool:
        """Waits until a metric says that all events are durable; returns whether it does."""
        give_up = time.monotonic() + 2
        headers = {"Authorization": "Bearer MyAccessToken"}
        while time.monotonic() < give_up:
            connection = HTTPConnection(*self.api, timeout=DEADLINE)
            try:
                connection.request("GET", "/api/v1/metrics?format=prometheus", headers=headers)
                if b"\nswarmlog_durable_lag_events 0.0\n" in connection.getresponse().read():
                    return True
            except (OSError, HTTPException):
                return False
            finally:
                connection.close()
        return False

    def events_until(self, wanted: Callable[[list[Event]], bool], *arguments: str) -> list[Event]:
        """Runs `tracker events` until `wanted` holds, because events become durable later."""
        found: list[Event] = []
        give_up = time.monotonic() + DEADLINE
        while time.monotonic() < give_up:
            done = self.command("events", *arguments)
            if done.stderr.endswith("removed while they were read; try again\n"):
                continue
            if self.running and "not yet vouched for" in done.stderr:
                continue  # the running tracker writes the mark soon
            if self.running and "finds it within some seconds" in done.stderr:
                continue  # the follower is behind
            found = events_of(done)
            if wanted(found):
                return found
        raise AssertionError(f"never in the log, which ends with {found[-5:]}")


def events_of(done: subprocess.CompletedProcess[str]) -> list[Event]:
    """Returns the printed events. A failed command fails the test with its message."""
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


class Follower:
    """`tracker events --follow` and its output, from the log's beginning on."""

    def __init__(
        self, tracker: Tracker, *arguments: str, begin: tuple[str, ...] = ("--from", "0")
    ) -> None:
        """`begin`: () = from now on."""
        command = ("events", "--config", str(tracker.config), "--follow", *begin, *arguments)
        self._process = forked.Forked(command, tracker.folder, clean_environment())
        self._lines = Lines(self._process.output)

    def until(self, wanted: Callable[[list[Event]], bool]) -> list[Event]:
        def check(lines: list[str]) -> list[Event] | None:
            events = [json.loads(line) for line in lines]
            return events if wanted(events) else None

        return self._lines.until(check)

    def so_far(self) -> list[Event]:
        return [json.loads(line) for line in self._lines.so_far()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self._process.wait(DEADLINE)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)


def run(
    *arguments: str, folder: Path, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Runs `tracker` to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


def _complete(lines: list[str]) -> list[str] | None:
    return lines[:] if any(HEALTH_STARTED in line for line in lines) else None


def _addresses(lines: list[str], mark: str) -> list[Address]:
    urls = [line.partition(mark)[2] for line in lines if mark in line]
    bound = [url.partition("://")[2] for url in urls]
    pairs = [each.rpartition(":") for each in bound if not each.startswith("unix:")]
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def _toml(folder: Path, listeners: Listeners, extra: str) -> str:
    sections = [
        'metadata.schema_version = "2.0.0"',
        'logging.threshold = "info"',
        "[core]\nlisted = false\nprivate = false",
        extra,
        *(f'[[udp_trackers]]\nbind_address = "{address}"' for address in listeners.udp),
        *(f'[[http_trackers]]\nbind_address = "{address}"' for address in listeners.http),
        f'[http_api]\nbind_address = "{listeners.api}"\naccess_tokens.admin = "MyAccessToken"',
        f'[health_check_api]\nbind_address = "{listeners.health}"',
        f'[event_log]\npath = "{folder}/log"\nsecrets_path = "{folder}/secrets"',
    ]
    return "\n".join(sections) + "\n"
