"""Loads a `Config`: chooses a source, merges, translates, checks, and reports all problems at once.

Reads files and the given environment. Starts nothing and logs nothing; the caller prints.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import combinations
from typing import Any

from attrs import field, frozen

from tracker.config import keys, sources, translate
from tracker.config.schema import (
    MOST_PEERS,
    SCHEMA_VERSION,
    Config,
    Console,
    HealthCheckApi,
    HttpApi,
    HttpTracker,
    UdpTracker,
)
from tracker.config.structure import ConfigError, structure
from tracker.config.values import Address, UnixAddress
from tracker.domain.access_tokens import OWN_LABELS
from tracker.domain.limits import KINDS, STARTED

_Listener = UdpTracker | HttpTracker | HttpApi | HealthCheckApi | Console

_PRIVATE_MODE_SECTION = (
    "Configuration error: Private mode section in configuration can only be included "
    "when the tracker is running in private mode."
)

GRACE_SECONDS = 60
"""Seconds by which the announce of an honest client may be late: it tries again after a failure."""


@frozen
class Loaded:
    """A valid configuration, the line that names its source, and warnings.

    `database` is `[core.database]` as it stands there: only an import looks at it.
    """

    config: Config
    source: str
    warnings: tuple[str, ...]
    database: Mapping[str, Any] = field(repr=False)  # may hold a password


def load(path: str | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Loads the configuration. A `path` (from the command line) wins over the environment's.

    Overrides of single keys apply to every source. Relative paths start at the working directory.

    Raises:
        ConfigError: the configuration has problems, one line each.
    """
    source = sources.choose(path, environ)
    document = source.parse()
    seen = translate.Translation()
    translate.from_flat(document, seen)  # first, because overrides use names that flat files lack
    problems = sources.override(document, environ)
    translate.from_v3(document, seen)
    translate.from_listeners(document, seen)
    translate.from_all_listeners(document, seen)
    _refuse_other_versions(document)
    try:
        config, warnings = _check(document, seen, problems)
    except ConfigError as error:
        if source.text.strip():
            raise
        first = f"{source.name}: is empty, and should hold a configuration"
        raise ConfigError([first, *error.problems], error.warnings) from None
    database = document.get("core", {}).get("database")
    found = database if isinstance(database, dict) else {}
    return Loaded(config, source.notice, warnings, found)


def _check(
    document: Mapping[str, Any], seen: translate.Translation, problems: list[str]
) -> tuple[Config, tuple[str, ...]]:
    config, wrong = structure(document)
    warnings = [_line(seen.name(path), remark) for path, remark in keys.remarks(document)]
    problems += seen.problems
    problems += [_line(seen.name(path), reason) for path, reason in wrong]
    problems += _private_mode_problem(document)
    if config:
        problems += _clashes(config, seen)
        warnings += _advice(config, seen)
    if problems or not config:
        raise ConfigError(problems, warnings)
    return config, tuple(warnings)


def _line(path: str, reason: str) -> str:
    if not reason:
        return f"Missing mandatory configuration option. Option path: {path}"
    return f"{path}: {reason}"


def _refuse_other_versions(document: Mapping[str, Any]) -> None:
    # Raised alone, because under another schema the other problems may be none.
    metadata = document.get("metadata")
    version = metadata.get("schema_version") if isinstance(metadata, dict) else None
    if version not in (None, SCHEMA_VERSION):
        known = "it must be 2.0.0 or 3.0.0"
        raise ConfigError([f"Unsupported configuration version: {version}; {known}"])


def _private_mode_problem(document: Mapping[str, Any]) -> list[str]:
    # Checks the document, so that it reports this even when other keys are wrong.
    core = document.get("core")
    odd = isinstance(core, dict) and "private_mode" in core and core.get("private") is False
    return [_PRIVATE_MODE_SECTION] if odd else []


def _clashes(config: Config, seen: translate.Translation) -> Iterator[str]:
    """Yields a problem for listeners that cannot have their addresses at the same time; UDP and TCP
    do not collide.
    """
    udp: dict[str, _Listener] = {
        f"udp_trackers[{i}]": each for i, each in enumerate(config.udp_trackers)
    }
    tcp: dict[str, _Listener] = {
        **{f"http_trackers[{i}]": each for i, each in enumerate(config.http_trackers)},
        **({"http_api": config.http_api} if config.http_api else {}),
        **({"console": config.console} if config.console else {}),
        "health_check_api": config.health_check_api,
    }
    for listeners in (udp, tcp):
        for (first, one), (place, other) in combinations(listeners.items(), 2):
            if _collide(one, other):
                path, address = seen.name(f"{place}.bind_address"), other.bind_address
                covered = "" if address == one.bind_address else f", with {one.bind_address}"
                yield f"{path}: {address} is already taken by {seen.name(first)}{covered}"


def _collide(one: _Listener, other: _Listener) -> bool:
    """Returns whether two listeners of one protocol want the same port of the same address, or the
    same path.
    """
    a, b = one.bind_address, other.bind_address
    if not isinstance(a, Address) or not isinstance(b, Address):
        return a == b
    if a.port != b.port or not a.port:
        return False
    here, there = _plain(a), _plain(b)
    if here.version == there.version:
        return here == there or here.is_unspecified or there.is_unspecified
    # `[::]` takes IPv4 too, unless a listener of the same kind has IPv4 on that port.
    both = [each for each, ip in ((one, here), (other, there)) if ip == IPv6Address("::")]
    return type(one) is not type(other) and any(not _v6only(each) for each in both)


def _plain(address: Address) -> IPv4Address | IPv6Address:
    ip = ip_address(address.host)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _v6only(listener: _Listener) -> bool:
    return isinstance(listener, UdpTracker | HttpTracker) and listener.network.ipv6_v6only


def _proxy_advice(config: Config) -> Iterator[str]:
    """Yields warnings for proxies that are named for no listener, or missing for one."""
    net, own = config.core.net, [each.network for each in config.http_trackers]
    for place, named in (
        ("core.net", net.trusted_proxies and not any(one.on_reverse_proxy for one in own)),
        *((f"http_trackers[{i}].network", one.trusted_proxies and not one.on_reverse_proxy)
          for i, one in enumerate(own)),
    ):  # fmt: skip
        if named and not net.on_reverse_proxy:
            yield f"{place}.trusted_proxies: has no effect without on_reverse_proxy = true"
    for i, each in enumerate(config.http_trackers):
        named = net.on_reverse_proxy or each.network.on_reverse_proxy or each.network.proxy_protocol
        if isinstance(each.bind_address, UnixAddress) and not named:
            yield (
                f"http_trackers[{i}].bind_address: over a Unix socket come no clients' addresses, so all peers count as on this "
                "machine; set on_reverse_proxy or proxy_protocol in its network table"
            )


def _advice(config: Config, seen: translate.Translation) -> Iterator[str]:
    """Yields warnings for settings that are valid but surely a mistake."""
    policy, timeout = config.core.announce_policy, config.core.tracker_policy.max_peer_timeout
    if policy.interval_min > policy.interval:
        path = seen.name("core.announce_policy.interval_min")
        yield f"{path}: longer than {seen.name('core.announce_policy.interval')}"
    needed = policy.interval + config.policy.interval_jitter + GRACE_SECONDS
    if timeout < needed:
        path = seen.name("core.tracker_policy.max_peer_timeout")
        yield (
            f"{path}: peers are dropped before their next announce can be there; it takes up to "
            f"{needed} seconds: the interval, interval_jitter, and {GRACE_SECONDS} for a late client"
        )
    if policy.max_peers_per_announce > MOST_PEERS:
        path = seen.name("core.announce_policy.max_peers_per_announce")
        yield f"{path}: a reply has {MOST_PEERS} peers at most"
    yield from _proxy_advice(config)
    for name in ("peers_per_account", "leeching_slots", *KINDS[STARTED:]):
        if getattr(config.policy, name) and not config.core.private:
            yield f"policy.{name}: has no effect where there are no keys (core.private = false)"
    for key in ("path", "secrets_path"):
        if getattr(config.event_log, key).startswith("~"):
            yield f"{seen.name(f'event_log.{key}')}: ~ stands for itself here, not for a home folder"
    tokens = config.http_api.access_tokens if config.http_api else {}
    if config.http_api and not tokens:
        yield "http_api.access_tokens: there is none, so the API refuses every request"
    for label in tokens.keys() & {*OWN_LABELS}:
        yield f"http_api.access_tokens: {label} is also the author of the tracker's own changes"
    if len(set(tokens.values())) < len(tokens):
        yield "http_api.access_tokens: two labels share a token; the log can name only one of them"
