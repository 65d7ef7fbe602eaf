"""On the compiled build an exchange over a kept connection runs no Python code, because then
whatever builds of the interpreter differ in costs it nothing."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, closing
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pytest

from tests.support import Rig
from tracker import build
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.engine import Engine
from tracker.frontends.http.handler import RequestHandler

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

KEPT = 40
REQUEST = (
    b"GET /announce?info_hash=%b&peer_id=-XX0001-%012d&port=6881&left=1&key=%08x&compact=1 HTTP/1.1\r\n"
    b"Host: t\r\nUser-Agent: one\r\n\r\n"
)


@pytest.mark.skipif(build.build() != "compiled", reason="the pure build is Python throughout")
def test_a_kept_exchange_runs_no_python(tmp_path: Path) -> None:
    """A wake-up calls as many Python functions for forty exchanges as for one."""
    with ExitStack() as stack:
        # Over a Unix socket a request has arrived when it was sent.
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(tmp_path / "s"))
        listener.listen(KEPT)
        listener.setblocking(False)
        handler = RequestHandler(Rig().service, 0, proxied=False)
        engine = stack.enter_context(
            closing(Engine(listener.fileno(), handler, ConnectionLimits()))
        )
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(KEPT)]
        for client in clients:
            client.settimeout(20)
            client.connect(str(tmp_path / "s"))

        def called(count: int) -> list[str]:
            """Serves `count` clients, and returns which functions were called meanwhile."""
            found: list[str] = []

            def note(frame: FrameType, event: str, _: object) -> None:
                if event == "call":
                    found.append(frame.f_code.co_qualname)

            for number, client in enumerate(clients[:count]):
                client.sendall(REQUEST % (b"h" * 20, number, number))
            until = perf_counter_ns() + 20_000_000_000
            sys.setprofile(note)
            try:
                engine.serve(until)
            finally:
                sys.setprofile(None)
            for client in clients[:count]:
                assert b"5:peers" in client.recv(65_536)
            return found

        called(KEPT)  # it accepts them, and they become known
        assert called(KEPT) == called(1)
