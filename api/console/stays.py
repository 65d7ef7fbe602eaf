"""The page Stays: who was there when, by address, client, key, member, torrent or listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import formats, given
from api.console.api import ProblemError, target_of
from api.console.asking import together
from api.console.page import Asked, Data, Page, options
from api.console.reach import reach_of

if TYPE_CHECKING:
    from api.console.api import Api

_STAYS: Final = "/api/v2/stays"
_ROWS: Final = 100
_DAY: Final = 86_400
"""Seconds before now in which the stays lie where nothing is asked for."""
_PEER_ID: Final = 8  # characters of a peer id that the index has
_SOUGHT: Final = ("address", "network")
_OPTIONS: Final = {
    "info_hash": "--info-hash", "address": "--address", "network": "--network",
    "peer_id": "--peer-id", "client": "--client", "user_agent": "--user-agent",
    "key_ref": "--key", "account": "--account", "listener": "--listener",
}  # fmt: skip
"""What may be asked for, and the options of `tracker stays` that ask the same."""
_NOBODY: Final[Data] = {"stays": [], "next": None, "unread": []}
_KEPT: Final = (
    "account", "owner", "key_ref", "info_hash", "label", "peer_id_prefix", "user_agent", "protocol",
    "listener", "joined", "how", "seq", "left", "why", "left_seq", "last_announce",
)  # fmt: skip


async def load(api: Api, asked: Asked) -> Data:
    """Lists stays in the order in which they began. Only a look finds somebody by address."""
    filters = _filters(asked)
    reach = await reach_of(api)
    begin, end = _moment(asked, "from"), _moment(asked, "to")
    if begin is None and end is None and not filters:
        begin = reach.ago(asked.now, _DAY)
    begin, end = reach.within(begin or reach.low), reach.within(end or reach.high)
    unsaid = not asked.reason and any(name in filters for name in _SOUGHT)
    query = {**filters, "from": begin, "to": end, "limit": _ROWS, **asked.given("after")}
    page, missing = _NOBODY, {}
    try:
        page = _NOBODY if unsaid else await asked.looking(api).get(_STAYS, query)
    except ProblemError as error:
        # There is no index yet, as in the first seconds of a log. Data say so by their status.
        if error.status != 503 or asked.reason or asked.get("wait"):
            raise
        missing = {"stays": error.detail}
    found, troubles = await together(
        outages=api.get("/api/v2/outages", {"from": begin, "to": end, "limit": 100})
    )
    by_torrent = "account" in filters or "key_ref" in filters
    return {
        "begin": begin,
        "end": end,
        "stays": [_row(one, by_torrent=by_torrent) for one in page["stays"]],
        "next": page["next"],
        "unread": page["unread"],
        "unsaid": unsaid,
        "along": asked.given(*(name for name in _OPTIONS if name not in _SOUGHT), "from", "to"),
        "outages": (found["outages"] or {}).get("outages", []),
        "troubles": {**missing, **troubles},
    }


def _filters(asked: Asked) -> dict[str, str]:
    """Returns what is asked for, a peer id as far as the index has it."""
    filters = asked.given(*_OPTIONS)
    if "peer_id" in filters:
        filters["peer_id"] = filters["peer_id"][:_PEER_ID]
    return filters


def _moment(asked: Asked, name: str) -> str | None:
    return given.moment(asked, name, asked.now, ahead=False)


def _row(one: Data, *, by_torrent: bool) -> Data:
    """Makes a row of a stay. `peer`, `name` and `path` are its lane: that of its torrent, or of its
    member, or, where none is known, of its address.
    """
    account, info_hash = one["account"], one["info_hash"]
    where = one["network"] or one["pseudonym"]
    lane: tuple[str, str, str | None]
    if by_torrent:
        lane = info_hash, one["label"] or formats.short_hash(info_hash), f"/torrents/{info_hash}"
    elif account is not None:
        lane = str(account), one["owner"] or f"member {account}", f"/members/{account}"
    else:
        lane = where, f"peer {where}", None
    key = one["key_ref"]
    return {
        **{name: one.get(name) for name in _KEPT},
        "where": where,
        "client": formats.client(one["client"] or one["peer_id_prefix"], one["user_agent"]),
        "key": None if key is None else f"/keys/{key}",
        **dict(zip(("peer", "name", "path"), lane, strict=True)),
    }


def _wanted(asked: Asked) -> dict[str, str]:
    """Returns what the page asked for: a time outside the log is the nearest end of it."""
    part = {name: asked.shown[end] for name, end in (("from", "begin"), ("to", "end"))}
    return {**_filters(asked), **part}


def _command(asked: Asked) -> str:
    words = options(_wanted(asked), {**_OPTIONS, "from": "--from", "to": "--to"})
    return " ".join(["tracker stays", *words])


def _call(asked: Asked) -> str:
    return target_of(f"GET {_STAYS}", _wanted(asked), {})


STAYS: Final = Page(
    path="/stays",
    title="Stays",
    template="stays.html",
    load=load,
    tables=("stays",),
    command=_command,
    call=_call,
    looks=True,
    menu="Stays",
)
