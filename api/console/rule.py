"""The page Rule of hit and run: the one in force and those before it, and another one, which is
compared with it before it is set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from api.console import formats
from api.console.api import ProblemError
from api.console.asking import together
from api.console.page import Action, Asked, Data, Form, Page
from tracker import times

if TYPE_CHECKING:
    from api.console.api import Api

_RULE: Final = "/api/v2/hit-and-run/rule"
_SPANS: Final = ("seed_seconds", "warn_absent", "grace_absent", "window")
_PARTS: Final = ("buffer", "ratio")
_FLAGS: Final = ("freeleech_exempts", "partial_counts")
MEMBERS: Final = {
    "buffer": "Downloaded part that counts as taken",
    "seed_seconds": "To seed",
    "seed_by_size": "To seed, of torrents from a size",
    "ratio": "Or ratio",
    "warn_absent": "At risk after an absence of",
    "grace_absent": "Violated after an absence of",
    "window": "To be done within",
    "freeleech_exempts": "Freeleech exempts",
    "partial_counts": "A part counts",
}
"""The members of a rule, with their names in words."""
_NONE: Final = ("ratio", "window")
"""Members that a rule may do without; an empty field says so."""
_SOON: Final = "This page shows it within ten seconds."
"""The API reads rules where downloads are judged, a little behind the log."""


async def load(api: Api, asked: Asked) -> Data:
    """Shows the rules. `compare`: also what the form would set, beside the rule in force."""
    found, troubles = await together(rules=api.get(_RULE), history=_set_by(api))
    shown = found["rules"] or {"rule": None, "rules": []}
    by, rule = found["history"] or {}, shown["rule"]
    other = _rule_of(asked) if asked.get("compare") else None
    form = {name: asked.get(name) for name in MEMBERS} if other else _form_of(rule or {})
    return {
        "rule": rule,
        "form": form,
        "compared": [
            {"what": words, "now": _said(name, (rule or {}).get(name)),
             "then": _said(name, other[name]) if name in other else "its default"}
            for name, words in MEMBERS.items()
        ] if other else [],
        "rules": [
            {**{name: _said(name, one.get(name)) for name in MEMBERS},
             **{name: one.get(name) for name in ("number", "seq", "set_at", "in_force")},
             **by.get(one["seq"], {"by": None, "reason": None})}
            for one in reversed(shown["rules"])
        ],
        "troubles": troubles,
    }  # fmt: skip


async def _set_by(api: Api) -> dict[int, Data]:
    """Returns who set each rule and why, by its event."""
    found: dict[int, Data] = {}
    query: dict[str, Any] = {"from": 0, "type": "hit_and_run_rule_set", "limit": 1000}
    while True:
        page = await api.get("/api/v2/events", query)
        for one in page["events"]:
            by = one.get("by") or {}
            found[one["seq"]] = {"by": by.get("token"), "reason": by.get("reason")}
        if page["next"] is None:
            return found
        query["after"] = page["next"]


# Reading and writing the form.


def _rule_of(form: Form | Asked) -> Data:
    """Reads a rule; members whose fields are empty have their default, or are none."""
    rule: Data = {name: None for name in _NONE if not form.get(name)}
    for name in _SPANS:
        if form.get(name):
            rule[name] = _read(form, name, times.seconds_of, "a length such as 72h or 3d")
    for name in _PARTS:
        if form.get(name):
            rule[name] = _read(form, name, _part, "a number such as 0.1 or 1.05")
    if form.get("seed_by_size"):
        rows = _read(form, "seed_by_size", _by_size, "SIZE:LENGTH, such as 50000000000:120h")
        rule["seed_by_size"] = rows
    return rule | {name: bool(form.get(name)) for name in _FLAGS}


def _read(form: Form | Asked, name: str, read: Any, wanted: str) -> Any:
    try:
        return read(form.get(name))
    except ValueError:
        detail = f"{MEMBERS[name]}: {form.get(name)[:60]!r} is not {wanted}"
        raise ProblemError(422, "This cannot be read", detail) from None


def _part(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text):
        raise ValueError(text)
    return float(text)


def _by_size(text: str) -> list[Data]:
    pairs = [one.partition(":") for one in text.split()]
    if not all(re.fullmatch("[0-9]{1,19}", size) for size, _, _ in pairs):
        raise ValueError(text)
    return [{"size": int(size), "seconds": times.seconds_of(length)} for size, _, length in pairs]


def _form_of(rule: Data) -> Data:
    """Writes a rule as the form takes it."""
    return {
        name: ""
        if rule.get(name) in (None, False, [])
        else " ".join(f"{one['size']}:{one['seconds']}s" for one in rule[name])
        if name == "seed_by_size"
        else f"{rule[name]}s"
        if name in _SPANS
        else rule[name]
        for name in MEMBERS
    }


def _said(name: str, value: Any) -> str:
    """Writes a member in words."""
    if value in (None, [], ""):
        return "none"
    if name == "seed_by_size":
        return ", ".join(
            f"{formats.size(one['size'])}: {formats.span(one['seconds'])}" for one in value
        )
    if name in _SPANS:
        return formats.span(value)
    return "yes" if value is True else "no" if value is False else str(value)


# Changing.


async def _set(api: Api, _asked: Asked, form: Form) -> str:
    done = await api.change("PUT", _RULE, _rule_of(form))
    return f"The rule is set (event {done['seq']}). {_SOON}"


async def _end(api: Api, _asked: Asked, _form: Form) -> str:
    done = await api.change("DELETE", _RULE)
    return f"The rule is ended (event {done['seq']}). {_SOON}"


RULE: Final = Page(
    path="/hit-and-run/rule", title="Rule of hit and run", template="rule.html", load=load,
    tables=("rules", "compared"), command="tracker hit-and-run rule", call=f"GET {_RULE}",
)  # fmt: skip
ACTIONS: Final = (
    Action(path="/hit-and-run/rule/set", act=_set),
    Action(path="/hit-and-run/rule/end", act=_end),
)
