"""Programs that read the log, and for which retention waits, as the API sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen
class Consumer:
    """A program that reads the log, and how far it is."""

    name: str
    webhook: bool  # else it registered its position itself
    seq: int  # it has everything up to this event; -1 = nothing
    behind: int  # durable events after it
    registered_us: int | None  # date of its last registration; None = a webhook
    waited_for: bool  # announces older than `keep_days` are kept for it now


class Consumers(Protocol):
    """The webhooks of the configuration, and the programs that registered a position."""

    def all(self) -> Sequence[Consumer]:
        """Returns the webhooks in the order of the configuration, then the others by name."""
        ...

    async def register(self, name: str, seq: int) -> Consumer:
        """Notes durably that a program has everything up to event `seq`.

        Raises `ValueError` where there is no such event yet, and for a name too many or of a
        webhook; `BusyError` where the position cannot be noted.
        """
        ...

    async def forget(self, name: str) -> bool:
        """Has retention not wait for a program any more; False = there is none of that name.

        Raises `BusyError`.
        """
        ...
