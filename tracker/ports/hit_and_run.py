"""The values of hit and run: the rule, what is known of a download, and its transitions.

Times are dates in Unix microseconds, unless they are lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports.outages import Outage

JUDGED_STATES = ("liable", "at_risk", "satisfied", "violated", "cured", "pardoned", "void")
"""The states of a download, in the order in which they mostly follow each other."""


@frozen(kw_only=True)
class JudgingRule:
    """What a download must give back; docs/hit-and-run.md has the members."""

    buffer_permille: int = 100
    seed_seconds: int = 259_200
    seed_by_size: tuple[tuple[int, int], ...] = ()
    ratio_permille: int | None = 1000
    warn_absent: int = 86_400
    grace_absent: int = 259_200
    window: int | None = None
    freeleech_exempts: bool = False
    partial_counts: bool = False


@frozen
class RuleInForce:
    """A rule, and the event that set it."""

    number: int  # by which downloads name it
    seq: int
    set_us: int
    rule: JudgingRule
    in_force: bool  # for downloads that become liable now


@frozen
class Transition:
    """A download came into a state. `log_id`, `epoch`, `seq` and `n` are its position."""

    state: str
    time_us: int
    log_id: str
    epoch: int
    seq: int  # of the event that shows it
    n: int  # from 0 on, of this event


ANY_EPOCH = -1
"""In the place of an epoch that is not known: the event tells the position."""


class TransitionPlace(NamedTuple):
    """The position of a transition within its log. Positions ascend with the log."""

    epoch: int  # or `ANY_EPOCH`, to ask for what is after a position
    seq: int  # of the event that shows it
    n: int  # from 0 on, of this event


@frozen
class PlacedTransition:
    """A transition, and whose it is."""

    account: int
    info_hash: bytes
    transition: Transition


@frozen
class TransitionsPage:
    """Transitions in the order of the log."""

    transitions: Sequence[PlacedTransition]
    more: bool  # whether there are any after these
    last: TransitionPlace | None  # of the newest one there is; None = there is none
    log_id: str
    seq: int  # up to this event; -1 = none


@frozen(kw_only=True)
class JudgedFacts:
    """What a download was judged by, at the newest event that the book has."""

    rule: int  # number of the rule that holds for it; 0 = none, it was void before it was liable
    size: int  # bytes, as it was known when it became liable
    uploaded: int  # raw bytes
    downloaded: int
    seeding_us: int
    partial_us: int
    liable_us: int | None
    violated_us: int | None  # of the latest violation
    absent_us: int | None  # since when no peer of the account is listed; None = one is
    seed_left_us: int | None  # how long it has to be seeded still; None = nothing is owed
    upload_left: int | None  # bytes that would meet the ratio; None = it does not count
    # When time alone makes it at risk, or violated; None = it does not, or the clock stands.
    risk_at_us: int | None
    violated_at_us: int | None
    # How long the clock has to run until it is violated, where it is liable. Of one who is there:
    # if he left now.
    left_us: int | None
    stands: bool  # whether the clock stands


@frozen
class JudgedDownload:
    """A download: what an account has taken in a torrent."""

    account: int
    info_hash: bytes
    since: Transition  # into its state
    facts: JudgedFacts | None  # None = of a past moment


@frozen(kw_only=True)
class JudgedQuery:
    """Which downloads are wanted, by account and torrent, ascending."""

    account: int | None = None
    info_hash: bytes | None = None
    states: tuple[str, ...] = ()  # () = all
    violated_from_us: int | None = None  # of the latest violation
    violated_until_us: int | None = None  # the first date after it
    after: tuple[int, bytes] | None = None  # account and torrent of the last one of the page before
    limit: int


@frozen
class JudgedPage:
    downloads: Sequence[JudgedDownload]
    following: tuple[int, bytes] | None  # the `after` of the next page; None = there is none
    seq: int  # up to this event; -1 = none
    outage: Outage | None = None  # around the moment that was asked about
    immune: bool = False  # the account that was asked for is immune now


@frozen(kw_only=True)
class Pardon:
    """Which violations are pardoned: those in all that is named."""

    account: int | None = None
    info_hash: bytes | None = None
    from_us: int | None = None  # date of the violation
    until_us: int | None = None  # the first date after it

    def problem(self) -> str:
        """Says why this names no violations; "" = it may name some."""
        if self == Pardon():
            return "say whom: an account, a torrent, or from which time to which"
        if self.from_us is not None and self.until_us is not None and self.from_us >= self.until_us:
            return "the time would end before it begins"
        return ""
