"""Changes settings while the tracker runs: announces after the event are decided by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import ports
from tracker.config import logged
from tracker.domain.events.admin import SettingsChanged
from tracker.domain.origins import named
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.domain.settings import Settings

_SETTINGS = ("settings", 0)  # the subject of every change of settings


class SettingCommands(Writing):
    async def change_settings(
        self, values: Mapping[str, object], by: ports.Actor, *, dry_run: bool = False
    ) -> ports.SettingsChange:
        changes = self._read(values)
        if not (by.reason or dry_run):
            raise ports.InvalidSettingError("this needs a reason")
        async with self._answer(_SETTINGS):
            now = self._service.settings
            made = changes.made_live(now)
            seq = None
            if made != now and not dry_run:
                self._need_room()
                seq = self._append(SettingsChanged(made), by)
            return ports.SettingsChange(seq, _differences(now, made))

    def _read(self, values: Mapping[str, object]) -> logged.Changes:
        """Reads new values. Raises `InvalidSettingError`."""
        if "core.private" in values:
            raise ports.InvalidSettingError(
                "core.private cannot change while the tracker runs, because peers, the book and the index of stays belong to a "
                "mode: change it in the file, and start again"
            )
        if not values:
            raise ports.InvalidSettingError("no setting is given")
        try:
            changes = logged.changes(values)
        except logged.BadSettingError as error:
            raise ports.InvalidSettingError(str(error)) from None
        most, days = self._service.shred_days, changes.of_policy.get("remember_days", 0)
        if 0 < most < days:
            raise ports.InvalidSettingError(
                f"policy.remember_days must be at most event_log.shred_days, which is {most}, because what is remembered "
                "has a part of the addresses"
            )
        return changes


def _differences(before: Settings, after: Settings) -> tuple[ports.SettingDifference, ...]:
    """Returns what differs, by the keys of the configuration."""
    then, now = named(before), named(after)
    return tuple(
        ports.SettingDifference(key, then[name], value)
        for name, value in now.items()
        if value != then[name] and (key := logged.key_of(name)) is not None
    )
