"""Issues and revokes access tokens, and notes that they are used."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tracker import ports
from tracker.domain.access_tokens import OWN_LABELS
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import TokenIssued, TokenRevoked, TokenUsed
from tracker.service.commands.crediting import END_US
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from tracker.domain.access_tokens import AccessToken
    from tracker.domain.events.registry import Subject

RANDOM_BYTES: Final = 24
"""Random bytes of a token: 192 bits, 48 hexadecimal digits. Base64 has `-`, and a token that begins
with it would be taken for an option on a command line."""
MOST_TOKENS: Final = 100
"""Most tokens in force, because a request is compared with each."""


class TokenCommands(Writing):
    async def issue_token(self, new: ports.NewToken, by: ports.Actor) -> ports.IssuedToken:
        async with self._answer():
            state, now = self._service.state, self._service.date_us()
            until_us = new.until_us
            if new.seconds_valid is not None:
                until_us = now + new.seconds_valid * 1_000_000
            if until_us is not None and not now < until_us < END_US:
                raise ports.InvalidTokenError("it would end before now, or after the year 9999")
            if new.label in OWN_LABELS:
                text = f"the label {new.label} is that of the tracker's own changes"
                raise ports.InvalidTokenError(text)
            valid = [one for one in state.access_tokens.by_number.values() if one.valid(now)]
            if any(one.label == new.label for one in valid):
                text = f"an access token with the label {new.label} is in force: revoke it first"
                raise ports.InvalidTokenError(text)
            if len(valid) >= MOST_TOKENS:
                text = f"{MOST_TOKENS} access tokens are in force: revoke one first"
                raise ports.InvalidTokenError(text)
            self._need_room()
            text, number = secrets.token_hex(RANDOM_BYTES), state.access_tokens.next_number
            token_hash = sha256(text.encode()).digest()
            self._append(TokenIssued(number, token_hash, new.label, new.scope, until_us), by)
        return ports.IssuedToken(text, number)

    async def revoke_token(self, number: int, by: ports.Actor) -> None:
        subject: Subject = "access_token", number
        async with self._answer(subject):
            token = self._service.state.access_tokens.by_number.get(number)
            if token is None:
                raise ports.UnknownTokenError
            if token.revoked_us is not None:
                raise ports.UnknownTokenError("that access token is revoked already")
            self._need_room()
            self._append(TokenRevoked(number, token.label), by)

    def use_token(self, number: int) -> None:
        """Notes a use, unless one of the same date is noted, or the log has no room."""
        token, now = self._service.state.access_tokens.by_number[number], self._service.date_us()
        if not _used_on(token, now // DAY_US) and self._log.has_room():
            self._service.append(TokenUsed(number, token.label))


def _used_on(token: AccessToken, day: int) -> bool:
    return token.used_us is not None and token.used_us // DAY_US >= day
