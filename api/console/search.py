"""Finds out what somebody typed into the search bar, and leads there.

`where` says what a text can be by its form alone. Names (owners, labels) and numbers are then
looked for through the API, and whoever finds one thing goes straight to it.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import trio
from attrs import frozen

from api.console.api import ProblemError
from api.console.page import Asked, Data, ElsewhereError, Page
from tracker import times

if TYPE_CHECKING:
    from api.console.api import Api, Query

_HASH: Final = re.compile(r"[0-9a-f]{40}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_NAMED: Final = re.compile(
    r"(account|member|key|event|seq|torrent|client|peer_id|address|owner|label|time|at)[ :#]\s*(\S.*)",
    re.IGNORECASE,
)
_PEER_ID: Final = re.compile(
    r"-[A-Za-z]{2}[0-9A-Za-z.-]{2,5}-.{0,12}|[MTQROS][0-9A-Za-z.-]{5}-{2,}.{0,12}"
)
_AGENT: Final = re.compile(r"[^\W\d_][\w .+-]*/v?\d[\w.+-]*.*|[^\W\d_][\w+-]* v?\d+(?:\.\d+)+")
_PROGRAMS: Final = {
    name.lower(): name
    for name in ("qBittorrent", "Transmission", "Deluge", "rtorrent", "uTorrent", "BitTorrent",
                 "BiglyBT", "Azureus", "KTorrent", "aria2", "libtorrent", "Tixati")
}  # fmt: skip
"""Clients by whose name alone staff looks for them, as their User-Agents begin."""
_PLACE: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|(\d+(?:\.\d+){3}):\d{1,5}")
"""An address in brackets, or with a port, as programs write it."""
_KEYS: Final = "/api/v2/keys"
_EVENTS: Final = "/api/v2/events"
_ACCOUNTS: Final = "/api/v2/accounts"
_TORRENTS: Final = "/api/v2/torrents"
_NUMBERED: Final = {"key": "/keys/{}", "event": "/events/{}", "member": "/members/{}"}
_SAME: Final = {"account": "member", "seq": "event", "at": "time"}


@frozen
class Candidate:
    """What a text can be. `path` is where it leads; `ask` and `query` are a question to the API
    that shows whether it is there, "" = it is by its form.
    """

    what: str
    path: str
    ask: str = ""
    query: tuple[tuple[str, str], ...] = ()


def where(text: str, now_us: int) -> tuple[Candidate, ...]:
    """Returns what a text can be, the likeliest first; () = nothing.

    A kind may stand before it (`key 7`, `event:12`), because a number alone can be several things.
    """
    text = " ".join(text.split())
    if not text:
        return ()
    named = _NAMED.fullmatch(text)
    if named:
        kind = _SAME.get(named[1].lower(), named[1].lower())
        found = tuple(_as(kind, named[2], now_us))
        if found:
            return found
    for kind in ("torrent", "number", "address", "peer_id", "client", "time"):
        if found := tuple(_as(kind, text, now_us)):
            return found
    return tuple(_as("name", text, now_us))


def _as(kind: str, text: str, now_us: int) -> list[Candidate]:
    """Reads a text as one kind; [] = it has not the form."""
    if kind == "torrent":
        if _HASH.fullmatch(text.lower()):
            return [Candidate(f"torrent {text.lower()}", f"/torrents/{text.lower()}")]
        return []
    if kind == "number" and _NUMBER.fullmatch(text):
        return [*(_numbered(one, text, sure=False) for one in ("member", "event", "key")),
                _owner(text)]  # fmt: skip
    if kind in _NUMBERED:
        if _NUMBER.fullmatch(text):
            return [_numbered(kind, text, sure=True)]
        return [_owner(text)] if kind == "member" else []
    if kind == "address" and (network := _network(text)):
        name = "address" if "/" not in network else "network"
        return [_there(f"{name} {network}", {name: network})]
    if kind == "peer_id" and _PEER_ID.fullmatch(text):
        return [_there(f"peer id {text}", {"peer_id": text})]
    if kind == "client" and _AGENT.fullmatch(text):
        return [_there(f"client {text}", {"user_agent": text})]
    if kind == "time":
        try:
            at = times.rfc3339(times.parse_typed(_typed(text), now_us, ahead=False))
        except ValueError:
            return []
        return [Candidate(f"the log at {at}", f"/log?{urlencode({'from': at})}")]
    if kind == "owner":
        return [_owner(text)]
    if kind == "label":
        return [_labelled(text)]
    if kind == "name":
        agent = _PROGRAMS.get(text.lower())
        program = [_there(f"client {agent}", {"user_agent": agent})] if agent else []
        return [_owner(text), *_labels(text), *program]
    return []


def _numbered(kind: str, text: str, *, sure: bool) -> Candidate:
    number = int(text)
    asks: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
        "member": (f"/api/v2/accounts/{number}", ()),
        "key": (f"/api/v2/keys/{number}", ()),
        "event": (_EVENTS, (("from", str(number)), ("to", str(number)), ("limit", "1"))),
    }
    ask, query = ("", ()) if sure else asks[kind]
    return Candidate(f"{kind} {number}", _NUMBERED[kind].format(number), ask, query)


def _owner(text: str) -> Candidate:
    path = f"/members/{quote(f'owner:{text}', safe=':')}"
    # Among keys, because an account that never announced is not in the list of accounts.
    return Candidate(f"member {text}", path, _KEYS, (("owner", text), ("limit", "1")))


def _labels(text: str) -> list[Candidate]:
    alike = (("search", text), ("limit", "20"))
    return [
        _labelled(text),
        Candidate("torrent", "/torrents", _TORRENTS, alike),
        Candidate("member", "/members", _ACCOUNTS, alike),
    ]


def _labelled(text: str) -> Candidate:
    return Candidate(f"torrent {text}", "/torrents", _TORRENTS, (("label", text),))


def _there(what: str, query: dict[str, str]) -> Candidate:
    return Candidate(f"who was there: {what}", f"/stays?{urlencode(query)}")


def _typed(text: str) -> str:
    """Writes the words of a time in lower case, as they are read: `Yesterday 20:15`."""
    return text if re.match(r"\d{4}-", text) else text.lower()


def _network(text: str) -> str:
    """Returns an address (also with a port) or a network in its usual spelling; "" for anything
    else.
    """
    place = _PLACE.fullmatch(text)
    try:
        found = ip_network((place[1] or place[2]) if place else text, strict=False)
    except ValueError:
        return ""
    return str(found) if "/" in text else str(found.network_address)


async def load(api: Api, asked: Asked) -> Data:
    """Leads to what was sought, or lists what it could be."""
    sought = asked.get("q")
    found: list[dict[str, str]] = []
    async with trio.open_nursery() as nursery:
        answers: dict[int, list[dict[str, str]]] = {}
        for at, one in enumerate(where(sought, int(asked.now * 1_000_000))):
            nursery.start_soon(_look, api, one, answers, at)
    for at in sorted(answers):
        found += [each for each in answers[at] if each not in found]
    if len(found) == 1:
        raise ElsewhereError(found[0]["path"])
    return {"sought": sought, "found": found}


async def _look(
    api: Api, one: Candidate, answers: dict[int, list[dict[str, str]]], at: int
) -> None:
    """Notes where a candidate leads, if it is there."""
    if not one.ask:
        answers[at] = [{"what": one.what, "path": one.path}]
        return
    try:
        answers[at] = _paths(one, await api.get(one.ask, _query(one)))
    except ProblemError as error:
        if error.status not in (400, 404, 410):
            raise
        answers[at] = []


def _query(one: Candidate) -> Query:
    return dict(one.query)


def _paths(one: Candidate, answer: dict[str, Any]) -> list[dict[str, str]]:
    if one.ask == _TORRENTS:
        return [
            {
                "what": f"torrent {row['label'] or row['info_hash']}",
                "path": f"/torrents/{row['info_hash']}",
            }
            for row in answer["torrents"]
        ]
    if one.ask == _KEYS:
        return _members(answer["keys"])
    if one.ask == _ACCOUNTS:
        return _members(answer["accounts"])
    if one.ask == _EVENTS and not answer["events"]:
        return []
    return [{"what": one.what, "path": one.path}]


def _members(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "what": f"member {row['owner'] or row['account']}",
            "path": f"/members/{row['account']}",
        }
        for row in rows
    ]


SEARCH: Final = Page(path="/search", title="Search", template="search.html", load=load)
