"""Serves the description of the API, for machines and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import document, shapes
from api.replies import Response, encode, json_text
from api.v2 import params

if TYPE_CHECKING:
    from collections.abc import Sequence

_HTML: Final = "text/html; charset=utf-8"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@define
class About:
    """Describes the rows in `described`.

    It reads the rows once, at the first request. Until then the list may grow, because the rows of
    this class are added later.
    """

    described: Sequence[Endpoint]
    _document: str = field(default="", init=False)
    _page: str = field(default="", init=False)

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/openapi.json", self.openapi, "This description.", answer(shapes.ANYTHING)
            ),
            Endpoint(
                "GET", "/docs", self.docs, "This description as a page.",
                answer(shapes.STRING, media=_HTML), needs_token=False,
            ),
        ]  # fmt: skip

    async def openapi(self) -> Response:
        params.only(request.args)
        self._document = self._document or encode(document.document(self.described))
        return json_text(self._document)

    async def docs(self) -> Response:
        params.only(request.args)
        self._page = self._page or document.page(self.described)
        response = Response(self._page, content_type=_HTML)
        response.headers["content-security-policy"] = _POLICY
        return response
