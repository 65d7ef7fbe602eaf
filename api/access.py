"""Changing the whitelist and the tracker keys (contract, sections 1.2 and 1.3); both API versions.

Every change is answered after it is on stable storage. The `reload` endpoints answer ok and do
nothing: state is a projection of the log, so there is no second copy that could differ from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from api import params
from api.caller import actor
from api.errors import invalid_duration, reported_as
from api.replies import JSON_WITH_CHARSET, json_text, ok
from tracker.ports import InvalidDurationError, NewKey

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from api.replies import Response
    from api.shapes import Shapes
    from tracker.ports import Commands


async def reload() -> Response:
    return ok()


@frozen
class Access:
    commands: Commands
    shapes: Shapes

    async def whitelist_add(self, info_hash: str) -> Response:
        torrent = params.info_hash(info_hash)
        with self._reported_as("failed to whitelist torrent"):
            await self.commands.whitelist_add([torrent], actor())
        return ok()

    async def whitelist_remove(self, info_hash: str) -> Response:
        torrent = params.info_hash(info_hash)
        with self._reported_as("failed to remove torrent from whitelist"):
            await self.commands.whitelist_remove(torrent, actor())
        return ok()

    async def generate_key(self, value: str) -> Response:
        return await self.issue_key(None, params.seconds(value))

    async def issue_key(self, key: str | None, seconds_valid: int | None) -> Response:
        """Add `key`, or a random one for `None`; permanent when it has no duration."""
        new = NewKey(key, seconds_valid)
        try:
            with self._reported_as("failed to generate key"):
                issued = await self.commands.issue_key(new, actor())
        except InvalidDurationError as error:
            raise invalid_duration(seconds_valid) from error
        return json_text(self.shapes.key(issued), content_type=JSON_WITH_CHARSET)

    async def revoke_key(self, value: str) -> Response:
        key = params.key(value)
        with self._reported_as("failed to delete key"):
            await self.commands.revoke_key(key, actor())
        return ok()

    def _reported_as(self, failure: str) -> AbstractContextManager[None]:
        return reported_as(failure, detailed=self.shapes.detailed_errors)
