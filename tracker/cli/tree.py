"""Walks over all commands, for what shows them all: completion and the manual page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen
class Entry:
    """A command: its words, its line of help, and its parser, which is filled."""

    words: str
    about: str
    parser: argparse.ArgumentParser
    below: tuple[argparse.Action, ...]  # with commands of its own; () = it does something itself


def walk(parser: argparse.ArgumentParser, about: str = "") -> Iterator[Entry]:
    """Yields a command and all below it. Imports the modules of all of them."""
    from tracker.cli import Command  # which imports this module's users

    if isinstance(parser, Command):
        parser.fill()
    # argparse has no public way to its arguments.
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    yield Entry(parser.prog, about, parser, tuple(groups))
    for group in groups:
        for choice in group._choices_actions:
            yield from walk(group.choices[choice.dest], choice.help or "")
