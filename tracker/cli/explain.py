"""`tracker explain`: says of an announce in the log why it got the reply that it got."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, replayed
from tracker.cli.output import say, say_json
from tracker.history.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

Shown = dict[str, Any]


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to an announce, decide it again by the same code, and print what was asked, who "
        "asked, what each rule said, the state before and after, where every number comes from, and the peers of the "
        "reply. Refused announces are explained as far as the log has them."
    )
    add_log_and_json(parser, "one JSON object")
    parser.add_argument("seq", metavar="SEQ", type=_seq, help="the number of the event")
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
        for line in _lines(shown):
            say(line)
    return trust.end(known)


def _lines(shown: Shown) -> Iterator[str]:
    yield f"event {shown['seq']}, {shown['time']}: {shown['type']}"
    request = shown["request"]
    yield ""
    yield "request"
    yield from _named(request)
    if "refusal" in shown:
        yield f"  refused: {shown['refusal']}"
    yield ""
    yield "who"
    yield from _named({name: value for name, value in shown["peer"].items() if name != "why"})
    yield f"  {shown['peer']['why']}"
    yield ""
    yield f"rules, by the settings of event {shown['settings_seq']}"
    for each in shown["rules"]:
        settings = ", ".join(f"{name} = {_text(value)}" for name, value in each["settings"].items())
        yield f"  {each['rule']}: {each['answer']} ({settings})"
    if not shown["rules"]:
        yield "  none is in force"
    yield ""
    yield "before"
    yield from _named(shown["before"])
    if "after" in shown:
        yield ""
        yield "after"
        yield from _named(shown["after"])
        yield ""
        yield "numbers"
        yield from _named(shown["numbers"] or {"account": "none, so nothing is counted"})
        yield ""
        yield "reply"
        yield from _named(shown["reply"])
    for each in shown["peers"] or ():
        yield f"  {endpoint_text(each)}  {each['peer_id']}  by event {each['seq']}"
    if shown["withheld"]:
        yield f"  {shown['withheld']}"
    if "decided_again" in shown:
        yield ""
        yield f"decided again: {shown['decided_again']}"


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
