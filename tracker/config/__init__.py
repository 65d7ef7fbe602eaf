"""The configuration: `load()` reads `tracker.toml` (or a file of Torrust's) into frozen data.

The rest of the tracker uses these names only.
"""

from tracker.config.loader import Loaded, load
from tracker.config.schema import (
    AnnouncePolicy,
    Config,
    Console,
    Core,
    Detectors,
    EventLog,
    HealthCheckApi,
    HttpApi,
    HttpNetwork,
    HttpTracker,
    Logging,
    Metadata,
    Net,
    Policy,
    PrivateMode,
    TlsFiles,
    TrackerPolicy,
    UdpNetwork,
    UdpTracker,
    Webhook,
)
from tracker.config.structure import ConfigError, effective
from tracker.config.values import Address, UnixAddress, origin

__all__ = [
    "Address",
    "AnnouncePolicy",
    "Config",
    "ConfigError",
    "Console",
    "Core",
    "Detectors",
    "EventLog",
    "HealthCheckApi",
    "HttpApi",
    "HttpNetwork",
    "HttpTracker",
    "Loaded",
    "Logging",
    "Metadata",
    "Net",
    "Policy",
    "PrivateMode",
    "TlsFiles",
    "TrackerPolicy",
    "UdpNetwork",
    "UdpTracker",
    "UnixAddress",
    "Webhook",
    "effective",
    "load",
    "origin",
]
