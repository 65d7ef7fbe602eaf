"""Counts announces while a ledger reads the log, by the settings and factors at their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.accounts import Accounts
from tracker.domain.dates import Dates
from tracker.domain.events import codec
from tracker.domain.events.records import Tick
from tracker.domain.events.registry import AccountingEvent, ClockEvent
from tracker.domain.factors import Factors
from tracker.domain.settings import Settings
from tracker.store.frames import newest

if TYPE_CHECKING:
    from eventlog import Frame
    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.state import State
    from tracker.domain.swarms import Peer


class AccountingRules:
    """The part of the state that accounting needs. The same events change it (`events.target`)."""

    __slots__ = ("accounts", "dates", "factors", "settings")

    def __init__(self) -> None:
        self.settings = Settings()
        self.dates = Dates()
        self.factors = Factors(self.dates)
        self.accounts = Accounts(self.factors)

    def go_on(self, state: State, accounts: Accounts) -> None:
        """Begins with a state, because the events before it were removed.

        `accounts`: those of the state, or empty ones.
        """
        self.settings, self.dates, self.factors = state.settings, state.dates, state.factors
        self.accounts = accounts

    def change_settings(self, settings: Settings, seq: int) -> None:  # noqa: ARG002  # the protocol's name
        self.settings = settings

    def apply(self, event: AdminEvent, seq: int, time_us: int) -> None:
        """Applies the event if it changes how announces count. Raises the errors of its `apply`."""
        if isinstance(event, AccountingEvent):
            event.apply(self, seq, time_us)
        elif isinstance(event, ClockEvent):
            self.dates.note(time_us, event.wall_us)

    def pass_time(self, frame: Frame) -> None:
        """Applies a frame of ticks, as far as accounting needs them."""
        for tick in codec.decode_records(Tick.kind, newest(frame).plain):
            if isinstance(tick, Tick):
                tick.pass_time(self)

    def record(
        self,
        account: int,
        before: Peer | None,
        time_us: int,
        info_hash: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        rule: int,
    ) -> bool:
        """Adds an announce to the totals by the settings in force; see `Accounts.record`."""
        return self.accounts.record(
            account, before, time_us, info_hash, uploaded, downloaded, left, event, rule,
            self.settings.max_peer_timeout * 1_000_000,
        )  # fmt: skip
