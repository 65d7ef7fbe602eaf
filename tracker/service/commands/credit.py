"""Sets and ends credit factors, and corrects accounts. `crediting` has the decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from tracker.service.commands import crediting, pending
from tracker.service.commands.writing import Writing, fingerprint_of, request_of
from tracker.service.read_model import factor_seen

if TYPE_CHECKING:
    from tracker import ports


class CreditCommands(Writing):
    async def set_factor(self, terms: ports.FactorTerms, by: ports.Actor) -> ports.Factor:
        state, now = self._service.state, self._service.date_us()
        async with self._answer(pending.FACTORS):
            factor = crediting.same_factor(state, terms, now)
            if factor is None:
                event = crediting.new_factor(state, terms, now)
                self._need_room()
                self._append(event, by)
                factor = state.factors.current[event.factor]
        return factor_seen(state, factor)

    async def end_factor(self, number: int, by: ports.Actor) -> None:
        async with self._answer(pending.factor(number)):
            event = crediting.factor_to_end(self._service.state, number, self._service.date_us())
            self._need_room()
            self._append(event, by)

    async def correct(self, asked: ports.Correction, by: ports.Actor) -> int:
        fingerprint = fingerprint_of("correct", {**asdict(asked), "reason": by.reason})
        async with self._answer(pending.account(asked.account), *self._of_request(by)):
            before = self._earlier(fingerprint, by)
            if before is not None:
                return before.seq
            request = request_of(fingerprint, by)
            event = crediting.correction(self._service.state, asked, by.reason, request)
            self._need_room()
            return self._append(event, by)
