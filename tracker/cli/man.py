"""`tracker man`: prints the manual page, made from what each command says in `--help`."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from tracker.cli.output import say, version
from tracker.cli.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.cli.tree import Entry

_EXITS = {
    0: "done",
    1: "the command cannot start or go on as asked; standard error says why",
    2: "wrong usage",
    3: "the log is damaged or cannot be written",
    4: "the log was read without the secrets, so that its tags were not checked",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the manual page: tracker man | man -l -, or into a file tracker.1 in man1 of a "
        "folder of $MANPATH."
    )
    parser.set_defaults(run=print_page)


def print_page(_: argparse.Namespace) -> int:
    from tracker.cli import root_parser

    root, *commands = walk(root_parser())
    say(f'.TH TRACKER 1 "" "swarmlog {version()}" "swarmlog"')
    say(".SH NAME\ntracker \\- run a BitTorrent tracker, and ask its log\n.SH SYNOPSIS")
    say(
        f".B tracker\n[\\fIOPTION\\fR]... [\\fICOMMAND\\fR]\n.SH DESCRIPTION\n{_text(root.parser.description or '')}"
    )
    for line in _options(root):
        say(line)
    say(".SH COMMANDS")
    for entry in commands:
        for line in _section(entry):
            say(line)
    say(".SH EXIT STATUS")
    for code, meaning in _EXITS.items():
        say(f".TP\n.B {code}\n{_text(meaning)}")
    return 0


def _section(entry: Entry) -> Iterator[str]:
    yield f'.SS "{_text(entry.words)}"'
    yield _text(entry.parser.description or f"{entry.about[:1].upper()}{entry.about[1:]}.")
    if not entry.below:
        usage = " ".join(entry.parser.format_usage().removeprefix("usage: ").split())
        yield f".PP\n{_text(usage)}"
        yield from _options(entry)


def _options(entry: Entry) -> Iterator[str]:
    formatter = entry.parser._get_formatter()
    for action in entry.parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        about = formatter._expand_help(action) if action.help else ""
        yield f".TP\n.B {_text(formatter._format_action_invocation(action))}\n{_text(about)}"


def _text(text: str) -> str:
    """Escapes what roff would obey."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", escaped)
