"""What admin events are about, and which of the latest ones may be in memory only: an answer rests on those about the same thing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracker.ports import Actor

Subject = tuple[str, object]
"""A kind of thing, and which: `("info_hash", hex digits)`, `("key_ref", 7)`, `("request", (label, idempotency key))`."""

FACTORS: Subject = ("factors", "all")

_MEMBERS = {
    "info_hash": "info_hash",
    "key_hash": "key_hash",
    "old_key_hash": "key_hash",
    "key_ref": "key_ref",
    "old_key_ref": "key_ref",
    "account": "account",
    "factor": "factor",
}


def torrent(info_hash: bytes) -> Subject:
    return "info_hash", info_hash.hex()


def key(key_hash: bytes) -> Subject:
    return "key_hash", key_hash.hex()


def key_ref(number: int) -> Subject:
    return "key_ref", number


def request(by: Actor) -> Subject:
    """Of whoever may send the same again."""
    return "request", (by.token, by.idempotency_key)


class Pending:
    """The latest event about each thing, as long as nobody has seen that it is durable."""

    def __init__(self) -> None:
        self._seqs: OrderedDict[Subject, int] = OrderedDict()  # ascending

    def note(self, seq: int, data: Mapping[str, Any], by: Actor) -> None:
        """An event was appended, with these members."""
        about = [(kind, data[name]) for name, kind in _MEMBERS.items() if name in data]
        if "factor" in data:
            about.append(FACTORS)
        if by.idempotency_key:
            about.append(request(by))
        for each in about:
            self._seqs[each] = seq
            self._seqs.move_to_end(each)

    def latest(self, about: Iterable[Subject]) -> int:
        """The number of the latest event about any of these; -1 = they are all durable."""
        return max((self._seqs.get(each, -1) for each in about), default=-1)

    def durable(self, seq: int) -> None:
        """All up to this event are."""
        while self._seqs and next(iter(self._seqs.values())) <= seq:
            self._seqs.popitem(last=False)
