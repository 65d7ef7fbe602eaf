"""Answers requests of the API from the folder of a log, without a running tracker: of a copy.

It is the API itself, in this process, so that it has the same readers, rules and JSON. Nothing is
written, and no socket is opened.
"""

from __future__ import annotations

import secrets as randomness
from math import inf
from typing import TYPE_CHECKING, Any, cast

import trio

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from tracker import ports
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.history.past import PastReads
from tracker.history.past_worker import PastWorker
from tracker.ledger.client import LogLedgers
from tracker.ledger.mixed import Mixed
from tracker.ledger.worker import LedgerWorker
from tracker.service.read_model import Projection
from tracker.store import case_files
from tracker.store.moments import ForwardReplay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring


class Viewer:
    """The API over a log as it is now. Requests may only read."""

    def __init__(
        self,
        folder: Path,
        secrets: Path | None,
        keys: Keyring | None,
        report: Callable[[int, int], None],
    ) -> None:
        """Replays the log to its end, and tells `report` how far it is. `keys`: those in `secrets`;
        None = addresses stay hidden.

        Raises what replay does.
        """
        replay = ForwardReplay(folder, report, keys)
        state = replay.at(None)
        log = _Log(folder, state.seq)
        self.last_seq = state.seq - 1
        self.token = randomness.token_hex()
        ledgers = LogLedgers(
            log, secrets, worker=LedgerWorker(folder, secrets), cases=case_files.there(folder)
        )
        past = PastReads(log, secrets, worker=PastWorker(folder, secrets))
        events = LogEvents(
            log, state.access.account_of, trio.Event(), secrets, EventsWorker(folder, secrets)
        )
        self._app = create_app(
            Ports(
                live=_Live(state, keys),
                commands=cast("ports.Commands", _NoChange()),
                events=Mixed(events, ledgers),
                ledgers=ledgers,
                gauges=cast("ports.Gauges", _NoProcess()),
                past=past,
                reruns=cast("ports.Reruns", _NoProcess()),
                webhooks=cast("ports.Webhooks", _NoProcess()),
                consumers=cast("ports.Consumers", _NoProcess()),
                changes=cast("ports.Changes", _NoProcess()),
            ),
            Tokens({"log": self.token}, {"log": "read"}),
        )

    def ask(
        self, method: str, target: str, headers: Mapping[str, str | bytes]
    ) -> tuple[int, bytes]:
        """Returns status and body of the answer to a request without a body."""
        return trio.run(self._ask, method, target, headers, clock=_NoTime())

    async def _ask(
        self, method: str, target: str, headers: Mapping[str, str | bytes]
    ) -> tuple[int, bytes]:
        client = self._app.test_client()
        texts = {
            name: value if isinstance(value, str) else value.decode("latin-1")
            for name, value in headers.items()
        }
        response = await client.open(target, method=method, headers=texts)  # type: ignore[call-arg]  # `json` is optional
        return response.status_code, await response.get_data(as_text=False)


class _NoTime(trio.abc.Clock):
    """A clock that stands still, so that no answer is given up: nobody else waits for one."""

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= 0.0 else inf


class _Log:
    """Implements `ReadableLog` with a log that does not grow."""

    def __init__(self, path: Path, durable_seq: int) -> None:
        self.path, self.durable_seq = path, durable_seq

    async def wait_readable_briefly(self, seq: int) -> None:
        """Returns at once, because all is there."""


class _Live:
    """Implements `ports.Live` with the state at the end of a log."""

    def __init__(self, state: State, keys: Keyring | None) -> None:
        self._model = Projection(state, {}, keys=keys)

    def now(self) -> Projection:
        return self._model


class _NoChange:
    """Stands for the commands. A read may show addresses, which is no event of a copy."""

    async def see_addresses(self, *_: object) -> None:
        pass


class _NoProcess:
    """Stands for what only a running tracker has."""

    def __getattr__(self, name: str) -> Any:
        raise ports.BusyError(f"a log without a running tracker has no {name}")
