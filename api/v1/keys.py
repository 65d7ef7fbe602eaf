"""Serves `POST /api/v1/keys`: adds a given key, or a random one (contract, section 1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import REPEATABLE, Endpoint
from api.errors import Refusal, invalid_url
from api.openapi import shapes
from api.v1 import forms

if TYPE_CHECKING:
    from api.access import Access
    from api.replies import Response

KEY_LENGTH: Final = 32
_HERE: Final = "api/v1/keys.py:1:1"  # the reference names a place in its source


@frozen
class Keys:
    access: Access

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST", "/keys", self.add, "Add a key, or issue a random one.", self.access.issued(),
                headers=REPEATABLE, body=shapes.ADD_KEY,
            )
        ]  # fmt: skip

    async def add(self) -> Response:
        if not request.is_json:
            raise Refusal(415, "Expected request with `Content-Type: application/json`")
        body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        form = forms.parse(body)
        if form.key is not None:
            _check(form.key)
        return await self.access.issue_key(form.key, form.seconds_valid)


def _check(key: str) -> None:
    if len(key.encode(errors="replace")) != KEY_LENGTH:
        raise _invalid(key, "Invalid key length. Key must be have 32 chars")
    if not (key.isascii() and key.isalnum()):
        raise _invalid(
            key, "Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)"
        )


def _invalid(key: str, problem: str) -> Refusal:
    return invalid_url(f'invalid auth key: string "{key}", {problem}, {_HERE}')
