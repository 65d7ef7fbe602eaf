"""Serves the health check API: an ASGI application of two paths.

It is plain ASGI, because every tracker serves it and a web framework takes a third of a second to
import.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import trio

from api.health.checks import check

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

    from api.health.checks import Result
    from api.health.services import Kind, Service

FAILED: Final = "health check failed"
_JSON = (b"content-type", b"application/json")
_ALLOW = (b"allow", b"GET,HEAD")


async def _nothing_wrong(kind: Kind) -> str:  # noqa: ARG001  # the parameter of `trouble`
    return ""


def create_app(
    services: Sequence[Service], trouble: Callable[[Kind], Awaitable[str]] = _nothing_wrong
) -> ASGIFramework:
    """Builds the application over `services`, which it reports in this order.

    `trouble` says why no service of a kind does its work now although all may answer, or "".
    """

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        del receive  # bodies of requests are ignored
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        status, header, body = await _answer(services, trouble, scope["method"], scope["path"])
        headers = [header, _length(body)] if header else [_length(body)]
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": headers,
                "trailers": False,
            }
        )
        sent = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": sent, "more_body": False})

    return app


async def _answer(
    services: Sequence[Service], trouble: Callable[[Kind], Awaitable[str]], method: str, path: str
) -> tuple[int, tuple[bytes, bytes] | None, bytes]:
    """Returns status, header and body."""
    if path not in ("/", "/health_check"):
        return 404, None, b""
    if method not in ("GET", "HEAD"):
        return 405, _ALLOW, b""
    report = {} if path == "/" else await examine(services, trouble)
    return 200, _JSON, json.dumps(report, separators=(",", ":")).encode()


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)


async def examine(
    services: Sequence[Service], trouble: Callable[[Kind], Awaitable[str]]
) -> dict[str, Any]:
    """Checks all services at once. Returns the body of the response as data."""
    results: dict[int, Result] = {}

    async def one(number: int, service: Service) -> None:
        result = await check(service)
        if "Ok" in result and (wrong := await trouble(service.kind)):
            result = {"Err": wrong}
        results[number] = result

    async with trio.open_nursery() as nursery:
        for number, service in enumerate(services):
            nursery.start_soon(one, number, service)
    return _report(services, [results[number] for number in range(len(services))])


def _report(services: Sequence[Service], results: Sequence[Result]) -> dict[str, Any]:
    failed = any("Err" in result for result in results)
    return {
        "status": "None" if not services else "Error" if failed else "Ok",
        "message": FAILED if failed else "",
        "details": [
            {"binding": service.binding, "info": service.info, "result": result}
            for service, result in zip(services, results, strict=True)
        ],
    }
