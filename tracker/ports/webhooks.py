"""Webhooks as the API sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen
class DeadLetter:
    """Events that a receiver did not take, so that others could follow."""

    first: int  # numbers of the first and the last event of the delivery
    last: int
    time_us: int  # when it was given up
    why: str


@frozen
class WebhookState:
    """A webhook and how far it is."""

    name: str
    origin: str  # scheme, host and port of the receiver; the rest of a URL may be a secret
    types: tuple[str, ...]
    seq: int  # everything up to this event is done; -1 = nothing yet
    behind: int  # durable events after it
    failing_us: int | None  # date since when deliveries fail; None = they do not
    error: str | None  # why the last one failed
    dead: tuple[DeadLetter, ...]
    dropped: int  # dead letters that there was no room for


class Webhooks(Protocol):
    """The webhooks of the configuration."""

    def all(self) -> Sequence[WebhookState]:
        """Returns all of them, in the order of the configuration."""
        ...

    def replay(self, name: str, first: int) -> None:
        """Sends everything from event `first` on once more.

        Raises `KeyError`, and `NoMomentError` for an event beyond the next one that it gets.
        """
        ...

    def retry(self, name: str) -> int:
        """Sends the dead letters once more, before anything else; returns their number.

        Raises `KeyError`.
        """
        ...
