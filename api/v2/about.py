"""The API's description of itself, made once when it is first asked for."""

from __future__ import annotations

from functools import cache

from quart import request

from api.openapi import document
from api.replies import Response, encode, json_text
from api.v2 import params

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


async def openapi() -> Response:
    params.only(request.args)
    return json_text(_openapi())


async def docs() -> Response:
    params.only(request.args)
    response = Response(_docs(), content_type="text/html; charset=utf-8")
    response.headers["content-security-policy"] = _POLICY
    return response


@cache
def _openapi() -> str:
    return encode(document.document())


@cache
def _docs() -> str:
    return document.page()
