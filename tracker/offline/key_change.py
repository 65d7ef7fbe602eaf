"""Changes the server's secret while no tracker runs.

1. The log is opened and checked with the secret that is there.
2. The old secret goes to `retired`, and then a new one in the place of `server.key`.
3. A snapshot is written, because a start passes over those that the old secret vouches for.
4. The event `server_key_changed` is appended, the first frame that the new secret vouches for.

Whoever opens the log after a crash between 2 and 4 appends the event.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eventlog import LogError, LogFailedError, read_identity
from tracker import ports
from tracker.domain.events.admin import ServerKeyChanged
from tracker.service.clock import LogClock
from tracker.service.durable import append_durably
from tracker.service.service import Service
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import Recovery
    from tracker.config import EventLog as LogConfig
    from tracker.domain.state import State

# Never used, because a stopped tracker serves no announces and so selects no peers.
_NO_SELECTION = bytes(32)


def change(
    config: LogConfig,
    by: ports.Actor,
    replaying: Callable[[int, int], None],
    recovered: Callable[[Recovery], None],
) -> ServerKeyChanged:
    """Changes the server's secret. Returns the event.

    Raises `LogLockedError` if a tracker runs, and `LogError`, `ReplayError`, `SecretError`,
    `OSError`.
    """
    path, keyring = Path(config.path), Keyring(Path(config.secrets_path))
    read_identity(path)  # first, because `open_session` would make a log if there is none
    session = open_session(config, keyring, recovered, replaying)
    try:
        before = keyring.tags.key_id
        after = keyring.tags.change()
        _write_snapshot(path, session.state, keyring)
    except BaseException:
        session.event_log.release()
        raise
    cut_off = session.key_change  # of an earlier change whose event is not in the log
    event = ServerKeyChanged(cut_off.before if cut_off else before.hex(), after.hex())
    service = Service(session.event_log, session.state, LogClock(session.time_us), _NO_SELECTION)
    try:
        session.run(partial(append_durably, service, session.noted, event, by))
    except ports.LogUnavailableError as error:
        why = str(error) or ports.TAKES_NOTHING_IN
        raise LogFailedError(f"the event log in {path}: {why}") from None
    return event


def _write_snapshot(path: Path, state: State, keyring: Keyring) -> None:
    """Writes the only snapshot that counts from now on."""
    written = None
    with suppress(LogError, OSError):  # then the next start replays the log
        written = snapshots.write(path, state, keyring)
    for old in snapshots.found(path):
        if old != written:
            old.unlink(missing_ok=True)
