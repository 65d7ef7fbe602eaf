"""Implements `ports.Commands` in memory, and records the calls."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import attrs

from tests.api.fakes.values import LONGEST_S, NOW_US, RANDOM_KEY
from tracker.ports import (
    Account,
    AccountSide,
    Actor,
    CaseClosing,
    ClientRule,
    ClientRuleTerms,
    CommandError,
    Correction,
    DuplicateKeyError,
    Factor,
    FactorTerms,
    FreeleechTerms,
    FreeleechToken,
    InvalidDurationError,
    InvalidSettingError,
    IssuedKey,
    IssuedToken,
    JudgingRule,
    KeyInfo,
    MoveDone,
    MovePreview,
    NewKey,
    NewToken,
    OwnLimits,
    Pardon,
    RevokedKeyError,
    Sanction,
    SettingDifference,
    SettingsChange,
    SplitTerms,
    TokenInfo,
    TorrentFacts,
    UnknownAccountError,
    UnknownFactorError,
    UnknownFreeleechError,
    UnknownKeyError,
    UnknownTokenError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PREVIEW = MovePreview(
    (
        AccountSide(Account(7, 1, 2, 3, 4, 5, 6, 7, None, None, owner="anna"), 1, 2, 1, 0, None, ()),
        AccountSide(
            Account(9, 0, 0, 0, 0, 0, 0, 0, None, None), 1, 0, 0, 1, OwnLimits(slots=3), ("hidden",)
        ),
    ),
    (Account(7, 0, 0, 0, 0, 0, 0, 0, None, None), Account(9, 1, 2, 3, 4, 5, 6, 7, None, None)),
    1, 2, 0,
)  # fmt: skip


@attrs.define
class FakeCommands:
    """Implements `ports.Commands` over a whitelist, and keys by `key_ref`, the latest last."""

    whitelist: set[bytes] = attrs.field(factory=set)
    issued: dict[int, tuple[str, KeyInfo]] = attrs.field(factory=dict)
    accounts: dict[int, Account] = attrs.field(factory=dict)
    factors: dict[int, Factor] = attrs.field(factory=dict)
    tokens: dict[int, FreeleechToken] = attrs.field(factory=dict)
    facts: dict[bytes, TorrentFacts] = attrs.field(factory=dict)
    corrections: list[Correction] = attrs.field(factory=list)
    judging: list[object] = attrs.field(factory=list)  # what the commands of hit and run said
    actors: list[Actor] = attrs.field(factory=list)
    access_tokens: dict[int, TokenInfo] = attrs.field(factory=dict)
    looks: list[tuple[str, int | None]] = attrs.field(factory=list)
    failure: CommandError | None = None  # every command raises it

    @property
    def keys(self) -> set[str]:
        """The keys in force."""
        return {key for key, info in self.issued.values() if info.state != "revoked"}

    def _asked(self, by: Actor) -> None:
        if self.failure is not None:
            raise self.failure
        self.actors.append(by)

    async def change_settings(
        self, values: Mapping[str, object], by: Actor, *, dry_run: bool = False
    ) -> SettingsChange:
        self._asked(by)
        if not values:
            raise InvalidSettingError("no setting is given")
        found = tuple(SettingDifference(key, 0, value) for key, value in values.items())
        return SettingsChange(None if dry_run else 7, found)

    async def issue_token(self, new: NewToken, by: Actor) -> IssuedToken:
        self._asked(by)
        number = len(self.access_tokens) + 1
        self.access_tokens[number] = TokenInfo(
            number, new.label, new.scope, "valid", NOW_US, new.until_us, None, None
        )
        return IssuedToken(f"Token{number}", number)

    async def revoke_token(self, number: int, by: Actor) -> None:
        self._asked(by)
        if number not in self.access_tokens or self.access_tokens[number].state == "revoked":
            raise UnknownTokenError
        self.access_tokens[number] = attrs.evolve(
            self.access_tokens[number], state="revoked", revoked_us=NOW_US
        )

    def use_token(self, number: int) -> None:
        self.access_tokens[number] = attrs.evolve(self.access_tokens[number], used_us=NOW_US)

    async def see_addresses(self, asked: str, addresses: int | None, by: Actor) -> None:
        self._asked(by)
        self.looks.append((asked, addresses))

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: Actor) -> list[bytes]:
        self._asked(by)
        added = [each for each in dict.fromkeys(info_hashes) if each not in self.whitelist]
        self.whitelist.update(added)
        return added

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> bool:
        self._asked(by)
        known = info_hash in self.whitelist
        self.whitelist.discard(info_hash)
        return known

    async def issue_key(self, new: NewKey, by: Actor) -> IssuedKey:
        self._asked(by)
        return self.add(new)

    async def import_keys(self, new: Sequence[NewKey], by: Actor) -> list[int]:
        self._asked(by)
        for number, one in enumerate(new):
            if one.key in self.keys:
                raise DuplicateKeyError(f"keys[{number}]: exists already")
        return [self.add(one).key_ref for one in new]

    async def label_key(self, key_ref: int, label: str | None, by: Actor) -> None:
        self._asked(by)
        self._change(key_ref, label=label)

    async def rotate_key(self, key_ref: int, by: Actor) -> IssuedKey:
        self._asked(by)
        self._change(key_ref, state="revoked")
        info = self.issued[key_ref][1]
        return self.add(NewKey(RANDOM_KEY[::-1], None, info.valid_until_us, info.owner, info.label))

    async def revoke_key(self, key: str, by: Actor) -> None:
        self._asked(by)
        for key_ref, (text, info) in self.issued.items():
            if text == key and info.state != "revoked":
                self._change(key_ref, state="revoked")
                return
        raise UnknownKeyError

    async def revoke_key_ref(self, key_ref: int, by: Actor) -> None:
        self._asked(by)
        self._change(key_ref, state="revoked")

    async def revoke_owner(self, owner: str, by: Actor) -> int:
        self._asked(by)
        found = [n for n, (_, info) in self.issued.items() if info.owner == owner]
        for key_ref in found:
            self._change(key_ref, state="revoked")
        if not found:
            raise UnknownAccountError(f"no account has the owner {owner}")
        return len(found)

    async def describe_torrents(
        self, torrents: Sequence[tuple[bytes, TorrentFacts]], by: Actor
    ) -> int:
        self._asked(by)
        changed = 0
        for info_hash, facts in torrents:
            changed += facts != self.facts.get(info_hash, TorrentFacts())
            self.facts[info_hash] = facts
            if facts == TorrentFacts():
                del self.facts[info_hash]
        return changed

    async def set_factor(self, terms: FactorTerms, by: Actor) -> Factor:
        self._asked(by)
        number = len(self.factors) + 1
        from_us = NOW_US if terms.from_us is None else terms.from_us
        self.factors[number] = Factor(number, 100 + number, attrs.evolve(terms, from_us=from_us))
        return self.factors[number]

    async def group_account(self, account: int, group: str | None, by: Actor) -> None:
        self._asked(by)
        if account not in self.accounts:
            raise UnknownAccountError
        self.accounts[account] = attrs.evolve(self.accounts[account], group=group)

    async def give_freeleech(self, terms: FreeleechTerms, by: Actor) -> FreeleechToken:
        self._asked(by)
        number = len(self.tokens) + 1
        token = FreeleechToken(number, 200 + number, terms, "unused", 0, NOW_US, None, None)
        return self.tokens.setdefault(number, token)

    async def withdraw_freeleech(self, number: int, by: Actor) -> None:
        self._asked(by)
        if number not in self.tokens or self.tokens[number].state == "withdrawn":
            raise UnknownFreeleechError
        self.tokens[number] = attrs.evolve(self.tokens[number], state="withdrawn", over_us=NOW_US)

    async def end_factor(self, number: int, by: Actor) -> None:
        self._asked(by)
        if self.factors.pop(number, None) is None:
            raise UnknownFactorError

    async def correct(self, asked: Correction, by: Actor) -> int:
        self._asked(by)
        account = self.accounts.get(asked.account)
        if account is None:
            raise UnknownAccountError
        self.corrections.append(asked)
        up, down = account.credited_uploaded, account.credited_downloaded
        self.accounts[asked.account] = attrs.evolve(
            account,
            credited_uploaded=up + asked.uploaded,
            credited_downloaded=down + asked.downloaded,
        )
        return 1000 + len(self.corrections)

    async def set_hit_and_run_rule(self, rule: JudgingRule, by: Actor) -> int:
        return self._judge(by, rule)

    async def end_hit_and_run_rule(self, by: Actor) -> int:
        return self._judge(by, None)

    async def pardon(self, what: Pardon, by: Actor) -> int:
        return self._judge(by, what)

    async def void(self, info_hash: bytes, account: int | None, by: Actor) -> int:
        return self._judge(by, (info_hash, account))

    async def change_immunity(
        self, account: int, immune: bool, from_us: int | None, by: Actor
    ) -> int:
        return self._judge(by, (account, immune, from_us))

    async def impose(self, what: str, account: int, until_us: int | None, by: Actor) -> int:
        return self._judge(by, (what, account, until_us))

    async def lift(self, what: str, account: int, by: Actor) -> int:
        return self._judge(by, (what, account))

    async def limit(self, account: int, own: OwnLimits, by: Actor) -> int:
        return self._judge(by, (account, own))

    async def merge(self, account: int, into: int, by: Actor) -> MoveDone:
        return MoveDone(self._judge(by, (account, into)), into)

    async def preview_merge(self, account: int, into: int, by: Actor) -> MovePreview:
        self._judge(by, ("preview", account, into))
        return PREVIEW

    async def split(self, account: int, terms: SplitTerms, by: Actor) -> MoveDone:
        return MoveDone(self._judge(by, (account, terms)), 8)

    async def preview_split(self, account: int, terms: SplitTerms, by: Actor) -> MovePreview:
        self._judge(by, ("preview", account, terms))
        return PREVIEW

    async def blacklist(self, info_hash: bytes, public: bool, by: Actor) -> int:
        return self._judge(by, (info_hash, public))

    async def unblacklist(self, info_hash: bytes, by: Actor) -> int:
        return self._judge(by, info_hash)

    async def block(self, network: str, until_us: int | None, public: bool, by: Actor) -> int:
        return self._judge(by, (network, until_us, public))

    async def unblock(self, network: str, by: Actor) -> int:
        return self._judge(by, network)

    async def rule_client(self, terms: ClientRuleTerms, by: Actor) -> ClientRule:
        seq = self._judge(by, terms)
        return ClientRule(
            7, terms.client, terms.first, terms.last, terms.from_us or NOW_US, False,
            Sanction(seq, NOW_US, None, by.token, by.reason, terms.public),
        )  # fmt: skip

    async def end_client_rule(self, number: int, by: Actor) -> int:
        return self._judge(by, number)

    async def take_case(self, account: int, detector: str, by: Actor) -> int:
        return self._judge(by, ("take", account, detector))

    async def wait_for_member(self, account: int, detector: str, by: Actor) -> int:
        return self._judge(by, ("wait", account, detector))

    async def close_case(self, account: int, detector: str, how: CaseClosing, by: Actor) -> int:
        return self._judge(by, (account, detector, how))

    async def note_case(self, account: int, detector: str, note: str, by: Actor) -> int:
        return self._judge(by, (account, detector, note))

    def _judge(self, by: Actor, said: object) -> int:
        self._asked(by)
        self.judging.append(said)
        return 2000 + len(self.judging)

    def add(self, new: NewKey) -> IssuedKey:
        key = new.key or RANDOM_KEY
        if new.key in self.keys:
            raise DuplicateKeyError
        until_us = new.valid_until_us
        if new.seconds_valid is not None:
            until_us = NOW_US + new.seconds_valid * 1_000_000
            if new.seconds_valid > LONGEST_S:
                raise InvalidDurationError
        key_ref = len(self.issued) + 1
        self.issued[key_ref] = (
            key,
            KeyInfo(
                key_ref, sha256(key.encode()).digest(), "valid", key_ref, new.owner, new.label,
                until_us, None, None,
            ),
        )  # fmt: skip
        return IssuedKey(key, until_us, key_ref)

    def _change(self, key_ref: int, **changed: str | None) -> None:
        if key_ref not in self.issued:
            raise UnknownKeyError
        key, info = self.issued[key_ref]
        if info.state == "revoked":
            raise RevokedKeyError
        self.issued[key_ref] = key, attrs.evolve(info, **changed)
