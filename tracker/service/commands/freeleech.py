"""Gives and withdraws freeleech tokens, and puts accounts into groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker import ports
from tracker.domain.accounts import MOST
from tracker.domain.events.admin import AccountGrouped, FreeleechGiven, FreeleechWithdrawn
from tracker.domain.freeleech import IN_USE, UNUSED
from tracker.service.commands import crediting, pending
from tracker.service.commands.checks import check_account
from tracker.service.commands.writing import Writing
from tracker.service.read_model import token_seen

if TYPE_CHECKING:
    from tracker.domain.freeleech import Token
    from tracker.domain.state import State

SHARE = 110
"""Percent of a torrent's size that a token frees where neither its end nor its bytes are given,
because pieces that fail their check are loaded again.
"""


class FreeleechCommands(Writing):
    async def group_account(self, account: int, group: str | None, by: ports.Actor) -> None:
        state = self._service.state
        check_account(state.access, account)
        if group is not None and (problem := crediting.group_problem(group)):
            raise ports.InvalidGroupError(problem)
        async with self._answer(pending.account(account)):
            if state.factors.group_name_of(account) != group:
                self._need_room()
                self._append(AccountGrouped(account, group), by)

    async def give_freeleech(
        self, terms: ports.FreeleechTerms, by: ports.Actor
    ) -> ports.FreeleechToken:
        state = self._service.state
        terms = _with_ends(state, terms)
        _check(state, terms, self._service.date_us())
        async with self._answer(pending.account(terms.account)):
            there = state.freeleech.of(terms.account, terms.info_hash)
            if there is not None and there.state(self._service.now_us()) in (UNUSED, IN_USE):
                if not _same(state, there, terms):
                    text = f"token {there.number} of that account for that torrent is not over"
                    raise ports.InvalidFreeleechError(text)
            else:
                self._need_room()
                number = state.freeleech.next_number
                self._append(FreeleechGiven(
                    number, terms.account, terms.info_hash, terms.until_completed, terms.label,
                    terms.until_us, terms.max_bytes,
                ), by)  # fmt: skip
                there = state.freeleech.tokens[number]
        return token_seen(state, there, self._service.now_us())

    async def withdraw_freeleech(self, number: int, by: ports.Actor) -> None:
        state = self._service.state
        token = state.freeleech.tokens.get(number)
        if token is None:
            raise ports.UnknownFreeleechError
        async with self._answer(pending.account(token.account)):
            is_now = token.state(self._service.now_us())
            if is_now not in (UNUSED, IN_USE):
                raise ports.UnknownFreeleechError(f"that freeleech token is over: {is_now}")
            self._need_room()
            self._append(FreeleechWithdrawn(number), by)


def _with_ends(state: State, terms: ports.FreeleechTerms) -> ports.FreeleechTerms:
    """Gives terms that name no end the usual ones: when the download is complete, or the share of
    the torrent's size is used.
    """
    if terms.until_us is not None or terms.max_bytes is not None or terms.until_completed:
        return terms
    facts = state.facts.get(terms.info_hash)
    size = json.loads(facts).get("size") if facts else None
    return ports.FreeleechTerms(
        terms.account, terms.info_hash, None, size * SHARE // 100 if size else None, True,
        terms.label,
    )  # fmt: skip


def _check(state: State, terms: ports.FreeleechTerms, now: int) -> None:
    """Raises `UnknownAccountError`, or `InvalidFreeleechError` for terms that no state allows."""
    check_account(state.access, terms.account)
    problem = crediting.label_problem(terms.label)
    if not state.settings.private or state.settings.accounting == 1:
        problem = "there are accounts in private modes only, so nothing is credited here"
    elif terms.until_us is not None and not now < terms.until_us < crediting.END_US:
        problem = "it would be over at once, or end after the year 9999"
    elif terms.max_bytes is not None and not 0 < terms.max_bytes <= MOST:
        problem = "it would free no byte"
    if problem:
        raise ports.InvalidFreeleechError(problem)


def _same(state: State, token: Token, terms: ports.FreeleechTerms) -> bool:
    return token_seen(state, token, token.given_us).terms == terms
