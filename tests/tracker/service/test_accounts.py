"""Merges and splits of accounts: what moves, what is refused, and what the ledgers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support import SECOND, Announce, Rig, endpoint4, hash_of, key_text, ledger_of, replayed
from tracker.domain.events.admin import FreeleechGiven, HidingChanged
from tracker.ports import (
    Actor,
    InvalidMoveError,
    LedgerMove,
    NewKey,
    OwnLimits,
    SplitTerms,
    UnknownAccountError,
)
from tracker.service.commands import ServiceCommands

if TYPE_CHECKING:
    from tracker.domain.state import State
    from tracker.ledger.account import Ledger
    from tracker.ledger.sums import Entry

BY = Actor("staff", "", "r", "one person")
TORRENT = hash_of(1)


class Site(Rig):
    """A private site: anna has account 1 with keys 1 and 3, bert account 2 with key 2."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        settings = self.state.settings
        self.service.change_settings(evolve(settings, private=True, accounting=2))
        self.commands = ServiceCommands(self.service, self.log, bytes(32))
        for number, owner in ((1, "anna"), (2, "bert"), (3, "anna")):
            self.issue(number, owner)

    def load(self, key: int, up: int, down: int, torrent: bytes = TORRENT, left: int = 0) -> None:
        """Announces with a key from a client of its own, 10 seconds later."""
        self.time.advance(10 * SECOND)
        self.announce(
            Announce(
                torrent, endpoint4(key), b"-XX0001.client%06d" % key, up, down, left,
                key=key_text(key),
            )
        )  # fmt: skip

    def ledger(self, account: int) -> tuple[Ledger, list[Entry]]:
        """Returns a ledger that has read the whole log, and its entries."""
        return ledger_of(account, self.log.frames())


@pytest.fixture
def site() -> Site:
    found = Site()
    for key in (1, 2):
        found.load(key, 0, 0)
    for key in (1, 2):
        found.load(key, 1000 * key, 100 * key)
    return found


async def test_a_merge_moves_keys_peers_and_totals(site: Site) -> None:
    """The next announce of a peer that moved goes on for the other account."""
    before = [site.totals(each) for each in (1, 2)]
    done = await site.commands.merge(2, 1, BY)
    assert done.account == 1
    site.load(2, 2500, 200)
    assert site.totals(2)[:7] == (0,) * 7
    assert site.totals(1).uploaded == before[0].uploaded + before[1].uploaded + 500
    assert site.totals(1).sessions == 2
    key = site.state.access.keys[site.state.access.hash_of(2)]
    assert (key.account, key.owner) == (1, "anna")
    assert len(site.state.swarms.peers_of(1)) == 2
    merge = site.state.access.merged[2]
    assert (merge.into, merge.seq, merge.owner) == (1, done.seq, "bert")
    assert replayed(site.log.frames()).digest() == site.state.digest()


async def test_ledgers_say_it(site: Site) -> None:
    """Both have a line with the event; the sums are the totals, and nothing else is lost."""
    done = await site.commands.merge(2, 1, BY)
    site.load(2, 2500, 200)
    (from_, lost), (into, got) = site.ledger(2), site.ledger(1)
    assert [one.credited_uploaded for one in lost] == [0, 2000, -2000]
    last, line = lost[-1], got[2]
    assert isinstance(last, LedgerMove)
    assert isinstance(line, LedgerMove)
    assert (last.seq, last.account, last.what) == (done.seq, 1, "account_merged")
    assert (line.seq, line.account, line.uploaded, line.reason) == (done.seq, 2, 2000, "one person")
    assert got[-1].credited_uploaded == 500
    for ledger, account in ((from_, 2), (into, 1)):
        assert ledger.whole().totals[:7] == site.totals(account)[:7]
    rows = {row.info_hash: row.uploaded for row in from_.rows()}
    assert rows == {None: -2000, TORRENT: 2000}


async def test_a_split_undoes_a_merge(site: Site) -> None:
    """The account opens again under its number, and its ledger goes on."""
    before = site.totals(2)
    await site.commands.merge(2, 1, BY)
    terms = SplitTerms((2,), "bert", before.uploaded, before.downloaded)
    done = await site.commands.split(1, terms, BY)
    assert done.account == 2
    site.load(2, 2500, 200)
    assert site.totals(2).uploaded == before.uploaded + 500
    assert site.totals(1).uploaded == 1000
    assert site.state.access.owner_of(2) == "bert"
    assert not site.state.access.merged
    _, lines = site.ledger(2)
    assert [one.credited_uploaded for one in lines] == [0, 2000, -2000, 2000, 500]
    assert replayed(site.log.frames()).digest() == site.state.digest()


async def test_a_split_makes_an_account(site: Site) -> None:
    """It begins with zeros, and later keys of its owner are its."""
    site.load(3, 0, 0)
    site.load(3, 70, 0)
    done = await site.commands.split(1, SplitTerms((3,), "carl"), BY)
    assert done.account == 3
    site.load(3, 100, 0)
    assert (site.totals(3).uploaded, site.totals(1).uploaded) == (30, 1070)
    issued = await site.commands.issue_key(NewKey(owner="carl"), BY)
    assert site.state.access.account_of[issued.key_ref] == 3


REFUSED = {
    "into itself": (1, 1, "into itself"),
    "a merged one": (2, 1, "merged into account 1 by event"),
    "into a merged one": (1, 2, "merged into account 1 by event"),
    "unknown": (1, 9, "there is no account 9"),
}


@pytest.mark.parametrize(("account", "into", "text"), REFUSED.values(), ids=REFUSED)
async def test_refused_merges(site: Site, account: int, into: int, text: str) -> None:
    if "event" in text:
        await site.commands.merge(2, 1, BY)
    with pytest.raises((InvalidMoveError, UnknownAccountError), match=text):
        await site.commands.merge(account, into, BY)


SPLITS = {
    "no key of it": (SplitTerms((2,), "carl"), "key 2 is no key of account 1"),
    "no key": (SplitTerms((), "carl"), "at least one key"),
    "its first key": (SplitTerms((1,), "carl"), "gives account 1 its number"),
    "an owner with an account": (SplitTerms((3,), "bert"), "has account 2 already"),
    "more than there is": (SplitTerms((3,), "carl", 1001), "account 1 has 1000"),
}


@pytest.mark.parametrize(("terms", "text"), SPLITS.values(), ids=SPLITS)
async def test_refused_splits(site: Site, terms: SplitTerms, text: str) -> None:
    with pytest.raises(InvalidMoveError, match=text):
        await site.commands.split(1, terms, BY)


async def test_all_keys(site: Site) -> None:
    """A split leaves a key in force, and moves one."""
    site.revoke(key_text(1))
    with pytest.raises(InvalidMoveError, match="all keys of account 1 in force"):
        await site.commands.split(1, SplitTerms((3,), "carl"), BY)
    site.revoke(key_text(3))
    with pytest.raises(InvalidMoveError, match="all of these keys are revoked"):
        await site.commands.split(1, SplitTerms((3,), "carl"), BY)


async def test_a_merged_account_gets_nothing(site: Site) -> None:
    """No new key, limit or correction; the text says where it went."""
    await site.commands.merge(2, 1, BY)
    with pytest.raises(InvalidMoveError, match="merged into account 1"):
        await site.commands.issue_key(NewKey(owner="bert"), BY)
    with pytest.raises(UnknownAccountError, match="merged into account 1"):
        await site.commands.limit(2, OwnLimits(slots=1), BY)


async def test_sanctions_of_the_other_account_hold(site: Site) -> None:
    site.service.append(HidingChanged(1, True))
    await site.commands.merge(2, 1, BY)
    assert concealed(site.state) == 2


async def test_freeleech_tokens_move(site: Site) -> None:
    """With what they freed; where the other account has one for the torrent, its own stays."""
    other = hash_of(2)
    for number, (account, torrent, most) in enumerate(
        [(2, TORRENT, 900), (1, other, 50), (2, other, 70)], 1
    ):
        site.service.append(FreeleechGiven(number, account, torrent, False, "", max_bytes=most))
    site.load(2, 2000, 500)
    assert site.state.freeleech.tokens[1].freed == 300
    await site.commands.merge(2, 1, BY)
    site.load(2, 2000, 1500)
    tokens = site.state.freeleech.tokens
    assert [(one.account, one.freed, one.why) for one in tokens.values()] == [
        (1, 900, "used_up"), (1, 0, ""), (2, 0, "withdrawn"),
    ]  # fmt: skip
    assert site.totals(1).credited_downloaded == 100 + 200 + 400
    ledger, _ = site.ledger(1)
    assert ledger.whole().totals[:4] == site.totals(1)[:4]
    assert replayed(site.log.frames()).digest() == site.state.digest()


async def test_a_preview_changes_nothing(site: Site) -> None:
    await site.commands.limit(2, OwnLimits(slots=4), BY)
    digest = site.state.digest()
    told = await site.commands.preview_merge(2, 1, BY)
    ours, theirs = told.before
    assert (ours.peers, ours.torrents, ours.keys, ours.limits) == (1, 1, 1, OwnLimits(slots=4))
    assert (theirs.keys, theirs.account.owner) == (2, "anna")
    assert [one.uploaded for one in told.after] == [0, 3000]
    split = await site.commands.preview_split(1, SplitTerms((3,), "carl", 5), BY)
    assert [(one.uploaded, one.owner) for one in split.after] == [(995, "anna"), (5, "carl")]
    assert site.state.digest() == digest


def concealed(state: State) -> int:
    return sum(state.swarms.tables.concealed)
