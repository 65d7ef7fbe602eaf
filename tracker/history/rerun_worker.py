"""Runs a process that decides parts of the log again.

    python -m tracker.history.rerun_worker LOG SECRETS

The tracker starts the process (`reruns.py`) and asks over a pipe (`workers/question_pipe.py`). The
process keeps nothing from one question to the next.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.config.logged import BadSettingError, changes, typed
from tracker.history.rerun import Rerun, bounds
from tracker.history.rerun_json import DIFFERS, Check, outcome_json, what_if_json
from tracker.history.what_if import KEYS, CannotDecideError, WhatIf
from tracker.ports import InvalidPartError, Moment
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.workers.question_pipe import Worker, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_EVENTS = 200_000
"""Largest part, in events. The compiled build takes some ten seconds, the pure one longer."""
MOST_TRACED = 1_000
"""Largest part, in events, of which every outcome is told."""


class RerunWorker(Worker):
    """Decides parts of a log again. A part that cannot be decided gets a text that says why."""

    def __init__(self, log: Path, secrets: Path) -> None:
        self._keys = Keyring(secrets)
        super().__init__(log, self._keys)

    def check(self, first: Moment | None, last: Moment | None, trace: bool) -> dict[str, Any] | str:
        """Compares each outcome with the recorded one."""
        try:
            log, begin, end = self._part(first, last, MOST_TRACED if trace else MOST_EVENTS)
        except InvalidPartError as error:
            return str(error)
        check = Check(Rerun(log, begin, end))
        told = [
            outcome_json(outcome, verdict)
            for outcome, verdict in check.outcomes()
            if trace or verdict == DIFFERS
        ]
        return {**check.summary(), "outcomes": told}

    def what_if(
        self, first: Moment | None, last: Moment | None, settings: Sequence[str]
    ) -> dict[str, Any] | str:
        """Replays a part by other settings."""
        try:
            made = changes(typed(settings), KEYS)
            log, begin, end = self._part(first, last, MOST_EVENTS)
            run = WhatIf(log, begin, end, made)
            run.go(lambda _done: None)
        except (InvalidPartError, BadSettingError, CannotDecideError) as error:
            return str(error)
        return what_if_json(run)

    def _part(
        self, first: Moment | None, last: Moment | None, most: int
    ) -> tuple[ForwardReplay, int, int]:
        """Returns the log, the first event of the part, and the event after its last.

        Raises `NoMomentError`, and `InvalidPartError` for an empty part and one of more than `most`
        events.
        """
        log = ForwardReplay(self._log, lambda _done, _total: None, self._keys)
        begin, end = bounds(
            log, first or Moment(seq=log.span.first_seq if log.span else 0), last or Moment()
        )
        if end - begin > most:
            raise InvalidPartError(
                f"events {begin} to {end - 1} are {end - begin}, and at most {most} can be asked for: "
                "choose a smaller part, or run the command"
            )
        return log, begin, end

    def forget(self) -> None:
        """Has nothing to drop."""


def main() -> None:
    log, secrets = sys.argv[1:]
    serve(RerunWorker(Path(log), Path(secrets)))


if __name__ == "__main__":
    main()
