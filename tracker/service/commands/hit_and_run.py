"""Changes the rule of hit and run; pardons, voids and makes immune.

No state has these: the follower judges by the events (`tracker.domain.judging`). So a command looks
only at whether the event makes sense, and appends it also where it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from tracker import ports
from tracker.domain.events.admin import (
    HitAndRunPardoned,
    HitAndRunRuleEnded,
    HitAndRunRuleSet,
    HitAndRunVoided,
    ImmunityChanged,
)
from tracker.domain.hit_and_run import Rule
from tracker.service.commands.checks import check_account
from tracker.service.commands.crediting import END_US
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent


class HitAndRunCommands(Writing):
    async def set_hit_and_run_rule(self, rule: ports.JudgingRule, by: ports.Actor) -> int:
        asked = Rule(**asdict(rule, recurse=False))
        if problem := asked.problem():
            raise ports.InvalidJudgingError(problem)
        return await self._say(HitAndRunRuleSet(asked), None, by)

    async def end_hit_and_run_rule(self, by: ports.Actor) -> int:
        return await self._say(HitAndRunRuleEnded(), None, by)

    async def pardon(self, what: ports.Pardon, by: ports.Actor) -> int:
        if problem := what.problem():
            raise ports.InvalidJudgingError(problem)
        event = HitAndRunPardoned(what.account, what.info_hash, what.from_us, what.until_us)
        return await self._say(event, what.account, by)

    async def void(self, info_hash: bytes, account: int | None, by: ports.Actor) -> int:
        return await self._say(HitAndRunVoided(info_hash, account), account, by)

    async def change_immunity(
        self, account: int, immune: bool, from_us: int | None, by: ports.Actor
    ) -> int:
        if from_us is not None and from_us >= END_US:
            raise ports.InvalidJudgingError("it would begin after the year 9999")
        return await self._say(ImmunityChanged(account, immune, from_us), account, by)

    async def _say(self, event: AdminEvent, account: int | None, by: ports.Actor) -> int:
        state = self._service.state
        if not by.reason:
            raise ports.InvalidJudgingError("this needs a reason")
        if not state.settings.private or state.settings.accounting == 1:
            text = "there are accounts in private modes only, so nothing is judged here"
            raise ports.InvalidJudgingError(text)
        if account is not None:
            check_account(state.access, account)
        async with self._answer():
            self._need_room()
            return self._append(event, by)
