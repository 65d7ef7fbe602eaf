"""Lists what stands: whom a sanction concerns, since when, until when, by whom and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.cli.api_options import add_client
from tracker.cli.tables import TIME, Column, add_list, by_name, say_list
from tracker.cli.time_options import at

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

_COLUMNS = Column("since", TIME), Column("until", TIME), Column("by"), Column("reason")


def add_standing(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]
) -> None:
    """Adds the options of a list, and has `run` print it."""
    parser.add_argument("--at", metavar="SEQ|TIME", type=at, help="as it was then")
    add_list(parser)
    add_client(parser, run)


def moment(options: argparse.Namespace) -> dict[str, str]:
    """Returns the filters of the API for the moment that is asked for."""
    return {"at": options.at} if options.at else {}


def say_standing(
    options: argparse.Namespace, columns: Sequence[Column], rows: Iterable[dict[str, Any]]
) -> None:
    """Prints rows that have members for these columns and for a sanction."""
    every = (*columns, *_COLUMNS)
    say_list(options, every, rows, by_name(every))
