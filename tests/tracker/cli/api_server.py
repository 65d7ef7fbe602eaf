"""A server that stands in for the API, and helpers that run the command line against it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from attrs import define, field

from tracker.cli import main

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
HASHES = ("ab" * 20, "cd" * 20)
SHOWN = {"key_ref": 7, "state": "valid", "valid_until": None, "owner": None, "label": None}
ISSUED = {"key": KEY, **SHOWN}
DEADLINE = 60


@define
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@define
class Api:
    """A server that records its requests and gives prepared answers. `port` is a port of
    127.0.0.1."""

    port: int = 0
    status: int = 200
    answer: bytes = b'{"status":"ok"}'
    answers: dict[str, object] = field(factory=dict)  # JSON by method and path, instead of `answer`
    requests: list[Request] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(api: Api, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Api]:
    """Serves the API in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        timeout = DEADLINE

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.requests.append(Request(self.command, self.path, headers, body))
            known = api.answers.get(f"{self.command} {self.path}")
            body = api.answer if known is None else json.dumps(known).encode()
            self.send_response(api.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # names of the base class

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a client that does not trust the certificate closes the connection

    with Server((host, 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        api.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield api
        server.shutdown()
        thread.join(DEADLINE)


def write_config(folder: Path, bind: str, extra: str = "") -> Path:
    path = folder / "tracker.toml"
    path.write_text(
        'metadata.schema_version = "2.0.0"\nlogging.threshold = "info"\ncore.listed = false\n'
        f'core.private = false\n[http_api]\nbind_address = "{bind}"\n{extra}\n'
        '[http_api.access_tokens]\nfirst = "Token1"\nsecond = "Token2"\n'
    )
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs the command line, and returns its exit code and both outputs."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err
