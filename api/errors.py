"""Refuses requests in the older versions, with texts that clients compare byte by byte.

Most refusals are status 500 with a sentence in the shape of a Rust debug print (contract, section
1.1), and clients recognise a bad token by string equality. Parsers, authentication and commands
raise `Refusal`; the handlers at the end send it. This module knows no endpoint.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from api.openapi import shapes
from api.replies import TEXT, empty, text
from tracker.ports import (
    CommandError,
    DuplicateKeyError,
    InvalidDurationError,
    NotVouchedError,
    PrunedMomentError,
    UnknownKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.endpoint import Responses
    from api.replies import Response
    from tracker.ports import BusyError, NoMomentError, UnreadableLogError

_log = logging.getLogger(__name__)

DESCRIBED: Final[Responses] = {
    **{status: {TEXT: shapes.STRING} for status in (400, 410, 413, 415, 422, 500, 503)},
    **{status: {} for status in (404, 405, 408)},
}
"""The responses by which any endpoint of the older versions may refuse."""

# The reference ends some texts with a place in its source. This is a place in ours.
_HERE: Final = "api/errors.py:1:1"

# Existing clients recognise a duplicate and an unknown key by these sentences. They name SQLite
# because the reference uses it; this API does not.
_DUPLICATE_KEY: Final = (
    f"The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key, {_HERE}, {_HERE}"
)
_UNKNOWN_KEY: Final = f"Failed to remove record from Sqlite3 database, error-code: 0, {_HERE}"


class Refusal(Exception):  # noqa: N818 - because most refusals are no errors of the server
    """Ends the request with `status` and the plain text `reason`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


def rejection(reason: str) -> Refusal:
    """Makes the contract's general refusal (section 1.1): status 500 and a debug-printed `Err`."""
    return Refusal(500, f'Unhandled rejection: Err {{ reason: "{debug(reason)}" }}')


def bad_request(reason: str) -> Refusal:
    return Refusal(400, reason)


def invalid_url(reason: str) -> Refusal:
    return bad_request(f"Invalid URL: {reason}")


def invalid_query(reason: str) -> Refusal:
    return bad_request(f"Failed to deserialize query string: {reason}")


def invalid_duration(seconds: int | None) -> Refusal:
    return invalid_url(f'invalid auth key duration: "{seconds}"')


@contextmanager
def reported_as(failure: str, *, detailed: bool) -> Iterator[None]:
    """Turns a refused command into `failure`, followed by the reason if `detailed`.

    A change that is made and not vouched for is 503 with its own text.

    `InvalidDurationError` passes through, because only the caller knows the duration.
    """
    try:
        yield
    except InvalidDurationError:
        raise
    except NotVouchedError as error:  # the reference has no such case
        raise Refusal(503, str(error)) from error
    except CommandError as error:
        raise rejection(f"{failure}: {_detail(error)}" if detailed else failure) from error


def _detail(error: CommandError) -> str:
    match error:
        case DuplicateKeyError():
            return _DUPLICATE_KEY
        case UnknownKeyError():
            return _UNKNOWN_KEY
        case _:
            return f"{str(error) or 'the event log cannot take it now'}, {_HERE}"


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def debug(value: str) -> str:
    """Escapes `value` as Rust does when it debug-prints a string."""
    return "".join(_ESCAPES.get(char) or _printable(char) for char in value)


def _printable(char: str) -> str:
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


# Handlers of errors. No client gets a page in HTML or a traceback.


async def on_refusal(error: Refusal) -> Response:
    return text(error.reason, error.status)


async def on_http_error(error: HTTPException) -> Response:
    """Answers unknown paths, wrong methods and time-outs with empty bodies (contract, 1.0)."""
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    response = empty(error.code or 500)
    if isinstance(error, MethodNotAllowed):
        response.headers["allow"] = ",".join(sorted(error.valid_methods or ()))
    return response


async def on_busy(error: BusyError) -> Response:
    response = text(str(error), 503)
    response.headers["retry-after"] = "5"
    return response


async def on_no_moment(error: NoMomentError) -> Response:
    """Answers 400 instead of 404, because 404 has no text in these versions."""
    return text(str(error), 410 if isinstance(error, PrunedMomentError) else 400)


async def on_unreadable(error: UnreadableLogError) -> Response:
    _log.error("a request could not read the log: %s", error)
    return text(str(error), 500)


def _too_large() -> Response:
    """Answers 413 and closes, because after half a body the connection cannot carry a request."""
    response = text("Failed to buffer the request body: length limit exceeded", 413)
    response.headers["connection"] = "close"
    return response


async def on_defect(error: Exception) -> Response:
    _log.error("a request failed unexpectedly", exc_info=error)
    return await on_refusal(rejection("internal error"))
