"""Finds the books beside a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.ports import BookRead
    from tracker.store.address_keys import Keyring


def newest_book(log: Path, keys: Keyring | None) -> BookRead | None:
    """Opens the newest book of a log; None = there is none."""
    return None


def opening_book(log: Path, seq: int, keys: Keyring | None) -> BookRead | None:
    """Opens the book of the events before `seq`, which were removed; None = there is none."""
    return None
