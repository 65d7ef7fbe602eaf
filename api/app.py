"""The Quart-Trio application: versions, authentication and error texts put together.

It holds no state of its own and starts no tasks; `api.serve` runs it. It has no start-up hooks either,
as `api.serve` does not run the ASGI lifespan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio
from quart import g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from api import errors
from api.caller import request_id
from api.legacy import routes as legacy_routes
from api.limits import MAX_BODY
from api.proxies import Proxies
from api.replies import Response, empty, json_text
from api.v1 import routes as v1_routes
from api.v2 import auth as v2_auth
from api.v2 import problems
from api.v2 import routes as v2_routes
from tracker.ports import BusyError, NoMomentError

if TYPE_CHECKING:
    from quart.ctx import RequestContext
    from quart.typing import ResponseReturnValue

    from api.auth import Tokens
    from api.ports import Ports

HEALTH_CHECK: Final = "/api/health_check"
REQUEST_TIMEOUT: Final = 5.0  # seconds, as the reference
STREAM_TIMEOUT: Final = 600.0  # seconds for a whole listing


def create_app(ports: Ports, tokens: Tokens, proxies: Proxies | None = None) -> QuartTrio:
    """The API over `ports`, for clients with one of `tokens` that come directly or through `proxies`."""
    app = _App(__name__, static_folder=None)
    _configure(app)
    _install_errors(app)
    _install_hooks(app, tokens, proxies or Proxies())
    app.add_url_rule(HEALTH_CHECK, "health_check", _health_check, methods=["GET"])
    app.register_blueprint(v1_routes.blueprint(ports))
    app.register_blueprint(legacy_routes.blueprint(ports))
    app.register_blueprint(v2_routes.blueprint(ports))
    return app


class _App(QuartTrio):
    response_class = Response

    async def dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseReturnValue:
        """Bound the time of reading and handling a request; sending the reply is bounded elsewhere."""
        with trio.move_on_after(REQUEST_TIMEOUT) as g.time_limit:
            return await super().dispatch_request(request_context)
        if problems.is_ours(request.path):
            return problems.answer(problems.Problem(408))
        return empty(408)


def _configure(app: QuartTrio) -> None:
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["BODY_TIMEOUT"] = None  # within REQUEST_TIMEOUT
    app.config["RESPONSE_TIMEOUT"] = STREAM_TIMEOUT
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # OPTIONS is a wrong method: 405
    app.url_map.merge_slashes = False  # a doubled slash is another path: 404, no redirect


def _install_errors(app: QuartTrio) -> None:
    """Every error in the manner of the version that was asked, also where no route matched."""
    for kind, contract, v2 in (
        (errors.Refusal, errors.of_refusal, problems.of_refusal),
        (HTTPException, errors.of_http, problems.of_http),
        (BusyError, errors.of_busy, problems.of_busy),
        (NoMomentError, errors.of_no_moment, problems.of_no_moment),
        (Exception, errors.of_defect, problems.of_defect),
    ):
        app.register_error_handler(kind, _by_version(contract, v2))
    app.register_error_handler(problems.Problem, problems.of_problem)


def _by_version(contract: Any, v2: Any) -> Any:
    async def handle(error: Exception) -> Response:
        answer: Response = await (v2 if problems.is_ours(request.path) else contract)(error)
        return answer

    return handle


def _install_hooks(app: QuartTrio, tokens: Tokens, proxies: Proxies) -> None:
    async def identify() -> None:
        g.request_id = request_id(request)
        g.client_address = proxies.client(request)
        if problems.is_ours(request.path):
            g.token_label = v2_auth.label(tokens, request)
        elif request.path != HEALTH_CHECK:
            g.token_label = tokens.label(request)

    async def finish(response: Response) -> Response:
        response.headers["x-request-id"] = g.request_id
        if response.status_code == 200 and "cached" in g:
            response.headers["cache-control"] = g.cached
        return response

    app.before_request(identify)  # before routing errors: who has no token learns no paths
    app.after_request(finish)


async def _health_check() -> Response:
    return json_text('{"status":"Ok"}')
