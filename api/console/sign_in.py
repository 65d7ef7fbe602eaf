"""Exchanges an access token for a session, and ends sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from attrs import field, frozen
from quart import g, request

from api.console import guard
from api.console.api import ProblemError
from api.replies import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from quart_trio import QuartTrio

    from api.console.api import Api
    from api.console.sessions import Sessions
    from api.console.views import Views

AT_ONCE: Final = 2
"""Sign-ins that are looked at, at a time, of all browsers together."""
WAITING: Final = 50
"""Sign-ins that wait for their turn; further ones are refused."""
WRONG_SECONDS: Final = 1.0
"""Seconds that a wrong token keeps its turn: so all guesses together are two a second at most.
No token or address is locked out for them.
"""
_WRONG: Final = "The tracker does not know this access token, or it has expired or was revoked."


@frozen
class SignIn:
    views: Views
    sessions: Sessions
    api_of: Callable[[str, str], Api]
    lasts: float  # seconds
    wrong_seconds: float = WRONG_SECONDS
    _turns: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(AT_ONCE))

    def install(self, app: QuartTrio) -> None:
        app.add_url_rule("/sign-in", "sign_in", self.ask, methods=["GET"])
        app.add_url_rule("/sign-in", "signed_in", self.begin, methods=["POST"])
        app.add_url_rule("/sign-out", "sign_out", self.end, methods=["POST"])

    async def ask(self) -> Response:
        return self._page(guard.local_path(request.args.get("next", "")))

    async def begin(self) -> Response:
        form = await request.form
        token, onward = form.get("token", "").strip(), guard.local_path(form.get("next", ""))
        if not token:
            return self._page(onward, "Give an access token.", 422)
        if self._turns.statistics().tasks_waiting >= WAITING:
            raise ProblemError(503, "Too many sign-ins", "Try again in a minute", "60")
        async with self._turns:
            found = await self._known(token)
        if found is None:
            return self._page(onward, _WRONG, 403)
        label, scope = str(found["label"]), str(found["scope"])
        text = self.sessions.begin(token, label, scope, addresses=bool(found["addresses"]))
        response = _led_to(onward)
        response.set_cookie(
            guard.cookie_name(request),
            text,
            max_age=int(self.lasts),
            path="/",
            secure=guard.is_secure(request),
            httponly=True,
            samesite="Strict",
        )
        return response

    async def _known(self, token: str) -> dict[str, object] | None:
        """Returns what the API says of a token; None = it does not know it."""
        try:
            found: dict[str, object] = await self.api_of(token, "").get("/api/v2/tokens/own")
        except ProblemError as error:
            if error.status != 401:
                raise
            await trio.sleep(self.wrong_seconds)
            return None
        return found

    async def end(self) -> Response:
        name = guard.cookie_name(request)
        self.sessions.end(request.cookies.get(name, ""))
        g.session = None
        response = _led_to("/sign-in")
        secure = guard.is_secure(request)
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Strict")
        return response

    def _page(self, onward: str, problem: str = "", status: int = 200) -> Response:
        text = self.views.show(
            "sign_in.html", None, title="Sign in", onward=onward, problem=problem
        )
        return Response(text.encode(), status, content_type="text/html; charset=utf-8")


def _led_to(path: str) -> Response:
    response = Response(b"", 303)
    response.headers["location"] = path
    return response
