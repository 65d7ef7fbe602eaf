"""Serves changes of the whitelist and the tracker keys in the older versions.

See sections 1.2 and 1.3 of the contract. A change gets its response after its event is durable. The
`reload` endpoints answer ok and do nothing, because the state follows from the log alone, and there
is no second copy to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from api import params
from api.caller import actor
from api.endpoint import REPEATABLE, Endpoint, answer
from api.errors import invalid_duration, reported_as
from api.openapi import shapes
from api.replies import JSON_WITH_CHARSET, json_text, ok
from tracker.ports import InvalidDurationError, NewKey

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from api.endpoint import Responses
    from api.replies import Response
    from api.shapes import Shapes
    from tracker.ports import Commands


async def reload() -> Response:
    return ok()


@frozen
class Access:
    commands: Commands
    shapes: Shapes

    def endpoints(self) -> list[Endpoint]:
        done, nothing = answer(shapes.OK), "Does nothing: the log is the store."
        torrent, issued = "/whitelist/{info_hash}", self.issued()
        return [
            Endpoint(
                "POST", torrent, self.whitelist_add, "Whitelist a torrent.", done, scope="moderator"
            ),
            Endpoint(
                "DELETE", torrent, self.whitelist_remove, "Take a torrent off the whitelist.", done,
                scope="moderator",
            ),
            Endpoint("GET", "/whitelist/reload", reload, nothing, done),
            Endpoint(
                "POST", "/key/{seconds}", self.generate_key, "Issue a random key.", issued,
                headers=REPEATABLE,
            ),
            Endpoint("DELETE", "/key/{key}", self.revoke_key, "Revoke a key.", done, scope="moderator"),
            Endpoint("GET", "/keys/reload", reload, nothing, done),
        ]  # fmt: skip

    def issued(self) -> Responses:
        """Describes the response with a new key."""
        return answer(self.shapes.key_schema, media=JSON_WITH_CHARSET)

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

    async def generate_key(self, seconds: str) -> Response:
        return await self.issue_key(None, params.seconds(seconds))

    async def issue_key(self, key: str | None, seconds_valid: int | None) -> Response:
        """Issues `key`; None = a random key. Without `seconds_valid` the key is permanent."""
        new = NewKey(key, seconds_valid)
        try:
            with self._reported_as("failed to generate key"):
                issued = await self.commands.issue_key(new, actor())
        except InvalidDurationError as error:
            raise invalid_duration(seconds_valid) from error
        return json_text(self.shapes.key(issued), content_type=JSON_WITH_CHARSET)

    async def revoke_key(self, key: str) -> Response:
        tracker_key = params.key(key)
        with self._reported_as("failed to delete key"):
            await self.commands.revoke_key(tracker_key, actor())
        return ok()

    def _reported_as(self, failure: str) -> AbstractContextManager[None]:
        return reported_as(failure, detailed=self.shapes.detailed_errors)
