"""A route as a row of a table, so that each API version reads as the list of what it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from api.replies import Response

    Handler = Callable[..., Awaitable[Response]]
    Route = tuple[str, str, Handler]  # method, path, handler


def blueprint(name: str, prefix: str, routes: Iterable[Route]) -> Blueprint:
    """All `routes` under `prefix`. GET routes answer HEAD as well."""
    result = Blueprint(name, __name__, url_prefix=prefix)
    for number, (method, path, handler) in enumerate(routes):
        result.add_url_rule(path, f"route_{number}", handler, methods=[method])
    return result
