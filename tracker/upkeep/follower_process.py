"""Runs the follower: a process that replays the durable log as it grows and writes snapshots.

So the tracker never pauses for a snapshot.

    python -m tracker.upkeep.follower_process LOG SECRETS [--events N] [--seconds S] [--pause S]

The tracker starts it (`follower.py`) and reads its reports, a JSON object a line. The follower ends
when its standard input ends, and the kernel kills it when the tracker is gone. It holds one state
and one frame of the log; while it writes a snapshot, it holds the image of the state too.

Exit codes: 0 the tracker ended; 1 cannot go on; 3 the log is damaged; 4 the log and its replay
disagree.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eventlog import LogError, LogPrunedError, LogUnusableError
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import frames, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.workers import lifetime

if TYPE_CHECKING:
    from eventlog import Reader
    from tracker.domain.state import State

CANNOT, LOG_DAMAGED, DISAGREES = 1, 3, 4

EVENTS = 500_000
"""Number of events after which a snapshot is due; a start replays them in two or three seconds."""
SECONDS = 600.0
"""Seconds after which a snapshot is due, if there was any event."""
PAUSE_SECONDS = 60.0
"""Shortest time between two snapshots, in seconds, because a snapshot of a million peers takes 140
MB.
"""
_POLL_SECONDS = 1.0  # between two looks at the log
_REPORTED_FRAMES = 2000  # frames between two reports while it catches up


class Report(Protocol):
    def __call__(self, **message: Any) -> None: ...


class DisagreementError(Exception):
    """An event of the log cannot be applied to the state, or a tick's digest is not the state's."""


class Follower:
    """Keeps a state up to date with the durable log.

    It reports `seq` (events applied), `snapshot` (written), `refused` (a snapshot that it could not
    use) and `failed` (a snapshot that it could not write).
    """

    def __init__(
        self,
        log: Path,
        secrets: Path,
        report: Report,
        *,
        events: int = EVENTS,
        seconds: float = SECONDS,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        """Starts from the newest snapshot. Raises the errors of `snapshots.start`."""
        self._log, self._report = log, report
        self._events, self._seconds, self._pause = events, seconds, pause
        self.state: State
        self._reader: Reader
        self._keys = Keyring(secrets)
        self.state, self._reader = snapshots.start(
            log, self._keys, refused=lambda why: report(refused=why)
        )
        self._written_seq = self.state.seq
        self._written_at = time.monotonic()

    def catch_up(self) -> None:
        """Applies the new durable events, and writes a snapshot when one is due.

        Raises `DisagreementError`, `LogError`, `OSError`.
        """
        for number, frame in enumerate(self._reader.frames(), 1):
            header = frame.header
            try:
                frames.apply(self.state, frame)
            except (CodecError, ReplayError) as error:
                raise DisagreementError(
                    f"replay ends at event {header.base_seq} or in its frame: {error}"
                ) from error
            if number % _REPORTED_FRAMES == 0:
                self._report(seq=self.state.seq)
                self._write_if_due()
        self._report(seq=self.state.seq)
        self._write_if_due()

    def _write_if_due(self) -> None:
        new = self.state.seq - self._written_seq
        waited = time.monotonic() - self._written_at
        if not new or waited < self._pause or (new < self._events and waited < self._seconds):
            return
        began = time.monotonic()
        try:
            self._keys.forget()  # keys of days that were shredded meanwhile
            path = snapshots.write(self._log, self.state, self._keys)
        except (OSError, MemoryError) as error:
            self._report(failed=str(error) or TOO_LITTLE_MEMORY)
        else:
            if path is not None:
                took = round(time.monotonic() - began, 3)
                self._report(snapshot=self.state.seq, bytes=path.stat().st_size, seconds=took)
        self._written_seq, self._written_at = self.state.seq, time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends when the tracker does
        signal.signal(number, signal.SIG_IGN)
    lifetime.end_with_parent()
    lifetime.end_with_input()
    lifetime.step_back()
    gc.disable()  # replay makes no reference cycles, and the tables are large
    try:
        follower = Follower(
            options.log, options.secrets, _print_report,
            events=options.events, seconds=options.seconds, pause=options.pause,
        )  # fmt: skip
        while True:
            follower.catch_up()
            time.sleep(_POLL_SECONDS)
    except DisagreementError as error:
        _print_report(alarm=str(error))
        return DISAGREES
    except (LogPrunedError, LogUnusableError) as error:
        _print_report(error=str(error))
        return CANNOT
    except LogError as error:
        _print_report(error=str(error))
        return LOG_DAMAGED
    except (OSError, MemoryError) as error:
        _print_report(error=str(error) or TOO_LITTLE_MEMORY)
        return CANNOT


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracker.upkeep.follower_process")
    parser.add_argument("log", type=Path)
    parser.add_argument("secrets", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS)
    return parser.parse_args(arguments)


def _print_report(**message: Any) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
