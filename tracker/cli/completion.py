"""`tracker completion`: prints a script with which a shell completes commands and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.cli.output import say
from tracker.cli.tree import walk

if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh", "fish")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a script that completes commands, options and the names of files. For bash: "
        "tracker completion bash > ~/.local/share/bash-completion/completions/tracker; for zsh into "
        "a file _tracker in a folder of $fpath; for fish into ~/.config/fish/completions/tracker.fish."
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=print_completion)


def print_completion(options: argparse.Namespace) -> int:
    import shtab

    from tracker.cli import root_parser

    kinds: dict[Any, Any] = {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}
    root = root_parser()
    for entry in walk(root):
        for action in entry.parser._actions:
            if action.metavar in kinds:
                action.complete = kinds[action.metavar]  # type: ignore[attr-defined]  # as shtab asks
    say(shtab.complete(root, shell=options.shell).rstrip("\n"))
    return 0
