"""A fake of the API that pages ask, and a browser that talks to the console over it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from attrs import define, evolve, field

from api.console.api import ProblemError, target_of
from api.console.app import app_with
from api.console.screens import SCREENS
from api.console.sessions import Sessions
from api.console.work import Crew

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quart import Response
    from quart_trio import QuartTrio

    from api.console.api import Query
    from api.console.page import Screens

HOST = "console.example"
TOKENS = {"full": "full", "staff": "moderator", "watch": "read"}
"""Access tokens and their scopes."""


@define
class FakeApi:
    """Answers from `answers`, by path without query; an exception there is raised.

    What nothing is known about is an empty list of every name.
    """

    answers: dict[str, Any] = field(factory=dict)
    asked: list[tuple[str, ...]] = field(factory=list)  # method, target, reason, Idempotency-Key
    sent: list[Any] = field(factory=list)  # the bodies of changes
    token: str = ""
    reason: str = ""
    once: str = ""

    def saying(self, reason: str, once: str = "") -> FakeApi:
        return evolve(self, reason=reason, once=once)

    async def get(self, path: str, query: Query | None = None, **names: object) -> Any:
        if path == "/api/v2/tokens/own" and path not in self.answers:
            return self._own()
        return self._answer("GET", path, query, names)

    async def change(self, method: str, path: str, body: object = None, **names: object) -> Any:
        self.sent.append(body)
        return self._answer(method, path, None, names)

    def _own(self) -> dict[str, object]:
        if self.token not in TOKENS:
            raise ProblemError(401, "Unauthorized")
        scope = TOKENS[self.token]
        return {"label": f"<{self.token}>", "scope": scope, "addresses": scope == "full"}

    def _answer(
        self, method: str, path: str, query: Query | None, names: Mapping[str, object]
    ) -> Any:
        self.asked.append((method, target_of(path, query, names), self.reason, self.once))
        found = self.answers.get(target_of(path, None, names), _Nothing())
        if isinstance(found, Exception):
            raise found
        return found


class _Nothing(dict[str, Any]):
    """Has an empty list under every name, and null as `next` and `previous`."""

    def __missing__(self, name: str) -> Any:
        return None if name in ("next", "previous") else 0 if name == "end" else []

    def get(self, name: str, default: Any = None) -> Any:
        del default
        return self[name]


_asked_api: list[FakeApi] = []
CREW = Crew()


@cache
def _shared_app(screens: Screens) -> QuartTrio:
    """Makes the application of all tests, because making one takes as long as ten requests."""
    return app_with(
        screens, "production", Sessions(), lambda token, _: evolve(_asked_api[0], token=token), CREW
    )


class Browser:
    """Keeps cookies, and sends what a browser sends with a page's own requests."""

    def __init__(self, api: FakeApi, screens: Screens = SCREENS) -> None:
        _asked_api[:] = [api]
        self.app = _shared_app(screens)
        self._client = self.app.test_client()

    async def ask(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        host: str = HOST,
        peer: str = "127.0.0.1",
    ) -> Response:
        given = {"host": host, "sec-fetch-site": "same-origin", **(headers or {})}
        data = None
        if form is not None:
            given["content-type"] = "application/x-www-form-urlencoded"
            data = urlencode(form)
        sent = {name: text for name, text in given.items() if text}
        scope = {"client": (peer, 9)}
        return await self._client.open(
            path, method=method, headers=sent, data=data, scope_base=scope
        )

    async def get(self, path: str, **headers: str) -> Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.ask("GET", path, headers=named)

    async def sign_in(self, token: str = next(iter(TOKENS))) -> Response:
        return await self.ask("POST", "/sign-in", {"token": token, "next": "/today"})

    async def text(self, path: str, **headers: str) -> str:
        answer = await self.get(path, **headers)
        assert answer.status_code == 200, await answer.get_data(as_text=True)
        return str(await answer.get_data(as_text=True))
