"""Helpers of the configuration tests: texts, ways to load them, and parts of messages."""

from pathlib import Path
from typing import Any

import pytest

from tracker.config import Config, ConfigError, Loaded, load

TEXT = "TORRUST_TRACKER_CONFIG_TOML"
PATH = "TORRUST_TRACKER_CONFIG_TOML_PATH"
OVERRIDE = "TORRUST_TRACKER_CONFIG_OVERRIDE_"

MINIMAL = """
metadata.schema_version = "2.0.0"
logging.threshold = "info"
core.listed = false
core.private = false
"""
PRIVATE = MINIMAL.replace("core.private = false", "core.private = true")
V3 = """
metadata.schema_version = "3.0.0"
logging.trace_filter = "info"
core.listed = false
core.private = false
"""


def from_text(text: str, **overrides: str) -> Loaded:
    """Loads TOML text. The keywords are override variables without their prefix."""
    environ = {OVERRIDE + name: value for name, value in overrides.items()}
    return load(environ={TEXT: text, **environ})


def refused(text: str, **overrides: str) -> ConfigError:
    """Returns the error that loading this text raises."""
    with pytest.raises(ConfigError) as caught:
        from_text(text, **overrides)
    return caught.value


def at(config: Config, path: str) -> Any:
    """Returns the value at a dotted path. Digits index a list of listeners."""
    value: Any = config
    for name in path.split("."):
        if name.isdigit():
            value = value[int(name)]
        else:
            value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


SECONDS = "must be a whole number of seconds from 1 to 2147483647, not "
NO_ADDRESS = (
    'must be an IP address and a port, such as "0.0.0.0:6969" or "[::]:6969", not ',
    "health_check_api.bind_address",
)


def write_config(folder: Path, name: str, threshold: str) -> str:
    """Writes a minimal configuration file with this threshold, by which the tests recognise it."""
    path = folder / name
    path.write_text(MINIMAL.replace('"info"', f'"{threshold}"'))
    return str(path)


FLAT = """
log_level = "debug"
mode = "private_listed"
db_driver = "Sqlite3"
db_path = "data.db"
announce_interval = 300
min_announce_interval = 200
max_peer_timeout = 1000
on_reverse_proxy = true
external_ip = "203.0.113.9"
tracker_usage_statistics = false
persistent_torrent_completed_stat = true
inactive_peer_cleanup_interval = 60
remove_peerless_torrents = false

[[udp_trackers]]
enabled = false
bind_address = "0.0.0.0:1"

[[udp_trackers]]
enabled = true
bind_address = "0.0.0.0:2"

[[http_trackers]]
enabled = true
bind_address = "0.0.0.0:3"
ssl_enabled = true
ssl_cert_path = "c"
ssl_key_path = "k"

[http_api]
enabled = true
bind_address = "127.0.0.1:4"
ssl_enabled = false
ssl_cert_path = ""
ssl_key_path = ""

[http_api.access_tokens]
admin = "MyAccessToken"
"""
