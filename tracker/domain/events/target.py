"""What events change: the parts of the state that `apply` reaches.

The ledger keeps only what accounting needs, and applies the same events to that
(`ledger/rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tracker.domain.access import Access
    from tracker.domain.accounts import Accounts
    from tracker.domain.factors import Factors
    from tracker.domain.hidden_peers import Hidden
    from tracker.domain.settings import Settings
    from tracker.domain.swarms import Swarms
    from tracker.domain.sweep import Sweep


class Pruned(NamedTuple):
    """A removal of the oldest events, as `log_pruned` describes it."""

    seq: int  # of that event
    first_seq: int  # the first event that was kept
    opening: str  # SHA-256 of the opening balance, 64 hex digits


class Accounting(Protocol):
    """What decides how announces count: settings, factors, and the accounts themselves."""

    factors: Factors
    accounts: Accounts

    def change_settings(self, settings: Settings, seq: int) -> None:
        """Puts settings in force, as event `seq` says."""


class Target(Accounting, Protocol):
    """The whole state; `tracker.domain.state.State` is one."""

    settings: Settings
    swarms: Swarms
    access: Access
    sweep: Sweep
    counters: dict[tuple[int, int], int]
    refusals: dict[tuple[int, str, str], int]
    ticks: int
    starts: int
    writer: str
    resumed_us: int
    shredded: set[str]
    pruned: tuple[Pruned, ...]
    hidden: Hidden | None

    def compare(self, number: int, digest: int) -> None:
        """Compares a slice with its logged digest. Raises `ReplayError` when they differ."""
