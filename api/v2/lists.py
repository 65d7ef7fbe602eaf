"""Reads how a list is wanted, for all lists of version 2: filters, order, and the page.

A list declares its members once (`Listing`). They make the description, the query for the ports,
and the cursors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api import times
from api.endpoint import Parameter
from api.openapi import shapes
from api.reads import AT
from api.streams import shaped
from api.v2 import params
from api.v2.pages import gather, page
from api.v2.problems import Problem
from tracker.ports import ListCursor, ListQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from api.replies import Response
    from api.streams import Items

WHOLE, SECONDS, TIME, RATIO, TEXT = "a number", "seconds", "a time", "a ratio", "a text"
"""What a member is. Texts can be sorted by only."""

_U64: Final = 2**64 - 1
_LEAST, _MOST = -(2**66), 2**66  # beyond every value
_SCHEMAS: Final = {
    WHOLE: shapes.WHOLE,
    SECONDS: shapes.WHOLE,
    TIME: shapes.TIME,
    RATIO: {"type": "number", "minimum": 0},
}
SEARCH: Final = Parameter(
    name="search", schema=shapes.STRING, description="part of a name or label, of any case"
)


@frozen
class Listing:
    """A list: the member that names its rows, and those to filter and to sort by.

    `members`: of JSON, with the field of a row and what it is. `others`: further parameters.
    """

    name: str
    members: Mapping[str, tuple[str, str]]
    others: tuple[Parameter, ...] = ()

    @property
    def _bounds(self) -> list[str]:
        bounded = [name for name, (_, what) in self.members.items() if what != TEXT]
        return [f"{side}_{name}" for name in bounded for side in ("min", "max")]

    def parameters(self) -> tuple[Parameter, ...]:
        """Describes the query."""
        names = self.name, *self.members
        sort = Parameter(
            name="sort",
            schema={
                "type": "string",
                "enum": [sign + each for each in names for sign in ("", "-")],
            },
            description=f"a member, with `-` before it from the largest down; `{self.name}` without it",
        )
        after = Parameter(
            name="after",
            schema=shapes.STRING,
            description="the `next` of the page before, which had the same `sort`",
        )
        bounds = (
            Parameter(
                name=each,
                schema=_SCHEMAS[self.members[each[4:]][1]],
                description=f"only rows whose `{each[4:]}` is not null and at "
                f"{'least' if each.startswith('min') else 'most'} this",
            )
            for each in self._bounds
        )
        return sort, after, params.LIMIT, *self.others, AT, *bounds

    def given(self, *more: str) -> dict[str, str]:
        """Returns the parameters of the current request; `more`: names of further ones."""
        names = [each.name for each in self.others]
        return params.only(
            request.args, "sort", "after", "limit", *names, *more, "at", *self._bounds
        )

    def query(self, given: dict[str, str], **more: Any) -> ListQuery:
        """Makes the query of the parameters. `more`: members of `ListQuery`."""
        return ListQuery(**self.wanted(given), **more)

    def wanted(self, given: dict[str, str]) -> dict[str, Any]:
        """Returns the members of a query that all lists have."""
        sort = given.get("sort", self.name)
        member = sort.removeprefix("-")
        if member not in (self.name, *self.members):
            known = ", ".join((self.name, *self.members))
            raise Problem(
                400, f"sort: expected one of {known}; with - before it from the largest down"
            )
        field, what = self.members.get(member, ("", WHOLE))
        by_name = member == self.name
        cursor = self._cursor(given["after"], what, by_name) if "after" in given else None
        return {
            "bounds": tuple(self._bound(each, given[each]) for each in self._bounds if each in given),
            "sort": field,
            "empty": "" if what == TEXT else 0,
            "descending": sort.startswith("-"),
            "after": cursor,
            "limit": params.limit(given),
        }  # fmt: skip

    def _bound(self, parameter: str, text: str) -> tuple[str, int, int]:
        """Reads a filter: a field, and its least and largest value."""
        side, _, name = parameter.partition("_")
        field, what = self.members[name]
        least, most = _value(parameter, what, text)
        return (field, least, _MOST) if side == "min" else (field, _LEAST, most)

    def _cursor(self, text: str, what: str, by_name: bool) -> ListCursor:
        """Reads the `next` of an earlier page: a value and a name, or a name alone."""
        value, _, name = text.rpartition(":")
        found: bytes | int | None = None
        if self.name != "info_hash":
            found = int(name) if re.fullmatch("[0-9]{1,10}", name) else -1
            found = found if found <= params.NUMBER_MAX else -1
        elif name != "-":
            found = bytes.fromhex(name) if re.fullmatch("[0-9a-fA-F]{40}", name) else -1
        if found != -1 and what == TEXT and ":" in text:
            return ListCursor(value, found)
        if found != -1 and what != TEXT and re.fullmatch("-?[0-9]{1,21}", value or "0" * by_name):
            return ListCursor(int(value or 0), found)
        raise Problem(400, "after: expected the `next` of the page before")


async def listed(
    name: str,
    items: Items[Any],
    query: ListQuery,
    shape: Callable[[Any], dict[str, object]],
    named: str,
) -> Response:
    """Sends a page of rows. `items`: as `chosen` yields them; `named`: the field of their names."""
    found, more = await gather(items, query.limit, lambda _: True)
    cursor = None
    if more:
        cursor = ListCursor(query.value(found[-1]), getattr(found[-1], named))
    return await page(name, await shaped(found, shape), following(cursor, query))


def following(cursor: ListCursor | None, query: ListQuery) -> int | str | None:
    """Returns the `next` of a page; None = there is no further one."""
    if cursor is None:
        return None
    name = cursor.name.hex() if isinstance(cursor.name, bytes) else cursor.name or "-"
    return f"{cursor.value}:{name}" if query.sort else name


def _value(parameter: str, what: str, text: str) -> tuple[int, int]:
    """Reads a value of a member: the least and the largest of the field that it stands for."""
    if what == TIME:
        time_us = times.parse_in_query(text)
        if time_us is None:
            raise Problem(400, f"{parameter}: expected a time such as 2027-01-31T23:59:59Z")
        return time_us, time_us
    if what == RATIO:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text):
            raise Problem(400, f"{parameter}: expected a number such as 0.5, of three decimals")
        whole, _, rest = text.partition(".")
        permille = int(whole) * 1000 + int(rest.ljust(3, "0"))
        return permille, permille
    number = params.whole(parameter, text, _U64)
    if what == SECONDS:
        return number * 1_000_000, number * 1_000_000 + 999_999
    return number, number
