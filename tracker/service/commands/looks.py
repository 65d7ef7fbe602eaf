"""Notes that addresses are shown to somebody, before they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.events.admin import AddressesSeen
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from tracker import ports


class LookCommands(Writing):
    async def see_addresses(self, asked: str, addresses: int | None, by: ports.Actor) -> None:
        async with self._answer():
            self._need_room()
            self._append(AddressesSeen(asked, addresses), by)
