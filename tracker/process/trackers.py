"""Starts the UDP and HTTP trackers on the bound sockets.

Listeners have numbers in the order of the configuration, UDP first. Each announce in the log holds
the number of its listener.
"""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING

from tracker.forwarding import Proxies
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits, Greeting
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.listeners import StartError
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.places import Places
from tracker.store import server_secret
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    import trio

    from tracker.config import Config
    from tracker.frontends.listeners import Listener
    from tracker.process.runtime import Runtime

log = logging.getLogger("tracker")

MOST_TRACKERS = 256
"""Largest number of UDP and HTTP trackers, because a listener's number has one byte in the log."""
_DEFAULT_CONNECTIONS = 8_192  # HTTP connections that may wait if the configuration has no limit
_UNLIMITED_FILES = 65_536  # file descriptors to count on if the system has no limit


def refuse_too_many(config: Config) -> None:
    """Raises `StartError` if there are more trackers than listener numbers."""
    if len(config.udp_trackers) + len(config.http_trackers) > MOST_TRACKERS:
        raise StartError("udp_trackers, http_trackers: there may be 256 of them together")


async def start_udp(nursery: trio.Nursery, runtime: Runtime) -> None:
    config, service, listeners = runtime.config, runtime.service, runtime.listeners
    checked = config.policy.connection_id_validation == "strict"
    if listeners.udp and not checked:
        log.warning("UDP connection ids are not checked: anybody can announce in another's name")
    ids_key = server_secret.derive(runtime.secret, "connection ids")
    for number, (listener, own) in enumerate(zip(listeners.udp, config.udp_trackers, strict=True)):
        handler = DatagramHandler(
            service,
            ConnectionIds(ids_key, own.cookie_lifetime, checked=checked),
            number,
            _packed(own.network.external_ip or config.core.net.external_ip),
            runtime.bans,
            runtime.gauges.add_udp(listener.socket, *listener.others),
        )
        if own.receivers > 1 and not listener.others:
            log.warning(
                "udp_trackers[%d]: receivers = %d needs the compiled tracker and Linux, so the loop receives alone",
                number,
                own.receivers,
            )
        await nursery.start(udp_server.serve, listener.socket, handler, listener.others)
        log.info("UDP TRACKER: Started on: udp://%s", listener.address)
    if service.private and listeners.udp:
        log.info("Private mode over UDP: keys are read from the URL data of BEP 41")


async def start_http(nursery: trio.Nursery, runtime: Runtime) -> None:
    config, listeners = runtime.config, runtime.listeners
    net, limits = config.core.net, _limits(config)
    runtime.gauges.add_places("http_tracker", limits.places)
    first = len(listeners.udp)
    for number, (listener, own) in enumerate(
        zip(listeners.http, config.http_trackers, strict=True), first
    ):
        handler = RequestHandler(
            runtime.service,
            number,
            proxied=own.network.on_reverse_proxy or net.on_reverse_proxy,
            proxies=Proxies(
                _trusted(own.network.trusted_proxies or net.trusted_proxies, listener),
                own.network.forwarded_header or net.forwarded_header,
            ),
            external=_packed(own.network.external_ip or net.external_ip),
            traffic=runtime.gauges.add_http(listener.socket, tls=listener.tls is not None),
        )
        greeting = (
            Greeting(Proxies(own.network.proxy_protocol), unix=bool(listener.path))
            if listener.greeted
            else None
        )
        await nursery.start(
            http_server.serve, listener.socket, handler, limits, listener.tls, greeting
        )
        log.info("HTTP TRACKER: Started on: %s", listener.url)


def _trusted(proxies: tuple[str, ...], listener: Listener) -> tuple[str, ...]:
    """Returns the proxies that a listener trusts. Whoever connects over a Unix socket is on this
    machine, and is one of them.
    """
    return (*proxies, "127.0.0.1") if proxies and listener.path else proxies


def _packed(ip: IPv4Address | IPv6Address | None) -> bytes | None:
    return ip.packed if ip else None


def _limits(config: Config) -> ConnectionLimits:
    policy = config.policy
    most = min(_connection_limit(), policy.http_connections or _DEFAULT_CONNECTIONS)
    return ConnectionLimits(
        Places(most, policy.http_connections_per_address),
        policy.http_request_seconds,
        policy.http_handshake_seconds,
    )


def _connection_limit() -> int:
    """Raises the process's limit of open files as far as the system allows.

    Returns how many HTTP tracker connections may wait at once. The other files of the process keep
    a share of the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = hard if hard != resource.RLIM_INFINITY else _UNLIMITED_FILES
    if soft != resource.RLIM_INFINITY and soft < wished:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
        soft = wished
    room = _UNLIMITED_FILES if soft == resource.RLIM_INFINITY else soft
    return max(8, room - min(600, room // 2))
