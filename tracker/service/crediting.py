"""What is decided about credit before anything is appended: factors to set and to end, corrections.

Functions over the state alone; they raise what `tracker.ports` says, and return an event's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker import ports
from tracker.domain.accounts import MOST
from tracker.domain.factors import ANY_TORRENT, ANYBODY, MOST_PERCENT

if TYPE_CHECKING:
    from tracker.domain.factors import Factor
    from tracker.domain.state import State

END_US = 253_402_300_800 * 1_000_000  # the year 10000 begins: from here on dates cannot be printed
MOST_PER_SCOPE = 16
"""Factors of one account and torrent (or all of either) at a time: each announce there looks at all of them."""
_LABEL_LENGTH = 100


def same_factor(state: State, terms: ports.FactorTerms, now: int) -> Factor | None:
    """A factor that is not over and says what is asked for. Raises `InvalidFactorError`."""
    if terms.account is not None and not state.access.has_account(terms.account):
        raise ports.InvalidFactorError(f"there is no account {terms.account}")
    _check(terms, now)
    said = terms.upload_percent, terms.download_percent, terms.until_us, terms.label
    for there in _in_scope(state, terms, now):
        begins = there.from_us <= now if terms.from_us is None else there.from_us == terms.from_us
        says = there.upload_percent, there.download_percent, there.until_us, there.label
        if begins and says == said:
            return there
    return None


def new_factor(state: State, terms: ports.FactorTerms, now: int) -> dict[str, Any]:
    """The data of `credit_factor_set`, for terms that `same_factor` has looked at. Raises `InvalidFactorError`."""
    from_us = now if terms.from_us is None else terms.from_us
    if from_us < now:
        text = "it cannot begin in the past: what was credited stays, or is corrected"
        raise ports.InvalidFactorError(text)
    if len(_in_scope(state, terms, now)) >= MOST_PER_SCOPE:
        text = f"there are {MOST_PER_SCOPE} of this scope already, in force or to come"
        raise ports.InvalidFactorError(text)
    info_hash = None if terms.info_hash is None else terms.info_hash.hex()
    scope = [
        name
        for name, given in (("torrent", info_hash), ("account", terms.account))
        if given is not None
    ]
    said = {
        "account": terms.account,
        "info_hash": info_hash,
        "upload_percent": terms.upload_percent,
        "download_percent": terms.download_percent,
    }
    return {
        "factor": state.factors.next_number,
        "scope": "+".join(scope) or "global",
        **{name: value for name, value in said.items() if value is not None},
        "from_us": from_us,
        "until_us": terms.until_us,
        "label": terms.label,
    }


def _in_scope(state: State, terms: ports.FactorTerms, now: int) -> list[Factor]:
    """Factors of exactly this scope that are not over."""
    scope = terms.account or ANYBODY, terms.info_hash or ANY_TORRENT
    return [factor for factor in state.factors.in_scope(*scope) if not factor.is_over(now)]


def _check(terms: ports.FactorTerms, now: int) -> None:
    """Raises `InvalidFactorError` for what could not be a factor in any state."""
    percents = [each for each in (terms.upload_percent, terms.download_percent) if each is not None]
    from_us = now if terms.from_us is None else terms.from_us
    until_us = END_US - 1 if terms.until_us is None else terms.until_us
    problem = None
    if not percents:
        problem = "it says nothing about uploads or downloads"
    elif not all(0 <= percent <= MOST_PERCENT for percent in percents):
        problem = f"percentages go from 0 to {MOST_PERCENT}"
    elif terms.info_hash is not None and len(terms.info_hash) != 20:
        problem = "an info hash has 20 bytes"
    elif not max(from_us, now) < until_us < END_US:
        problem = "it would never be in force, or end after the year 9999"
    elif len(terms.label) > _LABEL_LENGTH or not terms.label.isprintable():
        problem = f"a label has at most {_LABEL_LENGTH} printable characters"
    if problem:
        raise ports.InvalidFactorError(problem)


def factor_to_end(state: State, number: int, now: int) -> dict[str, Any] | None:
    """The data of `credit_factor_ended`; None when it is over already. Raises `UnknownFactorError`."""
    if not 0 < number < state.factors.next_number:
        raise ports.UnknownFactorError
    factor = state.factors.current.get(number)
    return None if factor is None or factor.is_over(now) else {"factor": number}


def correction(state: State, asked: ports.Correction, reason: str) -> dict[str, Any]:
    """The data of `credit_corrected`. Raises `UnknownAccountError`, `InvalidCorrectionError`."""
    if not state.access.has_account(asked.account):
        raise ports.UnknownAccountError
    if not reason:
        raise ports.InvalidCorrectionError("a correction needs a reason")
    if not asked.uploaded and not asked.downloaded:
        raise ports.InvalidCorrectionError("it would correct nothing")
    if not 0 <= asked.corrects < state.seq:
        raise ports.InvalidCorrectionError(
            f"there is no event {asked.corrects} that it could correct"
        )
    try:
        state.accounts.corrected(asked.account, asked.uploaded, asked.downloaded)
    except ValueError as error:
        text = f"it would lead to {error}; they stay within 0 and {MOST}"
        raise ports.InvalidCorrectionError(text) from None
    return {
        "account": asked.account,
        "uploaded": asked.uploaded,
        "downloaded": asked.downloaded,
        "corrects": asked.corrects,
    }
