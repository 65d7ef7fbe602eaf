"""Gives accounts limits of their own in place of the policy's."""

from __future__ import annotations

from attrs import astuple

from tracker import ports
from tracker.domain.events.admin import LimitsSet
from tracker.domain.limits import KINDS, MOST
from tracker.service.commands import pending
from tracker.service.commands.checks import check_account
from tracker.service.commands.writing import Writing


class LimitCommands(Writing):
    async def limit(self, account: int, own: ports.OwnLimits, by: ports.Actor) -> int:
        async with self._answer(pending.account(account)):
            if not by.reason:
                raise ports.InvalidSanctionError("this needs a reason")
            for name in KINDS:
                if not 0 <= (getattr(own, name) or 0) <= MOST:
                    raise ports.InvalidSanctionError(f"{name}: expected 0 (no limit) to {MOST:,}")
            check_account(self._service.state.access, account)
            self._need_room()
            return self._append(LimitsSet(account, *astuple(own)), by)
