"""Defines an endpoint as one row: its method and path, its handler, and its description.

The URL map (`install`) and the OpenAPI document (`api.openapi`) derive from the rows. Each class of
handlers lists its rows in its method `endpoints`. An API version joins the rows under its prefix.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio
from attrs import evolve, field, frozen
from quart import g

from api.openapi.shapes import LINE, Schema
from api.replies import JSON, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quart import Quart

MOST_READING: Final = 12
"""Requests of tokens that only read, all together, that are worked on at a time; others wait. So
some of the questions that the helper processes take (`tracker/history/past.py`) are left for
administrators.
"""

Handler = Callable[..., Awaitable[Response]]
Responses = dict[int, dict[str, Schema]]
"""JSON Schemas by status and media type. A status without a media type has an empty body."""


def answer(schema: Schema, status: int = 200, media: str = JSON) -> Responses:
    """Describes a response with a body of one media type."""
    return {status: {media: schema}}


NO_CONTENT: Final[Responses] = {204: {}}


@frozen(kw_only=True)
class Parameter:
    """Describes a parameter of the query, or a header."""

    name: str
    schema: Schema
    description: str = ""
    required: bool = False

    def takes(self, text: str) -> bool:
        """Tells whether the described schema of a text takes it, so that description and check
        agree.
        """
        fits = re.fullmatch(self.schema["pattern"], text) is not None
        return fits and len(text) <= self.schema["maxLength"]


REASON: Final = Parameter(
    name="X-Reason",
    schema={"type": "string", "maxLength": 500, "pattern": LINE},
    description="why, in UTF-8; recorded with the change",
)
IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    schema={"type": "string", "maxLength": 128, "pattern": r"^[ -~]*$"},
    description="a repetition with the same one gets the same answer",
)
REPEATABLE: Final = (REASON, IDEMPOTENCY_KEY)
"""The headers of a change that does harm if it is made twice."""


@frozen
class Endpoint:
    """A row. `{name}` in `path` is an argument of `handler`, by this name."""

    method: str
    path: str
    handler: Handler
    summary: str
    responses: Responses
    query: tuple[Parameter, ...] = field(default=(), kw_only=True)
    headers: tuple[Parameter, ...] = field(kw_only=True)
    body: Schema | None = field(default=None, kw_only=True)  # of the JSON in the request
    body_required: bool = field(default=True, kw_only=True)
    by_name: bool = field(default=False, kw_only=True)  # names may stand for numbers
    needs_token: bool = field(default=True, kw_only=True)
    scope: str = field(kw_only=True)  # the least that a token needs: one of `TOKEN_SCOPES`

    @scope.default
    def _who_reads_changes_nothing(self) -> str:
        return "read" if self.method == "GET" else "full"

    @headers.default
    def _every_change_may_have_a_reason(self) -> tuple[Parameter, ...]:
        return () if self.method == "GET" else (REASON,)


def under(
    prefix: str, errors: Mapping[int, dict[str, Schema]], rows: Iterable[Endpoint]
) -> list[Endpoint]:
    """Puts `rows` below `prefix`, and adds `errors`, the responses that any row may give."""
    return [
        evolve(row, path=prefix + row.path, responses={**errors, **row.responses}) for row in rows
    ]


def install(app: Quart, endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """Routes requests to the handlers. GET endpoints answer HEAD as well.

    Returns the scope of each route, by the route's name.
    """
    scopes = {}
    reading = trio.Semaphore(MOST_READING)

    def shared(handler: Handler) -> Handler:
        async def handle(**arguments: str) -> Response:
            if g.get("writes", True):
                return await handler(**arguments)
            async with reading:
                return await handler(**arguments)

        return handle

    for number, row in enumerate(endpoints):
        rule = re.sub(r"{(\w+)}", r"<\1>", row.path)
        name = f"endpoint_{number}"
        app.add_url_rule(rule, name, shared(row.handler), methods=[row.method])
        scopes[name] = row.scope
    return scopes
