"""Prints lists of the API, for all commands that have one, with their order and filters."""

from __future__ import annotations

import argparse
from itertools import islice
from typing import TYPE_CHECKING

from tracker.cli.api_options import add_client, client, line, number
from tracker.cli.tables import add_list, by_name, say_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracker.cli.tables import Column


def add_query(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    *,
    searched: bool = True,
) -> None:
    """Adds the options of a list, and has `run` print it. `searched`: it takes `search`."""
    parser.add_argument("--sort", metavar="NAME", type=line, help="by this member")
    parser.add_argument("--down", action="store_true", help="from the largest down")
    if searched:
        parser.add_argument("--search", metavar="TEXT", type=line, help="in names and labels")
    parser.add_argument(
        "--where", metavar="NAME=VALUE", type=_filter, action="append", default=[],
        help="as a parameter of the API, such as max_ratio=0.5; may be repeated",
    )  # fmt: skip
    parser.add_argument("--limit", metavar="N", type=number, help="so many at most")
    add_list(parser)
    add_client(parser, run)


def say_rows(
    options: argparse.Namespace,
    name: str,
    columns: Sequence[Column],
    filters: Mapping[str, str | None] | None = None,
    path: str = "",
) -> None:
    """Prints a list of the API by its name. `filters`: further parameters; None = not given.
    `path`: where it is, if it has not the name of its rows.
    """
    more = {"search": getattr(options, "search", None), **(filters or {})}
    if options.sort is not None:
        more["sort"] = "-" * options.down + options.sort
    asked = dict(options.where) | {each: text for each, text in more.items() if text is not None}
    rows = islice(client(options).listed(name, asked, path), options.limit)
    say_list(options, columns, rows, by_name(columns))


def _filter(text: str) -> tuple[str, str]:
    """An argument's type: a parameter and its value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, such as max_ratio=0.5")
    return name, value
