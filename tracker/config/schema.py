"""Declares all keys: Torrust's schema 2.0.0 and our own `[event_log]` and `[policy]`, as frozen
data.

A field without a default is mandatory. `tracker.toml` shows every key, with units in its comments.
Of files it looks at the two folders of `[event_log]` only. Knows nothing of environment variables
or other schema versions.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from attrs import field, frozen

from tracker.config.values import (
    I32_MAX,
    Address,
    Bind,
    ExternalIp,
    HeaderName,
    HeaderNameOrNone,
    KeyProblemsError,
    Networks,
    NetworksOrUnix,
    Reader,
    Seconds,
    SecondsOrOff,
    Secret,
    StreamBind,
    Text,
    Title,
    UnixAddress,
    array,
    client,
    contact,
    event_type,
    limit,
    name,
    ports,
    possible_rate,
    some,
    url,
    whole,
    whole_or_duration,
)
from tracker.domain import policy
from tracker.domain.derived import HIT_AND_RUN
from tracker.forwarding import UNIX, USUAL_HEADER

SCHEMA_VERSION = "2.0.0"
MOST_PEERS = 74
"""The most peers that a reply has, because a UDP one has to fit into a packet (BEP 15)."""

# Kinds of value. A `bool` takes true or false alone, a `Literal` one of its words in any case.
Cookie = Annotated[int, Reader(whole_or_duration(1, 86_400))]
MostPeers = Annotated[int, Reader(whole(1, I32_MAX, "peers"))]
Receivers = Annotated[int, Reader(whole(1, 64, "receivers"))]
Timeout = Annotated[int, Reader(whole(1, 3600, "seconds"))]
Scope = Literal["read", "moderator", "full"]
Days = Annotated[int, Reader(whole(1, 36500, "days"))]
DaysOrNever = Annotated[int, Reader(whole(0, 36500, "days"))]
LingerMs = Annotated[int, Reader(whole(0, 1000, "milliseconds"))]
# The lower bound leaves room for a header and full batches; the upper one keeps offsets in 32 bits.
SegmentBytes = Annotated[int, Reader(whole(65_536, 2**30, "bytes"))]
Hours = Annotated[int, Reader(whole(1, 8760, "hours"))]
HookName = Annotated[str, Reader(name)]
Url = Annotated[str, Reader(url)]
PossibleRates = Annotated[tuple[str, ...], Reader(array(possible_rate))]
EventTypes = Annotated[tuple[str, ...], Reader(some(array(event_type)))]
KeepBytes = Annotated[int, Reader(whole(131_072, 2**63 - 1, "bytes"))]

READERS: dict[object, Reader] = {
    policy.Limit: Reader(limit),
    policy.Jitter: Reader(whole(0, 86_400, "seconds")),
    policy.RememberDays: Reader(whole(0, 366, "days")),
    policy.HistoryDays: Reader(whole(0, 36_500, "days")),
    policy.Rate: Reader(whole(0, 2**40, "bytes a second")),
    policy.Minutes: Reader(whole(1, 525_600, "minutes")),
    policy.Clients: Reader(array(client)),
    policy.Ports: Reader(array(ports)),
    policy.Contact: Reader(contact),
}
"""The reader for each kind of setting that the domain declares."""


_UDP = Address("0.0.0.0", 6969)  # noqa: S104 -- a tracker is for everybody
_HTTP = Address("0.0.0.0", 7070)  # noqa: S104 -- a tracker is for everybody
_API = Address("127.0.0.1", 1212)
_HEALTH = Address("127.0.0.1", 1313)
_CONSOLE = Address("127.0.0.1", 1414)


_TLS_ON_UNIX = "has TLS on a Unix socket: that is for the proxy in front of it"
HOOK_SECRET = 16
"""The fewest characters of a webhook's secret."""
_SECRETS = ("", "privacy", "reached", "server.key")
"""What the folder of the secrets holds that may be a link to elsewhere; "" = the folder itself."""


def _is_inside(path: Path, folder: Path) -> bool:
    """Returns whether a path leads into a folder, through links or not; neither need exist."""
    real, outer = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if real.is_relative_to(outer) or Path(os.path.abspath(path)).is_relative_to(
        os.path.abspath(folder)
    ):
        return True
    # A folder that is mounted at two places has two real paths.
    return outer.is_dir() and any(
        one.is_dir() and one.samefile(outer) for one in (real, *real.parents)
    )


def _folders_of(log: Path) -> list[Path]:
    """Returns the log's folder and those in it, which may be links to elsewhere, or mounted."""
    try:
        return [log, *(each for each in log.iterdir() if each.is_dir())]
    except OSError:  # it is not there yet
        return [log]


def _one_tls_table(tsl: "TlsFiles | None", tls: "TlsFiles | None") -> None:
    if tsl and tls:
        raise ValueError("has both tsl_config and tls_config: keep one, they mean the same")


@frozen
class Metadata:
    """`[metadata]`: the kind and version of the file."""

    schema_version: Text
    app: Literal["torrust-tracker"] = "torrust-tracker"
    purpose: Literal["configuration"] = "configuration"


@frozen
class Logging:
    """`[logging]`: the text log for people, not the event log."""

    threshold: Literal["off", "error", "warn", "info", "debug", "trace"]


@frozen
class PrivateMode:
    """`[core.private_mode]`: legal only when `core.private` is true."""

    check_keys_expiration: bool = True


@frozen
class AnnouncePolicy:
    """`[core.announce_policy]`: how often clients should announce, in seconds, and the peers that
    they get.
    """

    interval: Seconds = 120
    interval_min: SecondsOrOff = 120
    max_peers_per_announce: MostPeers = 74


@frozen
class Net:
    """`[core.net]`: where peers' addresses come from; `external_ip` None is unset.

    No `trusted_proxies` = every connection is from a proxy, where `on_reverse_proxy`.
    """

    external_ip: ExternalIp = None
    on_reverse_proxy: bool = False
    trusted_proxies: Networks = ()
    forwarded_header: HeaderName = USUAL_HEADER


@frozen
class TrackerPolicy:
    """`[core.tracker_policy]`: when the tracker forgets peers and torrents."""

    max_peer_timeout: Seconds = 900
    persistent_torrent_completed_stat: bool = False
    remove_peerless_torrents: bool = True


@frozen
class Core:
    """`[core]`: the tracker's mode (`listed`, `private`) and its policies."""

    listed: bool
    private: bool
    private_mode: PrivateMode | None = None
    inactive_peer_cleanup_interval: SecondsOrOff = 600
    tracker_usage_statistics: bool = True
    announce_policy: AnnouncePolicy = AnnouncePolicy()
    net: Net = Net()
    tracker_policy: TrackerPolicy = TrackerPolicy()


@frozen
class TlsFiles:
    """A certificate chain and its private key, as paths to PEM files."""

    ssl_cert_path: Text
    ssl_key_path: Text


@frozen
class UdpNetwork:
    """`[udp_trackers.network]`: one listener's additions to `[core.net]`, as in schema 3.0.0."""

    external_ip: ExternalIp = None
    ipv6_v6only: bool = False


@frozen
class HttpNetwork:
    """`[http_trackers.network]`: the same; only this listener trusts the proxy in front of it.

    `proxy_protocol` () = connections begin with a request.
    """

    external_ip: ExternalIp = None
    ipv6_v6only: bool = False
    on_reverse_proxy: bool = False
    trusted_proxies: Networks = ()
    forwarded_header: HeaderNameOrNone = None
    proxy_protocol: NetworksOrUnix = ()


@frozen
class UdpTracker:
    """One `[[udp_trackers]]` entry. One receiver = the loop itself receives and sends."""

    bind_address: Bind = _UDP
    cookie_lifetime: Cookie = 120
    receivers: Receivers = 1
    network: UdpNetwork = UdpNetwork()


@frozen
class HttpTracker:
    """One `[[http_trackers]]` entry. Both names for TLS are valid; see `tls`.

    `public_url` None = it is made from the address.
    """

    bind_address: StreamBind = _HTTP
    public_url: Url | None = None
    tsl_config: TlsFiles | None = None
    tls_config: TlsFiles | None = None
    network: HttpNetwork = HttpNetwork()

    def __attrs_post_init__(self) -> None:
        _one_tls_table(self.tsl_config, self.tls_config)
        unix, named = isinstance(self.bind_address, UnixAddress), self.network.proxy_protocol
        if unix and self.tls:
            raise ValueError(_TLS_ON_UNIX)
        if named and (unix != (UNIX in named) or (unix and len(named) > 1)):
            reason = (
                f'must be ["{UNIX}"], because a proxy connects over the Unix socket'
                if unix
                else f'must not hold "{UNIX}", because bind_address is no Unix socket'
            )
            raise KeyProblemsError({"network.proxy_protocol": reason})

    @property
    def tls(self) -> TlsFiles | None:
        """Returns the TLS files under either name, or None for plain HTTP."""
        return self.tls_config or self.tsl_config


@frozen
class HttpApi:
    """`[http_api]`: the REST API.

    `access_tokens` maps labels to secrets, which the repr leaves out; `token_scopes` maps labels to
    scopes, `token_addresses` to whether they may see addresses of peers (true without an entry).
    """

    bind_address: StreamBind = _API
    tsl_config: TlsFiles | None = None
    tls_config: TlsFiles | None = None
    access_tokens: dict[str, Secret] = field(factory=dict, repr=False)
    token_scopes: dict[str, Scope] = field(factory=dict)
    token_addresses: dict[str, bool] = field(factory=dict)
    trusted_proxies: NetworksOrUnix = ()
    forwarded_header: HeaderName = USUAL_HEADER

    def __attrs_post_init__(self) -> None:
        _one_tls_table(self.tsl_config, self.tls_config)
        if self.tls and isinstance(self.bind_address, UnixAddress):
            raise ValueError(_TLS_ON_UNIX)
        scopes, addresses = self.token_scopes, self.token_addresses
        for each in ("read", "moderator"):
            narrowed = {label for label, scope in scopes.items() if scope == each}
            self._check("token_scopes", scopes, narrowed, "one token has labels of several scopes")
        without = {label for label, may in addresses.items() if not may}
        both = "one token has labels with and without the right"
        self._check("token_addresses", addresses, without, both)

    def _check(self, name: str, rights: Iterable[str], narrowed: set[str], both: str) -> None:
        """Raises `KeyProblemsError` for labels in a table of rights that are no tokens', and where
        a token has a label that is narrowed and another that is not: either mistake would give it
        more rights than intended.
        """
        tokens = self.access_tokens
        if unknown := [label for label in rights if label not in tokens]:
            raise KeyProblemsError({name: f"no such label in access_tokens: {', '.join(unknown)}"})
        if {tokens[label] for label in narrowed} & {
            token for label, token in tokens.items() if label not in narrowed
        }:
            raise KeyProblemsError({name: both})

    @property
    def tls(self) -> TlsFiles | None:
        """Returns the TLS files under either name, or None for plain HTTP."""
        return self.tls_config or self.tsl_config


@frozen
class HealthCheckApi:
    """`[health_check_api]`: the health check, which is always served."""

    bind_address: Bind = _HEALTH


@frozen
class Console:
    """`[console]`: the pages for staff, a client of the API. `name`: that of the instance."""

    bind_address: StreamBind = _CONSOLE
    name: Title = "tracker"
    tls_config: TlsFiles | None = None

    def __attrs_post_init__(self) -> None:
        if self.tls and isinstance(self.bind_address, UnixAddress):
            raise ValueError(_TLS_ON_UNIX)

    @property
    def tls(self) -> TlsFiles | None:
        """Returns the TLS files, or None for plain HTTP."""
        return self.tls_config


@frozen
class EventLog:
    """`[event_log]`: the folders of the log and its secrets, and how long data is kept."""

    path: Text = "./storage/tracker/log"
    secrets_path: Text = "./storage/tracker/secrets"
    durability: Literal["group", "strict"] = "group"
    linger_ms: LingerMs = 5
    segment_bytes: SegmentBytes = 67_108_864
    keep_days: Days = 30
    keep_bytes: KeepBytes = 20_000_000_000
    wait_for_consumers_days: DaysOrNever = 7
    shred_days: DaysOrNever = 7
    follower: Literal["on", "at_stop"] = "on"
    cases: bool = False

    def __attrs_post_init__(self) -> None:
        problems = {}
        # Whoever copies the log folder must not copy the keys that decrypt it.
        folders = _folders_of(Path(self.path))
        if any(_is_inside(Path(self.secrets_path, s), each) for s in _SECRETS for each in folders):
            problems["secrets_path"] = "must not be inside path, the log's own folder"
        # Retention removes whole segments and never the one being written.
        if self.keep_bytes < 2 * self.segment_bytes:
            problems["keep_bytes"] = "must be at least twice segment_bytes"
        if self.cases and self.follower != "on":
            problems["cases"] = 'needs follower = "on", because the follower finds them'
        if problems:
            raise KeyProblemsError(problems)


@frozen
class Detectors:
    """`[detectors]`: what the site declares to those that find cases."""

    shared_networks: Networks = ()
    possible_rates: PossibleRates = ()


@frozen
class Webhook:
    """One `[[webhooks]]` entry: which events are posted where. `ca_path` None = the system's
    certificate authorities.
    """

    name: HookName
    url: Url = field(repr=False)  # it may have a token
    secret: Secret = field(repr=False)
    types: EventTypes
    ca_path: Text | None = None
    give_up_hours: Hours = 24

    def __attrs_post_init__(self) -> None:
        if len(self.secret) < HOOK_SECRET:
            problem = (
                f"must have at least {HOOK_SECRET} characters, because a shorter one can be guessed"
            )
            raise KeyProblemsError({"secret": problem})
        if HIT_AND_RUN in self.types and len(self.types) > 1:
            problem = f'must have "{HIT_AND_RUN}" alone, because it comes later than events do: make a webhook of its own'
            raise KeyProblemsError({"types": problem})


@frozen
class Policy(policy.Policy):
    """`[policy]`: the site's own rules. To those for announces it adds what the front ends alone
    need.
    """

    connection_id_validation: Literal["strict", "disabled"] = "strict"
    max_connection_id_errors: policy.Limit = 10
    ban_seconds: Seconds = 86_400
    http_connections: policy.Limit = 0
    http_connections_per_address: policy.Limit = 2_048
    http_request_seconds: Timeout = 10
    http_handshake_seconds: Timeout = 10


@frozen
class Config:
    """The whole configuration. `http_api` None = no REST API, `console` None = no console."""

    metadata: Metadata
    logging: Logging
    core: Core
    udp_trackers: tuple[UdpTracker, ...] = ()
    http_trackers: tuple[HttpTracker, ...] = ()
    http_api: HttpApi | None = None
    health_check_api: HealthCheckApi = HealthCheckApi()
    console: Console | None = None
    event_log: EventLog = field(factory=EventLog)  # not at import, because it looks at folders
    policy: Policy = Policy()
    detectors: Detectors = Detectors()
    webhooks: tuple[Webhook, ...] = ()

    def __attrs_post_init__(self) -> None:
        names = [hook.name for hook in self.webhooks]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise KeyProblemsError({"webhooks": f"several have the name {', '.join(twice)}"})
