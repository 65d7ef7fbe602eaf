"""The page Event: what an event says, and of an announce why it got its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.console import formats, kinds
from api.console.api import ProblemError
from api.console.asking import soon, together
from api.console.page import Asked, Data, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.console.api import Api

_EVENTS: Final = "/api/v2/events"
_EXPLAINED: Final = ("announced", "announce_refused")
_LATER: Final = (
    200  # announces of the same key and torrent among which the peer's next one is sought
)
_LINKED: Final = {"info_hash": "torrent", "account": "member"}
_EVENT_LINKS: Final = ("prev_seq", "previous", "last_seq", "corrects", "set_by", "evicted")
_SECONDS: Final = ("interval", "interval_setting", "interval_jitter", "jitter", "min_interval")
_NAMES: Final = {"info_hash": "label", "account": "owner"}
"""The members that name others. They stand in the links of those."""
_HEADINGS: Final = {
    "seq": "number", "type": "kind", "log_time": "time in the log", "info_hash": "torrent",
    "peer_id": "client", "left": "still to download", "numwant": "peers wanted",
    "compact": "compact reply", "key_ref": "key", "account": "member",
    "client_key_hash": "hash of the client's own key", "prev_seq": "this peer's announce before",
    "rule": "credit rule", "wanted": "peers wanted", "because": "as many because of",
    "choice": "number of the choice", "interval_setting": "interval by the settings",
    "interval_jitter": "longest jitter by the settings",
}  # fmt: skip
"""What the page says for names of the API that do not speak for themselves."""


async def load(api: Api, asked: Asked) -> Data:
    seq = _number(asked.get("seq"))
    page = await asked.looking(api).get(_EVENTS, {"from": seq, "to": seq, "limit": 1})
    if not page["events"]:
        detail = (
            f"The log has no event {seq}, or retention removed it. The next event is {page['end']}"
        )
        raise ProblemError(404, "There is no such event", detail)
    event = page["events"][0]
    found, troubles = await together(
        explanation=_explanation(asked.looking(api), asked, event),
        following=_following(api, event),
    )
    told = found["explanation"] or {}
    return {
        "seq": seq,
        "type": event["type"],
        "event": event,
        "fields": _fields(event),
        "by": _fields(event.get("by") or {}),
        "earlier": event.get("prev_seq"),
        "later": found["following"],
        "before": seq - 1 if seq else None,
        "next": seq + 1 if seq + 1 < page["end"] else None,
        "explanation": told or None,
        "explanation_late": event["type"] in _EXPLAINED
        and found["explanation"] is None
        and "explanation" not in troubles,
        "why": _why(told),
        "rules": _rules(told),
        "changes": _changes(told),
        "reply": _fields(told.get("reply") or {}),
        "numbers": _numbers(told),
        "peers": told.get("peers") or [],
        "troubles": troubles,
    }


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise ProblemError(404, "There is no such event", "An event has a number")
    return int(text)


async def _explanation(api: Api, asked: Asked, event: Data) -> Data | None:
    """Returns what the API explains; None = the event has no explanation, or it comes late."""
    if event["type"] not in _EXPLAINED:
        return None
    path = "/api/v2/announces/{seq}/explain"
    told: Data | None = await soon(asked, lambda: api.get(path, seq=event["seq"]))
    return told


async def _following(api: Api, event: Data) -> int | None:
    """Returns the next announce of the same peer; None = there is none, or it is far away."""
    if event["type"] != "announced":
        return None
    query = {"type": "announced", "info_hash": event["info_hash"], "key_ref": event["key_ref"],
             "after": event["seq"], "limit": _LATER}  # fmt: skip
    page = await api.get(_EVENTS, query)
    later = (one["seq"] for one in page["events"] if one["prev_seq"] == event["seq"])
    return next(later, None)


def _fields(event: Data) -> list[Data]:
    """Makes a row of each member: its name in words, and its value with the kind that it is."""
    names = [_NAMES[name] for name in _NAMES if event.get(name) is not None]
    return [
        {**_field(name, given), "owner": event.get("owner"), "label": event.get("label")}
        for name, given in event.items()
        if name != "by" and name not in names
    ]


def _field(name: str, given: Any) -> Data:
    if name in kinds.BYTES and isinstance(given, int):
        kind = "bytes"
    elif name in _LINKED and given is not None:
        kind = _LINKED[name]
    elif name in _EVENT_LINKS and isinstance(given, int):
        kind = "event"
    elif name in ("time", "log_time", "since") or name.endswith("_until"):
        kind = "time"
    else:
        kind, given = "", _said(name, given)
    return {"name": name, "heading": _HEADINGS.get(name, name), "kind": kind, "value": given}


def _said(name: str, given: Any) -> str | None:
    if given is None:
        return None
    if name == "peer_id":
        return f"{formats.client(given.ljust(40, '0'))}, peer id {given}"
    if name in _SECONDS and given:
        return f"{formats.span(given)} ({given} s)"
    return kinds.said(given)


def _why(told: Data) -> list[str]:
    """Returns the sentences of an explanation. Why it was so many peers stands with the reply."""
    peer = told.get("peer") or {}
    time = (told.get("numbers") or {}).get("time") or {}
    said = (peer.get("why"), time.get("why"), told.get("withheld"))
    return [text for text in said if text]


def _rules(told: Data) -> list[Data]:
    return [
        {"rule": one["rule"], "answer": one["answer"], "settings": kinds.said(one["settings"])}
        for one in told.get("rules") or []
    ]


def _changes(told: Data) -> list[Data]:
    """Lists each number of the state before and after, and whether it changed."""
    before, after = _flat(told.get("before")), _flat(told.get("after"))
    names = list(dict.fromkeys([*before, *after]))
    return [
        {"what": name, "before": before.get(name), "after": after.get(name),
         "changed": "yes" if bool(after) and before.get(name) != after.get(name) else None}
        for name in names
    ]  # fmt: skip


def _flat(state: Data | None) -> dict[str, str]:
    return dict(_leaves(state or {}, ""))


def _leaves(state: Data, path: str) -> Iterator[tuple[str, str]]:
    for name, given in state.items():
        where = f"{path} {name}".strip()
        if isinstance(given, dict):
            yield from _leaves(given, where)
        elif name in kinds.BYTES and isinstance(given, int):
            yield where, f"{formats.size(given)} ({formats.exact_bytes(given)})"
        elif given is not None:
            yield where, kinds.said(given)


def _numbers(told: Data) -> list[Data]:
    """Makes a row of each amount: announced, from where it counts, counted, cut off, credited."""
    numbers = told.get("numbers") or {}
    kept = ("announced", "base", "difference", "counted", "clipped", "percent", "credited")
    return [
        {"amount": name, **{part: numbers[name].get(part) for part in kept}}
        for name in ("uploaded", "downloaded")
        if isinstance(numbers.get(name), dict)
    ]


def _command(asked: Asked) -> str:
    seq = asked.get("seq")
    explain = f"; tracker explain {seq}" if asked.shown["type"] in _EXPLAINED else ""
    return f"tracker events --from {seq} --to {seq}{explain}"


def _call(asked: Asked) -> str:
    seq = asked.get("seq")
    if asked.shown["type"] in _EXPLAINED:
        return f"GET /api/v2/announces/{seq}/explain"
    return f"GET {_EVENTS}?from={seq}&to={seq}"


EVENT: Final = Page(
    path="/events/{seq}",
    title="Event {seq}",
    template="event.html",
    load=load,
    tables=("fields", "changes", "rules", "numbers", "peers"),
    command=_command,
    call=_call,
    looks=True,
)
