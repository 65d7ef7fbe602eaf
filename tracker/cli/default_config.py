"""`tracker config --default`: prints the shipped configuration, to begin one's own with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tracker.config
from tracker.cli.output import say

if TYPE_CHECKING:
    import argparse

SHIPPED = Path(tracker.config.__file__).with_name("default.toml")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the shipped configuration, which has every key with a comment. "
        "`tracker check-config` prints the one in force."
    )
    parser.add_argument(
        "--default", action="store_true", required=True, help="the shipped configuration"
    )
    parser.set_defaults(run=print_default)


def print_default(_: argparse.Namespace) -> int:
    say(SHIPPED.read_text(encoding="utf-8").rstrip("\n"))
    return 0
