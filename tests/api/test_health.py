"""Tests the health check API over services that answer, fail or stay silent."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from api.health import checks
from api.health.app import create_app
from api.health.services import Service
from tests.api.sockets import body_of, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UDP = "checking the udp tracker health check at: "
ANY = "0.0.0.0"  # noqa: S104  # nothing is bound to it
FAILED = "health check failed"


@pytest.mark.parametrize(
    ("service", "binding", "info", "target"),
    [
        (Service("udp", ANY, 6969), f"{ANY}:6969", f"{UDP}{ANY}:6969", "127.0.0.1"),
        (Service("udp", "::", 6969), "[::]:6969", f"{UDP}[::]:6969", "::1"),
        (
            Service("http", "192.0.2.1", 7070),
            "192.0.2.1:7070",
            "checking http tracker health check at: http://192.0.2.1:7070/health_check",
            "192.0.2.1",
        ),
        (
            Service("http", "2001:db8::1", 7070, tls=True),
            "[2001:db8::1]:7070",
            "checking http tracker health check at: https://[2001:db8::1]:7070/health_check",
            "2001:db8::1",
        ),
        (
            Service("api", "127.0.0.1", 1212),
            "127.0.0.1:1212",
            "checking api health check at: http://127.0.0.1:1212/api/health_check",
            "127.0.0.1",
        ),
    ],
)
def test_texts(service, binding, info, target):
    """A service is reported as bound, in the contract's sentence, and reached through loopback."""
    assert (service.binding, service.info) == (binding, info)
    assert service.target == (target, service.port)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/", 200, b"{}"),
        ("GET", "/health_check", 200, b'{"status":"None","message":"","details":[]}'),
        ("GET", "/health_check?x=1", 200, b'{"status":"None","message":"","details":[]}'),
        ("HEAD", "/health_check", 200, b""),
        ("POST", "/health_check", 405, b""),
        ("GET", "/health_check/", 404, b""),
        ("GET", "/api/health_check", 404, b""),
    ],
)
async def test_paths(method, path, status, body):
    """The health check API has two paths, which only GET and HEAD may use."""
    async with running(create_app([])) as server:
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await server.exchange(request.encode())
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert body_of(answer) == body
    assert (b"allow: GET,HEAD" in answer) == (status == 405)


@asynccontextmanager
async def http_service(answer: bytes, kind: str = "http") -> AsyncIterator[Service]:
    """Runs a service that sends `answer` to every client, then hangs up."""

    async def reply(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, reply, listeners)
        yield Service(kind, *listeners[0].socket.getsockname())
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def udp_service(answer: bytes, lost: int = 0) -> AsyncIterator[Service]:
    """Runs a service that answers connects with `answer`, after the first `lost` ones; b"" = never.

    `TTTT` in it stands for the transaction id.
    """

    async def reply(sock: trio.socket.SocketType) -> None:
        for _ in range(lost):
            await sock.recvfrom(100)
        while True:
            request, source = await sock.recvfrom(100)
            assert request[:12] == struct.pack(">QI", 0x41727101980, 0)
            if answer:
                await sock.sendto(answer.replace(b"TTTT", request[12:16]), source)

    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply, sock)
            yield Service("udp", *sock.getsockname())
            nursery.cancel_scope.cancel()


async def well(kind: str) -> str:  # noqa: ARG001  # the parameter of `trouble`
    return ""


async def report(*services: Service, trouble=well):
    async with running(create_app(services, trouble)) as server:
        answer = await server.get("/health_check")
    assert answer.startswith(b"HTTP/1.1 200")
    return json.loads(body_of(answer))


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n", {"Ok": "200 OK"}),
        (b"HTTP/1.1 200 \r\nContent-Length: 100\r\n\r\nhalf", {"Ok": "200 OK"}),
        (b"HTTP/1.1 500 \r\n\r\n", {"Err": "500 Internal Server Error"}),
        (b"HTTP/1.1 299 \r\n\r\n", {"Err": "299"}),
        (b"HTTP/1.1 200 OK\r\n", None),
        (b"nonsense\r\n\r\n", None),
        (b"", None),
    ],
)
async def test_http_answers(answer, result):
    """An HTTP service is healthy if it answers 200; any other answer is in the report."""
    async with http_service(answer) as service:
        found = await report(service)
    ok = result is not None and "Ok" in result
    assert found["status"] == ("Ok" if ok else "Error")
    assert found["message"] == ("" if ok else FAILED)
    (item,) = found["details"]
    assert list(item) == ["binding", "info", "result"]
    if result:
        assert item["result"] == result
    else:
        assert item["result"]["Err"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"\0\0\0\0TTTTconnecti", {"Ok": "Connected"}),
        (b"\0\0\0\3TTTTconnecti", {"Err": "Unexpected answer to a connect request"}),
        (b"\0\0\0\0XXXXconnecti", {"Err": "Unexpected answer to a connect request"}),
        (b"\0\0\0\0TTTT", {"Err": "Unexpected answer to a connect request"}),
        (b"", {"Err": "Timed Out"}),
    ],
)
async def test_udp_answers(monkeypatch, answer, result):
    """A UDP service is healthy if its answer has a connection id and the check's transaction id."""
    if not answer:
        monkeypatch.setattr(checks, "TIMEOUT", 0.05)
    async with udp_service(answer) as service:
        found = await report(service)
    assert found["details"][0]["result"] == result


async def test_udp_asks_again(monkeypatch):
    """A lost datagram is no failure."""
    monkeypatch.setattr(checks, "TIMEOUT", 60.0)
    monkeypatch.setattr(checks, "_RESEND", 0.02)
    async with udp_service(b"\0\0\0\0TTTTconnecti", lost=2) as service:
        found = await report(service)
    assert found["details"][0]["result"] == {"Ok": "Connected"}


async def test_one_of_several_is_gone(monkeypatch):
    """Results are in the order of the services. One that fails makes the whole an error."""
    monkeypatch.setattr(checks, "TIMEOUT", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = Service("api", *closed.getsockname())
    async with (
        http_service(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as well,
        udp_service(b"\0\0\0\0TTTTconnecti") as udp,
    ):
        found = await report(gone, well, udp)
    assert (found["status"], found["message"]) == ("Error", FAILED)
    assert [item["binding"] for item in found["details"]] == [
        service.binding for service in (gone, well, udp)
    ]
    assert [item["result"] for item in found["details"]] == [
        {"Err": "Connection refused"}, {"Ok": "200 OK"}, {"Ok": "Connected"},
    ]  # fmt: skip


async def test_announces_are_refused():
    """A tracker that answers while announces are refused is an error; the API's check stays."""

    async def refused(kind: str) -> str:
        return "" if kind == "api" else "the log is full"

    async with (
        http_service(b"HTTP/1.1 200 OK\r\n\r\n") as http,
        http_service(b"HTTP/1.1 200 OK\r\n\r\n", "api") as api,
        udp_service(b"\0\0\0\0TTTTconnecti") as udp,
    ):
        found = await report(udp, http, api, trouble=refused)
    assert found["status"] == "Error"
    assert [item["result"] for item in found["details"]] == [
        {"Err": "the log is full"}, {"Err": "the log is full"}, {"Ok": "200 OK"},
    ]  # fmt: skip


async def test_silence_is_bounded(monkeypatch):
    """A service that accepts and sends nothing times out."""
    monkeypatch.setattr(checks, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for tls in (False, True):
            found = await report(Service("http", *silent.getsockname(), tls=tls))
            assert found["details"][0]["result"] == {"Err": "Timed Out"}


async def test_a_plain_answer_to_a_tls_client():
    """A plain answer to a TLS client is an error of that service."""
    async with http_service(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        found = await report(Service("http", plain.host, plain.port, tls=True))
    assert "Err" in found["details"][0]["result"]
