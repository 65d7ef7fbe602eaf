"""The command line. Exit codes: 0 done, 1 cannot start or go on as asked, 2 wrong usage, 3 the log is damaged
or cannot be written.

Every family of commands has a module: it adds its parsers, and what it defers to returns the exit code.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from eventlog import LogCorruptError, LogError, LogLockedError, LogPrunedError, LogUnusableError
from tracker.cli import (
    check_config,
    credit,
    diff,
    events,
    import_data,
    keys,
    ledger,
    replay,
    serve,
    shred,
    swarm,
    verify,
)
from tracker.cli.shared import CANNOT, LOG_DAMAGED, CannotError, add_config, fail, version_line
from tracker.config import ConfigError
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store.server_secret import SecretError
from tracker.workers.lifetime import TOO_LITTLE_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    # Started in the background of a script, Python would have been told to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        # The reader of our output left (`tracker events | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        code = command(options)
        sys.stdout.flush()  # here, so that a reader who left is noticed while it can be forgiven
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tracker",
        description="A BitTorrent tracker whose only source of truth is an append-only log.",
    )
    parser.add_argument("--version", action="version", version=version_line())
    add_config(parser, None)
    parser.set_defaults(run=serve.serve)
    commands = parser.add_subparsers(metavar="COMMAND")
    reads = (events, verify, replay, swarm, diff, ledger)
    for family in (serve, check_config, *reads, keys, credit, import_data, shred):
        family.add_to(commands)
    return parser
