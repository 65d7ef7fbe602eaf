"""The values of access tokens that the tracker issued."""

from __future__ import annotations

from typing import Final

from attrs import frozen

TOKEN_SCOPES: Final = ("read", "moderator", "full")
"""What an access token may do; each may do what those before it may.

`moderator` whitelists, revokes and blocks, and sees neither keys nor addresses.
"""


@frozen
class NewToken:
    """A token to issue. Without either end it does not expire; `seconds_valid` counts from now."""

    label: str  # names the author of changes
    scope: str  # one of `TOKEN_SCOPES`
    seconds_valid: int | None = None
    until_us: int | None = None  # a date, Unix microseconds


@frozen
class IssuedToken:
    """`text` is the token itself, which is nowhere else."""

    text: str
    number: int


@frozen
class TokenInfo:
    """An access token that was issued. Times are dates, Unix microseconds."""

    number: int
    label: str
    scope: str
    state: str  # "valid" | "expired" | "revoked"
    issued_us: int
    until_us: int | None  # None = it does not expire
    used_us: int | None  # the latest use that was logged, one a day at most; None = never
    revoked_us: int | None
