"""Starts the API and the health check.

Both import Quart inside the function that needs it, because the import takes a third of a second.
Other commands do not need Quart.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio

from eventlog import LogError, read_identity
from tracker.frontends.listeners import PatientListener
from tracker.ledger.mixed import Mixed
from tracker.places import Places
from tracker.service.changes import LiveChanges
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quart_trio import QuartTrio

    from api.health.services import Kind
    from api.health.services import Service as Checked
    from tracker.config import HttpApi
    from tracker.frontends.listeners import Listener, Listeners
    from tracker.process.runtime import Runtime

log = logging.getLogger("tracker")

DEFAULT_TOKEN = "MyAccessToken"  # noqa: S105  # no secret: the default is public
HEALTH_CONNECTIONS = 64
"""Largest number of connections to the health check at a time. They are few, because each check
connects to every listener.
"""
HEALTH_SECONDS = 1.0
"""Longest wait, in seconds, for the log's disk in a health check."""
_LOOPBACK = ("127.", "::1", "localhost", "unix:")


async def start_api(nursery: trio.Nursery, runtime: Runtime) -> None:
    """Starts the API if the configuration has one."""
    config, listener = runtime.config.http_api, runtime.listeners.api
    if config is None or listener is None:
        return
    from api.serve import Settings, serve

    log.info("Starting Torrust APIs server on: %s", listener.url)
    app, accepting, settings = _api(runtime, config), _accepting(listener), Settings()
    runtime.gauges.add_places("api", settings.places)
    starting = partial(serve, ssl_context=listener.tls, settings=settings)
    await nursery.start(starting, app, accepting, runtime.stop)
    log.info("API: Started on %s", listener.url)
    _warn_of_default_token(config.access_tokens, listener.address)


def _api(runtime: Runtime, config: HttpApi) -> QuartTrio:
    from api.app import create_app
    from api.auth import Tokens
    from api.ports import Ports
    from api.proxies import Proxies

    service, event_log = runtime.service, runtime.event_log
    usage = runtime.config.core.tracker_usage_statistics
    live = LiveReads(service, usage_statistics=usage, keys=runtime.keyring)
    log_id = read_identity(event_log.path).hex()
    changes = LiveChanges(service, log_id, lambda: event_log.epoch)
    commands = ServiceCommands(service, runtime.noted, runtime.secret)
    return create_app(
        Ports(
            live=live,
            commands=commands,
            events=Mixed(runtime.events, runtime.ledgers),
            ledgers=runtime.ledgers,
            gauges=runtime.gauges,
            past=runtime.past,
            reruns=runtime.reruns,
            webhooks=runtime.hooks,
            announce_urls=tuple(_announce_urls(runtime)),
            changes=changes,
            consumers=runtime.consumers,
        ),
        Tokens(
            config.access_tokens,
            config.token_scopes,
            config.token_addresses,
            lambda token_hash: live.now().token_of_hash(token_hash),
        ),
        Proxies(config.trusted_proxies, config.forwarded_header),
    )


def _announce_urls(runtime: Runtime) -> Iterator[str]:
    """Yields the URL of each HTTP tracker's announces. One that listens on all addresses, and of
    which the configuration does not say how it is reached, has none.
    """
    own = runtime.config.core.net.external_ip
    for config, listener in zip(runtime.config.http_trackers, runtime.listeners.http, strict=True):
        host, port = listener.binding
        external = config.network.external_ip or own
        if config.public_url:
            yield f"{config.public_url.rstrip('/').removesuffix('/announce')}/announce"
        elif not listener.path and not ip_address(host).is_unspecified:
            yield f"{listener.url}/announce"
        elif external and not listener.path:
            shown = f"[{external}]" if external.version == 6 else external
            yield f"{'https' if listener.certificate else 'http'}://{shown}:{port}/announce"


async def start_health(nursery: trio.Nursery, runtime: Runtime) -> None:
    """Starts the health check, last of all, so that it answers only when all listeners run."""
    from api.health.app import create_app
    from api.serve import Settings, serve

    listener = runtime.listeners.health
    services = tuple(_checked(runtime.listeners))
    app = create_app(services, partial(_trouble, runtime))
    settings = Settings(places=Places(HEALTH_CONNECTIONS))
    runtime.gauges.add_places("health_check", settings.places)
    await nursery.start(partial(serve, app, _accepting(listener), runtime.stop, settings=settings))
    log.info("HEALTH CHECK API: Started on: %s", listener.url)


async def _trouble(runtime: Runtime, kind: Kind) -> str:
    """Says why no announce is served now, or no change acknowledged, although every socket answers;
    "" = they are.
    """
    if kind == "api":
        failing = bool(runtime.noted.trouble)
        return "Changes are not acknowledged: the note cannot be written" if failing else ""
    event_log = runtime.event_log
    if why := event_log.trouble():
        return f"Announces are refused: the event log takes nothing in, because {why}"
    if runtime.config.event_log.durability != "strict":
        return ""
    with trio.move_on_after(HEALTH_SECONDS), suppress(LogError):
        await event_log.wait_durable(event_log.next_seq - 1)
        return ""
    return "Announces get no reply: the event log's disk does not answer"


def _accepting(listener: Listener) -> list[PatientListener]:
    return [PatientListener(listener.socket)]


def _checked(listeners: Listeners) -> Iterator[Checked]:
    """Yields the listeners to which the health check connects: every tracker, and the API."""
    from api.health.services import Service

    kinds: list[tuple[Kind, tuple[Listener, ...]]] = [
        ("udp", listeners.udp),
        ("http", listeners.http),
        ("api", (listeners.api,) if listeners.api else ()),
    ]
    for kind, found in kinds:
        for listener in found:
            yield Service(kind, *listener.binding, listener.tls is not None, listener.greeted)


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
