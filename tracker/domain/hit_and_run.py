"""The rule of hit and run, and what is known of one download that it judges.

docs/hit-and-run.md has the rule in words. Only arithmetic is here: `judging` knows the events.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from attrs import asdict, fields, frozen

from tracker.domain import packed

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER = 2**64 - 1
"""In the place of a time: it does not come, or has not come yet."""
UNSEEDED_US = 86_400_000_000
"""How long nobody must have seeded before the clock stands, in microseconds."""

BEGUN, LIABLE, AT_RISK, SATISFIED, VIOLATED, CURED, PARDONED, VOID = range(8)
STATES = ("begun", "liable", "at_risk", "satisfied", "violated", "cured", "pardoned", "void")
"""Names of the states, by number. A download that has only `begun` is shown to nobody."""
FINAL = (CURED, PARDONED, VOID)
OPEN = (LIABLE, AT_RISK)

MOST_SECONDS = 3_155_760_000
"""The longest time in a rule, 100 years."""
MOST_ROWS = 32
"""The most rows of `seed_by_size`."""


@frozen
class Rule:
    """A rule as an event says it: shares and ratios in thousandths, times in seconds."""

    buffer_permille: int = 100
    seed_seconds: int = 259_200
    seed_by_size: tuple[tuple[int, int], ...] = ()  # least size in bytes, and seconds; ascending
    ratio_permille: int | None = 1000  # None = only time counts
    warn_absent: int = 86_400
    grace_absent: int = 259_200
    window: int | None = None  # None = `grace_absent` holds
    freeleech_exempts: bool = False
    partial_counts: bool = False

    def as_data(self) -> dict[str, Any]:
        return asdict(self, value_serializer=_as_json)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Rule:
        """Reads the rule of an event. Raises `TypeError`, `ValueError`."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        rows = values.setdefault("seed_by_size", ())
        values["seed_by_size"] = tuple((size, seconds) for size, seconds in rows)
        rule = cls(**values)
        numbers = [getattr(rule, name) for name in _NUMBERS]
        numbers += [each for row in rule.seed_by_size for each in row]
        numbers += [each for each in (rule.ratio_permille, rule.window) if each is not None]
        switches = rule.freeleech_exempts, rule.partial_counts
        if {type(each) for each in numbers} != {int} or {*map(type, switches)} != {bool}:
            raise TypeError("a rule of hit and run has a member of another type")
        if problem := rule.problem():
            raise ValueError(problem)
        return rule

    def problem(self) -> str | None:
        """Says what is wrong with the rule; None = nothing."""
        seconds = self.seed_seconds, self.warn_absent, self.grace_absent, self.window or 0
        sizes = [size for size, _ in self.seed_by_size]
        if not 0 <= self.buffer_permille <= 1000:
            return "buffer: expected a share from 0 to 1"
        if self.ratio_permille is not None and not 0 < self.ratio_permille <= 1_000_000:
            return "ratio: expected a number from 0.001 to 1000, or null"
        if not all(0 <= each <= MOST_SECONDS for each in seconds):
            return f"times go from 0 to {MOST_SECONDS} seconds"
        if self.window == 0:
            return "window: expected at least 1 second, or null"
        if len(sizes) > MOST_ROWS or sizes != sorted(set(sizes)) or any(size < 0 for size in sizes):
            return f"seed_by_size: expected at most {MOST_ROWS} rows, by ascending size"
        if not all(0 <= each <= MOST_SECONDS for _, each in self.seed_by_size):
            return f"seed_by_size: times go from 0 to {MOST_SECONDS} seconds"
        return None

    def need_us(self, size: int) -> int:
        """Returns how long a torrent of this size is to be seeded, in microseconds."""
        seconds = self.seed_seconds
        for least, each in self.seed_by_size:
            if size >= least:
                seconds = each
        return seconds * 1_000_000


_NUMBERS = ("buffer_permille", "seed_seconds", "warn_absent", "grace_absent")


def _as_json(_owner: object, _field: object, value: object) -> object:
    return [list(row) for row in value] if isinstance(value, tuple) else value


class Download:
    """What is known of a download. Times are log times in microseconds, unless named dates.

    Compiled, it takes 192 bytes: a site may have a million that wait for something.
    """

    __slots__ = (
        "absent_us",
        "account",
        "counted",
        "downloaded",
        "due_us",
        "end_us",
        "info_hash",
        "last_us",
        "left",
        "liable_date",
        "liable_us",
        "met",
        "partial_us",
        "peers",
        "queued_us",
        "rule",
        "seeding_us",
        "since_date",
        "since_epoch",
        "since_n",
        "since_seq",
        "since_us",
        "size",
        "state",
        "touched",
        "uploaded",
        "violated_date",
    )

    def __init__(self, account: int, info_hash: bytes) -> None:
        self.account, self.info_hash = account, info_hash
        self.state = BEGUN
        self.met = False  # by time, which is final
        self.left = False  # whether the last announce had something left
        self.rule = 0  # number of the rule that holds for it, from 1 on; 0 = it is not liable
        self.peers = 0  # of the account, that are in the swarm
        # Raw bytes; of `counted` those that count for `buffer`.
        self.uploaded = self.downloaded = self.counted = 0
        self.seeding_us = self.partial_us = 0  # counted up to `last_us`
        self.last_us = 0  # when a peer announced or left last
        self.end_us = 0  # the latest end of a stay of one of its peers
        self.absent_us = 0  # since when nobody is listed; 0 = somebody is
        self.size = 0  # when it became liable
        # When it came into its state, and the event that showed it.
        self.since_us = self.since_date = self.since_seq = self.since_n = self.since_epoch = 0
        self.liable_us = self.liable_date = self.violated_date = 0
        # Not kept: nothing changes by itself before `due_us`, the judge looks at it at `queued_us`,
        # which may be earlier, and `touched` = it changed since the book was written.
        self.due_us = self.queued_us = NEVER
        self.touched = False

    @property
    def name(self) -> bytes:
        return name_of(self.account, self.info_hash)

    def seeded_us(self, rule: Rule) -> int:
        return self.seeding_us + self.partial_us if rule.partial_counts else self.seeding_us

    def met_by_ratio(self, rule: Rule) -> bool:
        ratio = rule.ratio_permille
        return ratio is not None and packed.reaches(self.uploaded, 1000, self.downloaded, ratio)

    def waits(self, rule: Rule | None) -> bool:
        """Tells whether it can change without an announce of its own."""
        if self.peers or self.state in OPEN:
            return True
        return bool(rule and rule.window is not None and self.state == SATISFIED and not self.met)


def name_of(account: int, info_hash: bytes) -> bytes:
    """Returns account and torrent of a download, as the rows of the book have them."""
    return account.to_bytes(4, "big") + b"\1" + info_hash


KEPT = (
    "state", "met", "left", "rule", "peers", "since_n", "since_epoch", "uploaded", "downloaded",
    "counted", "seeding_us", "partial_us", "last_us", "end_us", "absent_us", "size", "since_us",
    "since_date", "since_seq", "liable_us", "liable_date", "violated_date",
)  # fmt: skip
"""The fields of a download that are kept in the book, in their order there."""
kept_of = attrgetter(*KEPT)


def crossing(from_us: int, limit_us: int, stands: Iterable[tuple[int, int]]) -> int:
    """Returns when a clock that began at `from_us` shows `limit_us`; `NEVER` = it stands.

    `stands`: begin and end of the times in which it does not run, in any order.
    """
    at, rest = from_us, limit_us
    for begin, end in sorted(stands):
        if begin > at:
            if begin - at >= rest:
                break
            rest -= begin - at
            at = begin
        at = max(at, end)
        if at >= NEVER:
            return NEVER
    return at + rest


def ran(from_us: int, until_us: int, stands: Iterable[tuple[int, int]]) -> int:
    """Returns what a clock that began at `from_us` shows at `until_us`."""
    shown, at = 0, from_us
    for begin, end in sorted(stands):
        shown += max(0, min(begin, until_us) - at)
        at = max(at, end)
    return shown + max(0, until_us - at)


def violated_us(one: Download, rule: Rule, stands: Iterable[tuple[int, int]]) -> int:
    """Returns when a liable download is violated if nothing else happens."""
    if rule.window is not None:
        found = crossing(one.liable_us, rule.window * 1_000_000, stands)
    elif one.absent_us:
        found = crossing(one.absent_us, rule.grace_absent * 1_000_000, stands)
    else:
        return NEVER
    return max(found, one.since_us)


def at_risk_us(one: Download, rule: Rule, stands: Iterable[tuple[int, int]]) -> int:
    """Returns when a liable download is at risk if nothing else happens."""
    if not one.absent_us or one.state != LIABLE:
        return NEVER
    return max(crossing(one.absent_us, rule.warn_absent * 1_000_000, stands), one.since_us)


def due(one: Download, rule: Rule, stands: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Returns when a liable download changes its state without an announce, and to which state."""
    violated, at_risk = violated_us(one, rule, stands), at_risk_us(one, rule, stands)
    return (at_risk, AT_RISK) if at_risk < violated else (violated, VIOLATED)
