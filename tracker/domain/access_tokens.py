"""Holds the access tokens that were issued, by the SHA-256 of each. The tokens themselves are
nowhere.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

READ, MODERATOR, FULL = "read", "moderator", "full"
SCOPES = (READ, MODERATOR, FULL)
"""Each may do what those before it may."""
OWN_LABELS = ("shred", "shred_days", "import", "change-server-key", "keep_days", "keep_bytes")
"""Authors of what the tracker and its commands write of themselves. No token that is issued has
such a label, because the log could not tell who it was.
"""


class AccessToken(NamedTuple):
    """An access token. Times are dates, Unix microseconds."""

    number: int
    label: str  # names the author of changes
    scope: str
    issued_us: int
    until_us: int | None  # None = it does not expire
    used_us: int | None = None  # the latest use that was logged, one a day at most
    revoked_us: int | None = None

    def valid(self, date_us: int) -> bool:
        over = self.until_us is not None and self.until_us <= date_us
        return self.revoked_us is None and not over


class AccessTokens:
    """The tokens by number, and their hashes. Only applying events changes them."""

    __slots__ = ("by_number", "hashes")

    def __init__(self) -> None:
        self.by_number: dict[int, AccessToken] = {}
        self.hashes: dict[int, bytes] = {}  # 32 bytes

    @property
    def next_number(self) -> int:
        return len(self.by_number) + 1

    def issue(self, token: AccessToken, token_hash: bytes) -> None:
        """Raises `ValueError` unless the number is the next one and the scope is known."""
        if token.number != self.next_number:
            raise ValueError(f"token {token.number} where {self.next_number} is due")
        if token.scope not in SCOPES:
            raise ValueError(f"an access token of scope {token.scope}, unknown to this version")
        self.by_number[token.number] = token
        self.hashes[token.number] = token_hash

    def revoke(self, number: int, date_us: int) -> None:
        """Raises `KeyError` for a token that was not issued."""
        self.by_number[number] = self.by_number[number]._replace(revoked_us=date_us)

    def use(self, number: int, date_us: int) -> None:
        """Raises `KeyError` for a token that was not issued."""
        self.by_number[number] = self.by_number[number]._replace(used_us=date_us)

    def as_data(self) -> list[Any]:
        """Returns the tokens for JSON, in the order of their numbers."""
        return [[*token, self.hashes[token.number].hex()] for token in self.by_number.values()]

    def set_data(self, data: list[Any]) -> None:
        """Goes on from `as_data`. Raises `TypeError` or `ValueError` for others."""
        for *members, token_hash in data:
            token = AccessToken(*members)
            times = {type(each) for each in token[3:]} - {int, type(None)}
            if times or {type(token.number), type(token.label)} != {int, str}:
                raise ValueError("an access token has members of other kinds")
            self.issue(token, bytes.fromhex(token_hash))

    def digest(self) -> bytes:
        return blake2b(repr(self.as_data()).encode(), digest_size=16).digest()
