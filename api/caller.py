"""Identifies the caller: the request id, and the `Actor` that the log records with every change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from quart import g, request

from api.auth import BLANKS
from api.errors import bad_request
from tracker.ports import Actor

if TYPE_CHECKING:
    from quart import Request

MAX_REASON: Final = 500  # bytes of UTF-8; limited because the log keeps it for ever
MAX_IDEMPOTENCY_KEY: Final = 128  # characters; limited for the same reason

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_IDEMPOTENCY_KEY = re.compile(rf"[ -~]{{1,{MAX_IDEMPOTENCY_KEY}}}")


def request_id(incoming: Request) -> str:
    """Returns the client's id if it is short and printable, else a new UUID.

    It must be both, because the response and the log repeat it.
    """
    given = incoming.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def actor() -> Actor:
    """Describes the sender of the current request.

    Raises `Refusal` if a header does not fit into the log.
    """
    return Actor(
        token=g.token_label,
        address=g.client_address,
        request_id=g.request_id,
        reason=_reason(request),
        idempotency_key=_idempotency_key(request),
    )


def _idempotency_key(incoming: Request) -> str:
    given = incoming.headers.get("idempotency-key", "").strip(BLANKS)
    if given and not _IDEMPOTENCY_KEY.fullmatch(given):
        raise bad_request(
            f"Idempotency-Key has to be printable ASCII, at most {MAX_IDEMPOTENCY_KEY} characters"
        )
    return given


def _reason(incoming: Request) -> str:
    raw = incoming.headers.get("x-reason", "").strip(BLANKS).encode("latin-1", "replace")
    if len(raw) > MAX_REASON:
        raise bad_request(f"X-Reason is longer than {MAX_REASON} bytes")
    reason = raw.decode(errors="replace")
    # A reason must be printable, because control characters could act on a terminal that shows the
    # log.
    if not reason.isprintable():
        raise bad_request("X-Reason has to be printable text in one line")
    return reason
