"""Remembers where the settings in force come from: the file of a start, or a change by staff.

The newest change wins. A start changes only what its file says otherwise than the file of the start
before, so what staff changed stays in force until staff or the file says something new
(docs/adr/0035-newest-setting-wins.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import asdict, evolve, fields

from tracker.domain.policy import Policy
from tracker.domain.settings import Settings, tick_ms_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CHANGES = 1_000
"""Largest number of changes to remember. Beyond it the oldest are forgotten of which no value is in
force.
"""


class Change(NamedTuple):
    """A change of settings. `values` are the new ones, by name, as JSON values."""

    seq: int  # of the event
    time_us: int  # its date
    by: str | None  # label of the author's access token; None = the file of a start
    reason: str
    values: dict[str, Any]


class Origins:
    """The changes of settings, and what the file of the last start says."""

    __slots__ = ("changes", "file")

    def __init__(self) -> None:
        self.changes: list[Change] = []  # in the order of the log
        self.file: Settings | None = None  # None = there was no start yet

    def note(
        self,
        before: Settings | None,
        now: Settings,
        seq: int,
        time_us: int,
        by: Mapping[str, str] | None,
        file: Settings | None,
    ) -> None:
        """Notes that event `seq` put settings in force.

        `before`: None = there were none. `by`: the author among staff; None = a file said so.
        `file`: what that file says; None = just these settings.
        """
        old = named(before) if before is not None else {}
        missing = object()
        values = {
            name: value for name, value in named(now).items() if old.get(name, missing) != value
        }
        if by is None:
            self.file = file or now
        if values:
            who, reason = (None, "") if by is None else (by.get("token"), by.get("reason", ""))
            self.changes.append(Change(seq, time_us, who, reason, values))
        if len(self.changes) > MOST_CHANGES:
            self._forget()

    def _forget(self) -> None:
        current = {change.seq for change in self.in_force().values()}
        for number, change in enumerate(self.changes):
            if change.seq not in current:
                del self.changes[number]
                return

    def in_force(self) -> dict[str, Change]:
        """Returns the change from which each value in force comes, by name.

        A name is missing where the log began before that was remembered.
        """
        return {name: change for change in self.changes for name in change.values}

    def from_start(self, now: Settings, file: Settings) -> Settings:
        """Returns the settings from a start on: those in force, and what its file says anew."""
        last = self.file or now
        core = {
            one.name: value
            for one in fields(Settings)
            if one.name != "policy"
            and (value := getattr(file, one.name)) != getattr(last, one.name)
        }
        policy = {
            one.name: value
            for one in fields(Policy)
            if (value := getattr(file.policy, one.name)) != getattr(last.policy, one.name)
        }
        made = evolve(now, **core, policy=evolve(now.policy, **policy))
        return evolve(made, tick_ms=tick_ms_of(made.inactive_peer_cleanup_interval))

    def digested(self, now: Settings) -> list[object]:
        """Returns what `State.digest` hashes, [] if nothing came from staff: so the digests of
        older logs stay.
        """
        found: list[object] = [change for change in self.changes if change.by is not None]
        if self.file is not None and self.file != now:
            found.append(named(self.file))
        return found

    def as_data(self, now: Settings) -> dict[str, Any]:
        """Returns the parts of an image, {} before the first settings."""
        if not self.changes:
            return {}
        same = self.file is None or self.file == now
        return {"changes": self.changes, "file": None if same else self.file.as_data()}  # type: ignore[union-attr]  # not None

    def set_data(self, data: dict[str, Any], now: Settings) -> None:
        """Goes on from `as_data`. Raises `TypeError`, `KeyError` or `ValueError` for others."""
        file = data.get("file")
        self.file = now if file is None else Settings.from_data(file)
        self.changes = [Change(*each) for each in data.get("changes", ())]
        for seq, time_us, by, reason, values in self.changes:
            if not {type(seq), type(time_us)} <= {int} or min(seq, time_us) < 0:
                raise ValueError("a change of settings has no number")
            if type(by) not in (str, type(None)) or type(reason) is not str:
                raise ValueError("a change of settings has no author")
            values.items()


def named(settings: Settings) -> dict[str, Any]:
    """Returns all settings by name, those of the policy as `policy.NAME`, as JSON values."""
    data = asdict(settings, recurse=False)
    policy = data.pop("policy")
    found = data | {f"policy.{one.name}": getattr(policy, one.name) for one in fields(Policy)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in found.items()
    }
