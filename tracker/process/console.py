"""Starts the console, a process of its own beside the tracker, and starts it again when it ends.

It gets the socket that the tracker bound and the API's address: no log, no folder of secrets. So
the tracker serves on whatever becomes of it.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from api.health.services import local_host
from eventlog import RepeatedWarning
from tracker.workers.child import Child, python

if TYPE_CHECKING:
    from tracker.config import Config
    from tracker.frontends.listeners import Listener
    from tracker.process.runtime import Runtime

log = logging.getLogger("tracker")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Seconds before it is started again; each pause is twice the one before."""
STEADY_SECONDS = 60.0
"""After a longer run the next pause is `FIRST_PAUSE_SECONDS` again."""
_LINE_BYTES = 1 << 14  # the most of a line in the text log


def build(runtime: Runtime) -> Supervisor | None:
    """Builds the console's supervisor; None = the configuration has no console, or no API."""
    config, listener = runtime.config, runtime.listeners.console
    if config.console is None:
        return None
    if listener is None or runtime.listeners.api is None:
        log.error("The console does not run: it is a client of the API, and there is no [http_api]")
        return None
    return Supervisor(listener, command(config, listener, runtime.listeners.api))


def command(config: Config, listener: Listener, api: Listener) -> list[str]:
    """Returns the command that runs the console's process."""
    assert config.console is not None  # noqa: S101  # for mypy: the caller has looked
    arguments = [f"--socket={listener.socket.fileno()}", f"--name={config.console.name}"]
    arguments.append(f"--api={_reached(api)}")
    if config.http_api is not None and config.http_api.tls is not None:
        arguments.append(f"--trust={config.http_api.tls.ssl_cert_path}")
    if (files := config.console.tls) is not None:
        arguments += [f"--cert={files.ssl_cert_path}", f"--key={files.ssl_key_path}"]
    return python("tracker.process.console_process", *arguments)


def _reached(api: Listener) -> str:
    """Returns the URL at which this machine reaches the API, or `unix:/path`."""
    if api.path:
        return api.address
    host, port = api.binding
    host = local_host(host)
    scheme = "https" if api.certificate else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@define
class Supervisor:
    """Runs one process at a time. `process_id` is None while none runs."""

    listener: Listener
    command: list[str]
    first_pause: float = FIRST_PAUSE_SECONDS
    process_id: int | None = None
    starts: int = 0
    _last_words: str = field(default="", init=False)
    _ending: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The console goes on")
    )

    async def run(self) -> None:
        """Keeps the console running until cancelled."""
        log.info("CONSOLE: Started on: %s", self.listener.url)
        pause = self.first_pause
        while True:
            began = trio.current_time()
            code = await self._run_once()
            if trio.current_time() - began > STEADY_SECONDS:
                pause = self.first_pause
            what = self._last_words or "it said nothing"
            self._ending.warn(
                "The console ended with code %d (%s); it is started again", code, what
            )
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        """Runs one process to its end; returns its exit code, 1 if it could not be started."""
        self._last_words = ""
        try:
            child = Child(self.command, sockets=(self.listener.socket.fileno(),))
        except OSError as error:
            self._last_words = str(error)
            return 1
        self.starts += 1
        self.process_id = child.pid
        log.info("Console started: process %d", child.pid)
        try:
            await self._listen(child)
            return await child.wait()
        except OSError as error:
            self._last_words = str(error)
            return 1
        finally:
            self.process_id = None
            with trio.CancelScope(shield=True):
                if not await child.end():
                    log.warning("The console, process %d, cannot even be killed", child.pid)

    async def _listen(self, child: Child) -> None:
        """Passes what the process says on to the text log, until its output ends."""
        rest = b""
        while some := await child.receive(_LINE_BYTES):
            *lines, rest = (rest + some).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            for line in lines:
                self._last_words = line.decode(errors="replace").strip()
                log.warning("Console: %s", self._last_words)

    def reload(self) -> None:
        """Has the process read its certificate again, if it has one and runs."""
        if self.listener.certificate and self.process_id is not None:
            with suppress(OSError):
                os.kill(self.process_id, signal.SIGHUP)
