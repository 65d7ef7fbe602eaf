"""Puts names beside numbers: the owner of an account, and what the site calls a torrent.

Paths and queries take an owner in place of an account's number, as `owner:anna`.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from quart import request
from werkzeug.datastructures import ImmutableMultiDict

from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.endpoint import Handler
    from api.replies import Response
    from tracker.ports import Live, ReadModel

OWNER: Final = "owner:"
"""What stands before an owner, so that one whose name is a number is not taken for an account."""


def named(value: Any, model: ReadModel) -> Any:
    """Returns JSON values with `owner` beside each `account`, and `label` beside each `info_hash`.

    They are of the present. Members that are there already stay as they are.
    """
    if isinstance(value, list):
        return [named(each, model) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, each in value.items():
        found[name] = named(each, model)
        if name == "account" and "owner" not in value:
            found["owner"] = model.owner(each) if isinstance(each, int) else None
        if name == "info_hash" and "label" not in value:
            found["label"] = model.label(bytes.fromhex(each)) if isinstance(each, str) else None
    return found


def by_owner(handler: Handler, live: Live) -> Handler:
    """Has a handler take an owner in place of an account, in its path and query."""

    def number(text: str) -> str:
        if not text.startswith(OWNER):
            return text
        found = live.now().account_of(text.removeprefix(OWNER))
        if found is None:
            raise Problem(404, f"no account has the owner {text.removeprefix(OWNER)}")
        return str(found)

    @wraps(handler)
    async def checked(**in_path: str) -> Response:
        if "account" in in_path:
            in_path["account"] = number(in_path["account"])
        if any(each.startswith(OWNER) for each in request.args.getlist("account")):
            items = request.args.items(multi=True)
            request.args = ImmutableMultiDict(
                (name, number(text) if name == "account" else text) for name, text in items
            )
        return await handler(**in_path)

    return checked
