"""The values of live settings: where each comes from, and what a change makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class SettingsChanged:
    """A change of settings that the log has. `values` are the new ones, by key."""

    seq: int
    time_us: int  # its date, Unix microseconds
    by: str | None  # label of the author's access token; None = the configuration file of a start
    reason: str
    values: dict[str, Any]


@frozen
class SettingInForce:
    """A setting, by its key in the configuration file; values as in JSON."""

    key: str
    value: Any
    file: Any  # what the file of the last start says
    origin: SettingsChanged | None  # None = the log began before that was remembered


@frozen
class SettingsInForce:
    """`seq`: of the event that put them in force, None = no event did. `data`: as in its JSON."""

    seq: int | None
    data: Mapping[str, Any]
    keys: tuple[SettingInForce, ...]


@frozen
class SettingDifference:
    key: str
    before: Any
    after: Any


@frozen
class SettingsChange:
    """What a command changed, or would change. `seq`: None = nothing was appended."""

    seq: int | None
    differences: tuple[SettingDifference, ...]
