"""Runs the tracker: opens the log, starts the parts in order, and stops them in order.

log, note              outermost: committed and closed last
 +- trackers, timers   they append; they stop first
 +- API, health check  stop taking requests, then get a bounded time to finish
 +- signals            SIGTERM or SIGINT stops the tracker, a second one at once; SIGHUP reads the
                       certificates again
"""

from __future__ import annotations

import errno
import gc
import logging
import select
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from eventlog import LogError
from tracker.domain.events.admin import AddressesLost, TrackerStarted, TrackerStopped
from tracker.frontends.listeners import StartError, bind, read_certificates
from tracker.process import console, control, runtime, signals, timers, trackers, web
from tracker.process.settings import settings_of, unlike_file
from tracker.store import high_water_mark, outages, secret_checks, server_secret, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.store.session import first_failure, open_session
from tracker.times import rfc3339
from tracker.upkeep import retention, shredding
from tracker.workers import slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import EventLog, Recovery
    from tracker.config import Config
    from tracker.domain.state import State
    from tracker.process.runtime import Runtime
    from tracker.store.high_water_mark import Older
    from tracker.store.session import Session

__all__ = ["StartError", "run"]

log = logging.getLogger("tracker")

SWITCH_SECONDS = 0.001
"""Longest time in seconds that the loop keeps the interpreter while another thread waits for it.
Under a flood a commit and its note wait for it ten times, and Python's own 5 ms made a change by an
administrator wait as often.
"""


def run(
    config: Config,
    version: str,
    progress: Callable[[int, int], None],
    *,
    accept_older: bool = False,
) -> None:
    """Serves until a signal. Calls `progress` with the events replayed and the events to replay.

    `accept_older`: serve even if the log is an older copy of the one that was served last. Raises
    `StartError`, `LogError` (`LogFailedError` while serving) and `OSError`.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    slices.ask_for(slices.SHORT_NS)
    trackers.refuse_too_many(config)
    _try_to_wait()
    certificates = read_certificates(config)
    path, secrets_path = Path(config.event_log.path), Path(config.event_log.secrets_path)
    keyring = Keyring(secrets_path)
    session = open_session(
        config.event_log,
        keyring,
        _report_recovery,
        progress,
        serving=True,
        on_older=partial(_judge_older, accept=accept_older),
    )
    _report_outage(session.event_log)
    _warn_of_secrets(secrets_path, session.event_log, session.state, keyring)
    secret = server_secret.load(secrets_path)
    listeners = bind(config, certificates)
    parts = runtime.build(
        config, version, secret, keyring, session, listeners, tuple(certificates.values())
    )
    signals.end_at_once(0)  # nothing was appended yet
    try:
        with first_failure(LogError, OSError, MemoryError):
            trio.run(_main, parts, session)
    except trio.TrioInternalError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        what = f"the system refused to wait for requests: {error.__cause__}"
        raise OSError(f"{what}. What was acknowledged is in the log; start again") from error
    finally:
        listeners.close()
    session.noted.last(session.state.time_us)
    if not parts.follower.alarm:
        _write_snapshot(path, session.state, keyring)


async def _main(runtime: Runtime, session: Session) -> None:
    """Starts the parts in the order of its lines, waits for the stop, and stops them in order."""
    service, event_log, follower = runtime.service, runtime.event_log, runtime.follower
    async with trio.open_nursery() as nursery:
        await nursery.start(signals.set_at_stop, runtime.stop)
        await nursery.start(event_log.run)
        await nursery.start(runtime.noted.run, service.now_us)
        _append_first(runtime, session)
        nursery.start_soon(timers.hear_threads)
        supervisor = console.build(runtime)
        and_then = supervisor.reload if supervisor else None
        nursery.start_soon(signals.reload_at_hangup, runtime.certificates, and_then)
        async with trio.open_nursery() as answering, trio.open_nursery() as appending:
            await trackers.start_udp(appending, runtime)
            await trackers.start_http(appending, runtime)
            appending.start_soon(timers.tick, service)
            appending.start_soon(timers.log_counters, service)
            shred = partial(control.shred, runtime.shredder)
            await appending.start(control.serve, runtime.secrets_path, shred)
            appending.start_soon(shredding.keep_schedule, runtime.shredder, runtime.pruner.clock)
            beside = runtime.config.event_log.follower == "on"
            appending.start_soon(partial(event_log.keep_seals, beside=beside))
            appending.start_soon(retention.keep_schedule, runtime.pruner)
            appending.start_soon(runtime.rereading.run)
            await web.start_api(answering, runtime)
            if supervisor is not None:
                nursery.start_soon(supervisor.run)
            await web.start_health(answering, runtime)
            nursery.start_soon(runtime.past.run)
            nursery.start_soon(runtime.ledgers.run)
            nursery.start_soon(runtime.events.run)
            nursery.start_soon(runtime.reruns.run)
            nursery.start_soon(runtime.hooks.run)
            if runtime.config.event_log.follower == "on":
                nursery.start_soon(follower.run)
                nursery.start_soon(runtime.replaying.run)
            _settle_collector()
            appending.start_soon(runtime.gauges.watch.run)  # no stall of the start counts
            appending.start_soon(runtime.gauges.disk.run)
            await runtime.stop.wait()
            appending.cancel_scope.cancel()
        _append_last(runtime)
        nursery.cancel_scope.cancel()
    signals.end_at_once(0)  # the rest of the stop only makes the next start faster
    log.info("Stopped: the log is closed at event %d", event_log.durable_seq)


def _append_first(runtime: Runtime, session: Session) -> None:
    """Appends the event of the start, and the settings and the server's key if they are new."""
    service, event_log = runtime.service, runtime.event_log
    session.append_first(service.append)
    cut_bytes = event_log.recovery.cut_bytes or None
    service.append(
        TrackerStarted(runtime.version, event_log.epoch, cut_bytes, session.lost_seq or None)
    )
    if session.key_change is not None:
        service.append(session.key_change)
    file = settings_of(runtime.config)
    service.start_with(file)
    for text in unlike_file(service.state, file):
        log.info("Setting unlike in the file: %s", text)
    if service.state.hidden_peers():
        # These peers can be neither listed nor recognised again. The event empties all swarms, so
        # that a replay that has the keys gives the same state.
        service.append(AddressesLost())
        log.error(
            "The addresses of some peers cannot be read: keys of recent days are missing in event_log.secrets_path, or old announces were "
            "removed and no snapshot of a later state is left. All swarms begin empty; peers come back with their next announce"
        )


def _append_last(runtime: Runtime) -> None:
    """Appends the counters that are still in memory, and the event of the stop."""
    service = runtime.service
    if service.pending:
        service.flush_counters()
    if service.refusals:
        service.flush_refusals()
    service.append(TrackerStopped("signal"))


def _try_to_wait() -> None:
    """Raises `StartError` where the system lets nobody wait for requests: its bound is met, and its
    own text speaks of a full disk.
    """
    try:
        with select.epoll() as waiting, socket.socket() as sock:
            waiting.register(sock, select.EPOLLIN)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            what = "no more sockets can be waited for: raise the sysctl fs.epoll.max_user_watches"
            raise StartError(f"{what} ({error})") from None
        raise


def _settle_collector() -> None:
    """Exempts the loaded objects from garbage collection, and makes collections rare and short.

    Rare ones are enough, because the announce path makes no reference cycles. The API does: with
    50,000 young objects a collection stopped the loop for 30 ms, with 5,000 for 2 to 3, and with
    1,000 for half a millisecond. During the start there was none, and there is none now: what
    imports left behind is 2 MB, and to find it takes a tenth of a second.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(1_000, 20, 5_000)


def _report_recovery(recovery: Recovery) -> None:
    if recovery.cut_bytes:
        log.warning(
            "The log ended in %d bytes of an unfinished write; they were moved to %s",
            recovery.cut_bytes,
            recovery.quarantine,
        )


def _report_outage(event_log: EventLog) -> None:
    """Says since when nobody was served, as exactly as the log knows."""
    last, seq = event_log.recovery.last, event_log.next_seq
    outage = outages.until_now(event_log.path, last, seq, time.time_ns() // 1000)
    if outage is None:
        return
    since, ended = rfc3339(outage.from_us), outages.WHY[outage.why]
    text = "Nobody was served since %s, for %.1f s, because %s. The last event before is %d"
    if outage.why == outages.KILLED:
        text += ", and the run may have gone on for up to ten seconds without another"
    level = logging.INFO if outage.why == outages.STOPPED else logging.WARNING
    log.log(level, text, since, outage.seconds, ended, outage.from_seq)


def _warn_of_secrets(secrets: Path, event_log: EventLog, state: State, keyring: Keyring) -> None:
    """Warns of keys that are gone, and of secrets that others may read."""
    if lost := secret_checks.lost_days(event_log.path, keyring, state.tally.shredded, state.dates):
        log.warning(
            "The keys of %s are missing or are others, and the log does not call these days shredded: restore them from "
            "a backup of event_log.secrets_path, because nobody can read those days' addresses without",
            ", ".join(lost),
        )
    for path, what in secret_checks.exposed(secrets) if secrets.is_dir() else ():
        log.warning("%s: %s", path, what)


def _judge_older(path: Path, older: Older, *, accept: bool) -> None:
    """Refuses a log that is an older copy, unless `accept`; raises `OlderLogError`."""
    if accept:
        log.warning(
            "%s; the tracker goes on with this copy, because of --accept-older-log", older.what
        )
    else:
        high_water_mark.refuse(path, older)


def _write_snapshot(path: Path, state: State, keyring: Keyring) -> None:
    """Writes a snapshot, so that the next start has little to replay.

    A second signal ends the process here. Nothing is lost, because the log is closed.
    """
    try:
        written = snapshots.write(path, state, keyring)
    except (LogError, OSError, MemoryError) as error:
        log.warning("No snapshot was written: %s", str(error) or TOO_LITTLE_MEMORY)
    else:
        if written:
            log.info("Snapshot before event %d written", state.seq)
