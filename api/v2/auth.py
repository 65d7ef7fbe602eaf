"""Checks access tokens in version 2 (RFC 6750, RFC 9110).

The status is 401 without a valid token, and 403 where its scope does not suffice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth import BLANKS, as_utf8
from api.v2.problems import Problem

if TYPE_CHECKING:
    from quart import Request

    from api.auth import Grant

_CHALLENGE = 'Bearer realm="tracker"'


def sufficient(grant: Grant | None, scope: str) -> Grant:
    """Raises `Problem` unless a token suffices for the scope; None = it is not valid."""
    if grant is None:
        challenge = f'{_CHALLENGE}, error="invalid_token"'
        raise Problem(401, "the access token is not valid", {"www-authenticate": challenge})
    if not grant.may(scope):
        challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        detail = f"this needs an access token of scope {scope}; this one has {grant.scope}"
        raise Problem(403, detail, {"www-authenticate": challenge})
    return grant


def presented_token(request: Request) -> str:
    """Returns the bearer token of the header or, without that header, the token of the query."""
    header = request.headers.get("Authorization")
    in_query = request.args.getlist("token")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return as_utf8(token.strip(BLANKS))
    elif len(in_query) > 1:
        raise Problem(400, "token: given more than once")
    elif in_query:
        return in_query[0]
    raise Problem(401, "an access token is needed", {"www-authenticate": _CHALLENGE})
