"""`tracker explain`: says of an announce in the log why it got the reply that it got."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, replayed
from tracker.cli.output import say, say_json
from tracker.cli.tables import BYTES, HASH, NUMBER, WORD, Column, add_list, say_table
from tracker.history.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Shown = dict[str, Any]

_RULES = Column("rule", WORD), Column("answer", WORD), Column("settings")
_STATES = Column("what", WORD), Column("before"), Column("after")
_PEERS = Column("address", WORD), Column("peer_id", HASH), Column("by event", NUMBER)
_COUNTED = ("announced", "base", "difference", "counted", "clipped", "percent", "credited")
"""Members of what was counted of an announce: bytes, but for the percentage."""
_NUMBERS = (
    Column("bytes", WORD), *(Column(name, BYTES) for name in _COUNTED[:5]),
    Column("percent", NUMBER, heading="%"), Column("credited", BYTES),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to an announce, decide it again by the same code, and print what was asked, who "
        "asked, what each rule said, the state before and after, where every number comes from, and the peers of the "
        "reply. Refused announces are explained as far as the log has them."
    )
    add_log_and_json(parser, "one JSON object")
    parser.add_argument("seq", metavar="SEQ", type=_seq, help="the number of the event")
    add_list(parser)
    parser.set_defaults(run=print_explanation)


def _seq(text: str) -> int:
    """An argument's type: the number of an event."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise argparse.ArgumentTypeError(f"{text!r}: expected the number of an event")
    return int(text)


def print_explanation(options: argparse.Namespace) -> int:
    with replayed(options) as log:
        shown = explain(log, options.seq)
        known = trust.of(log.folder, log.keys)
    if options.json:
        say_json({**shown, "trust": known})
    else:
        _say(options, shown)
    return trust.end(known)


def _say(options: argparse.Namespace, shown: Shown) -> None:
    say(f"event {shown['seq']}, {shown['time']}: {shown['type']}")
    _section("request", _named(shown["request"]))
    if "refusal" in shown:
        say(f"  refused: {shown['refusal']}")
    who = {name: value for name, value in shown["peer"].items() if name != "why"}
    _section("who", _named(who))
    say(f"  {shown['peer']['why']}")
    _section(f"rules, by the settings of event {shown['settings_seq']}")
    if shown["rules"]:
        say_table(options, _RULES, map(_rule, shown["rules"]))
    else:
        say("  none is in force")
    _section("before and after" if "after" in shown else "before")
    if "after" not in shown:
        say_table(options, _STATES[:2], (row[:2] for row in _states(shown["before"], {})))
    else:
        say_table(options, _STATES, _states(shown["before"], shown["after"]))
        _section("numbers")
        _say_numbers(options, shown["numbers"] or {"account": "none, so nothing is counted"})
        _section("reply", _named(shown["reply"]))
    if shown["peers"]:
        rows = ((endpoint_text(each), each["peer_id"], each["seq"]) for each in shown["peers"])
        _section("peers in the reply")
        say_table(options, _PEERS, rows)
    if shown["withheld"]:
        say(f"  {shown['withheld']}")
    if "decided_again" in shown:
        _section(f"decided again: {shown['decided_again']}")


def _section(title: str, lines: Iterable[str] = ()) -> None:
    say("")
    say(title)
    for line in lines:
        say(line)


def _rule(one: Shown) -> tuple[str, str, str]:
    settings = ", ".join(f"{name} = {_text(value)}" for name, value in one["settings"].items())
    return one["rule"], one["answer"], settings


def _states(before: Shown, after: Shown) -> Iterator[tuple[str, str | None, str | None]]:
    """Yields what is known of the swarm, the peer and the account: its name, before, and after."""
    for part in {**before, **after}:
        was, now = before.get(part) or {}, after.get(part) or {}
        for name in {**was, **now}:
            first, then = (_text(one[name]) if name in one else None for one in (was, now))
            if (first, then) != (None, None):
                yield f"{part} {name}", first, then


def _say_numbers(options: argparse.Namespace, numbers: Shown) -> None:
    counted = {name: numbers[name] for name in ("uploaded", "downloaded") if name in numbers}
    if counted:
        rows = ([name, *(one.get(each) for each in _COUNTED)] for name, one in counted.items())
        say_table(options, _NUMBERS, rows)
    for name, one in counted.items():
        rest = {each: value for each, value in one.items() if each not in _COUNTED}
        for line in _named({name: rest} if rest else {}):
            say(line)
    for line in _named({name: one for name, one in numbers.items() if name not in counted}):
        say(line)


def _named(values: Shown) -> Iterator[str]:
    """Makes a line of each value; of an object, the line has its values."""
    for name, value in values.items():
        if isinstance(value, dict):
            inner = "  ".join(
                f"{each} {_text(one)}" for each, one in value.items() if one is not None
            )
            yield f"  {name}: {inner}"
        elif value is not None:
            yield f"  {name}: {_text(value)}"


def _text(value: object) -> str:
    if isinstance(value, dict):
        if set(value) == {"address", "port"}:
            return endpoint_text(value)
        return " ".join(f"{name} {_text(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "-"
    return value if isinstance(value, str) else json.dumps(value)


def endpoint_text(one: Shown) -> str:
    """Writes the members `address` and `port` of an object."""
    if one["address"] is None:
        return "unreadable"
    address = f"[{one['address']}]" if ":" in one["address"] else one["address"]
    return f"{address}:{one['port']}"
