"""Builds the parts of a running tracker, and holds them as one value."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import field, frozen

from eventlog import read_identity
from tracker.history.events import LogEvents
from tracker.history.past import PastReads
from tracker.history.reruns import LogReruns
from tracker.ledger.client import LogLedgers
from tracker.ledger.mixed import Mixed
from tracker.metrics.gauges import LiveGauges
from tracker.service.clock import LogClock
from tracker.service.rate_limits import Bans
from tracker.service.service import Service
from tracker.store import server_secret
from tracker.store.address_keys import day_of
from tracker.upkeep.follower import FollowerSupervisor
from tracker.upkeep.replaying import Replaying
from tracker.upkeep.rereading import Rereading
from tracker.upkeep.retention import Pruner
from tracker.upkeep.shredding import Shredder
from tracker.webhooks.consumers import Consumers
from tracker.webhooks.hooks import Hooks

if TYPE_CHECKING:
    from eventlog import EventLog
    from tracker.config import Config
    from tracker.frontends.listeners import Listeners
    from tracker.frontends.tls import Certificate
    from tracker.store.address_keys import Keyring
    from tracker.store.noting import NotedLog
    from tracker.store.session import Session

log = logging.getLogger("tracker")

AHEAD_US = 60_000_000
"""A start warns if log time is ahead of the wall clock by more microseconds than this."""


@frozen
class Runtime:
    """The parts of the process. They are built, but do not run yet."""

    config: Config
    version: str
    secret: bytes = field(repr=False)
    listeners: Listeners
    certificates: tuple[Certificate, ...]
    event_log: EventLog
    noted: NotedLog
    service: Service
    bans: Bans
    pruner: Pruner
    shredder: Shredder
    follower: FollowerSupervisor
    rereading: Rereading
    replaying: Replaying
    gauges: LiveGauges
    past: PastReads
    reruns: LogReruns
    keyring: Keyring
    ledgers: LogLedgers
    events: LogEvents
    hooks: Hooks
    consumers: Consumers
    stop: trio.Event

    @property
    def secrets_path(self) -> Path:
        return Path(self.config.event_log.secrets_path)


def build(
    config: Config,
    version: str,
    secret: bytes,
    keyring: Keyring,
    session: Session,
    listeners: Listeners,
    certificates: tuple[Certificate, ...],
) -> Runtime:
    """Builds every part from the configuration and the open log, and makes today's address key.

    Raises `SecretError` or `OSError` when that key cannot be stored, because the tracker must not
    log addresses that it cannot encrypt.
    """
    settings, usage = config.event_log, config.core.tracker_usage_statistics
    event_log, secrets_path = session.event_log, Path(settings.secrets_path)
    clock = LogClock(session.time_us)
    service = Service(
        event_log,
        session.state,
        clock,
        server_secret.selection_key(secret),
        strict=settings.durability == "strict",
        shred_days=settings.shred_days,
    )
    _warn_if_ahead(clock)
    keyring.prepare(day_of(clock.now_us()))
    policy = config.policy
    bans = Bans(policy.max_connection_id_errors, policy.ban_seconds, policy.requests_per_minute)
    pruner = Pruner(
        service,
        event_log,
        settings.keep_days,
        settings.keep_bytes,
        secrets=secrets_path,
        checked=session.checked,
    )
    follower = FollowerSupervisor(
        event_log.path,
        secrets_path,
        _case_options(config),
        note_sealed=event_log.note_sealed,
    )
    rereading = Rereading(event_log.path, keyring, checked=session.checked)
    replaying = Replaying(event_log.path, secrets_path)
    gauges = LiveGauges(
        service,
        event_log,
        version,
        bans,
        usage_statistics=usage,
        follower=follower,
        pruner=pruner,
        rereading=rereading,
        replaying=replaying,
        noted=session.noted,
        certificates=certificates,
    )
    stop = trio.Event()
    account_of = service.state.access.account_of
    told = LogEvents(event_log, account_of, stop)  # without addresses
    past = PastReads(event_log, secrets_path, usage_statistics=usage)
    ledgers = LogLedgers(
        event_log, secrets_path, lambda: settings.follower == "on" and not follower.alarm, stop,
        cases=settings.cases,
    )  # fmt: skip
    hooks = Hooks(config.webhooks, Mixed(told, ledgers), event_log.path)
    log_id = read_identity(event_log.path).hex()
    consumers = Consumers.load(event_log.path, log_id, told, hooks.all)
    pruner.consumers, pruner.wait_days = consumers, settings.wait_for_consumers_days
    return Runtime(
        config=config,
        version=version,
        secret=secret,
        listeners=listeners,
        certificates=certificates,
        event_log=event_log,
        noted=session.noted,
        service=service,
        bans=bans,
        pruner=pruner,
        shredder=Shredder(service, session.noted, keyring, settings.shred_days),
        follower=follower,
        rereading=rereading,
        replaying=replaying,
        gauges=gauges,
        past=past,
        reruns=LogReruns(event_log, secrets_path),
        keyring=keyring,
        hooks=hooks,
        consumers=consumers,
        ledgers=ledgers,
        events=LogEvents(event_log, account_of, stop, secrets_path),
        stop=stop,
    )


def _case_options(config: Config) -> tuple[str, ...]:
    """Returns the options by which the follower finds cases; none = it does not."""
    if not config.event_log.cases:
        return ()
    declared = config.detectors
    shared = (f"--shared={network}" for network in declared.shared_networks)
    return ("--cases", *shared, *(f"--rate={each}" for each in declared.possible_rates))


def _warn_if_ahead(clock: LogClock) -> None:
    ahead_us = clock.now_us() - time.time_ns() // 1000
    if ahead_us > AHEAD_US:
        log.warning(
            "The log is %d s ahead of the clock: it was wrong then, or is now", ahead_us // 10**6
        )
