"""`tracker cases`: what detectors found about accounts, and what staff does about it.

It uses the running tracker's API.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tracker.cli.api_options import add_change, add_client, client, line, say_json
from tracker.cli.output import count, note, say
from tracker.cli.tables import (
    HASH,
    NUMBER,
    TIME,
    WORD,
    Column,
    add_list,
    by_name,
    say_facts,
    say_list,
    say_table,
)
from tracker.cli.time_options import when
from tracker.ports import CASE_GRADES, CASE_OUTCOMES, CASE_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COLUMNS = (
    Column("account", NUMBER), Column("owner"), Column("detector", WORD), Column("grade"), Column("state"),
    Column("findings", NUMBER), Column("last", TIME), Column("since", TIME), Column("holder"),
)  # fmt: skip
_FINDINGS = (
    Column("time", TIME), Column("grade", WORD), Column("amount", WORD), Column("info_hash", HASH),
    Column("evidence", heading="announces"), Column("facts"), Column("label"),
    Column("begin", TIME), Column("end", TIME),
)  # fmt: skip
_HISTORY = Column("time", TIME), Column("type", WORD), Column("by", WORD), Column("said")


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser(
        "list", help="list cases that are not closed, without leads, unless that is asked for"
    )
    listing.add_argument("account", nargs="?", type=line, help="its number or owner")
    for name, known in (("state", CASE_STATES), ("grade", CASE_GRADES)):
        listing.add_argument(
            f"--{name}", metavar=f"{name.upper()}S", type=partial(_some, known),
            help=f"some of {', '.join(known)}, with commas between them",
        )  # fmt: skip
    listing.add_argument("--detector", metavar="NAME", type=line, help="only of this one")
    add_list(listing)
    add_client(listing, list_cases)
    add_client(
        commands.add_parser("detectors", help="list detectors, and how their cases came out"),
        list_detectors,
    )
    show = _about(commands, "show", "print the evidence and history of a case")
    add_list(show)
    add_client(show, show_case)
    add_change(_about(commands, "take", "look into a case"), partial(_say, "take", _nothing))
    add_change(
        _about(commands, "wait", "wait for the member's answer"), partial(_say, "wait", _nothing)
    )
    close = _about(commands, "close", "close a case")
    close.add_argument("outcome", choices=CASE_OUTCOMES)
    add_change(close, partial(_say, "close", _outcome), reason_needed=True)
    harmless = _about(commands, "harmless", "close a case as harmless, for some time or until new")
    harmless.add_argument(
        "--until", metavar="TIME", type=when, help="nothing found before then opens it again"
    )
    add_change(harmless, partial(_say, "close", _harmless), reason_needed=True)
    note = _about(commands, "note", "add a note to a case")
    note.add_argument("note", type=line)
    add_change(note, partial(_say, "notes", _note))


def _about(commands: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what)
    parser.add_argument("account", type=line, help="its number or owner")
    parser.add_argument("detector", type=line, help="its name, as `list` shows it")
    return parser


def list_cases(options: argparse.Namespace) -> None:
    api = client(options)
    account = None if options.account is None else str(api.account_of(options.account))
    filters = {
        "account": account, "state": options.state, "grade": options.grade,
        "detector": options.detector,
    }  # fmt: skip
    given, number = {name: value for name, value in filters.items() if value is not None}, 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal number
        for number, one in enumerate(api.cases(given), 1):  # noqa: B007  # used after the loop
            yield one

    say_list(options, _COLUMNS, counted(), by_name(_COLUMNS))
    if not number and not options.json:
        note(
            "note: no such case; the tracker finds cases if cases = true in its [event_log], and shows leads with --grade lead"
        )


def list_detectors(options: argparse.Namespace) -> None:
    for one in client(options).detectors():
        if options.json:
            say_json(one)
            continue
        say(f"{one['name']}: {count(one['cases'], 'case')}, closed last as")
        say(" ".join(["  ", *(f"{name} {one[name]}" for name in CASE_OUTCOMES)]))
        for name, value in one["parameters"].items():
            say(f"    {name} {json.dumps(value)}")


def show_case(options: argparse.Namespace) -> None:
    api = client(options)
    found = api.case(api.account_of(options.account), options.detector)
    if options.json:
        say_json(found)
        return
    say_facts(options, found["case"])
    if found["findings"]:
        say("")
        say("findings")
        say_table(options, _FINDINGS, map(_finding, found["findings"]))
    if found["history"]:
        say("")
        say("history")
        say_table(options, _HISTORY, map(_told, found["history"]))


def _finding(one: dict[str, Any]) -> list[object]:
    facts = ", ".join(f"{name} {value}" for name, value in one["facts"].items())
    amount = f"{one['amount']} {one['unit']}"
    return by_name(_FINDINGS)({**one, "facts": facts, "amount": amount})


def _told(one: dict[str, Any]) -> list[object]:
    parts = (one[name] for name in ("outcome", "until", "note", "reason"))
    return by_name(_HISTORY)({**one, "said": ", ".join(each for each in parts if each)})


def _say(
    what: str, form: Callable[[argparse.Namespace], dict[str, Any]], options: argparse.Namespace
) -> None:
    api = client(options)
    account = api.account_of(options.account)
    seq = api.say_of_case(account, options.detector, what, form(options))["seq"]
    if options.json:
        say_json({"seq": seq})
    else:
        say(str(seq))


def _nothing(_options: argparse.Namespace) -> dict[str, Any]:
    return {}


def _outcome(options: argparse.Namespace) -> dict[str, Any]:
    return {"outcome": options.outcome}


def _harmless(options: argparse.Namespace) -> dict[str, Any]:
    return {"outcome": "harmless", "until": options.until}


def _note(options: argparse.Namespace) -> dict[str, Any]:
    return {"note": options.note}


def _some(known: Sequence[str], text: str) -> str:
    """An argument's type: some of the known words, with commas between them."""
    if not set(text.split(",")) <= set(known):
        raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(known)}")
    return text
