"""The screen Torrent: its swarm as staff reads it, and who did what in it."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Final

import trio

from api.console import formats, given
from api.console.api import ProblemError, target_of
from api.console.asking import soon, together
from api.console.page import Asked, Data, Page, Screens, options
from api.console.torrent_changes import ACTIONS
from api.console.torrent_time import TIME
from tracker.times import rfc3339

if TYPE_CHECKING:
    from api.console.api import Api

TORRENT: Final = "/api/v2/torrents/{info_hash}"
DAYS: Final = 30
"""Days of the curve."""
_SILENT_DAYS: Final = 7
"""Days for which what a silent leecher had left explains upload, as detectors count it."""
SWARM: Final = "/api/v2/swarms/{info_hash}"
_PEERS: Final = 500
_ROWS: Final = 100
_MEMBERS: Final = 1000
_DAYS_MOST: Final = 1000
_DAY: Final = 86_400
_QUICK_SECONDS: Final = 0.35
"""Longest wait of the first screen for peers, in seconds: their rates are read from the log."""
_LATE_SECONDS: Final = 120.0
"""Seconds after its due time at which an announce is missing: clients may be a little late."""


async def load(api: Api, asked: Asked) -> Data:
    """Gathers counts, balance and curve, and the peers where they come quickly."""
    return await _load(api, asked, _QUICK_SECONDS)


async def load_peers(api: Api, asked: Asked) -> Data:
    """Gathers the same, and waits for the peers; a look has their addresses."""
    return await _load(api, asked, math.inf)


async def _load(api: Api, asked: Asked, patience: float) -> Data:
    torrent = await api.get(TORRENT, info_hash=given.torrent(asked))
    info_hash = torrent["info_hash"]
    found, troubles = await together(
        peers=_swarm(api, asked, info_hash, patience),
        settings=api.get("/api/v2/settings"),
        days=_days(api, info_hash),
        unseeded=_last_seeder(api, info_hash),
        unfinished=_unfinished(api, asked, info_hash),
        blacklisted=_blacklisted(api, info_hash),
    )
    interval = (found["settings"] or {}).get("settings", {}).get("interval", 1800)
    days = found["days"] or []
    silent = _silent(found["unfinished"] or [], torrent, asked.now - interval)
    return {
        **torrent,
        "named": torrent["label"] or formats.short_hash(info_hash),
        "peers": _peers((found["peers"] or {}).get("peers", []), torrent),
        "peers_late": found["peers"] is None and "peers" not in troubles,
        "more_peers": bool(found["peers"] and found["peers"]["next"]),
        "balance": _balance(days, silent),
        "silent": silent,
        "days": days[-DAYS - 1 :],
        "last_seeder": found["unseeded"],
        "blacklisted": found["blacklisted"],
        "troubles": troubles,
    }


async def _swarm(api: Api, asked: Asked, info_hash: str, patience: float) -> Data | None:
    """Returns the first peers; None = they did not come in time."""
    with trio.move_on_after(patience):
        page: Data = await asked.looking(api).get(SWARM, {"limit": _PEERS}, info_hash=info_hash)
        return page
    return None


async def _days(api: Api, info_hash: str) -> list[Data]:
    """Returns every day with a change; the curve shows the last ones, the balance counts all."""
    page = await api.get(f"{TORRENT}/series", {"limit": _DAYS_MOST}, info_hash=info_hash)
    days: list[Data] = page["days"]
    while page["next"] is not None:
        query = {"limit": _DAYS_MOST, "after": page["next"]}
        page = await api.get(f"{TORRENT}/series", query, info_hash=info_hash)
        days += page["days"]
    return days


async def _last_seeder(api: Api, info_hash: str) -> Data | None:
    """Returns when the last seeder left, and who it was; None = somebody seeds, or nobody did."""
    before = f"{max(int(info_hash, 16) - 1, 0):040x}"  # the list goes on after an info hash
    query = {"sort": "info_hash", "after": before, "limit": 1}
    rows = (await api.get("/api/v2/lists/unseeded", query))["torrents"]
    return rows[0] if rows and rows[0]["info_hash"] == info_hash else None


async def _unfinished(api: Api, asked: Asked, info_hash: str) -> list[Data]:
    """Returns members who took a part of the torrent in the last days and did not complete it."""
    since = rfc3339(int((asked.now - _SILENT_DAYS * _DAY) * 1_000_000))
    query = {"max_snatched": 0, "min_downloaded": 1, "min_last_seen": since, "limit": _MEMBERS}
    rows: list[Data] = (await api.get(f"{TORRENT}/accounts", query, info_hash=info_hash))[
        "accounts"
    ]
    return rows


async def _blacklisted(api: Api, info_hash: str) -> Data | None:
    try:
        found: Data = await api.get("/api/v2/blacklist/{info_hash}", info_hash=info_hash)
    except ProblemError as error:
        if error.status != 404:
            raise
        return None
    return found


# Peers.


def _peers(rows: list[Data], torrent: Data) -> list[Data]:
    """Makes rows of peers, those with most upload first."""
    places: dict[int | None, int] = {}
    for row in rows:
        places[row["account"]] = places.get(row["account"], 0) + 1
    made = [_peer(row, torrent, places[row["account"]]) for row in rows]
    return sorted(made, key=lambda one: (one["role"] != "seeder", -one["uploaded"]))


def _peer(row: Data, torrent: Data, places: int) -> Data:
    size = torrent["size"]
    have = None if size is None or row["left"] is None else max(size - row["left"], 0)
    kept = ("account", "owner", "role", "left", "uploaded", "downloaded", "upload_rate",
            "download_rate", "last_announce", "due")  # fmt: skip
    return {
        **{name: row[name] for name in kept},
        "client": formats.client(row["peer_id"], row["client"]),
        "percent": "100 %" if row["left"] == 0 else formats.percent(have, size),
        "places": places if row["account"] is not None else None,
        "stays": None if row["account"] is None else _stays(row["account"], torrent["info_hash"]),
        "overdue": (row["overdue_seconds"] or 0) > _LATE_SECONDS,
        "where": row["address"] or row["pseudonym"],
        "seq": row["last_seq"],
        "ledger": _lines(row["account"], torrent["info_hash"]),
    }


def _lines(account: int | None, info_hash: str) -> str | None:
    """Returns where the ledger lines of a member in the torrent are; None = no member is known."""
    return None if account is None else f"/members/{account}/ledger?info_hash={info_hash}"


def _stays(account: int, info_hash: str) -> str:
    return f"/stays?account={account}&info_hash={info_hash}"


# The balance.


def _silent(unfinished: list[Data], torrent: Data, due: float) -> list[Data]:
    """Makes a row of each leecher that announced last before `due` (Unix seconds) and did not
    complete. What it had left then may have come from those who claim upload.
    """
    late = rfc3339(int((due - _LATE_SECONDS) * 1_000_000))
    return [
        {**{name: one[name] for name in ("account", "owner", "downloaded", "last_seen")},
         "left": max((torrent["size"] or 0) - one["downloaded"], 0),
         "ledger": _lines(one["account"], torrent["info_hash"])}
        for one in unfinished if one["last_seen"] < late
    ]  # fmt: skip


def _balance(days: list[Data], silent: list[Data]) -> Data:
    """Sums what was claimed, and what silent leechers may have taken of it."""
    up, down = (sum(day[name] for day in days) for name in ("uploaded", "downloaded"))
    return {
        "up": up,
        "down": down,
        "unexplained": max(up - down, 0),
        "silent": len(silent),
        "silent_left": sum(one["left"] for one in silent),
    }


# Tabs.


async def load_snatches(api: Api, asked: Asked) -> Data:
    """Lists who completed the torrent; with `who=all` everybody who was in it."""
    head = await _head(api, asked)
    query = {**_snatches_wanted(asked), "limit": _ROWS, **asked.given("after")}
    page = await api.get(f"{TORRENT}/accounts", query, info_hash=head["info_hash"])
    rows = [_did(one, head["info_hash"]) for one in page["accounts"]]
    return {**head, "snatches": rows, "next": page["next"]}


def _did(row: Data, info_hash: str) -> Data:
    client = row["client"]
    shown = formats.client(client["peer_id_prefix"], client["user_agent"]) if client else None
    return {**row, "client": shown, "ledger": _lines(row["account"], info_hash)}


def _snatches_wanted(asked: Asked) -> dict[str, str]:
    completed = {} if asked.get("who") == "all" else {"min_snatched": "1"}
    return {**completed, "sort": asked.get("sort", "-last_seen")}


def _snatches_command(asked: Asked) -> str:
    completed = "" if asked.get("who") == "all" else " --snatched"
    return f"tracker torrent members {asked.get('info_hash')}{completed}"


def _snatches_call(asked: Asked) -> str:
    names = {"info_hash": asked.get("info_hash")}
    return target_of(f"GET {TORRENT}/accounts", _snatches_wanted(asked), names)


async def load_handed(api: Api, asked: Asked) -> Data:
    """Lists to whom an address was handed in this swarm, or which peers a member received in it. A
    search for an address is a look.
    """
    head = await _head(api, asked)
    query = {"limit": _ROWS, **asked.given("after"), **_part(asked)}
    account, address = asked.get("account"), asked.get("address") if asked.reason else ""
    page: Data | None = {"replies": [], "next": None, "unread": []}
    if address:
        page = await asked.looking(api).get("/api/v2/handed", {**query, "address": address})
    elif account:
        received = "/api/v2/accounts/{account}/received"
        page = await soon(asked, lambda: api.get(received, query, account=account))
    late, page = page is None, page or {"replies": [], "next": None, "unread": []}
    rows = [
        {"time": one["time"], "seq": one["seq"], "account": one["account"], "owner": one["owner"],
         "peer": peer.get("address") or peer.get("pseudonym"), "port": peer["port"],
         "client": formats.client(peer["peer_id"]), "by": peer["seq"]}
        for one in page["replies"] if one["info_hash"] == head["info_hash"] for peer in one["peers"]
    ]  # fmt: skip
    # The command takes an owner, or a key's number.
    who = (await api.get("/api/v2/accounts/{account}", account=account))["owner"] if account else ""
    return {**head, "asked": bool(address or account), "who": who or "KEY_REF", "handed": rows, "next": page["next"],
            "handed_late": late, "unread": page["unread"]}  # fmt: skip


def _part(asked: Asked) -> dict[str, str]:
    """Reads from where to where replies are looked for."""
    part = {name: given.place(asked, name) for name in ("from", "to")}
    return {name: place for name, place in part.items() if place}


def _handed_command(asked: Asked) -> str:
    words = options(asked.given("from", "to"), {"from": "--from", "to": "--to"})
    who = shlex.quote(asked.shown["who"])
    what = f"received {who}" if asked.get("account") else "handed ADDRESS"
    return " ".join([f"tracker {what}", *words])


def _handed_call(asked: Asked) -> str:
    account = asked.get("account")
    path = "/api/v2/accounts/{account}/received" if account else "/api/v2/handed"
    return target_of(f"GET {path}", _part(asked), {"account": account})


async def _head(api: Api, asked: Asked) -> Data:
    """Returns the torrent's counts and facts, with its name for titles."""
    torrent: Data = await api.get(TORRENT, info_hash=given.torrent(asked))
    return {**torrent, "named": torrent["label"] or formats.short_hash(torrent["info_hash"])}


TORRENTS: Final = Screens(
    pages=(
        Page(path="/torrents/{info_hash}", title="{named}", template="torrent.html", load=load,
             tables=("peers", "silent", "days"), command="tracker torrent peers {info_hash}",
             call="GET /api/v2/swarms/{info_hash}"),
        Page(path="/torrents/{info_hash}/peers", title="Peers of {named}", template="torrent.html",
             load=load_peers, tables=("peers", "silent", "days"), looks=True,
             command="tracker torrent peers {info_hash}", call="GET /api/v2/swarms/{info_hash}"),
        Page(path="/torrents/{info_hash}/snatches", title="Snatches of {named}",
             template="torrent_snatches.html", load=load_snatches, tables=("snatches",),
             command=_snatches_command, call=_snatches_call),
        Page(path="/torrents/{info_hash}/handed", title="Handed to whom: {named}",
             template="torrent_handed.html", load=load_handed, tables=("handed",),
             looks=True, command=_handed_command, call=_handed_call),
        TIME,
    ),
    actions=ACTIONS,
)  # fmt: skip
