"""The command line. Exit codes: 0 done, 1 cannot start or go on as asked, 2 wrong usage, 3 the log
is damaged or cannot be written.

Every command has a module. Its `add_to` adds the parser and sets `run`, which returns the exit
code.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import signal
from typing import TYPE_CHECKING, Any

from eventlog import LogCorruptError, LogError, LogLockedError, LogPrunedError, LogUnusableError
from tracker import streams
from tracker.cli import (
    account,
    change_server_key,
    check_config,
    default_config,
    diff,
    events,
    explain,
    export,
    factor,
    handed,
    health,
    hit_and_run,
    import_data,
    key,
    ledger,
    replay,
    serve,
    shred,
    stats,
    stays,
    swarm,
    torrent,
    verify,
    whitelist,
)
from tracker.cli.options import add_config
from tracker.cli.output import CANNOT, LOG_DAMAGED, CannotError, fail, flush, say, version_line
from tracker.config import ConfigError
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.store.server_secret import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


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
        if command is not serve.serve:  # which enables it when it has started
            gc.enable()
        code = command(options)
        flush()
        return code
    except (ConfigError, LogLockedError, LogPrunedError, LogUnusableError, CannotError) as error:
        return fail(CANNOT, str(error))
    except (LogCorruptError, ReplayError) as error:
        return fail(LOG_DAMAGED, f"{error}. `tracker verify` lists all that is wrong")
    except (LogError, CodecError) as error:
        return fail(LOG_DAMAGED, str(error))
    except BrokenPipeError:
        raise
    except (SecretError, OSError) as error:
        return fail(CANNOT, str(error))
    except MemoryError:
        return fail(CANNOT, TOO_LITTLE_MEMORY)


def _look_around() -> None:
    """Raises `CannotError` where no relative path leads anywhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CannotError("the working folder was removed: change to one that is there") from None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(arguments)
    except SystemExit:
        flush()  # the answer to --help or --version
        raise


class _Parser(argparse.ArgumentParser):
    """Refuses unknown arguments itself, so that the usage shown is that of the subcommand.

    Takes what begins with a minus and a digit for a value: a time such as `-3m`, or a negative
    number.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-\d")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


class _Version(argparse.Action):
    """Looks the version up only when it is asked for, because that takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        say(version_line())
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tracker",
        description="A BitTorrent tracker whose only source of truth is an append-only log.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    add_config(parser, None)
    parser.set_defaults(run=serve.serve)
    commands = parser.add_subparsers(metavar="COMMAND")
    of_the_log = (events, verify, replay, swarm, stays, diff, ledger, explain, handed, export)
    of_the_api = (key, whitelist, torrent, stats, factor, account, hit_and_run)
    for command in (
        serve, check_config, default_config, health, *of_the_log, *of_the_api, import_data, shred, change_server_key
    ):  # fmt: skip
        command.add_to(commands)
    return parser
