"""Who is asking: the request id, and the `Actor` that every change is recorded with."""

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

MAX_REASON: Final = 500  # bytes: it stays in the log for ever
MAX_IDEMPOTENCY_KEY: Final = 128  # likewise

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_IDEMPOTENCY_KEY = re.compile(rf"[ -~]{{1,{MAX_IDEMPOTENCY_KEY}}}")


def request_id(incoming: Request) -> str:
    """The client's id when it is short and printable, since it is echoed and logged; else a new one."""
    given = incoming.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def actor() -> Actor:
    """Whoever sent the current request. Raises `Refusal` for headers that do not fit into the log."""
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
    # Whoever reads the log in a terminal must not be told something else by it.
    if not reason.isprintable():
        raise bad_request("X-Reason has to be printable text in one line")
    return reason
