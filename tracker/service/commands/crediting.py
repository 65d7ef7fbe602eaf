"""Decides which credit factors are set and ended, and which corrections are made.

The functions read the state and return the event to append. They change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import ports
from tracker.domain.accounts import MOST
from tracker.domain.events.admin import CreditCorrected, CreditFactorEnded, CreditFactorSet
from tracker.domain.factors import ANY_TORRENT, ANYBODY, GROUP
from tracker.service.commands.checks import check_account

if TYPE_CHECKING:
    from tracker.domain.factors import Factor
    from tracker.domain.state import State

END_US = 253_402_300_800 * 1_000_000
"""The beginning of the year 10000, in microseconds since 1970. Later dates cannot be printed."""
MOST_PER_SCOPE = 16
"""Largest number of factors that one scope may have at a time, because each announce looks at all
of them. A scope is an account or all, and a torrent or all.
"""
_LABEL_LENGTH = 100  # the most characters in a factor's label


def same_factor(state: State, terms: ports.FactorTerms, now: int) -> Factor | None:
    """Returns a factor with these terms that is not over, or None. Raises `InvalidFactorError`."""
    if terms.account is not None and not state.access.has_account(terms.account):
        raise ports.InvalidFactorError(f"there is no account {terms.account}")
    if terms.group is not None and (problem := group_problem(terms.group)):
        raise ports.InvalidFactorError(problem)
    if None not in (terms.account, terms.group):
        raise ports.InvalidFactorError("it is for an account or a group, not both")
    _check(terms, now)
    wanted = terms.upload_percent, terms.download_percent, terms.until_us, terms.label
    for there in _in_scope(state, terms, now):
        begins = there.from_us <= now if terms.from_us is None else there.from_us == terms.from_us
        its = there.upload_percent, there.download_percent, there.until_us, there.label
        if begins and its == wanted:
            return there
    return None


def new_factor(state: State, terms: ports.FactorTerms, now: int) -> CreditFactorSet:
    """Returns the event for terms that `same_factor` has checked. Raises `InvalidFactorError`."""
    from_us = now if terms.from_us is None else terms.from_us
    if from_us < now:
        text = "it cannot begin in the past: what was credited stays, or is corrected"
        raise ports.InvalidFactorError(text)
    if len(_in_scope(state, terms, now)) >= MOST_PER_SCOPE:
        text = f"there are {MOST_PER_SCOPE} of this scope already, in force or to come"
        raise ports.InvalidFactorError(text)
    sides = (
        ("torrent", terms.info_hash), ("account", terms.account), ("group", terms.group)
    )  # fmt: skip
    return CreditFactorSet(
        state.factors.next_number,
        "+".join(name for name, side in sides if side is not None) or "global",
        from_us,
        terms.until_us,
        terms.label,
        terms.account,
        terms.info_hash,
        terms.upload_percent,
        terms.download_percent,
        terms.group,
    )


def group_problem(name: str) -> str | None:
    """Says why a group cannot have this name; None = it can."""
    if ports.is_name(name) and name == name.strip() and len(name) <= _LABEL_LENGTH:
        return None
    return f"a group's name has 1 to {_LABEL_LENGTH} printable characters"


def label_problem(label: str) -> str | None:
    """Says why a factor or a freeleech token cannot have this label; None = it can."""
    if len(label) <= _LABEL_LENGTH and ports.is_line(label):
        return None
    return f"a label has at most {_LABEL_LENGTH} printable characters"


def _in_scope(state: State, terms: ports.FactorTerms, now: int) -> list[Factor]:
    """Returns the factors of exactly this scope that are not over."""
    whom = terms.account or ANYBODY
    if terms.group is not None:
        whom = GROUP | state.factors.groups.get(terms.group, 0)
    found = state.factors.in_scope(whom, terms.info_hash or ANY_TORRENT)
    return [factor for factor in found if not factor.is_over(now)]


def _check(terms: ports.FactorTerms, now: int) -> None:
    """Raises `InvalidFactorError` for terms that no state allows."""
    percents = [each for each in (terms.upload_percent, terms.download_percent) if each is not None]
    from_us = now if terms.from_us is None else terms.from_us
    until_us = END_US - 1 if terms.until_us is None else terms.until_us
    problem = None
    if not percents:
        problem = "it says nothing about uploads or downloads"
    elif not all(0 <= percent <= ports.MOST_PERCENT for percent in percents):
        problem = f"percentages go from 0 to {ports.MOST_PERCENT}"
    elif terms.info_hash is not None and len(terms.info_hash) != 20:
        problem = "an info hash has 20 bytes"
    elif not max(from_us, now) < until_us < END_US:
        problem = "it would never be in force, or end after the year 9999"
    problem = problem or label_problem(terms.label)
    if problem:
        raise ports.InvalidFactorError(problem)


def factor_to_end(state: State, number: int, now: int) -> CreditFactorEnded:
    """Returns the event that ends a factor. Raises `UnknownFactorError`, also if it is over."""
    if not 0 < number < state.factors.next_number:
        raise ports.UnknownFactorError
    factor = state.factors.current.get(number)
    if factor is None or factor.is_over(now):
        raise ports.UnknownFactorError("that factor is over already")
    return CreditFactorEnded(number)


def correction(
    state: State, asked: ports.Correction, reason: str, request: str | None = None
) -> CreditCorrected:
    """Returns the event that corrects an account.

    Raises `UnknownAccountError`, `InvalidCorrectionError`.
    """
    check_account(state.access, asked.account)
    if not reason:
        raise ports.InvalidCorrectionError("a correction needs a reason")
    if not asked.uploaded and not asked.downloaded:
        raise ports.InvalidCorrectionError("it would correct nothing")
    # Event 0 is the first start, which credits nobody.
    if not 0 < asked.corrects < state.seq:
        raise ports.InvalidCorrectionError(
            f"there is no event {asked.corrects} that it could correct"
        )
    try:
        state.accounts.corrected(asked.account, asked.uploaded, asked.downloaded)
    except ValueError as error:
        text = f"it would lead to {error}; they stay within 0 and {MOST}"
        raise ports.InvalidCorrectionError(text) from None
    return CreditCorrected(asked.account, asked.uploaded, asked.downloaded, asked.corrects, request)
