"""Sends one request through the Quart test client, and returns its answer as plain values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from quart_trio import QuartTrio

JSON = "application/json"
KEY_JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
PROBLEM = "application/problem+json"
TOKEN = "token=MyAccessToken"


@frozen
class Answer:
    status: int
    content_type: str | None
    body: str
    headers: Mapping[str, str]

    def __iter__(self) -> Iterator[object]:
        """Yields status, media type and body, so that a test can compare them with a tuple."""
        return iter((self.status, self.content_type, self.body))


async def ask(
    app: QuartTrio,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    token: str = TOKEN,
    **headers: str,
) -> Answer:
    """Sends one request, with `token` in the query unless it is empty.

    Names of `headers` have underscores.
    """
    if token:
        target += ("&" if "?" in target else "?") + token
    response = await app.test_client().open(  # type: ignore[call-arg] # `json` is optional
        target,
        method=method,
        data=body or None,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    text = (await response.get_data(as_text=False)).decode()
    return Answer(
        response.status_code, response.headers.get("content-type"), text, dict(response.headers)
    )


def rejected(reason: str) -> tuple[int, str, str]:
    return 500, TEXT, f'Unhandled rejection: Err {{ reason: "{reason}" }}'


def problem(answer: Answer) -> dict[str, Any]:
    """Returns the problem document of version 2, whose status has to be that of the response."""
    assert answer.content_type == PROBLEM
    document: dict[str, Any] = json.loads(answer.body)
    assert document["status"] == answer.status
    return document
