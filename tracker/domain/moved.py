"""Holds what moves from one account to another when accounts are merged or split."""

from __future__ import annotations

from typing import Any

from attrs import asdict, fields, frozen


@frozen
class Moved:
    """Amounts that one account loses and another one gets."""

    uploaded: int = 0  # raw bytes
    downloaded: int = 0
    credited_uploaded: int = 0  # bytes
    credited_downloaded: int = 0
    seeding_us: int = 0
    partial_us: int = 0
    sessions: int = 0
    snatched: int = 0

    def amounts(self) -> dict[str, int]:
        """Returns the amounts by the names of `Totals`."""
        return asdict(self)

    def signed(self, sign: int) -> Moved:
        """Returns them as the account sees them: with 1 it gets them, with -1 it loses them."""
        return Moved(**{name: sign * amount for name, amount in self.amounts().items()})

    def as_data(self) -> dict[str, int]:
        """Returns the amounts that are not 0, for JSON."""
        return {name: amount for name, amount in self.amounts().items() if amount}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Moved:
        """Reads the amounts of an event. Raises `TypeError`, `ValueError`."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        if any(type(each) is not int for each in values.values()):
            raise TypeError("an amount that moves is no whole number")
        if any(each < 0 for each in values.values()):
            raise ValueError("an amount that moves is negative")
        return cls(**values)
