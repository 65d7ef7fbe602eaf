"""Posts a body to a URL over HTTP/1.1, on a connection of its own, and returns the answer's status.

h11 has the protocol. A redirect is an answer like others, because a signed body goes only to whom
the configuration names.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11
import trio
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

POST_SECONDS = 15.0
"""Longest time for a connection, the request and the head of the answer, in seconds."""
_READ_BYTES = 4096  # at once, because h11 takes 16 ms for 16 KiB of interim answers
_SHOWN = 100  # characters of what h11 says, because it repeats what the receiver sent
_PORTS = {"http": 80, "https": 443}


class PostError(Exception):
    """There is no answer; the text says why."""


@frozen
class Answer:
    """The head of an answer."""

    status: int
    retry_after: float | None = None  # seconds that the receiver asks to wait


@frozen
class Receiver:
    """The server that a URL names. `tls`: None = plain HTTP."""

    host: str
    port: int
    target: str
    authority: str  # of the header `Host`
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, ca_path: str | None) -> Receiver:
        """Reads a URL that the configuration has checked. Raises `OSError` or `ssl.SSLError` where
        the file with certificate authorities cannot be read.
        """
        parts = urlsplit(url)
        tls = ssl.create_default_context(cafile=ca_path) if parts.scheme == "https" else None
        target = parts.path or "/"
        return cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            target=f"{target}?{parts.query}" if parts.query else target,
            authority=parts.netloc.rpartition("@")[2],
            tls=tls,
        )


async def post(to: Receiver, headers: Mapping[str, str], body: bytes) -> Answer:
    """Posts a body and waits for the head of the answer. Raises `PostError`."""
    try:
        with trio.fail_after(POST_SECONDS):
            stream = await _connected(to)
            async with stream:
                return await _exchange(stream, to, headers, body)
    except trio.TooSlowError:
        raise PostError(f"no answer within {POST_SECONDS:.0f} s") from None
    except ssl.SSLError as error:
        raise PostError(f"TLS: {error.reason or error}") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise PostError(_why(error)) from None
    except h11.RemoteProtocolError as error:
        raise PostError(f"the answer is no HTTP: {str(error)[:_SHOWN]}") from None


async def _connected(to: Receiver) -> trio.abc.Stream:
    stream = await trio.open_tcp_stream(to.host, to.port)
    if to.tls is None:
        return stream
    return trio.SSLStream(stream, to.tls, server_hostname=to.host, https_compatible=True)


async def _exchange(
    stream: trio.abc.Stream, to: Receiver, headers: Mapping[str, str], body: bytes
) -> Answer:
    http = h11.Connection(h11.CLIENT)
    fields = {
        "host": to.authority, "connection": "close", "content-length": str(len(body)), **headers
    }  # fmt: skip
    head = http.send(h11.Request(method="POST", target=to.target, headers=list(fields.items())))
    await stream.send_all((head or b"") + (http.send(h11.Data(data=body)) or b""))
    http.send(h11.EndOfMessage())
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return Answer(event.status_code, _retry_after(event))
        if event is h11.NEED_DATA:
            received = bytes(await stream.receive_some(_READ_BYTES))
            if not received:
                raise PostError("the connection was closed without an answer")
            http.receive_data(received)


def _retry_after(response: h11.Response) -> float | None:
    """Reads the seconds of `Retry-After` (RFC 9110 section 10.2.3); a date counts as none."""
    for name, value in response.headers:
        if name == b"retry-after" and value.isdigit():
            return float(value[:9])
    return None


def _why(error: BaseException) -> str:
    """Says in words why there is no answer: by the system's own error, under what trio makes of
    it.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):  # of a name with several addresses
        error = error.exceptions[0]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
