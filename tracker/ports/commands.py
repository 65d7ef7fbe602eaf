"""The port that writes: changes made by administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracker.ports.cases import CaseClosing
    from tracker.ports.hit_and_run import JudgingRule, Pardon
    from tracker.ports.limits import OwnLimits
    from tracker.ports.moves import MoveDone, MovePreview, SplitTerms
    from tracker.ports.sanctions import ClientRule, ClientRuleTerms
    from tracker.ports.settings import SettingsChange
    from tracker.ports.tokens import IssuedToken, NewToken
    from tracker.ports.values import (
        Actor,
        Correction,
        Factor,
        FactorTerms,
        FreeleechTerms,
        FreeleechToken,
        IssuedKey,
        NewKey,
        TorrentFacts,
    )


class Commands(Protocol):
    """Admin writes. Each returns after its event is on stable storage, or raises `CommandError`.

    A command that changes nothing (a torrent whitelisted twice) appends nothing. It also returns
    only when the event that made it superfluous is on stable storage.
    """

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: Actor) -> list[bytes]:
        """Adds torrents to the whitelist; returns those that were not on it before."""
        ...

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> bool:
        """Removes a torrent from the whitelist; returns whether it was on it."""
        ...

    async def describe_torrents(
        self, torrents: Sequence[tuple[bytes, TorrentFacts]], by: Actor
    ) -> int:
        """Says of each torrent these facts and no others; returns of how many that is new."""
        ...

    async def issue_key(self, new: NewKey, by: Actor) -> IssuedKey:
        """Issues a key. With an idempotency key, a repetition gets the key of the first time.

        Raises `DuplicateKeyError`, `InvalidDurationError`, `RepeatedRequestError`,
        `RevokedKeyError`.
        """
        ...

    async def import_keys(self, new: Sequence[NewKey], by: Actor) -> list[int]:
        """Adds all of the keys or none; every key has its text. Returns their `key_ref`s.

        With an idempotency key, a repetition gets the same numbers, and adds the keys that a crash
        left out.

        Raises `DuplicateKeyError`, `InvalidDurationError` (the text names the first key at fault),
        and `RepeatedRequestError`.
        """
        ...

    async def label_key(self, key_ref: int, label: str | None, by: Actor) -> None:
        """Gives a key another label, or none. Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def rotate_key(self, key_ref: int, by: Actor) -> IssuedKey:
        """Revokes a key and issues a random one in its place: same account, owner, label and
        validity.

        Raises `UnknownKeyError`, `RevokedKeyError`, `RepeatedRequestError`.
        """
        ...

    async def revoke_key(self, key: str, by: Actor) -> None:
        """Revokes a key by its text. Raises `UnknownKeyError`."""
        ...

    async def revoke_key_ref(self, key_ref: int, by: Actor) -> None:
        """Revokes a key by its number. Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def revoke_owner(self, owner: str, by: Actor) -> int:
        """Revokes all keys of an owner; returns how many were in force.

        Raises `UnknownAccountError`.
        """
        ...

    async def set_factor(self, terms: FactorTerms, by: Actor) -> Factor:
        """Puts a credit factor in force, now or later.

        Returns the existing factor where one has the same terms and is not over. Raises
        `InvalidFactorError`.
        """
        ...

    async def end_factor(self, number: int, by: Actor) -> None:
        """Ends a factor before its time. Raises `UnknownFactorError`, also when it is over."""
        ...

    async def group_account(self, account: int, group: str | None, by: Actor) -> None:
        """Puts an account into a group, whose factors count for it; None = into none.

        Raises `UnknownAccountError`, `InvalidGroupError`.
        """
        ...

    async def give_freeleech(self, terms: FreeleechTerms, by: Actor) -> FreeleechToken:
        """Gives a freeleech token. Without an end it lasts until the download is complete, or until
        110 percent of the torrent's size are used.

        Returns the account's token for the torrent where it has the same terms and is not over.
        Raises `UnknownAccountError`, `InvalidFreeleechError`.
        """
        ...

    async def withdraw_freeleech(self, number: int, by: Actor) -> None:
        """Ends a freeleech token. Raises `UnknownFreeleechError`, also when it is over."""
        ...

    async def correct(self, asked: Correction, by: Actor) -> int:
        """Corrects an account's credited totals; returns the seq of the event.

        `by.reason` must not be empty.

        A correction that comes again with the same `by.idempotency_key` is made once.

        Raises `UnknownAccountError`, `InvalidCorrectionError`, `RepeatedRequestError`.
        """
        ...

    async def change_settings(
        self, values: Mapping[str, object], by: Actor, *, dry_run: bool = False
    ) -> SettingsChange:
        """Changes settings, given by their keys in the configuration file, with values as in JSON.

        They are in force at once. `dry_run`: only tells what would change. `by.reason` must not be
        empty otherwise.

        Raises `InvalidSettingError`.
        """
        ...

    async def issue_token(self, new: NewToken, by: Actor) -> IssuedToken:
        """Issues an access token. Raises `InvalidTokenError`."""
        ...

    async def revoke_token(self, number: int, by: Actor) -> None:
        """Revokes an access token. Raises `UnknownTokenError`, also when it is revoked."""
        ...

    def use_token(self, number: int) -> None:
        """Notes that an access token is used, once on a date. Does not wait for the disk."""
        ...

    async def see_addresses(self, asked: str, addresses: int | None, by: Actor) -> None:
        """Notes that addresses of peers are about to be shown: for which path and query, and how
        many; None = not known yet. `by.reason` says why.
        """
        ...

    # Hit and run. Each needs `by.reason`, and returns the seq of its event. Raises
    # `InvalidJudgingError`.

    async def set_hit_and_run_rule(self, rule: JudgingRule, by: Actor) -> int:
        """Judges what becomes liable from now on by this rule."""
        ...

    async def end_hit_and_run_rule(self, by: Actor) -> int:
        """Lets nothing become liable from now on."""
        ...

    async def pardon(self, what: Pardon, by: Actor) -> int:
        """Pardons violations. Also raises `UnknownAccountError`."""
        ...

    async def void(self, info_hash: bytes, account: int | None, by: Actor) -> int:
        """Lets the downloads of a torrent that have begun, or the one of an account, not be judged.

        Also raises `UnknownAccountError`.
        """
        ...

    async def change_immunity(
        self, account: int, immune: bool, from_us: int | None, by: Actor
    ) -> int:
        """Makes an account immune, from a date on, or no longer.

        Also raises `UnknownAccountError`.
        """
        ...

    # Sanctions. `what`: one of `ACCOUNT_SANCTIONS`. Each needs `by.reason`, and returns the seq of
    # its event. Raises `InvalidSanctionError`, `UnknownAccountError`.

    async def impose(self, what: str, account: int, until_us: int | None, by: Actor) -> int:
        """Imposes a sanction on an account from now on, in place of an earlier one of the kind.

        `until_us`: a date; None = until it is lifted.
        """
        ...

    async def lift(self, what: str, account: int, by: Actor) -> int:
        """Lifts it. Also raises `UnknownSanctionError`."""
        ...

    async def blacklist(self, info_hash: bytes, public: bool, by: Actor) -> int:
        """Refuses a torrent in all modes from now on. `public`: clients get the reason."""
        ...

    async def unblacklist(self, info_hash: bytes, by: Actor) -> int:
        """Takes a torrent off the blacklist. Also raises `UnknownSanctionError`."""
        ...

    async def block(self, network: str, until_us: int | None, public: bool, by: Actor) -> int:
        """Refuses announces from a network, such as 198.51.100.0/24, or from an address.

        `until_us`, `public`: as above.
        """
        ...

    async def unblock(self, network: str, by: Actor) -> int:
        """Takes announces from a network again. Also raises `UnknownSanctionError`."""
        ...

    async def rule_client(self, terms: ClientRuleTerms, by: Actor) -> ClientRule:
        """Refuses versions of a client from a date on."""
        ...

    async def end_client_rule(self, number: int, by: Actor) -> int:
        """Ends a rule about a client. Also raises `UnknownSanctionError`."""
        ...

    async def limit(self, account: int, own: OwnLimits, by: Actor) -> int:
        """Gives an account these limits of its own, in place of all former ones.

        It needs `by.reason`, and returns the seq of its event. Raises as sanctions do.
        """
        ...

    # Accounts. Each needs `by.reason`. Raises `UnknownAccountError`, `InvalidMoveError`.

    async def merge(self, account: int, into: int, by: Actor) -> MoveDone:
        """Gives all keys, peers and totals of an account to another one."""
        ...

    async def preview_merge(self, account: int, into: int, by: Actor) -> MovePreview:
        """Tells what it would do. Nothing changes."""
        ...

    async def split(self, account: int, terms: SplitTerms, by: Actor) -> MoveDone:
        """Gives some keys of an account to a new one, or to one that was merged before."""
        ...

    async def preview_split(self, account: int, terms: SplitTerms, by: Actor) -> MovePreview:
        """Tells what it would do. Nothing changes."""
        ...

    # Cases. Each returns the seq of its event. Raises `UnknownAccountError`. That there is such a
    # case is not looked at.

    async def take_case(self, account: int, detector: str, by: Actor) -> int:
        """Says that the author looks into a case."""
        ...

    async def wait_for_member(self, account: int, detector: str, by: Actor) -> int:
        """Says that staff waits for the member's answer."""
        ...

    async def close_case(self, account: int, detector: str, how: CaseClosing, by: Actor) -> int:
        """Closes a case. `by.reason` must not be empty. Also raises `InvalidCaseError`."""
        ...

    async def note_case(self, account: int, detector: str, note: str, by: Actor) -> int:
        """Adds a note. Also raises `InvalidCaseError`, where it is empty."""
        ...
