"""Warns of keys that the schema does not know, or knows and does not use.

Such keys never stop the tracker, because files for other trackers and versions must load. This
module looks at names only; `structure` judges the values.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import attrs

from tracker.config.schema import Config

Shape = dict[str, "Shape | None"]
"""The keys of a table; None for a value, and for a table with free keys."""

Remark = tuple[str, str]
"""A key's path, with array indices, and the text about it."""

# Keys of the reference that nothing here reads, and why. A path covers all below it.
_LISTENERS = "core.tracker_usage_statistics decides for all listeners"
_UNUSED_URL = "nothing here needs to know it"
_OTHER_PORTS = "only trackers have it; [::] takes IPv4 too"
IGNORED: Mapping[str, str] = {
    "core.database": "the event log is the only storage, see [event_log]",
    "health_check_api.network": _OTHER_PORTS,
    "health_check_api.public_url": _UNUSED_URL,
    "http_api.network": _OTHER_PORTS,
    "http_api.public_url": _UNUSED_URL,
    "http_api.tracker_usage_statistics": _LISTENERS,
    "http_trackers.tracker_usage_statistics": _LISTENERS,
    "http_trackers.use_ip_from_query_string": "policy.ip_parameter decides for all listeners",
    "logging.trace_style": "log lines have one style",
    "udp_tracker_server": "what it says of connection ids and bans is a matter of [policy]",
    "udp_trackers.max_connection_id_errors_per_ip": "policy.max_connection_id_errors decides for all listeners",
    "udp_trackers.network.on_reverse_proxy": "a datagram has no header that names a client",
    "udp_trackers.public_url": _UNUSED_URL,
    "udp_trackers.tracker_usage_statistics": _LISTENERS,
}


def shape(cls: Any = Config) -> Shape:
    """Returns the keys of a table's class, with nested tables."""
    return {name: _below(hint) for name, hint in get_type_hints(cls, include_extras=True).items()}


def known_paths(table: Shape | None = None, prefix: str = "") -> Iterator[str]:
    """Yields the dotted paths of all keys that hold values, without indices:
    `udp_trackers.bind_address`.
    """
    for name, below in (shape() if table is None else table).items():
        if below is None:
            yield prefix + name
        else:
            yield from known_paths(below, f"{prefix}{name}.")


def remarks(document: Mapping[str, Any]) -> Iterator[Remark]:
    """Yields a remark for each unknown or unused key, in the document's order."""
    return _remarks(document, shape(), "", "")


def _remarks(value: object, table: Shape, place: str, path: str) -> Iterator[Remark]:
    """`place` is the path with array indices, for people; `path` is the same without."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _remarks(item, table, f"{place[:-1]}[{index}].", path)
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _remark(name, below, table, place, path)


def _remark(name: str, value: object, table: Shape, place: str, path: str) -> Iterator[Remark]:
    if path + name in IGNORED:
        yield place + name, f"accepted and ignored: {IGNORED[path + name]}"
    elif name not in table and not _holds_ignored(path + name, value):
        yield place + name, _unknown(name, value, table)
    elif (below := table.get(name, {})) is not None:
        yield from _remarks(value, below, f"{place}{name}.", f"{path}{name}.")


def _unknown(name: str, value: object, table: Shape) -> str:
    what = "unknown table" if isinstance(value, dict) else "unknown key"
    nearest = _nearest(name, table)
    return f"{what}, ignored" + (f"; the nearest known one is {nearest}" if nearest else "")


def _nearest(name: str, table: Shape) -> str | None:
    """Returns a similar key of the same table, else the path of the same key in another table."""
    alike = get_close_matches(name.lower(), table, n=1)
    elsewhere = (path for path in known_paths() if path.rpartition(".")[2] == name)
    return alike[0] if alike else next(elsewhere, None)


def _holds_ignored(path: str, value: object) -> bool:
    return isinstance(value, dict) and any(known.startswith(f"{path}.") for known in IGNORED)


def _below(hint: Any) -> Shape | None:
    if get_origin(hint) is Annotated:
        return None
    if attrs.has(hint):
        return shape(hint)
    inner = [arg for arg in get_args(hint) if attrs.has(arg)]
    return shape(inner[0]) if inner else None
