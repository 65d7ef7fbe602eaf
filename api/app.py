"""Composes the Quart-Trio application: endpoints, authentication and errors.

The application holds no state and starts no tasks; `api.serve` runs it. It has no start-up hooks,
because `api.serve` does not run the ASGI lifespan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio
from quart import g, request
from quart.routing import QuartRule
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException

from api import auth, errors
from api.caller import request_id
from api.connection import SHARED_TURNS
from api.endpoint import Endpoint, answer, install
from api.legacy.endpoints import legacy
from api.limits import MAX_BODY
from api.openapi import shapes
from api.proxies import Proxies, client_address
from api.replies import Response, empty, json_text
from api.v1.endpoints import version_1
from api.v2 import auth as v2_auth
from api.v2 import problems
from api.v2.endpoints import version_2
from tracker.ports import BusyError, NoMomentError, UnreadableLogError
from tracker.turns import in_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from quart import Request
    from quart.ctx import RequestContext
    from quart.typing import ResponseReturnValue
    from quart.wrappers import Response as QuartResponse
    from werkzeug.wrappers import Response as WerkzeugResponse

    from api.auth import Tokens
    from api.ports import Ports

HEALTH_CHECK: Final = "/api/health_check"
DOCUMENTATION: Final = f"{problems.PREFIX}/docs"
OPEN: Final = ("/", DOCUMENTATION, HEALTH_CHECK)
"""The paths that need no token: what a person who opens the server's address sees, and health."""
REQUEST_TIMEOUT: Final = 5.0  # seconds to read and handle a request, as in the reference
STREAM_TIMEOUT: Final = 600.0  # seconds to send a whole listing


def create_app(ports: Ports, tokens: Tokens, proxies: Proxies | None = None) -> QuartTrio:
    """Builds the API that uses `ports`. A client needs one of `tokens`. `proxies` are trusted."""
    app = _App(__name__, static_folder=None)
    _configure(app)
    _install_errors(app)
    scopes = install(app, endpoints(ports, tokens))
    _install_hooks(app, tokens, scopes, ports, proxies or Proxies())
    return app


def endpoints(ports: Ports, tokens: Tokens) -> list[Endpoint]:
    """Lists every endpoint of every version, in the order of the API's description."""
    rows: list[Endpoint] = []
    rows += version_1(ports)
    rows += legacy(ports)
    rows += version_2(
        ports, tokens, described=rows
    )  # read at the first request, when it is complete
    rows += [_HEALTH, _ROOT]
    return rows


class _Rule(QuartRule):
    """A route, which makes the code that builds its URL when a URL is built: here never.

    For 59 routes that is a thirtieth of the CPU time of a start. If werkzeug renames its method, a
    start takes that much longer, and nothing else changes.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(rule: _Rule, **values: Any) -> tuple[str, str]:
            return QuartRule._compile_builder(rule, append_unknown)(rule, **values)

        return build


class _Exchange(TrioASGIHTTPConnection):
    """A request and its response. Announces are served between two steps of it."""

    async def handle_messages(self, *arguments: Any) -> None:
        await self._in_steps(super().handle_messages(*arguments))

    async def handle_request(self, *arguments: Any) -> None:
        await self._in_steps(super().handle_request(*arguments))

    async def _in_steps(self, work: Coroutine[Any, Any, None]) -> None:
        turns = self.scope.get("state", {}).get(SHARED_TURNS)
        await (work if turns is None else in_steps(work, turns))


class _App(QuartTrio):
    """Ends a step of a request with each checkpoint: before its rights are looked at, before and
    after its handler, and before its response is sent.
    """

    response_class = Response
    asgi_http_class = _Exchange
    url_rule_class = _Rule  # type: ignore[assignment]  # as in Quart itself

    async def handle_request(self, request: Request) -> QuartResponse | WerkzeugResponse:
        response = await super().handle_request(request)
        await trio.lowlevel.checkpoint()
        return response

    async def dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseReturnValue:
        """Limits the time to read and handle a request. Sending the response has its own limits."""
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(REQUEST_TIMEOUT) as g.time_limit:
            result = await super().dispatch_request(request_context)
        if g.time_limit.cancelled_caught:
            ours = problems.is_ours(request.path)
            return problems.answer(problems.Problem(408)) if ours else empty(408)
        await trio.lowlevel.checkpoint()
        return result


def _configure(app: QuartTrio) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["BODY_TIMEOUT"] = None  # REQUEST_TIMEOUT covers it
    app.config["RESPONSE_TIMEOUT"] = STREAM_TIMEOUT
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # OPTIONS is a wrong method like others: 405
    app.url_map.merge_slashes = False  # a doubled slash makes another path: 404, no redirect


def _install_errors(app: QuartTrio) -> None:
    """Answers each error in the manner of the version in the path, even if no route matches."""
    for kind, older, v2 in (
        (errors.Refusal, errors.on_refusal, problems.on_refusal),
        (HTTPException, errors.on_http_error, problems.on_http_error),
        (BusyError, errors.on_busy, problems.on_busy),
        (NoMomentError, errors.on_no_moment, problems.on_no_moment),
        (UnreadableLogError, errors.on_unreadable, problems.on_unreadable),
        (Exception, errors.on_defect, problems.on_defect),
    ):
        app.register_error_handler(kind, _by_version(older, v2))
    app.register_error_handler(problems.Problem, problems.on_problem)


def _by_version(older: Any, v2: Any) -> Any:
    async def handle(error: Exception) -> Response:
        response: Response = await (v2 if problems.is_ours(request.path) else older)(error)
        return response

    return handle


def _install_hooks(
    app: QuartTrio, tokens: Tokens, scopes: dict[str, str], ports: Ports, proxies: Proxies
) -> None:
    async def identify() -> None:
        await trio.lowlevel.checkpoint()
        g.request_id = request_id(request)
        g.client_address = client_address(proxies, request)
        if request.path in OPEN:
            return
        version = v2_auth if problems.is_ours(request.path) else auth
        digest = auth.digest_of(version.presented_token(request))
        # A path that leads nowhere is no way to find out more than another token may.
        usual = "read" if request.method in auth.READING else "full"
        grant = version.sufficient(tokens.find(digest), scopes.get(request.endpoint or "", usual))
        if grant.issued:
            ports.commands.use_token(grant.issued)
        g.token_label, g.token_scope = grant.label, grant.scope
        g.writes, g.addresses = grant.writes, grant.addresses
        g.still_valid = lambda: tokens.find(digest) == grant
        auth.keep_connection(request, writes=g.writes)

    async def finish(response: Response) -> Response:
        response.headers["x-request-id"] = g.request_id
        if response.status_code == 200 and "cached" in g:
            response.headers["cache-control"] = g.cached
            response.headers["vary"] = "X-Reason"  # it decides whether addresses are shown
        if "outage" in g:
            response.headers["x-outage"] = g.outage
        return response

    # `identify` runs before routing errors, so that a client without a token cannot find out paths.
    app.before_request(identify)
    app.after_request(finish)


async def _root() -> Response:
    """Leads whoever opens the server's address to the documentation.

    The location is relative, because a proxy may serve the API below a path of its own.
    """
    response = empty(302)
    response.headers["location"] = DOCUMENTATION.removeprefix("/")
    return response


async def _health_check() -> Response:
    return json_text('{"status":"Ok"}')


_HEALTH: Final = Endpoint(
    "GET",
    HEALTH_CHECK,
    _health_check,
    "Whether the API answers.",
    answer(shapes.HEALTHY) | {405: {}},
    needs_token=False,
)
_ROOT: Final = Endpoint(
    "GET", "/", _root, "Leads to the description as a page.", {302: {}}, needs_token=False
)
