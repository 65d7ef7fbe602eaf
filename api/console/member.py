"""The screen Member: all that staff asks about one, and the evidence behind each number."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import cases, formats, given, kinds, refused
from api.console.api import target_of
from api.console.asking import newest, seq_at, together
from api.console.member_changes import ACTIONS
from api.console.page import Asked, Data, Page, Screens, options
from api.console.reach import reach_of

if TYPE_CHECKING:
    from api.console.api import Api

ACCOUNT: Final = "/api/v2/accounts/{account}"
_DAYS: Final = 7
"""Days whose sessions and ledger lines are shown first."""
_STAYS: Final = 500
_ROWS: Final = 100
_KEYS: Final = 100
_TORRENTS: Final = 1000
_NOTES: Final = 30
_DAY: Final = 86_400
_ABSENT: Final = "is in no swarm now, and its newest announce was not refused"
_NEVER: Final = "has not announced yet, and nothing was refused in the last day"
_WHY: Final = "its client is off, does not reach the tracker, or has another URL"
_UNSAID: Final = ("account", "owner", "key_hash")
"""Members of events that a member's notes leave out, because they are about this member."""


async def load(api: Api, asked: Asked) -> Data:
    """Gathers what stands on the first screen; a look has networks in it."""
    page = await asked.looking(api).get(f"{ACCOUNT}/page", account=asked.get("account"))
    number = page["account"]["account"]
    reach = await reach_of(api)
    begin = reach.ago(asked.now, _DAYS * _DAY)
    found, troubles = await together(
        sanctions=api.get("/api/v2/sanctions", {"after": number - 1, "limit": 1}),
        limits=api.get(f"{ACCOUNT}/limits", account=number),
        keys=api.get("/api/v2/keys", {"account": number, "sort": "-key_ref", "limit": _KEYS}),
        stays=sessions(api, (begin, reach.ago(asked.now, _DAY)), account=number),
        outages=api.get("/api/v2/outages", {"from": begin, "limit": 100}),
    )
    keys, further = (found["keys"] or {}).get("keys", []), found["keys"] and found["keys"]["next"]
    standing = [
        one
        for one in (found.pop("sanctions") or {}).get("sanctions", [])
        if one["account"] == number
    ]
    return {
        **page,
        **_who(page["account"]),
        "refusals": [{**one, "words": refused.in_words(one["reason"])} for one in page["refusals"]],
        "networks": [_network(one) for one in page["networks"] or ()],
        "open_cases": list(map(cases.linked, page["open_cases"] or ())),
        "sanctions": {name: standing[0][name] for name in ("leech_off", "hidden")}
        if standing
        else {},
        "limits": found["limits"],
        "keys": [{**one, "page": f"/keys/{one['key_ref']}"} for one in keys],
        "verdict": _verdict(page, found["keys"] and keys if further is None else None),
        "sessions": [],
        "sessions_from": begin,
        "more_sessions": False,
        **(found["stays"] or {}),
        "outages": (found["outages"] or {}).get("outages", []),
        "troubles": troubles,
    }


def _verdict(page: Data, keys: list[Data] | None) -> Data:
    """Answers "the tracker is broken" in a sentence, from the keys, the last announce and the
    newest refusal. `keys`: None = not all are known. `tone` is as notices have it.
    """
    last, refusal = page["account"]["last_seen"], next(iter(page["refusals"]), None)
    if keys is not None and not any(one["state"] == "valid" for one in keys):
        return _said("bad", "No key of this member is in force: every announce is refused.")
    if refusal and (not last or refusal["time"] > last):
        why = refused.in_words(refusal["reason"])
        return _said("bad", f"Its newest announce was refused: {why}.")
    if not page["seeding"] and not page["leeching"]:
        return _said("warn", f"The member {_ABSENT if last else _NEVER}: {_WHY}.")
    if refusal:
        return _said("warn", "The tracker serves this member now. It was refused in the last day.")
    return _said("good", "The tracker serves this member, and refused nothing in the last day.")


def _said(tone: str, text: str) -> Data:
    return {"tone": tone, "text": text}


def _network(one: Data) -> Data:
    """Makes a row of a network; without a look at it a pseudonym stands in its place."""
    return {
        **one,
        "shown": one["network"] or one["pseudonym"],
        "now": "in use" if one["present"] else "",
    }


async def sessions(api: Api, begins: tuple[str, ...], **filters: int) -> Data:
    """Returns the stays since the first of these times, or, where those are too many, since the
    next one: they come in the order in which they began, and the newest matter most.
    """
    for begin in begins:
        page = await api.get("/api/v2/stays", {**filters, "from": begin, "limit": _STAYS})
        if page["next"] is None:
            break
    return {
        "sessions": [_session(one) for one in page["stays"]],
        "sessions_from": begin,
        "more_sessions": page["next"] is not None,
    }


def _session(stay: Data) -> Data:
    """Makes a row of a stay, with its client in words."""
    kept = ("info_hash", "label", "joined", "left", "why", "seq", "left_seq", "key_ref")
    client = formats.client(stay["client"] or stay["peer_id_prefix"], stay["user_agent"])
    return {**{name: stay[name] for name in kept}, "client": client}


# The pages behind the numbers.


async def load_ledger(api: Api, asked: Asked) -> Data:
    """Lists announces and corrections with what each gained, and how that was counted."""
    account = await _account(api, asked)
    begin = given.moment(asked, "from", asked.now, ahead=False)
    after = asked.get("after")
    if not after and begin:
        after = str(await seq_at(api, begin) - 1)
    query = {
        "limit": _ROWS,
        "after": None if after in ("", "-1") else after,
        **asked.given("info_hash"),
    }
    page = await api.get(f"{ACCOUNT}/ledger", query, account=account["account"])
    labels = await _labels(api, account["account"])
    return {
        **_who(account),
        "entries": [entry(one, labels) for one in page["entries"]],
        "totals": page["totals"],
        "next": page["next"],
    }


async def _labels(api: Api, account: int) -> dict[str, str | None]:
    """Returns what the site calls the torrents that the member was in last."""
    query = {"sort": "-last_seen", "limit": _TORRENTS}
    page = await api.get(f"{ACCOUNT}/torrents", query, account=account)
    return {one["info_hash"]: one["label"] for one in page["torrents"]}


def entry(one: Data, labels: dict[str, str | None]) -> Data:
    """Makes a row of a ledger's entry. `provenance` says how its numbers came about."""
    announce = one["type"] == "announce"
    return {
        "time": one["time"],
        "seq": one["seq"],
        "type": one["type"],
        "info_hash": one.get("info_hash"),
        "label": labels.get(one.get("info_hash") or ""),
        "uploaded": one["delta_uploaded"] if announce else one.get("uploaded"),
        "downloaded": one["delta_downloaded"] if announce else one.get("downloaded"),
        "credited_uploaded": one["credited_uploaded"],
        "credited_downloaded": one["credited_downloaded"],
        "provenance": _provenance(one),
    }


_RULES: Final = {
    "first": "first announce of a session: counts from here on",
    "continued": "the difference to the announce before",
    "restarted": "the client began anew: all that it says counts",
    "resumed": "the session goes on after a silence",
}


def _provenance(one: Data) -> str:
    if one["type"] == "opening":
        return "the sums of what retention removed from the log"
    if one["type"] == "correction":
        return f"correction of event {one['corrects']}: {one['reason']}"
    said = [_RULES.get(one["rule"], formats.words(one["rule"]))]
    for name, short in (("uploaded", "up"), ("downloaded", "down")):
        base = one[f"base_{name}"]
        if base is not None and one[name] != base:
            said.append(f"{short} {formats.size(one[name])} less {formats.size(base)}")
    if one["factors"]:
        said.append("factors " + ", ".join(str(each) for each in one["factors"]))
    return "; ".join(said)


async def load_torrents(api: Api, asked: Asked) -> Data:
    """Lists what the member did in each torrent, ever."""
    account = await _account(api, asked)
    query = {"limit": _ROWS, "sort": asked.get("sort", "-last_seen"), **asked.given("after")}
    page = await api.get(f"{ACCOUNT}/torrents", query, account=account["account"])
    rows = [_did(one, account["account"]) for one in page["torrents"]]
    return {**_who(account), "torrents": rows, "next": page["next"]}


def _did(row: Data, account: int) -> Data:
    """Makes a row of the book with a link to the ledger lines behind it."""
    info_hash = row["info_hash"]
    lines = f"/members/{account}/ledger?info_hash={info_hash}" if info_hash else None
    return {**row, "client": _client(row["client"]), "ledger": lines}


async def load_now(api: Api, asked: Asked) -> Data:
    """Lists the member's peers in all swarms now."""
    account = await _account(api, asked)
    number = account["account"]
    peers = (await api.get(f"{ACCOUNT}/peers", account=number))["peers"]
    kept = (
        "info_hash",
        "label",
        "role",
        "uploaded",
        "downloaded",
        "left",
        "pseudonym",
        "last_seen",
    )
    rows = [
        {**{name: one[name] for name in kept}, "client": formats.client(one["peer_id"]),
         "ledger": f"/members/{number}/ledger?info_hash={one['info_hash']}"}
        for one in peers
    ]  # fmt: skip
    return {**_who(account), "peers": rows}


async def load_downloads(api: Api, asked: Asked) -> Data:
    """Lists the member's downloads that hit and run judges."""
    account = await _account(api, asked)
    query = {"limit": _ROWS, **asked.given("after", "state")}
    page = await api.get(f"{ACCOUNT}/hit-and-run", query, account=account["account"])
    rows = [_download(one, account["account"]) for one in page["downloads"]]
    return {**_who(account), "downloads": rows, "next": page["next"]}


def _download(one: Data, account: int) -> Data:
    """Makes a row of a judged download, with its facts beside its state."""
    kept = {name: each for name, each in one.items() if name not in ("facts", "position")}
    lines = f"/members/{account}/ledger?info_hash={one['info_hash']}"
    return {**kept, "seq": one["position"]["seq"], "ledger": lines, **(one["facts"] or {})}


async def load_notes(api: Api, asked: Asked) -> Data:
    """Lists what staff did and noted about the member, the newest first."""
    account = await _account(api, asked)
    events = await newest(api, _NOTES, account=account["account"], type=kinds.ANY_OF_STAFF)
    return {**_who(account), "notes": [_note(one) for one in events]}


def _note(event: dict[str, Any]) -> Data:
    by = event.get("by") or {}
    said = {name: each for name, each in event.items() if name not in _UNSAID}
    return {
        "time": event["time"],
        "who": by.get("token"),
        "what": event["type"],
        "which": event.get("note") or kinds.in_words(said),
        "why": by.get("reason"),
        "seq": event["seq"],
    }


async def _account(api: Api, asked: Asked) -> Data:
    found: Data = await api.get(ACCOUNT, account=asked.get("account"))
    return found


def _who(account: Data) -> Data:
    return {
        "number": account["account"],
        "named": account["owner"] or f"Member {account['account']}",
        "ledger_of": account["owner"] or "KEY_REF",  # the command takes an owner, or a key's number
    }


def _client(client: Data | None) -> str | None:
    return formats.client(client["peer_id_prefix"], client["user_agent"]) if client else None


# What says the same.


def _ledger_command(asked: Asked) -> str:
    words = ["tracker ledger", shlex.quote(asked.shown["ledger_of"])]
    return " ".join([*words, *map(shlex.quote, asked.given("info_hash").values())])


def _ledger_call(asked: Asked) -> str:
    return _of_account(asked, "ledger", asked.given("info_hash", "after"))


def _torrents_call(asked: Asked) -> str:
    return _of_account(asked, "torrents", {"sort": asked.get("sort", "-last_seen")})


def _downloads_command(asked: Asked) -> str:
    words = options(asked.given("state"), {"state": "--state"})
    return " ".join([f"tracker hit-and-run list {asked.shown['number']}", *words])


def _downloads_call(asked: Asked) -> str:
    return _of_account(asked, "hit-and-run", asked.given("state"))


def _notes_call(asked: Asked) -> str:
    query = {"account": asked.shown["number"], "type": kinds.ANY_OF_STAFF, "last": _NOTES}
    return target_of("GET /api/v2/events", query, {})


def _of_account(asked: Asked, what: str, query: dict[str, str]) -> str:
    return target_of(f"GET {ACCOUNT}/{what}", query, {"account": asked.get("account")})


MEMBER: Final = Screens(
    pages=(
        Page(path="/members/{account}", title="{named}", template="member.html", load=load,
             tables=("keys", "sessions", "refusals", "networks", "open_cases"), looks=True,
             command="tracker account show {number}", call="GET /api/v2/accounts/{account}/page"),
        Page(path="/members/{account}/ledger", title="Ledger of {named}", template="member_ledger.html",
             load=load_ledger, tables=("entries",), command=_ledger_command,
             call=_ledger_call),
        Page(path="/members/{account}/now", title="Swarms of {named}", template="member_now.html",
             load=load_now, tables=("peers",), command="tracker account show {number}",
             call="GET /api/v2/accounts/{account}/peers"),
        Page(path="/members/{account}/torrents", title="Torrents of {named}",
             template="member_torrents.html", load=load_torrents, tables=("torrents",),
             command="tracker ledger --torrents {ledger_of}", call=_torrents_call),
        Page(path="/members/{account}/hit-and-run", title="Downloads of {named}",
             template="member_downloads.html", load=load_downloads, tables=("downloads",),
             command=_downloads_command, call=_downloads_call),
        Page(path="/members/{account}/notes", title="Notes about {named}", template="member_notes.html",
             load=load_notes, tables=("notes",),
             command=f"tracker events --account {{number}} --type {kinds.ANY_OF_STAFF} --last {_NOTES}",
             call=_notes_call),
    ),
    actions=ACTIONS,
)  # fmt: skip
