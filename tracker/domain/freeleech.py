"""Holds freeleech tokens: downloads of one account in one torrent that count nothing.

A token frees downloaded bytes until the download is complete, until a time, or until it has freed
so many bytes (docs/credit.md). Only applying events changes it. Accounting rules 2 alone know them.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from tracker.domain.events import DAY_US

KEPT_US = 30 * DAY_US
"""Microseconds of log time for which a token that is over is still listed."""
DROPPED_AT_ONCE = 1000
"""Largest number of tokens that one tick removes, which takes a few milliseconds."""
NEVER = 2**64 - 1  # a log time

UNUSED, IN_USE, USED_UP, COMPLETED, WITHDRAWN, EXPIRED = (
    "unused", "in_use", "used_up", "completed", "withdrawn", "expired",
)  # fmt: skip


class Token(NamedTuple):
    """A token as it was given, and what it has freed so far. Times are log times."""

    number: int
    seq: int  # the event that gave it
    account: int
    info_hash: bytes
    given_us: int
    until_us: int  # NEVER = no end by time
    max_bytes: int | None  # None = any number
    until_completed: bool
    label: str = ""
    until_date_us: int = 0  # the end by time as it was asked for, a date; 0 = none
    freed: int = 0  # bytes
    first_us: int = 0  # when it freed the first byte; 0 = it is unused
    over_us: int = 0  # when it was over, unless by time; 0 = it is not
    why: str = ""  # it is over: USED_UP, COMPLETED or WITHDRAWN

    def state(self, time_us: int) -> str:
        """Returns the state at a log time, a word for people and programs."""
        if self.why:
            return self.why
        if time_us >= self.until_us:
            return EXPIRED
        return IN_USE if self.freed else UNUSED


class Freeleech:
    """The tokens that are not over, and those that were over for less than `KEPT_US`.

    `counts` has the number of tokens that may free something, by account, so that an announce of
    any other account makes no object.
    """

    __slots__ = ("_due", "_places", "counts", "next_number", "tokens")

    def __init__(self) -> None:
        self.next_number = 1
        self.tokens: dict[int, Token] = {}  # by number
        self.counts = array("I")
        self._places: dict[tuple[int, bytes], int] = {}  # which may free, by account and torrent
        self._due: list[tuple[int, int]] = []  # heap: when to remove a token, and its number

    def give(self, token: Token) -> None:
        """Adds a token, whose number is `next_number`. It takes the place of the account's earlier
        one for the torrent, which is over: a ledger that passes over the account's announces need
        not know that.
        """
        earlier = self.of(token.account, token.info_hash)
        if earlier is not None:
            self._leave_place(earlier)
            self.tokens[earlier.number] = earlier._replace(why=EXPIRED)
        self.next_number = token.number + 1
        self._enter(token)

    def _enter(self, token: Token) -> None:
        if token.why:
            self.tokens[token.number] = token
        else:
            self._take_place(token)
        due_us = min(token.until_us, token.over_us or NEVER)
        if due_us != NEVER:
            heappush(self._due, (due_us + KEPT_US, token.number))

    def _take_place(self, token: Token) -> None:
        """Has a token free what its account loads. It has no place yet."""
        self.tokens[token.number] = token
        self._places[token.account, token.info_hash] = token.number
        self.counts.extend([0] * (token.account + 1 - len(self.counts)))
        self.counts[token.account] += 1

    def _leave_place(self, token: Token) -> None:
        if self._places.get((token.account, token.info_hash)) == token.number:
            del self._places[token.account, token.info_hash]
            self.counts[token.account] -= 1

    def of(self, account: int, info_hash: bytes) -> Token | None:
        """Returns the token that may free downloads of this account and torrent."""
        number = self._places.get((account, info_hash))
        return None if number is None else self.tokens[number]

    def free(
        self,
        account: int,
        info_hash: bytes,
        seen_us: int,
        time_us: int,
        moved: int,
        left: int,
        resumed: bool,
        charged: bool,
    ) -> int:
        """Frees downloaded bytes of an announce; returns how many.

        `moved`: bytes that it adds. `seen_us`, `time_us`: log times of the announce before it and
        of itself. `charged`: its downloads count, by the factors.
        """
        token = self.of(account, info_hash)
        if token is None:
            return 0
        if resumed:
            holds = token.given_us <= seen_us and time_us < token.until_us
        else:
            holds = seen_us < token.until_us
        freed = 0
        if holds and charged:
            room = moved if token.max_bytes is None else token.max_bytes - token.freed
            freed = min(moved, room)
        if freed:
            first_us = token.first_us or time_us
            token = token._replace(freed=token.freed + freed, first_us=first_us)
            self.tokens[token.number] = token
        if token.freed == token.max_bytes:
            self._end(token, time_us, USED_UP)
        elif token.until_completed and left == 0:
            self._end(token, time_us, COMPLETED)
        return freed

    def hand_over(self, account: int, to: int, time_us: int) -> None:
        """Gives the tokens of an account to another one, because it was merged. Where the other one
        has a token for the torrent that is not over, that one stays, and this one is over.
        """
        for token in [one for one in self.tokens.values() if one.account == account]:
            if token.state(time_us) not in (UNUSED, IN_USE):
                continue
            theirs = self.of(to, token.info_hash)
            if theirs is not None and theirs.state(time_us) in (UNUSED, IN_USE):
                self._end(token, time_us, WITHDRAWN)
                continue
            if theirs is not None:  # it is over by time
                self._leave_place(theirs)
                self.tokens[theirs.number] = theirs._replace(why=EXPIRED)
            self._leave_place(token)
            self._take_place(token._replace(account=to))

    def adopt(self, other: Freeleech, account: int) -> None:
        """Takes over what other tokens of an account freed, for a ledger that gets its keys."""
        for token in other.tokens.values():
            mine = self.tokens.get(token.number)
            if token.account == account and mine is not None:
                self._leave_place(mine)
                if other.of(account, token.info_hash) == token:
                    self._take_place(token)
                else:
                    self.tokens[token.number] = token

    def withdraw(self, number: int, time_us: int) -> None:
        """Ends a token. Raises `KeyError` if there is none, or it is over."""
        token = self.tokens[number]
        if token.state(time_us) not in (UNUSED, IN_USE):
            raise KeyError(number)
        self._end(token, time_us, WITHDRAWN)

    def _end(self, token: Token, time_us: int, why: str) -> None:
        self._leave_place(token)
        self.tokens[token.number] = token._replace(over_us=time_us, why=why)
        heappush(self._due, (time_us + KEPT_US, token.number))

    def expire(self, time_us: int) -> None:
        """Removes tokens that were over for `KEPT_US`, but at most `DROPPED_AT_ONCE`."""
        dropped = 0
        while self._due and self._due[0][0] <= time_us and dropped < DROPPED_AT_ONCE:
            token = self.tokens.pop(heappop(self._due)[1], None)
            if token is not None:  # else it was removed by its other end
                self._leave_place(token)
                dropped += 1

    def as_data(self) -> list[Any]:
        """Returns all tokens for JSON, ascending, behind the next number; [] if there was none."""
        if self.next_number == 1:
            return []
        rows = [[*token[:3], token.info_hash.hex(), *token[4:]] for token in self.tokens.values()]
        return [self.next_number, *rows]

    def set_data(self, data: list[Any]) -> None:
        """Undoes `as_data`. Raises `ValueError`, `TypeError` or `IndexError` for other data."""
        if not data:
            return
        self.next_number = data[0]
        for number, seq, account, info_hash, *others in data[1:]:
            token = Token(number, seq, account, bytes.fromhex(info_hash), *others)
            numbers = (*token[:3], *token[4:6], *token[9:13], token.max_bytes or 0)
            if any(type(each) is not int or not 0 <= each < 1 << 64 for each in numbers):
                raise ValueError("something else stands in the place of a number")
            if (type(token.label), type(token.why)) != (str, str):
                raise TypeError("something else stands in the place of a text")
            self._enter(token)
        heapify(self._due)

    def digest(self) -> bytes:
        """Returns the digest of all tokens, empty if there never was one."""
        if self.next_number == 1:
            return b""
        return blake2b(repr(self.as_data()).encode(), digest_size=16).digest()
