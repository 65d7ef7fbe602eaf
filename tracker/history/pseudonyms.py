"""Adds pseudonyms to addresses that the API shows of the past: hashes under the key of a day."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from tracker.store.address_keys import day_of
from tracker.times import parse

if TYPE_CHECKING:
    from tracker.store.address_keys import Keyring
    from tracker.store.moments import ForwardReplay


def named(shown: dict[str, Any], keys: Keyring) -> dict[str, Any]:
    """Returns an explanation or a reply with a `pseudonym` after each `address` in it.

    All are of the day (log time) of the announce, because all were listed on it. A pseudonym is
    null where the day's key is gone, or the address cannot be read.
    """
    time_us = parse(shown.get("log_time", shown["time"])) or 0
    found: dict[str, Any] = _named(shown, keys, day_of(time_us))
    return found


def _named(value: Any, keys: Keyring, day: int) -> Any:
    if isinstance(value, list):
        return [_named(each, keys, day) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, each in value.items():
        found[name] = _named(each, keys, day)
        if name == "address":
            packed = ip_address(each).packed if each else None
            found["pseudonym"] = keys.pseudonym(day, packed) if packed else None
    return found


def today(log: ForwardReplay, sought: bytes) -> str | None:
    """Returns the pseudonym of what was searched for, on the day of the newest event.

    `sought`: an address, or the beginning of one. None without the keys.
    """
    if log.keys is None or log.span is None:
        return None
    return log.keys.pseudonym(day_of(log.span.last_us), sought)
