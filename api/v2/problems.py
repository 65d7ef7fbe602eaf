"""Refuses requests in version 2, with problem documents (RFC 9457) for every error.

A document has no `type`, which means `about:blank`: the status is the kind of error, and `detail`
describes the case. Parsers, authentication and handlers raise `Problem`; the handlers of errors at
the end send it. This module knows no endpoint.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from api.limits import MAX_BODY
from api.openapi import shapes
from api.replies import Response, encode
from tracker.ports import (
    CommandError,
    DuplicateKeyError,
    InvalidCaseError,
    InvalidCorrectionError,
    InvalidDurationError,
    InvalidFactorError,
    InvalidFreeleechError,
    InvalidGroupError,
    InvalidJudgingError,
    InvalidMoveError,
    InvalidSanctionError,
    InvalidSettingError,
    InvalidTokenError,
    PrunedMomentError,
    RepeatedRequestError,
    RevokedKeyError,
    UnknownAccountError,
    UnknownFactorError,
    UnknownFreeleechError,
    UnknownKeyError,
    UnknownSanctionError,
    UnknownTokenError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.endpoint import Responses
    from api.errors import Refusal
    from tracker.ports import BusyError, NoMomentError, UnreadableLogError

_log = logging.getLogger(__name__)

PREFIX: Final = "/api/v2"
PROBLEM: Final = "application/problem+json"

DESCRIBED: Final[Responses] = {
    status: {PROBLEM: shapes.PROBLEM}
    for status in (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 503)
}
"""The responses by which any endpoint of version 2 may refuse."""

# Names of RFC 9110, which Python has from 3.13 on.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(Exception):  # noqa: N818 - the RFC's word
    """Ends the request with a problem document. `more`: further members of the document."""

    def __init__(
        self, status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more


def is_ours(path: str) -> bool:
    """Tells whether `path` belongs to version 2. The path need not exist."""
    return path == PREFIX or path.startswith(PREFIX + "/")


@contextmanager
def commanded() -> Iterator[None]:
    """Turns a refused command into a problem."""
    try:
        yield
    except CommandError as error:
        status, detail = _COMMANDS.get(type(error), (503, "the event log cannot take it now"))
        raise Problem(status, str(error) or detail) from error


_COMMANDS: Final[dict[type[CommandError], tuple[int, str]]] = {
    DuplicateKeyError: (409, "that key exists already"),
    InvalidCorrectionError: (422, "that correction cannot be made"),
    InvalidFactorError: (422, "there cannot be such a factor"),
    InvalidFreeleechError: (422, "there cannot be such a freeleech token"),
    InvalidGroupError: (422, "a group cannot have this name"),
    InvalidCaseError: (422, "that cannot be said about a case"),
    InvalidJudgingError: (422, "that cannot be judged so"),
    InvalidMoveError: (422, "accounts cannot be merged or split so"),
    InvalidSanctionError: (422, "that cannot be imposed"),
    InvalidSettingError: (422, "that cannot be set"),
    InvalidTokenError: (422, "there cannot be such an access token"),
    InvalidDurationError: (422, "the key's validity would end after the year 9999"),
    RepeatedRequestError: (422, "that Idempotency-Key came before, with another request"),
    RevokedKeyError: (410, "that key is revoked"),
    UnknownAccountError: (404, "there is no such account"),
    UnknownFactorError: (404, "there is no such factor"),
    UnknownFreeleechError: (404, "there is no such freeleech token"),
    UnknownKeyError: (404, "there is no such key"),
    UnknownSanctionError: (404, "there is no such sanction"),
    UnknownTokenError: (404, "there is no such access token"),
}


# Handlers of errors.


def answer(problem: Problem) -> Response:
    """Makes a response of `problem`."""
    document = {
        "title": _TITLES.get(problem.status) or HTTPStatus(problem.status).phrase,
        "status": problem.status,
        **({"detail": problem.detail} if problem.detail else {}),
        **problem.more,
    }
    # A text from a query may hold half a surrogate pair, which has no UTF-8 form.
    body = encode(document).encode(errors="replace")
    response = Response(body, problem.status, content_type=PROBLEM)
    response.headers.update(problem.headers)
    return response


async def on_problem(error: Problem) -> Response:
    return answer(error)


async def on_refusal(error: Refusal) -> Response:
    """Answers a refusal from code that all versions share.

    Such a refusal has a status below 500, so its text is a plain sentence.
    """
    return answer(Problem(error.status, error.reason))


async def on_busy(error: BusyError) -> Response:
    return answer(Problem(503, str(error), {"retry-after": "5"}))


async def on_no_moment(error: NoMomentError) -> Response:
    if isinstance(error, PrunedMomentError):
        return answer(Problem(410, str(error), first_seq=error.first_seq))
    return answer(Problem(404, str(error)))


async def on_unreadable(error: UnreadableLogError) -> Response:
    _log.error("a request could not read the log: %s", error)
    return answer(Problem(500, str(error)))


async def on_http_error(error: HTTPException) -> Response:
    """Answers unknown paths, wrong methods and large bodies."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return answer(Problem(405, f"allowed here: {allowed}", {"allow": allowed}))
    if isinstance(error, RequestEntityTooLarge):
        # After half a body the connection cannot carry another request.
        detail = f"a body may have {MAX_BODY} bytes"
        return answer(Problem(413, detail, {"connection": "close"}))
    return answer(Problem(error.code or 500, "" if error.code != 404 else "there is nothing here"))


async def on_defect(error: Exception) -> Response:
    _log.error("a request failed unexpectedly", exc_info=error)
    return answer(Problem(500))
