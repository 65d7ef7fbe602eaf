"""What announces are accounted by while a log is read: settings and factors as its events say them,
and the accounts that follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events
from tracker.domain.accounts import Accounts
from tracker.domain.factors import Factors
from tracker.domain.settings import Settings
from tracker.domain.state import factor_of

if TYPE_CHECKING:
    from tracker.domain.codec import AdminRecord
    from tracker.domain.state import State
    from tracker.domain.swarms import Peer


class Terms:
    __slots__ = ("accounts", "factors", "settings")

    def __init__(self) -> None:
        self.settings = Settings()
        self.factors = Factors()
        self.accounts = Accounts(self.factors)

    def go_on(self, state: State, accounts: Accounts) -> None:
        """From a state, with the accounts of one's own or the state's."""
        self.settings, self.factors, self.accounts = state.settings, state.factors, accounts

    def learn(self, seq: int, record: AdminRecord) -> None:
        """What an admin event changes of this, as `State.apply_admin` does."""
        kind, data = record.type, record.data
        if kind == events.SETTINGS_CHANGED:
            self.settings = Settings.from_data(data["settings"])
        elif kind == events.CREDIT_FACTOR_SET:
            self.factors.expire(record.time_us)
            self.factors.set(factor_of(data, seq))
            self.accounts.keep_credit()
        elif kind == events.CREDIT_FACTOR_ENDED and data["factor"] in self.factors.current:
            self.factors.end(data["factor"])

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
        """`Accounts.record`, by the settings."""
        return self.accounts.record(
            account, before, time_us, info_hash, uploaded, downloaded, left, event, rule,
            self.settings.max_peer_timeout * 1_000_000,
        )  # fmt: skip
