"""Takes, closes and notes cases.

No state has them: the follower finds them, and enters these events (`tracker.domain.detecting`). So
a command looks only at whether the event makes sense, and appends it also where it changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import ports
from tracker.domain.events.admin import CaseClosed, CaseNoted, CaseTaken, CaseWaiting
from tracker.service.commands.crediting import END_US
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from tracker.domain.events.admin import CaseEvent


class CaseCommands(Writing):
    async def take_case(self, account: int, detector: str, by: ports.Actor) -> int:
        return await self._tell(CaseTaken(account, detector), by)

    async def wait_for_member(self, account: int, detector: str, by: ports.Actor) -> int:
        return await self._tell(CaseWaiting(account, detector), by)

    async def close_case(
        self, account: int, detector: str, how: ports.CaseClosing, by: ports.Actor
    ) -> int:
        if not by.reason:
            raise ports.InvalidCaseError("this needs a reason")
        if how.outcome not in ports.CASE_OUTCOMES:
            expected = ", ".join(ports.CASE_OUTCOMES)
            raise ports.InvalidCaseError(f"the outcome must be one of {expected}")
        if how.until_us is not None and how.outcome != "harmless":
            raise ports.InvalidCaseError("only what is harmless can be so until a date")
        if how.until_us is not None and how.until_us >= END_US:
            raise ports.InvalidCaseError("the date is after the year 9999")
        if how.until_us is not None and how.until_us <= self._service.date_us():
            raise ports.InvalidCaseError(
                "the date is in the past: leave it away, or name one to come"
            )
        event = CaseClosed(account, detector, how.outcome, how.upto, how.until_us)
        return await self._tell(event, by)

    async def note_case(self, account: int, detector: str, note: str, by: ports.Actor) -> int:
        if not note:
            raise ports.InvalidCaseError("the note is empty")
        return await self._tell(CaseNoted(account, detector, note), by)

    async def _tell(self, event: CaseEvent, by: ports.Actor) -> int:
        if not self._service.state.access.known(event.account):
            raise ports.UnknownAccountError
        async with self._answer():
            self._need_room()
            return self._append(event, by)
