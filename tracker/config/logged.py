"""Reads values of logged settings by the keys of the configuration, and applies them to settings.

Live settings and `tracker what-if` use it. The readers of the file judge the values.
"""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, fields, frozen

from tracker.config.schema import MOST_PEERS
from tracker.config.structure import structure
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings, tick_ms_of

OF_CORE = {
    "core.listed": "listed",
    "core.private_mode.check_keys_expiration": "check_keys_expiration",
    "core.inactive_peer_cleanup_interval": "inactive_peer_cleanup_interval",
    "core.announce_policy.interval": "interval",
    "core.announce_policy.interval_min": "interval_min",
    "core.announce_policy.max_peers_per_announce": "max_peers_per_announce",
    "core.tracker_policy.max_peer_timeout": "max_peer_timeout",
    "core.tracker_policy.remove_peerless_torrents": "remove_peerless_torrents",
}
"""The keys of `[core]` that can change while the tracker runs, and their names in `Settings`."""

KEYS = (*OF_CORE, *(f"policy.{one.name}" for one in fields(Policy)))
"""All keys that can change while the tracker runs."""

SHOWN = {"core.private": "private"} | OF_CORE
"""The keys of `[core]` that are logged settings."""

_SHELL: dict[str, dict[str, Any]] = {
    "metadata": {"schema_version": "2.0.0"},
    "logging": {"threshold": "info"},
    "core": {"listed": False, "private": True},
}


class BadSettingError(Exception):
    """A setting has an unknown key or a wrong value; the text says what to do."""


@frozen
class Changes:
    """The settings that are other ones, by their names in `Settings` and in `Policy`."""

    of_core: dict[str, Any]
    of_policy: dict[str, Any]

    def made_in(self, settings: Settings) -> Settings:
        return evolve(settings, **self.of_core, policy=evolve(settings.policy, **self.of_policy))

    def made_live(self, settings: Settings) -> Settings:
        """Does the same, and keeps the time between ticks in step with the clean-up interval."""
        made = self.made_in(settings)
        return evolve(made, tick_ms=tick_ms_of(made.inactive_peer_cleanup_interval))

    def shown_in(self, settings: Settings) -> dict[str, Any]:
        """Returns the values of these settings, by name."""
        return {name: getattr(settings, name) for name in self.of_core} | {
            name: getattr(settings.policy, name) for name in self.of_policy
        }


def typed(texts: Iterable[str]) -> dict[str, object]:
    """Reads texts such as `policy.max_peers=7`, with values as in TOML; a word needs no quotes.

    Raises `BadSettingError`.
    """
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadSettingError(f"{text!r}: expected KEY=VALUE, such as policy.max_peers=1000")
        found[key.strip()] = _value(value.strip())
    return found


def changes(values: Mapping[str, object], keys: Iterable[str] = KEYS) -> Changes:
    """Reads values by their keys in the configuration, as TOML or JSON has them.

    Raises `BadSettingError`, also for a key that is not one of `keys`.
    """
    document: dict[str, Any] = {name: dict(table) for name, table in _SHELL.items()}
    for key, value in values.items():
        _refuse_other(key, keys)
        *tables, name = key.split(".")
        table = document
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    config, problems = structure(document)
    if config is None:
        raise BadSettingError("; ".join(f"{path} {why}" for path, why in problems))
    of_core: dict[str, Any] = {}
    of_policy: dict[str, Any] = {}
    for key in values:
        at: Any = config
        for name in key.split("."):
            at = getattr(at, name)
        if key in OF_CORE:
            of_core[OF_CORE[key]] = at
        else:
            of_policy[key.removeprefix("policy.")] = at
    if "max_peers_per_announce" in of_core:
        of_core["max_peers_per_announce"] = min(of_core["max_peers_per_announce"], MOST_PEERS)
    return Changes(of_core, of_policy)


def key_of(name: str) -> str | None:
    """Returns the key of a logged setting in the configuration; None = it has none.

    `name`: as `tracker.domain.origins.named` has it.
    """
    if name.startswith("policy."):
        return name
    return next((key for key, each in SHOWN.items() if each == name), None)


def _refuse_other(key: str, keys: Iterable[str]) -> None:
    if key not in keys:
        raise BadSettingError(
            f"{key} is no key that can be set here. These work: {', '.join(keys)}"
        )


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # also: too many digits, or brackets
        return text
