"""`tracker received`: lists the peers that an account received; see `tracker handed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.handed import add_log_part, print_received

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay a part of the log and list the replies to an account, each with the peers in it."
    )
    parser.add_argument("who", metavar="ACCOUNT|KEY_REF", help="an owner, or the number of a key")
    add_log_part(parser)
    parser.set_defaults(run=print_received)
