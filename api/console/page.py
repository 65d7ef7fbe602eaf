"""Declares a page, and an action, as one value each; the routes and the navigation derive from
them.

A page's function asks the API and returns plain data: members that JSON has. From the same data
come the page, its `.json`, and the `.csv` of its tables.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from api.console.api import Api, target_of

if TYPE_CHECKING:
    from api.console.work import Works

Data = dict[str, Any]

SCOPES: Final = ("read", "moderator", "full")
"""The scopes of access tokens; each may do what those before it may."""


class ElsewhereError(Exception):
    """A page that leads to another path of the console instead of showing something."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@frozen
class Asked:
    """What a request asks a page for: parts of the path, the query, and when (Unix seconds).

    Of a parameter that comes several times `get` has the first. `reason`: of a change; or why
    addresses of peers are looked at, which the API notes as an event; "" = they are not. `works`:
    the long changes of the session. `shown`: texts and numbers of the page's data, for what stands
    under it.
    """

    names: Mapping[str, str]
    query: Mapping[str, list[str]]
    now: float
    reason: str = ""
    works: Works | None = None
    shown: Mapping[str, str] = field(factory=dict)

    def get(self, name: str, default: str = "") -> str:
        if name in self.names:
            return self.names[name]
        return next(iter(self.query.get(name, ())), "").strip() or default

    def each(self, name: str) -> list[str]:
        return [text for text in self.query.get(name, ()) if text]

    def given(self, *names: str) -> dict[str, str]:
        """Returns the parameters of these names that are not empty, for a question to the API."""
        return {name: text for name in names if (text := self.get(name))}

    def looking(self, api: Api) -> Api:
        """Returns the API as this look has it: with its reason, if there is one."""
        return api.saying(self.reason) if self.reason else api


Load = Callable[[Api, Asked], Awaitable[Data]]
Say = Callable[[Asked], str]


@frozen(kw_only=True)
class Page:
    """A page. `path` and `title` may have `{name}`, which the request's path fills.

    `tables`: the members of the data that are lists of objects, which `.csv` writes; the first one
    where none is named. `command` and `call` stand under the page: what says the same. A text of
    them has `{name}` too; a function makes one that depends on the query. `menu`: its word in the
    navigation; "" = it is not there. `needs`: the least scope of a token. `looks`: a POST with a
    reason shows the page with addresses of peers, which the API notes as an event. `takes`: a POST
    shows the page, and changes nothing. What the form of either has is in place of a query, so that
    no URL has an address or a reason.
    """

    path: str
    title: str
    template: str
    load: Load
    tables: tuple[str, ...] = ()
    command: str | Say = ""
    call: str | Say = ""
    menu: str = ""
    needs: str = "read"
    looks: bool = False
    takes: bool = False

    def said(self, asked: Asked, shown: Mapping[str, str]) -> dict[str, str]:
        """Returns the command and the API call that say the same as the page. `shown`: the texts
        and numbers of its data, which fill the command too.
        """
        command, call, asked = self.command, self.call, evolve(asked, shown=shown)
        quoted = {name: shlex.quote(text) for name, text in {**asked.names, **shown}.items()}
        return {
            "command": command(asked) if callable(command) else command.format(**quoted),
            "call": call(asked) if callable(call) else target_of(call, None, asked.names),
        }


@frozen(kw_only=True)
class Form:
    """What a person sent to an action: its fields, and those that came several times."""

    fields: Mapping[str, list[str]]

    def get(self, name: str, default: str = "") -> str:
        return next(iter(self.fields.get(name, ())), "").strip() or default

    def each(self, name: str) -> list[str]:
        return [text for text in self.fields.get(name, ()) if text]


Act = Callable[[Api, Asked, Form], Awaitable[str]]


@frozen(kw_only=True)
class Action:
    """A change: a POST to `path`, with the field `reason`, which must not be empty.

    `act` makes it through the API, which has the reason already, and returns in words what was
    done; the person comes back to the page in the field `back`. `needs`: as for a page.
    """

    path: str
    act: Act
    needs: str = "full"
    reason: bool = True  # the field must not be empty


@frozen
class Screens:
    """All that a part of the console adds to it."""

    pages: tuple[Page, ...]
    actions: tuple[Action, ...] = field(default=())


def options(given: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    """Returns the options of a command that ask what a query asks. `names`: the option of each
    parameter. Commands take an owner's name without `owner:`.
    """
    made = []
    for name, text in given.items():
        value = text.removeprefix("owner:") if name == "account" else text
        made.append(f"{names[name]}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}")
    return made


def may(scope: str, needed: str) -> bool:
    """Tells whether a token's scope suffices."""
    return SCOPES.index(scope) >= SCOPES.index(needed) if scope in SCOPES else False
