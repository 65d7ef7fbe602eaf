"""The command line. Exit codes: 0 done, 1 cannot start or go on as asked, 2 wrong usage, 3 the log
is damaged or cannot be written.

Every command has a module, which is imported when the command is asked for, because each takes a
while. Its `add_to` adds the arguments and sets `run`, which returns the exit code.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import signal
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracker import streams
from tracker.cli.options import add_config, wrong
from tracker.cli.output import CANNOT, LOG_DAMAGED, CannotError, fail, flush, say, version_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Command", "main", "root_parser"]

COMMANDS = {
    "serve": ("serve", "run the tracker (what happens without a command)"),
    "check-config": (
        "check_config",
        "check the configuration, show it as it is in force, estimate the log's size",
    ),
    "config": ("default_config", "print the shipped configuration"),
    "health": ("health", "ask whether the running tracker serves: exit code 0 if it does, else 1"),
    "events": ("events", "print the log, one JSON object a line"),
    "verify": ("verify", "check the whole log: every byte, every record, replay"),
    "replay": ("replay", "summarise the state at any moment of the log"),
    "what-if": ("what_if", "tell what a part of the log would have been by other settings"),
    "swarm": ("swarm", "list who was in a swarm at any moment of the log"),
    "stays": ("stays", "list who was there, at a moment or between two"),
    "hit-and-run": (
        "hit_and_run",
        "the rule of hit and run, and what is judged, through the running API",
    ),
    "outages": ("outages", "list when the tracker was down, and why"),
    "cases": (
        "cases",
        "what detectors found about accounts, and what staff says of it, through the running API",
    ),
    "diff": ("diff", "compare two moments of the log"),
    "ledger": ("ledger", "list the announces behind an account's totals"),
    "explain": (
        "explain",
        "explain an announce: who came, what the rules said, what changed, which peers it got",
    ),
    "handed": ("handed", "list the replies that an address was handed out in"),
    "received": ("received", "list the peers that an account received"),
    "series": ("series", "list what an account or a torrent gained, day by day"),
    "export": ("export", "write a table of the log as JSON lines, CSV or Parquet"),
    "key": ("key", "issue, list, show, revoke or rotate tracker keys, through the running API"),
    "whitelist": ("whitelist", "list or change it, through the running API"),
    "torrent": (
        "torrent",
        "list or show torrents, or say their size, label and so on, through the running API",
    ),
    "list": (
        "ready",
        "list what staff asks often, through the running API: dead torrents and so on",
    ),
    "stats": ("stats", "print the running tracker's counters"),
    "factor": ("factor", "set, list or end credit factors, through the running API"),
    "client": ("client", "refuse versions of clients, list and end such rules, through the API"),
    "freeleech": (
        "freeleech",
        "give, list or withdraw freeleech tokens, through the running API",
    ),
    "account": (
        "account",
        "list, show or correct accounts, switch leeching off, through the running API",
    ),
    "settings": (
        "settings",
        "show, change settings at once, or list their changes, through the running API",
    ),
    "block": ("block", "refuse announces from networks, through the running API"),
    "token": ("token", "issue, list or revoke access tokens, through the running API"),
    "webhook": ("webhook", "list webhooks, or send events once more, through the running API"),
    "import": ("import_data", "import keys, whitelist and completed counts of another tracker"),
    "shred": ("shred", "make the addresses of past days unreadable for ever"),
    "change-server-key": (
        "change_server_key",
        "replace the server's secret, which vouches for the log",
    ),
    "completion": ("completion", "print what completes commands in bash, zsh or fish"),
    "man": ("man", "print the manual page"),
}
"""The module of each command, and what the command does, for --help."""


def main(arguments: list[str] | None = None) -> int:
    # A shell script that starts the tracker in the background has it ignore SIGINT. SIGTERM is the
    # same: a command that it interrupts has no result.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(arguments)
    except BrokenPipeError:  # the reader of our output left (`tracker events | head`)
        return 0
    except KeyboardInterrupt:
        return 0
    finally:
        streams.end()


def _run(arguments: list[str] | None) -> int:
    try:
        options = _options(arguments)
        _look_around()
        command: Callable[[argparse.Namespace], int] = options.run
        gc.enable()  # `tracker.__main__` disabled it
        code = command(options)
        flush()
        return code
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    """Prints why a command failed, and returns its exit code. Raises `error` if it is a fault of
    the program, or says that nobody reads the output."""
    # Imported here, because a command that succeeds does without most of them.
    from eventlog import LogCorruptError, LogError, LogLockedError, LogPrunedError, LogUnusableError
    from tracker.config import ConfigError
    from tracker.domain.events.codec import CodecError
    from tracker.domain.events.errors import ReplayError
    from tracker.store.replay import TOO_LITTLE_MEMORY
    from tracker.store.server_secret import SecretError

    match error:
        case (
            ConfigError() | LogLockedError() | LogPrunedError() | LogUnusableError() | CannotError()
        ):
            return fail(CANNOT, str(error))
        case LogCorruptError() | ReplayError():
            return fail(LOG_DAMAGED, f"{error}. `tracker verify` lists all that is wrong")
        case LogError() | CodecError():
            return fail(LOG_DAMAGED, str(error))
        case BrokenPipeError():
            raise error
        case SecretError() | OSError():
            return fail(CANNOT, str(error))
        case MemoryError():
            return fail(CANNOT, TOO_LITTLE_MEMORY)
        case _:
            raise error


def _look_around() -> None:
    """Raises `CannotError` where no relative path leads anywhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CannotError("the working folder was removed: change to one that is there") from None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    try:
        return root_parser().parse_args(arguments)
    except SystemExit:
        flush()  # the answer to --help or --version
        raise


class _Parser(argparse.ArgumentParser):
    """Refuses unknown arguments itself, so that the usage shown is that of the subcommand.

    Takes what begins with a minus and a digit for a value: a time such as `-3m`, or a negative
    number. So it does with a minus before a long word: a key or a token.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-\d|-[^-\s]\S{8,}$")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Has an error name the value that is wrong."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            raise argparse.ArgumentError(
                action, wrong(action.dest, arg_string, ValueError(error.message))
            ) from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Has an error about an unknown command say which one may be meant."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            like = get_close_matches(str(value), action.choices, 1)
            meant = f"did you mean {like[0]}?" if like else f"see {self.prog} --help"
            raise argparse.ArgumentError(action, f"there is no command {value!r}: {meant}")
        super()._check_value(action, value)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


class Command(_Parser):
    """The parser of a command. Its module adds the arguments when it parses for the first time."""

    def __init__(self, *args: Any, module: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._module = module

    def fill(self) -> None:
        """Has the module add the arguments, once."""
        if self._module:
            module = import_module(f"tracker.cli.{self._module}")
            self._module = ""
            module.add_to(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for, because that takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        say(version_line())
        parser.exit()


def root_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tracker",
        description="A BitTorrent tracker whose only source of truth is an append-only log.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    add_config(parser, None)
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Command)
    for name, (module, text) in COMMANDS.items():
        commands.add_parser(name, module=module, help=text)
    return parser


def _serve(options: argparse.Namespace) -> int:
    """Does what happens without a command."""
    from tracker.cli.serve import serve

    return serve(options)
