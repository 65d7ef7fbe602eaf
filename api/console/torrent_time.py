"""The tab Time of a torrent: who was in its swarm when, at one moment, and between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import formats, given
from api.console.api import ProblemError, target_of
from api.console.asking import together
from api.console.page import Asked, Data, Page
from api.console.reach import reach_of
from tracker.times import rfc3339

if TYPE_CHECKING:
    from api.console.api import Api

_TORRENT: Final = "/api/v2/torrents/{info_hash}"
_STAYS_PATH: Final = "/api/v2/stays"
_STAYS: Final = 1000
_PEERS: Final = 500
_CHANGES: Final = 500
_SPANS: Final = {"hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "all": 0}
"""Seconds of the window around the moment, by its name; 0 = the whole log."""


async def load(api: Api, asked: Asked) -> Data:
    """Shows lanes of stays around a moment, the peers of that moment, and what changed from it to
    another one. `at` and `with` are moments, `span` is the width of the picture.
    """
    torrent = await api.get(_TORRENT, info_hash=given.torrent(asked))
    info_hash = torrent["info_hash"]
    reach = await reach_of(api)
    low, high = reach.low, reach.high
    at = reach.within(given.moment(asked, "at", asked.now, ahead=False) or high)
    other = given.moment(asked, "with", asked.now, ahead=False)
    other = None if other is None else reach.within(other)
    begin, end = _window(at, asked.get("span", "day"), low, high)
    found, troubles = await together(
        stays=_stays(api, info_hash, begin, end),
        peers=_peers(api, info_hash, None if at == high else at),
        outages=api.get("/api/v2/outages", {"from": begin, "to": end, "limit": 100}),
        changes=_changes(api, info_hash, at, other),
    )
    stays, peers = found["stays"] or [], found["peers"] or {}
    return {
        **torrent,
        "named": torrent["label"] or formats.short_hash(info_hash),
        "low": low, "high": high, "at": at, "with": other, "begin": begin, "end": end,
        "stays": stays,
        "more_stays": len(stays) == _STAYS,
        "then": peers.get("peers", []),
        "seeders_then": peers.get("seeders"),
        "leechers_then": peers.get("leechers"),
        "outage": peers.get("outage"),
        "outages": (found["outages"] or {}).get("outages", []),
        "changes": found["changes"] or [],
        "troubles": troubles,
    }  # fmt: skip


def _window(at: str, span: str, low: str, high: str) -> tuple[str, str]:
    """Returns the begin and end of the picture: the moment in its middle, within the log."""
    if span not in _SPANS:
        raise ProblemError(422, "This cannot be read", f"span: expected one of {', '.join(_SPANS)}")
    seconds = _SPANS[span]
    if not seconds:
        return low, high
    at_us = formats.microseconds(at) or 0
    half_us = seconds * 500_000
    begin, end = rfc3339(at_us - half_us), rfc3339(at_us + half_us)
    if end > high:  # the log ends here: the window lies before it
        begin, end = rfc3339((formats.microseconds(high) or 0) - 2 * half_us), high
    return max(begin, low), end


async def _stays(api: Api, info_hash: str, begin: str, end: str) -> list[Data]:
    query = {"info_hash": info_hash, "from": begin, "to": end, "limit": _STAYS}
    page = await api.get(_STAYS_PATH, query)
    return [_stay(one) for one in page["stays"]]


def _stay(one: Data) -> Data:
    """Makes a row of a stay. A lane is a member's, or, where none is known, an address's."""
    account, pseudonym = one["account"], one["pseudonym"]
    peer = pseudonym if account is None else str(account)
    name = (one["owner"] or f"member {account}") if account is not None else f"peer {pseudonym}"
    kept = {
        key: one[key] for key in ("account", "owner", "joined", "left", "why", "seq", "left_seq")
    }
    client = formats.client(one["client"] or one["peer_id_prefix"], one["user_agent"])
    path = None if account is None else f"/members/{account}"
    return {**kept, "peer": peer, "name": name, "path": path, "client": client}


async def _peers(api: Api, info_hash: str, at: str | None) -> Data:
    page: Data = await api.get(
        f"{_TORRENT}/peers", {"limit": _PEERS, "at": at}, info_hash=info_hash
    )
    return {**page, "peers": [_peer(one) for one in page["peers"]]}


def _peer(row: Data) -> Data:
    kept = ("account", "owner", "role", "uploaded", "downloaded", "left", "last_time")
    client = row["client"] if isinstance(row["client"], str) else None
    return {
        **{name: row[name] for name in kept},
        "client": formats.client(row["peer_id"], client),
        "seq": row["last_seq"],
    }


async def _changes(api: Api, info_hash: str, at: str, other: str | None) -> list[Data]:
    """Returns who joined and left from the earlier moment to the later one; [] without two."""
    if other is None:
        return []
    query = {
        "from": min(at, other),
        "to": max(at, other),
        "info_hash": info_hash,
        "limit": _CHANGES,
    }
    page = await api.get("/api/v2/diff", query)
    return [
        {"what": one["type"], **_peer(one)}
        for one in page["changes"]
        if one["type"] in ("peer_joined", "peer_left")
    ]


def _call(asked: Asked) -> str:
    part = {"from": asked.shown["begin"], "to": asked.shown["end"]}
    return target_of(f"GET {_STAYS_PATH}", {"info_hash": given.torrent(asked), **part}, {})


TIME: Final = Page(
    path="/torrents/{info_hash}/time",
    title="{named} over time",
    template="torrent_time.html",
    load=load,
    tables=("then", "stays", "changes"),
    command="tracker stays --info-hash {info_hash} --from {begin} --to {end}",
    call=_call,
)
