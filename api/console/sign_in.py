"""Exchanges an access token for a session, and ends sessions."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import trio
from attrs import field, frozen
from quart import g, request

from api.console import guard
from api.console.api import ProblemError
from api.proxies import Proxies, client_address
from api.replies import Response
from tracker.places import network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quart_trio import QuartTrio

    from api.console.api import Api
    from api.console.sessions import Sessions
    from api.console.views import Views

AT_ONCE: Final = 2
"""Tokens that the API is asked about, at a time, for all browsers together."""
EACH: Final = 4
"""Sign-ins of one network at a time, with those whose answer waits; further ones are refused."""
WRONG_SECONDS: Final = 1.0
"""Seconds that the answer to a wrong token waits: so a network guesses `EACH` times a second."""
HELD: Final = 100
"""Answers that wait, at a time; for one more, the one that has waited longest goes out. So guesses
from many networks keep nobody from signing in.
"""
TRY_AGAIN_SECONDS: Final = "2"
_PROXIES: Final = Proxies(
    ("unix", "127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""From these addresses a reverse proxy may ask: then `X-Forwarded-For` has the browser's."""
_WRONG: Final = "The tracker does not know this access token, or it has expired or was revoked."


@frozen
class SignIn:
    views: Views
    sessions: Sessions
    api_of: Callable[[str, str], Api]
    lasts: float  # seconds
    _turns: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(AT_ONCE))
    _busy: Counter[bytes] = field(factory=Counter)  # sign-ins by network
    _held: deque[trio.CancelScope] = field(factory=deque)  # answers that wait, the oldest first

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
        with self._one_of_few(_network()):
            async with self._turns:
                found = await self._known(token)
            if found is None:
                await self._hold()
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
            return None
        return found

    @contextmanager
    def _one_of_few(self, source: bytes) -> Iterator[None]:
        """Counts a network's sign-ins. Raises `ProblemError` if there are too many at a time."""
        if self._busy[source] >= EACH:
            title, detail = "Too many sign-ins from your address", "Try again in some seconds"
            raise ProblemError(429, title, detail, TRY_AGAIN_SECONDS)
        self._busy[source] += 1
        try:
            yield
        finally:
            self._busy[source] -= 1
            if not self._busy[source]:
                del self._busy[source]

    async def _hold(self) -> None:
        """Lets the answer to a wrong token wait, after its turn, so that it holds nobody up."""
        if len(self._held) == HELD:
            self._held.popleft().cancel()
        wait = trio.CancelScope()
        self._held.append(wait)
        try:
            with wait:
                await trio.sleep(WRONG_SECONDS)
        finally:
            if wait in self._held:
                self._held.remove(wait)

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


def _network() -> bytes:
    """Returns the network of the browser; b"" over a Unix socket without a proxy's word."""
    address = client_address(_PROXIES, request)
    return network(ip_address(address).packed) if address else b""


def _led_to(path: str) -> Response:
    response = Response(b"", 303)
    response.headers["location"] = path
    return response
