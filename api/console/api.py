"""What a page may do: ask the tracker's API with the token of who is signed in.

A page gets an `Api`, and tests give it one of their own with the same methods.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote, urlencode

from attrs import evolve, field, frozen

from api.console.link import DownError, Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.console.link import Answer

    Query = Mapping[str, object]

GOOD: Final = range(200, 300)
_CONTROL: Final = frozenset(map(chr, (*range(32), *range(127, 160))))
"""Characters that no header has, because HTTP or the API refuses them."""


class ProblemError(Exception):
    """The API refused, with a status, a title and mostly a detail in words."""

    def __init__(self, status: int, title: str, detail: str = "", retry_after: str = "") -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail, self.retry_after = status, title, detail, retry_after


class Api(Protocol):
    """The API as one person may use it.

    `{name}` in a path is filled with the argument of that name, quoted. Members of `query` are
    texts, numbers or lists of those; None is left out. Each method returns the answer's
    JSON, None where there is no body, and raises `ProblemError` or `DownError`.
    """

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any: ...

    async def change(self, method: str, path: str, body: object = None, **names: object) -> Any: ...

    def saying(self, reason: str, once: str = "") -> Api:
        """Returns the same with a reason for each request, which also asks for addresses.

        `once`: an Idempotency-Key, which makes repeating a change safe; "" = none.
        """
        ...


@frozen
class LinkedApi:
    """The API over a link. `forwarded`: for whom it asks, as `X-Forwarded-For` says it."""

    link: Link
    token: str = field(repr=False)
    forwarded: str = ""
    reason: str = ""
    once: str = ""

    def saying(self, reason: str, once: str = "") -> LinkedApi:
        return evolve(self, reason=reason, once=once)

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any:
        target = target_of(path, query, names)
        return _document(await self.link.exchange("GET", target, self._headers()))

    async def change(self, method: str, path: str, body: object = None, **names: object) -> Any:
        headers, data = self._headers(), b""
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        target = target_of(path, None, names)
        return _document(await self.link.exchange(method, target, headers, data))

    def _headers(self) -> dict[str, str]:
        said = {
            "authorization": f"Bearer {self.token}",
            "x-forwarded-for": self.forwarded,
            "x-reason": self.reason,
            "idempotency-key": self.once,
        }
        for name, text in said.items():
            if not _CONTROL.isdisjoint(text):
                # Not its value, which may be a token.
                raise ProblemError(422, "This cannot be sent", f"{name} has a control character")
        return {name: text for name, text in said.items() if text}


def target_of(path: str, query: Query | None, names: Mapping[str, object]) -> str:
    """Fills a path in and adds a query: `/api/v2/accounts/{account}` and so on."""
    filled = path.format(**{name: quote(str(each), safe="") for name, each in names.items()})
    given = {name: each for name, each in (query or {}).items() if each is not None}
    return f"{filled}?{urlencode(given, doseq=True)}" if given else filled


def _document(answer: Answer) -> Any:
    """Returns the JSON of a good answer; None = no body. Raises `ProblemError`."""
    try:
        found = json.loads(answer.body) if answer.body else None
    except (ValueError, RecursionError):
        raise ProblemError(502, "What answers is not a tracker's API") from None
    if answer.status in GOOD:
        return found
    said = found if isinstance(found, dict) else {}
    title, detail = str(said.get("title") or "Error"), str(said.get("detail") or "")
    raise ProblemError(answer.status, title, detail, answer.headers.get("retry-after", ""))


__all__ = ["GOOD", "Api", "DownError", "LinkedApi", "ProblemError", "target_of"]
