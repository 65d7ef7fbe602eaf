"""The composition root: builds everything from the configuration, starts it, stops it in order.

log                    outermost: committed and closed last
 +- producers          UDP and HTTP trackers, ticks, counters; stop first
 +- API, health check  stop taking requests, then get a bounded time to finish
 +- signals            SIGTERM or SIGINT stops; a second one stops at once; SIGHUP reads certificates again
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from attrs import asdict

from eventlog import EventLog, LogError, open_log
from tracker.domain import refusals
from tracker.domain.events import codec
from tracker.domain.events.admin import AddressesLost, TrackerStarted, TrackerStopped
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.listeners import StartError, bind, read_certificates
from tracker.frontends.tls import TlsError
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.history.events import LogEvents
from tracker.history.past import PastReads
from tracker.ledger.client import LogLedgers
from tracker.metrics.swarmlog import LiveGauges
from tracker.ports import TAKES_NOTHING_IN, Actor, LogUnavailableError
from tracker.process import control
from tracker.service.clock import LogClock
from tracker.service.commands import ServiceCommands
from tracker.service.rate_limits import Bans
from tracker.service.read_model import LiveReads
from tracker.service.service import Service
from tracker.store import high_water_mark, server_secret, snapshots
from tracker.store.address_keys import Keyring, day_of
from tracker.store.replay import collector_off, replay
from tracker.upkeep import retention
from tracker.upkeep.follower import Following
from tracker.upkeep.shredding import Shredder, keep_schedule
from tracker.wire.connection_id import ConnectionIds
from tracker.workers.lifetime import TOO_LITTLE_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from ipaddress import IPv4Address, IPv6Address

    from api.health.services import Kind
    from api.health.services import Service as Checked
    from tracker.config import Config
    from tracker.domain.state import State
    from tracker.frontends.listeners import Listener, Listeners
    from tracker.frontends.tls import Certificate
    from tracker.upkeep.clock_leaps import Ages

__all__ = ["StartError", "run", "settings_of"]

log = logging.getLogger("tracker")

DEFAULT_TOKEN = "MyAccessToken"  # noqa: S105  # known to everybody, which is what the warning says
HEALTH_CONNECTIONS = 64  # each makes as many connections as there are listeners
COUNTER_SECONDS = 1.0
REFUSALS_SECONDS = 10.0
RESERVE_BYTES = 4 << 20  # for admin events on a full disk
SWEEP_PAUSE_SECONDS = 0.02
_COUNTER_POLL_SECONDS = 0.1
_LOOPBACK = ("127.", "::1", "localhost", "unix:")


def run(
    config: Config,
    version: str,
    progress: Callable[[int, int], None],
    *,
    accept_older: bool = False,
) -> None:
    """Serve until a signal. `progress` is told events replayed and events in all. `accept_older`: go on with a log that
    is an older copy of what was served.

    Raises `StartError`, `LogError` (`LogFailedError` while serving), `OSError`.
    """
    _refuse_unserved(config)
    certificates = read_certificates(config)
    # It would print a traceback for each time the descriptors run out, many times a second.
    logging.getLogger("trio.serve_listeners").setLevel(logging.CRITICAL)
    path, secrets_path = Path(config.event_log.path), Path(config.event_log.secrets_path)
    keyring = Keyring(secrets_path)
    event_log = open_log(
        path,
        codec.RECORD_SIZES,
        segment_bytes=config.event_log.segment_bytes,
        linger_seconds=config.event_log.linger_ms / 1000,
        reserve_bytes=RESERVE_BYTES,
        encryptor=keyring,
    )
    _report_recovery(event_log)
    lost_seq = _lost(secrets_path, event_log, accept_older)
    secret = server_secret.load_or_create(secrets_path)
    total = event_log.next_seq
    with collector_off():
        state, reader = snapshots.start(
            path, keyring, to_end=True, refused=lambda why: log.warning("%s", why)
        )
    if state.seq > reader.first_seq:
        log.info("Starting from the snapshot before event %d of %d", state.seq, total)
    state = replay(reader, lambda done: progress(done, total), state)
    progress(total, total)
    listeners = bind(config, certificates)
    failures: list[LogError] = []
    following = Following(path, secrets_path)
    try:
        trio.run(
            _main, config, version, event_log, state, secret, keyring, listeners,
            certificates.values(), following, lost_seq,
        )  # fmt: skip
    except* LogError as group:
        failures += _leaves(group)
    if failures:
        raise failures[0]
    try:
        high_water_mark.note(secrets_path, event_log, state.time_us)
    except OSError as error:
        log.warning("It could not be noted how far the log is: %s", error)
    if not following.alarm:
        _write_snapshot(path, state, keyring)


def _lost(secrets_path: Path, event_log: EventLog, accept: bool) -> int:
    """Up to which event the log was served before, where it is not that log any more; 0 = it is.

    A log that ended in a torn write is no older copy: the disk lost its end, and waiting brings nothing back. Raises
    `OlderLogError`.
    """
    older = high_water_mark.compare(secrets_path, event_log)
    if older is None:
        return 0
    mark, what = older
    if accept:
        log.warning("%s; it is gone on with as it is, as was asked for", what)
    elif event_log.recovery.cut_bytes:
        log.error("%s, in the middle of a write: the disk lost what had been durable", what)
    else:
        raise high_water_mark.OlderLogError(event_log.path, what)
    return mark.seq


def _write_snapshot(path: Path, state: State, keyring: Keyring) -> None:
    """So that the next start has little to replay. A second signal ends this, and nothing is lost."""
    try:
        written = snapshots.write(path, state, keyring)
    except (LogError, OSError, MemoryError) as error:
        log.warning("No snapshot was written: %s", str(error) or TOO_LITTLE_MEMORY)
    else:
        if written:
            log.info("Snapshot before event %d written", state.seq)


def _leaves(group: BaseExceptionGroup[LogError]) -> Iterator[LogError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _refuse_unserved(config: Config) -> None:
    if len(config.udp_trackers) + len(config.http_trackers) > 256:
        raise StartError("udp_trackers, http_trackers: there may be 256 of them together")


def _report_recovery(event_log: EventLog) -> None:
    recovery = event_log.recovery
    if recovery.cut_bytes:
        log.warning(
            "The log ended in %d bytes of an unfinished write; they were moved to %s",
            recovery.cut_bytes,
            recovery.quarantine,
        )


def settings_of(config: Config) -> Settings:
    """What decisions depend on, of the configuration."""
    core = config.core
    cleanup = core.inactive_peer_cleanup_interval
    return Settings(
        private=core.private,
        check_keys_expiration=core.private_mode.check_keys_expiration
        if core.private_mode
        else True,
        listed=core.listed,
        interval=core.announce_policy.interval,
        interval_min=core.announce_policy.interval_min,
        max_peer_timeout=core.tracker_policy.max_peer_timeout,
        inactive_peer_cleanup_interval=cleanup,
        remove_peerless_torrents=core.tracker_policy.remove_peerless_torrents,
        tick_ms=min(10_000, cleanup * 1000) if cleanup else 10_000,
        policy=Policy.from_data(asdict(config.policy)),
    )


async def _main(
    config: Config,
    version: str,
    event_log: EventLog,
    state: State,
    secret: bytes,
    keyring: Keyring,
    listeners: Listeners,
    certificates: Iterable[Certificate],
    following: Following,
    lost_seq: int,
) -> None:
    clock = LogClock(max(state.time_us, event_log.recovery.last_time_us))
    service = Service(
        event_log,
        state,
        clock,
        server_secret.derive(secret, "peer selection"),
        strict=config.event_log.durability == "strict",
    )
    ids_key = server_secret.derive(secret, "connection ids")
    usage = config.core.tracker_usage_statistics
    secrets_path = Path(config.event_log.secrets_path)
    ahead_us = clock.now_us() - time.time_ns() // 1000
    if ahead_us > 60_000_000:
        log.warning(
            "The log is %d s ahead of the clock: it was wrong then, or is now", ahead_us // 10**6
        )
    keyring.prepare(day_of(clock.now_us()))  # what cannot be encrypted should not be served
    shredder = Shredder(service, event_log, keyring, config.event_log.shred_days)
    keep = config.event_log
    pruner = retention.Pruner(service, event_log, keep.keep_days, keep.keep_bytes)
    gauges = LiveGauges(
        service, event_log, version, usage_statistics=usage, following=following, pruner=pruner
    )
    past = PastReads(event_log, secrets_path, usage_statistics=usage, reasons=refusals.NAMES)
    ledgers = LogLedgers(event_log, secrets_path)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(event_log.run)
        _begin(service, config, version, event_log, lost_seq)
        nursery.start_soon(_stop_at_signal, stop)
        nursery.start_soon(_reload_at_hangup, tuple(certificates))
        async with trio.open_nursery() as web, trio.open_nursery() as producers:
            await _start_producers(producers, config, service, ids_key, listeners, gauges)
            await _start_shredding(producers, secrets_path, shredder, pruner.ages)
            producers.start_soon(event_log.keep_seals)
            producers.start_soon(high_water_mark.keep, secrets_path, event_log, service.now_us)
            producers.start_soon(retention.keep_schedule, pruner)
            await _start_api(
                web, config, service, event_log, secret, listeners.api, stop, gauges, past, ledgers
            )
            await _start_health(web, listeners, stop)
            nursery.start_soon(past.run)
            nursery.start_soon(ledgers.run)
            if config.event_log.follower == "on":
                nursery.start_soon(following.run)
            _settle_collector()
            await stop.wait()
            producers.cancel_scope.cancel()
        if service.pending:
            service.flush_counters()
        if service.refusals:
            service.flush_refusals()
        service.append(TrackerStopped("signal"))
        nursery.cancel_scope.cancel()
    _stop_at_next_signal()
    log.info("Stopped: the log is closed at event %d", event_log.durable_seq)


def _stop_at_next_signal() -> None:
    """Whatever is done from here on only saves the next start some time."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def _settle_collector() -> None:
    """What was loaded stays, so the collector need not look at it again; and it should run seldom: the announce
    path makes no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _begin(
    service: Service, config: Config, version: str, event_log: EventLog, lost_seq: int
) -> None:
    """The first events of a run: that it began, and the settings if they are new."""
    cut_bytes = event_log.recovery.cut_bytes or None
    service.append(TrackerStarted(version, event_log.epoch, cut_bytes, lost_seq or None))
    service.change_settings(settings_of(config))
    if service.state.hidden_peers():
        # Their addresses cannot be told to anybody, nor would they be known by them. Everybody goes, so that it does not
        # matter which ones they were: a replay with the keys at hand comes to the same.
        service.append(AddressesLost())
        log.error(
            "Keys of recent days are missing in event_log.secrets_path: the addresses logged under them cannot be read. "
            "All swarms begin empty; peers come back with their next announce"
        )


async def _start_shredding(
    nursery: trio.Nursery, secrets_path: Path, shredder: Shredder, ages: Ages
) -> None:
    async def answer(request: dict[str, Any]) -> dict[str, Any]:
        by = Actor("shred", "", str(request["request_id"]), str(request["reason"]))
        try:
            days = request["days"] and (int(request["days"][0]), int(request["days"][1]))
            return asdict(await shredder.shred(days, by))
        except (LogUnavailableError, OSError) as error:
            return {"error": f"the tracker could not: {str(error) or TAKES_NOTHING_IN}"}

    await nursery.start(control.serve, secrets_path, answer)
    nursery.start_soon(keep_schedule, shredder, ages)


async def _start_producers(
    nursery: trio.Nursery,
    config: Config,
    service: Service,
    ids_key: bytes,
    listeners: Listeners,
    gauges: LiveGauges,
) -> None:
    """Trackers, numbered in the order of the configuration (UDP first), then what time brings."""
    net = config.core.net
    bans = gauges.bans = Bans(config.policy.max_connection_id_errors, config.policy.ban_seconds)
    checked = config.policy.connection_id_validation == "strict"
    if listeners.udp and not checked:
        log.warning("UDP connection ids are not checked: anybody can announce in another's name")
    for number, (listener, udp_own) in enumerate(
        zip(listeners.udp, config.udp_trackers, strict=True)
    ):
        external = _packed(udp_own.network.external_ip or net.external_ip)
        counted = gauges.add_udp(listener.socket)
        ids = ConnectionIds(ids_key, udp_own.cookie_lifetime, checked=checked)
        handler = DatagramHandler(service, ids, number, external, bans, counted)
        await nursery.start(udp_server.serve, listener.socket, handler)
        log.info("UDP TRACKER: Started on: udp://%s", listener.address)
    if service.private and listeners.udp:
        log.info("Private mode over UDP: keys are read from the URL data of BEP 41")
    waiting = _waiting(config)
    for number, (listener, http_own) in enumerate(
        zip(listeners.http, config.http_trackers, strict=True), len(listeners.udp)
    ):
        external = _packed(http_own.network.external_ip or net.external_ip)
        proxied = http_own.network.on_reverse_proxy or net.on_reverse_proxy
        counted_here = gauges.add_http(listener.socket, tls=listener.tls is not None)
        answers = RequestHandler(
            service, number, proxied=proxied, external=external, traffic=counted_here
        )
        await nursery.start(http_server.serve, listener.socket, answers, waiting, listener.tls)
        log.info("HTTP TRACKER: Started on: %s", listener.url)
    nursery.start_soon(_tick, service)
    nursery.start_soon(_log_counters, service)
    nursery.start_soon(gauges.watch.run)


def _packed(ip: IPv4Address | IPv6Address | None) -> bytes | None:
    return ip.packed if ip else None


def _waiting(config: Config) -> ConnectionLimits:
    policy = config.policy
    return ConnectionLimits(
        min(_connection_limit(), policy.http_connections or 8_192),
        policy.http_connections_per_address,
        policy.http_request_seconds,
        policy.http_handshake_seconds,
    )


def _connection_limit() -> int:
    """How many HTTP tracker connections may wait at once: what the system allows, less a share for all else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = hard if hard != resource.RLIM_INFINITY else 65_536
    if soft != resource.RLIM_INFINITY and soft < wished:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
        soft = wished
    room = 65_536 if soft == resource.RLIM_INFINITY else soft
    return max(8, room - min(600, room // 2))


async def _start_api(
    nursery: trio.Nursery,
    config: Config,
    service: Service,
    event_log: EventLog,
    secret: bytes,
    listener: Listener | None,
    stop: trio.Event,
    gauges: LiveGauges,
    past: PastReads,
    ledgers: LogLedgers,
) -> None:
    if config.http_api is None or listener is None:
        return
    # Quart takes a third of a second to import: only where there is an API.
    from api.app import create_app
    from api.auth import Tokens
    from api.ports import Ports
    from api.proxies import Proxies
    from api.serve import serve

    log.info("Starting Torrust APIs server on: %s", listener.url)
    live = LiveReads(
        service, usage_statistics=config.core.tracker_usage_statistics, reasons=refusals.NAMES
    )
    commands = ServiceCommands(service, event_log, secret)
    api = config.http_api
    account_of = service.state.access.account_of
    logged = LogEvents(event_log, account_of, stop, Path(config.event_log.secrets_path))
    app = create_app(
        Ports(live, commands, logged, ledgers, gauges, past),
        Tokens(api.access_tokens, api.token_scopes),
        Proxies(api.trusted_proxies),
    )
    accepting = [trio.SocketListener(trio.socket.from_stdlib_socket(listener.socket))]
    await nursery.start(partial(serve, app, accepting, stop, ssl_context=listener.tls))
    log.info("API: Started on %s", listener.url)
    _warn_of_default_token(config.http_api.access_tokens, listener.address)


async def _start_health(nursery: trio.Nursery, listeners: Listeners, stop: trio.Event) -> None:
    """Last, so that whoever finds it can ask for all the others."""
    from api.health.app import create_app
    from api.serve import Settings, serve

    app = create_app(tuple(_checked(listeners)))
    accepting = [trio.SocketListener(trio.socket.from_stdlib_socket(listeners.health.socket))]
    settings = Settings(max_connections=HEALTH_CONNECTIONS)
    await nursery.start(partial(serve, app, accepting, stop, settings=settings))
    log.info("HEALTH CHECK API: Started on: %s", listeners.health.url)


def _checked(listeners: Listeners) -> Iterator[Checked]:
    from api.health.services import Service

    kinds: list[tuple[Kind, tuple[Listener, ...]]] = [
        ("udp", listeners.udp),
        ("http", listeners.http),
        ("api", (listeners.api,) if listeners.api else ()),
    ]
    for kind, found in kinds:
        for listener in found:
            if listener.address.startswith("unix:"):
                yield Service(kind, listener.address, 0)
                continue
            host, port = listener.socket.getsockname()[:2]
            yield Service(kind, host, port, listener.tls is not None)


def _warn_of_default_token(tokens: dict[str, str], address: str) -> None:
    if DEFAULT_TOKEN not in tokens.values():
        return
    if address.strip("[").startswith(_LOOPBACK):
        log.warning(
            "The API accepts the default access token, which everybody knows: "
            "change [http_api.access_tokens] before anybody else can reach this machine"
        )
        return
    log.error("*" * 78)
    log.error("THE API ON %s IS OPEN TO EVERYBODY: it accepts the default access token.", address)
    log.error("Change [http_api.access_tokens] in the configuration now, or bind it to 127.0.0.1.")
    log.error("*" * 78)


async def _tick(service: Service) -> None:
    while True:
        await trio.sleep(service.settings.tick_ms / 1000)
        stepped = service.tick()
        if stepped:
            log.warning(
                "The clock went forward by %d s at once; nobody expires for one timeout",
                stepped // 10**6,
            )
        while not service.state.sweep.done:
            await trio.sleep(SWEEP_PAUSE_SECONDS)
            service.tick(goes_on=True)


async def _log_counters(service: Service) -> None:
    """Log counters at most once a second, refusals by client every ten; the first change after a pause soon."""
    due = 0.0
    while True:
        await trio.sleep(_COUNTER_POLL_SECONDS)
        if service.refusals and trio.current_time() >= due:
            service.flush_refusals()
            due = trio.current_time() + REFUSALS_SECONDS
        if service.pending:
            service.flush_counters()
            await trio.sleep(COUNTER_SECONDS)


async def _stop_at_signal(stop: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if stop.is_set():
                log.warning("Stopping at once")
                os._exit(1)
            log.info("Stopping: %s", signal.Signals(number).name)
            stop.set()


async def _reload_at_hangup(certificates: tuple[Certificate, ...]) -> None:
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            for certificate in certificates:
                _reload(certificate)
            if not certificates:
                log.info("SIGHUP: there are no certificates to read again")


def _reload(certificate: Certificate) -> None:
    try:
        certificate.reload()
    except TlsError as error:
        log.error("The certificate in force stays: %s", error)
    else:
        log.info("Certificate read again: %s", certificate)
