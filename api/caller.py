"""Identifies the caller: the request id, and the `Actor` that the log records with every change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from quart import g, request

from api.auth import BLANKS
from api.endpoint import IDEMPOTENCY_KEY, REASON
from api.errors import bad_request
from tracker.ports import Actor

if TYPE_CHECKING:
    from quart import Request

_REQUEST_ID = re.compile(r"[!-~]{1,128}")


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
    if not IDEMPOTENCY_KEY.takes(given):
        most = IDEMPOTENCY_KEY.schema["maxLength"]
        raise bad_request(f"Idempotency-Key has to be printable ASCII, at most {most} characters")
    return given


def _reason(incoming: Request) -> str:
    raw = incoming.headers.get("x-reason", "").strip(BLANKS)
    reason = raw.encode("latin-1", "replace").decode(errors="replace")
    if not REASON.takes(reason):
        most = REASON.schema["maxLength"]
        raise bad_request(
            f"X-Reason has to be printable text in one line, at most {most} characters"
        )
    return reason
