"""Remembers the recent admin events that are not yet durable.

A reply depends on some subjects (keys, torrents, accounts). It waits for the latest event on them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.events.registry import AdminEvent, Subject
    from tracker.ports import Actor

ANY = None
"""Stands in a subject for all things of that kind."""

FACTORS: Subject = ("factor", ANY)


def torrent(info_hash: bytes) -> Subject:
    return "info_hash", info_hash


def key(key_hash: bytes) -> Subject:
    return "key_hash", key_hash


def key_ref(number: int) -> Subject:
    return "key_ref", number


def account(number: int) -> Subject:
    return "account", number


def factor(number: int) -> Subject:
    return "factor", number


def network(name: str) -> Subject:
    return "network", name


def request(by: Actor) -> Subject:
    """Returns the subject of a request that the same token may repeat (an idempotency key)."""
    return "request", (by.token, by.idempotency_key)


class Pending:
    """Holds the latest event on each subject, until `durable` reports that event."""

    def __init__(self) -> None:
        self._seqs: OrderedDict[Subject, int] = OrderedDict()  # ascending

    def note(self, seq: int, event: AdminEvent, by: Actor) -> None:
        """Enters an event that was appended."""
        subjects = event.subjects()
        subjects += [(kind, ANY) for kind, _ in subjects]
        if by.idempotency_key:
            subjects.append(request(by))
        for subject in subjects:
            self._seqs[subject] = seq
            self._seqs.move_to_end(subject)

    def latest(self, subjects: Iterable[Subject]) -> int:
        """Returns the number of the latest event on these subjects; -1 = all of their events are
        durable.
        """
        return max((self._seqs.get(each, -1) for each in subjects), default=-1)

    def durable(self, seq: int) -> None:
        """Forgets the events up to this one, because they are durable."""
        while self._seqs and next(iter(self._seqs.values())) <= seq:
            self._seqs.popitem(last=False)
