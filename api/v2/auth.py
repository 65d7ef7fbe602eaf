"""Checks access tokens in version 2 (RFC 6750, RFC 9110).

The status is 401 without a valid token, and 403 for a change with a token that may only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth import BLANKS, READING, as_utf8
from api.v2.problems import Problem

if TYPE_CHECKING:
    from quart import Request

    from api.auth import Tokens

_CHALLENGE = 'Bearer realm="tracker"'


def label(tokens: Tokens, request: Request) -> str:
    """Returns the label of the token in `request`.

    Raises `Problem` if the token is missing, unknown, or may not use this method.
    """
    grant = tokens.find(_presented(request))
    if grant is None:
        challenge = f'{_CHALLENGE}, error="invalid_token"'
        raise Problem(401, "the access token is not valid", {"www-authenticate": challenge})
    if not grant.writes and request.method not in READING:
        challenge = f'{_CHALLENGE}, error="insufficient_scope"'
        raise Problem(403, "this access token may only read", {"www-authenticate": challenge})
    return grant.label


def _presented(request: Request) -> str:
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
