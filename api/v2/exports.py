"""Notes that personal data are exported, for `tracker export`, which reads the log's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.endpoint import NO_CONTENT, Endpoint
from api.replies import empty
from api.v2 import params
from api.v2.looks import demand
from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.replies import Response
    from api.v2.looks import Looks
    from tracker import ports

# The tables of `tracker export`.
TABLES: Final = (
    "announces",
    "events",
    "book",
    "stays",
    "series",
    "hit_and_run",
    "cases",
    "clients",
)


@frozen
class Exports:
    live: ports.Live
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST", "/exports/{table}", self.of_table,
                "Note that a table is exported with personal data.", NO_CONTENT,
            ),
            Endpoint(
                "POST", "/accounts/{account}/exports", self.of_account,
                "Note that all data of an account are exported.", NO_CONTENT,
            ),
        ]  # fmt: skip

    async def of_table(self, table: str) -> Response:
        """Writes the event `addresses_seen`, which has the path: 204. `X-Reason` is required."""
        if table not in TABLES:
            raise Problem(
                404, f"table: there is none of this name; choose from {', '.join(TABLES)}"
            )
        return await self._note()

    async def of_account(self, account: str) -> Response:
        """Writes the event `addresses_seen`, which has the path: 204. `X-Reason` is required."""
        if self.live.now().account(params.number(account, "account")) is None:
            raise Problem(404, "there is no such account")
        return await self._note()

    async def _note(self) -> Response:
        demand()
        await self.looks.note(None)
        return empty(204)
