"""Translates other versions of the reference's schema into 2.0.0, before any check.

Works on plain dictionaries and moves known keys only; an unknown key stays in place, and becomes a
warning like any other. Remembers old names, so that errors name the key in the user's file.
Sources: contract 4.3 (flat, v2.x) and 4.4 (3.0.0).
"""

from typing import Any

from attrs import Factory, define

from tracker.config.schema import SCHEMA_VERSION
from tracker.config.values import flag

Table = dict[str, Any]

_FLAT_KEYS = {
    "log_level": "logging.threshold",
    "announce_interval": "core.announce_policy.interval",
    "min_announce_interval": "core.announce_policy.interval_min",
    "max_peer_timeout": "core.tracker_policy.max_peer_timeout",
    "persistent_torrent_completed_stat": "core.tracker_policy.persistent_torrent_completed_stat",
    "remove_peerless_torrents": "core.tracker_policy.remove_peerless_torrents",
    "inactive_peer_cleanup_interval": "core.inactive_peer_cleanup_interval",
    "tracker_usage_statistics": "core.tracker_usage_statistics",
    "on_reverse_proxy": "core.net.on_reverse_proxy",
    "external_ip": "core.net.external_ip",
    "db_driver": "core.database.driver",
    "db_path": "core.database.path",
}
# mode -> (listed, private)
_MODES = {
    "public": (False, False),
    "listed": (True, False),
    "private": (False, True),
    "private_listed": (True, True),
}
_V3_UDP = {
    "max_connection_id_errors_per_ip": "max_connection_id_errors",
    "ip_bans_reset_interval_in_secs": "ban_seconds",
    "connection_id_validation": "connection_id_validation",
}
# Listeners' keys of the development line, their names in [policy], and true and false there.
_SHARED: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("udp_trackers", "max_connection_id_errors_per_ip", "max_connection_id_errors", {}),
    (
        "http_trackers",
        "use_ip_from_query_string",
        "ip_parameter",
        {"True": "always", "False": "ignored"},
    ),
)
_LEVELS = ("off", "error", "warn", "info", "debug", "trace")


@define
class Translation:
    """Collects the user's path for each new path, and the problems found so far."""

    names: dict[str, str] = Factory(dict)
    problems: list[str] = Factory(list)

    def name(self, path: str) -> str:
        """Returns the path as it stands in the user's file."""
        for new in sorted(self.names, key=len, reverse=True):
            if path == new or path.startswith((f"{new}.", f"{new}[")):
                return self.names[new] + path.removeprefix(new)
        return path


def from_flat(document: Table, seen: Translation) -> None:
    """Rewrites a flat file of v2.x in place; leaves any other file alone."""
    present = document.keys()
    if {"metadata", "core", "logging"} & present or not {"mode", *_FLAT_KEYS} & present:
        return
    _flat_mode(document, seen)
    for old, new in _FLAT_KEYS.items():
        if old in document:
            _move(document, old, new, seen)
    document["metadata"] = {"schema_version": SCHEMA_VERSION}
    document.setdefault("logging", {"threshold": "info"})
    for kind in ("udp_trackers", "http_trackers"):
        _flat_listeners(document, kind, seen)
    _flat_api(document, seen)


def _flat_mode(document: Table, seen: Translation) -> None:
    mode = document.pop("mode", None)
    seen.names |= {"core.listed": "mode", "core.private": "mode"}
    if mode is None:
        return  # reported as a missing mandatory key
    known = isinstance(mode, str) and mode in _MODES
    if not known:
        seen.problems.append(f"mode: must be one of {', '.join(_MODES)}")
    listed, private = _MODES[mode if known else "public"]
    document["core"] = {"listed": listed, "private": private}


def _flat_listeners(document: Table, kind: str, seen: Translation) -> None:
    entries = document.get(kind)
    if not isinstance(entries, list):
        return
    kept: list[Any] = []
    for index, entry in enumerate(entries):
        if _enabled(entry, f"{kind}[{index}]", False, seen):
            seen.names[f"{kind}[{len(kept)}]"] = f"{kind}[{index}]"
            _flat_tls(entry, f"{kind}[{len(kept)}]", f"{kind}[{index}]", seen)
            kept.append(entry)
    document[kind] = kept


def _flat_api(document: Table, seen: Translation) -> None:
    if "http_api" not in document:
        return
    if _enabled(document["http_api"], "http_api", True, seen):
        _flat_tls(document["http_api"], "http_api", "http_api", seen)
    else:
        del document["http_api"]


def _enabled(entry: Any, place: str, default: bool, seen: Translation) -> bool:
    if not isinstance(entry, dict):
        return True  # reported as not being a table
    try:
        return flag(entry.pop("enabled", default))
    except ValueError as error:
        seen.problems.append(f"{place}.enabled: {error}")
        return True


def _flat_tls(entry: Any, place: str, old_place: str, seen: Translation) -> None:
    if not isinstance(entry, dict):
        return
    files = {key: entry.pop(key) for key in ("ssl_cert_path", "ssl_key_path") if key in entry}
    if entry.pop("ssl_enabled", False):
        entry["tsl_config"] = files
        for key in ("ssl_cert_path", "ssl_key_path"):
            seen.names[f"{place}.tsl_config.{key}"] = f"{old_place}.{key}"


def from_v3(document: Table, seen: Translation) -> None:
    """Rewrites a file of schema 3.0.0 in place; leaves any other file alone."""
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("schema_version") != "3.0.0":
        return
    metadata["schema_version"] = SCHEMA_VERSION
    _v3_threshold(document, seen)
    _v3_udp(document, seen)


def _v3_threshold(document: Table, seen: Translation) -> None:
    """Turns `info,torrust=debug` into `info`, because there are no levels for single modules
    here."""
    seen.names["logging.threshold"] = "logging.trace_filter"
    logging = document.get("logging")
    if not isinstance(logging, dict) or "trace_filter" not in logging:
        return
    wanted = logging.pop("trace_filter")
    words = wanted.lower().replace(" ", "").split(",") if isinstance(wanted, str) else []
    modules = [word.rpartition("=")[2] for word in words]  # of `torrust=debug`, where it is all
    logging["threshold"] = next((one for one in words + modules if one in _LEVELS), wanted)


def _v3_udp(document: Table, seen: Translation) -> None:
    server = document.get("udp_tracker_server")
    for old, new in _V3_UDP.items():
        if isinstance(server, dict) and old in server:
            _put(document, f"policy.{new}", server.pop(old))
            seen.names[f"policy.{new}"] = f"udp_tracker_server.{old}"
    if server == {}:
        del document["udp_tracker_server"]


def from_listeners(document: Table, seen: Translation) -> None:
    """Moves `ipv6_v6only` of a listener itself, as some files have it, into its `network`."""
    for kind in ("udp_trackers", "http_trackers"):
        entries = document.get(kind)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and "ipv6_v6only" in entry:
                _put(entry, "network.ipv6_v6only", entry.pop("ipv6_v6only"))
                seen.names[f"{kind}[{index}].network.ipv6_v6only"] = f"{kind}[{index}].ipv6_v6only"


def from_all_listeners(document: Table, seen: Translation) -> None:
    """Moves what all listeners of a kind set alike to `[policy]`, which decides it for all of them.

    Where they differ, or `[policy]` has its own value, each stays, and becomes a warning.
    """
    policy = document.get("policy", {})
    for kind, old, new, words in _SHARED:
        entries = document.get(kind)
        if not entries or not isinstance(entries, list) or not isinstance(policy, dict):
            continue
        values = [one[old] for one in entries if isinstance(one, dict) and old in one]
        alike = len(values) == len(entries) and all(one == values[0] for one in values)
        if not alike or new in policy:
            continue
        value = words.get(str(values[0])) if words else values[0]
        if value is None:
            continue  # neither true nor false
        seen.names[f"policy.{new}"] = f"{kind}[0].{old}"
        _put(document, f"policy.{new}", value)
        for one in entries:
            del one[old]


def _move(document: Table, old: str, new: str, seen: Translation) -> None:
    _put(document, new, document.pop(old))
    seen.names[new] = old


def _put(document: Table, path: str, value: object) -> None:
    *tables, leaf = path.split(".")
    table = document
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return  # reported as not being a table
    table[leaf] = value
