"""Declares the admin events: changes by administrators, and changes of the process and its log.

Each event has a class; the classes are in the order of their numbers. docs/log-format.md describes
the members.
"""

# The types of the fields are imported, because cattrs and `registry.admin_event` read the
# annotations while the program runs.

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from attrs import field, frozen

from tracker.domain import events, moving
from tracker.domain.access import Key, Request
from tracker.domain.access_tokens import AccessToken
from tracker.domain.events.errors import ReplayError, UnknownEventError
from tracker.domain.events.registry import (
    ADMIN_EVENTS as ADMIN_EVENTS,
)
from tracker.domain.events.registry import (
    AccessTokenNumber,
    Account,
    AccountingEvent,
    AdminEvent,
    ClockEvent,
    FactorNumber,
    InfoHash,
    KeyHash,
    KeyRef,
    Network,
    Subject,
    admin_event,
)
from tracker.domain.factors import ANY_TORRENT, ANYBODY, GROUP, Factor
from tracker.domain.freeleech import NEVER, Token
from tracker.domain.hit_and_run import Rule  # noqa: TC001  # cattrs needs it, as above
from tracker.domain.limits import KINDS, MOST, Exemption
from tracker.domain.moved import Moved  # noqa: TC001  # cattrs needs it, as above
from tracker.domain.sanctions import HIDDEN, LEECH_OFF, ClientRule, Sanction
from tracker.domain.settings import KNOWN_RULES, Settings
from tracker.domain.staying import ADDRESSES_LOST, BLACKLISTED, DELISTED, MERGED, REVOKED
from tracker.domain.tally import Pruned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.domain.accounts import Accounts
    from tracker.domain.events.target import Accounting, Target

SHRED_DAYS = "shred_days"
"""Names the setting, in the place of an administrator, in events that its schedule caused."""

# The process.


@admin_event(1, "tracker_started", schema=2)
@frozen
class TrackerStarted(ClockEvent):
    """A run began.

    Every peer gets one timeout from here on, because no peer could announce before.
    """

    version: str
    epoch: int  # of the log: grows by one whenever the log is opened for writing
    cut_bytes: int | None = None  # bytes of a torn tail that recovery cut off
    lost_seq: int | None = None  # if an older copy was accepted: events that the log once held

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        to.tally.starts += 1
        to.tally.writer = self.version
        to.tally.resumed_us = time_us
        to.listing.out(to.listing.ticked_us, time_us)
        to.dates.note(time_us, self.wall_us)


@admin_event(2, "tracker_stopped")
@frozen
class TrackerStopped(AdminEvent):
    """A run ended in good order."""

    administered = False

    reason: str

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        to.listing.ticked(time_us)


@admin_event(3, "clock_stepped", schema=2)
@frozen
class ClockStepped(ClockEvent):
    """Log time stepped forward, for example after the machine was suspended.

    A command that writes while no tracker runs appends it too, where it finds the clock changed.

    Every peer gets one timeout from here on, because no peer could announce in between.
    """

    forward_us: int  # microseconds

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        to.tally.resumed_us = time_us
        to.listing.out(time_us - self.forward_us, time_us)
        to.dates.note(time_us, self.wall_us)


# The whitelist.


@admin_event(10, "torrent_whitelisted")
@frozen
class TorrentWhitelisted(AdminEvent):
    info_hash: InfoHash

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.access.add_to_whitelist(self.info_hash)


@admin_event(11, "torrent_delisted")
@frozen
class TorrentDelisted(AdminEvent):
    """A torrent left the whitelist. In a listed mode its peers and bases are removed."""

    info_hash: InfoHash

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.access.take_off_whitelist(self.info_hash)
        to.listing.awake_us = time_us
        if to.settings.listed:
            _empty(to, self.info_hash, DELISTED)


def _empty(to: Target, info_hash: bytes, why: int) -> None:
    """Removes the peers and bases of a torrent. `why`: a number of `staying`."""
    to.bases.drop_torrent(info_hash)
    torrent = to.swarms.lookup(info_hash)
    if torrent:
        for peer in to.swarms.peers(torrent):
            to.leave(torrent, peer, why)
        if to.settings.remove_peerless_torrents:
            to.swarms.drop_if_empty(torrent)


# Tracker keys.


@admin_event(20, "key_issued")
@frozen
class KeyIssued(AdminEvent):
    """An account got a key. The key itself is never in the log."""

    key_hash: KeyHash  # SHA-256 of the key
    key_ref: KeyRef
    account: Account
    valid_until_us: int | None  # None = permanent
    owner: str | None = None
    label: str | None = None
    request: str | None = None  # fingerprint of the request, if it had an idempotency key

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        key = Key(self.key_ref, self.valid_until_us, self.account, self.owner, self.label)
        to.access.issue(self.key_hash, key)
        if self.request is not None:
            to.access.requests[_idempotency(self.by)] = Request(self.request, self.key_ref)


@admin_event(21, "key_revoked")
@frozen
class KeyRevoked(AdminEvent):
    """A key is no longer in force, and its peers and bases are removed."""

    key_hash: KeyHash
    key_ref: KeyRef

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.listing.awake_us = time_us
        _revoke(to, self.key_hash)


def _revoke(to: Target, key_hash: bytes) -> None:
    """Takes a key out of force, and removes its peers and bases."""
    key = to.access.revoke(key_hash)
    for peer in to.swarms.of_key.peers(key.key_ref):
        torrent = to.swarms.peer(peer).torrent
        to.leave(torrent, peer, REVOKED)
        if to.settings.remove_peerless_torrents:
            to.swarms.drop_if_empty(torrent)
    to.bases.drop_key(key.account, key.key_ref)


@admin_event(22, "key_rotated")
@frozen
class KeyRotated(KeyIssued):
    """A new key of the account took the place of an old key, and took over its peers and bases."""

    old_key_hash: KeyHash = field(kw_only=True)
    old_key_ref: KeyRef = field(kw_only=True)

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        old = to.access.revoke(self.old_key_hash)
        super().apply(to, seq, time_us)
        to.swarms.hand_over_peers(old.key_ref, self.key_ref)
        to.bases.hand_over(old.account, old.key_ref, self.key_ref)


@admin_event(23, "key_changed")
@frozen
class KeyChanged(AdminEvent):
    """A key got another label, or none."""

    key_hash: KeyHash
    key_ref: KeyRef
    label: str | None

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.access.label(self.key_hash, self.label)


# Torrents, settings, refusals.


@admin_event(30, "completed_imported")
@frozen
class CompletedImported(AdminEvent):
    """Completions that another tracker counted were added to the torrent's."""

    info_hash: InfoHash
    completed: int

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.swarms.add_completed(self.info_hash, self.completed)


@admin_event(31, "torrent_described")
@frozen
class TorrentDescribed(AdminEvent):
    """What the site says about a torrent; it takes the place of what it said before.

    None = nothing is said.
    """

    info_hash: InfoHash
    label: str | None = None
    size: int | None = None  # bytes
    site_id: int | None = None  # the site's number of the torrent
    uploader: str | None = None
    added_us: int | None = None
    tags: tuple[str, ...] | None = None

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        text = self.text()
        if text is None:
            to.facts.pop(self.info_hash, None)
        else:
            to.facts[self.info_hash] = text

    def text(self) -> str | None:
        """Returns what is said as JSON, in which the state has it; None = nothing."""
        said = {name: value for name in _FACTS if (value := getattr(self, name)) is not None}
        return json.dumps(said, ensure_ascii=False) if said else None


_FACTS = ("label", "size", "site_id", "uploader", "added_us", "tags")
"""The members of `TorrentDescribed` that say something, in the order in which the state has them.
"""


@admin_event(40, "settings_changed")
@frozen
class SettingsChanged(AccountingEvent):
    """These settings are in force from here on.

    Staff changed them (`by`), or a start did, whose file says something else than the one before.
    """

    settings: Settings
    file: Settings | None = None  # what the start's file says, where staff changed more since

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        rules = self.settings.identity, self.settings.accounting
        if rules not in KNOWN_RULES:
            raise UnknownEventError(
                f"event {seq} puts rules {rules} of identity and accounting in force, unknown to this version"
            )
        to.change_settings(self.settings, seq, self.by, self.file)

    def subjects(self) -> list[Subject]:
        return [("settings", 0)]


@admin_event(50, "announce_refused")
@frozen
class OldAnnounceRefused(AdminEvent):
    """An announce with a known key was refused.

    Only earlier versions wrote it: `records.AnnounceRefused` took its place, because admin events
    are kept for ever.
    """

    administered = False

    key_ref: KeyRef
    reason: str
    info_hash: InfoHash


# Credit.


@admin_event(60, "credit_factor_set")
@frozen
class CreditFactorSet(AccountingEvent):
    """A credit factor, in force from `from_us` on."""

    factor: FactorNumber
    scope: str  # in words: `global`, or `torrent`, `account` and `group` with a plus between them
    from_us: int
    until_us: int | None  # the first microsecond after it; None = until an event ends it
    label: str
    account: Account | None = None  # None = all
    info_hash: InfoHash | None = None  # None = all
    upload_percent: int | None = None  # None = the factor does not change uploads
    download_percent: int | None = None  # likewise
    group: str | None = None  # of accounts; None = `account` says whom it is for

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        account = ANYBODY if self.account is None else self.account
        if self.group is not None:
            account = GROUP | to.factors.group_number(self.group)
        factor = Factor(
            self.factor,
            seq,
            account,
            ANY_TORRENT if self.info_hash is None else self.info_hash,
            self.upload_percent,
            self.download_percent,
            self.from_us,
            self.until_us,
            self.label,
        )
        to.factors.set(factor)
        to.accounts.keep_credit()


@admin_event(61, "credit_factor_ended")
@frozen
class CreditFactorEnded(AccountingEvent):
    """An administrator ended a credit factor."""

    factor: FactorNumber

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        if self.factor not in to.factors.current:
            raise ReplayError(f"event {seq} ends factor {self.factor}, which is over")
        to.factors.end(self.factor)


@admin_event(62, "credit_corrected")
@frozen
class CreditCorrected(AdminEvent):
    """An account's credited totals changed by signed amounts of bytes."""

    account: Account
    uploaded: int
    downloaded: int
    corrects: int  # seq of an earlier event
    request: str | None = None  # as in `KeyIssued`

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        self.correct(to.accounts, seq)
        if to.book is not None:
            to.book.correct(self.account, self.uploaded, self.downloaded, time_us)
        if self.request is not None:
            to.access.requests[_idempotency(self.by)] = Request(self.request, 0, seq)

    def correct(self, accounts: Accounts, seq: int) -> None:
        """Corrects the account. Raises `ReplayError` if a total would leave its range."""
        try:
            accounts.correct(self.account, self.uploaded, self.downloaded)
        except ValueError as error:
            raise ReplayError(f"event {seq} corrects account {self.account} to {error}") from None


@admin_event(110, "account_grouped")
@frozen
class AccountGrouped(AccountingEvent):
    """An account is in this group from here on, and in no other."""

    account: Account
    group: str | None  # None = in none

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        to.factors.group(self.account, self.group)


@admin_event(111, "freeleech_given")
@frozen
class FreeleechGiven(AccountingEvent):
    """A freeleech token: an account's downloads in a torrent count nothing for a while."""

    token: int
    account: Account
    info_hash: InfoHash
    until_completed: bool
    label: str
    until_us: int | None = None  # the first microsecond after it; None = no end by time
    max_bytes: int | None = None  # None = any number

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:
        # Its end is fixed in log time, so that a clock that is set right does not move it.
        until_us = NEVER if self.until_us is None else to.dates.comes(self.until_us)
        token = Token(
            self.token, seq, self.account, self.info_hash, time_us, until_us, self.max_bytes,
            self.until_completed, self.label, self.until_us or 0,
        )  # fmt: skip
        to.freeleech.give(token)
        to.accounts.keep_credit()


@admin_event(112, "freeleech_withdrawn")
@frozen
class FreeleechWithdrawn(AccountingEvent):
    """Staff ended a freeleech token. What it freed stays free."""

    token: int

    def apply(self, to: Accounting, seq: int, time_us: int) -> None:
        try:
            to.freeleech.withdraw(self.token, time_us)
        except KeyError:
            raise ReplayError(
                f"event {seq} withdraws freeleech token {self.token}, which is over"
            ) from None


# Hit and run. These change no state: `tracker.domain.judging` applies them, where the book is kept.


@admin_event(65, "hit_and_run_rule_set")
@frozen
class HitAndRunRuleSet(AdminEvent):
    """Downloads that become liable from here on are judged by this rule."""

    rule: Rule


@admin_event(66, "hit_and_run_rule_ended")
@frozen
class HitAndRunRuleEnded(AdminEvent):
    """No download becomes liable from here on; those that are liable go on being judged."""


@admin_event(67, "hit_and_run_pardoned")
@frozen
class HitAndRunPardoned(AdminEvent):
    """The violations of these downloads are pardoned: those that are in all that is named."""

    account: Account | None = None  # None = of all
    info_hash: InfoHash | None = None  # None = of all
    from_us: int | None = None  # date of the violation; None = from the first on
    until_us: int | None = None  # the first date after it; None = up to now


@admin_event(68, "hit_and_run_voided")
@frozen
class HitAndRunVoided(AdminEvent):
    """The downloads of a torrent that have begun, or the one of an account, are not judged."""

    info_hash: InfoHash
    account: Account | None = None  # None = of all


@admin_event(69, "immunity_changed")
@frozen
class ImmunityChanged(AdminEvent):
    """An account is immune to the rule of hit and run, or is no longer."""

    account: Account
    immune: bool
    from_us: int | None = None  # the date from which it is immune; None = at once


# The log itself.


@admin_event(70, "addresses_shredded")
@frozen
class AddressesShredded(AdminEvent):
    """The keys to the addresses of these days are destroyed."""

    days: tuple[str, ...]  # "2026-11-21"

    def stays(self) -> bool:
        """The state has the days for ever, so only an administrator's command is kept."""
        return self.by is None or self.by.get("token") != SHRED_DAYS

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.tally.shredded.update(self.days)
        if to.bases.count:
            to.bases.drop_days(map(events.day_number, self.days))


@admin_event(71, "addresses_lost")
@frozen
class AddressesLost(AdminEvent):
    """A start lacked the keys to the addresses of present peers, so all swarms begin empty."""

    administered = False

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.drop_peers(ADDRESSES_LOST)
        to.hidden = None


@admin_event(72, "server_key_changed")
@frozen
class ServerKeyChanged(AdminEvent):
    """Another server's secret vouches for the log from this event on.

    The keys' ids are 32 hexadecimal digits, as in the headers of segments.
    """

    before: str
    after: str


@admin_event(77, "addresses_seen")
@frozen
class AddressesSeen(AdminEvent):
    """A request was shown addresses of peers, which its sender has a right to. It changes no state.

    It is durable before they are shown.
    """

    asked: str  # path and query; an address in it is a pseudonym of the day
    addresses: int | None = None  # so many were shown; None = of a stream or listing, not known


# Cases. These change no state either: `tracker.domain.detecting.cases` has what follows from them.


@frozen
class CaseEvent(AdminEvent):
    """Base of what staff says about a case: what one detector found about one account."""

    account: Account
    detector: str


@admin_event(73, "case_taken")
@frozen
class CaseTaken(CaseEvent):
    """Somebody of staff looks into it: the one whose token it was."""


@admin_event(74, "case_waiting")
@frozen
class CaseWaiting(CaseEvent):
    """The member was asked, and staff waits for an answer."""


@admin_event(75, "case_closed")
@frozen
class CaseClosed(CaseEvent):
    """Staff came to a result."""

    outcome: str  # `confirmed`, `harmless`, `mistaken`
    upto: int  # whoever closed it knew what was found up to this event
    until_us: int | None = None  # what is found before that date does not open it again


@admin_event(76, "case_noted")
@frozen
class CaseNoted(CaseEvent):
    """Staff added a note, which changes nothing else."""

    note: str


@admin_event(80, "log_pruned")
@frozen
class LogPruned(AdminEvent):
    """The log begins with event `first_seq`; older ones were removed."""

    administered = False

    first_seq: int
    opening: str  # SHA-256 of the opening balance, 64 hex digits
    kept: dict[str, str]  # SHA-256 of each file of kept frames, by name
    segments: int  # removed
    bytes: int  # removed
    # The newest sealed history digest, 64 hex digits, and the number of the event after its
    # segment, as segment headers have them, so that copies can be compared; None = of an earlier
    # version.
    history: str | None = None
    history_seq: int | None = None
    # SHA-256 of the book that has what was removed; None = there is none, as in public modes.
    book: str | None = None

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        # If this removal was interrupted, the entry before it gives the beginning of the log.
        to.tally.pruned = (*to.tally.pruned[-1:], Pruned(seq, self.first_seq, self.opening))


@admin_event(81, "format_begun")
@frozen
class FormatBegun(AdminEvent):
    """The first event of a format with tags: it binds everything before it, which has none.

    In a log that began with this format it is event 0. It changes no state.
    """

    format: int
    history: str  # history digest before this event, 64 hex digits
    opening: str  # SHA-256 of the opening balance; "" = the log has none
    kept: dict[str, str]  # SHA-256 of each file of kept frames, by name
    snapshots: dict[str, str]  # SHA-256 of each snapshot that there was, by name


# Sanctions.


@frozen
class AccountSanctioned(AdminEvent):
    """Base of the events that impose a sanction on an account, or lift it."""

    flag: ClassVar[int]

    account: Account
    on: bool
    until_us: int | None = None  # a date; None = until an event lifts it

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        sanction = Sanction.of(seq, to.dates.of(time_us), self.by, self.until_us, False)
        to.sanction(self.account, self.flag, sanction if self.on else None)


@admin_event(82, "leech_off_changed")
@frozen
class LeechOffChanged(AccountSanctioned):
    """An account gets no peers while something is left, or gets them again."""

    flag = LEECH_OFF


@admin_event(83, "hiding_changed")
@frozen
class HidingChanged(AccountSanctioned):
    """No peer of an account is in a reply, or all are again."""

    flag = HIDDEN


@admin_event(84, "torrent_blacklisted")
@frozen
class TorrentBlacklisted(AdminEvent):
    """A torrent is refused in all modes. Its peers and bases are removed."""

    info_hash: InfoHash
    public: bool = False  # refused clients get the reason

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        sanction = Sanction.of(seq, to.dates.of(time_us), self.by, None, self.public)
        to.listing.awake_us = time_us
        to.ban(self.info_hash, sanction)
        _empty(to, self.info_hash, BLACKLISTED)


@admin_event(85, "torrent_unblacklisted")
@frozen
class TorrentUnblacklisted(AdminEvent):
    """A torrent is no longer on the blacklist."""

    info_hash: InfoHash

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.ban(self.info_hash, None)


@admin_event(86, "network_blocked")
@frozen
class NetworkBlocked(AdminEvent):
    """Announces from a network are refused. Its peers stay until they are silent for too long,
    because replay works without addresses.
    """

    network: Network  # as 198.51.100.0/24 or 2001:db8::/48
    until_us: int | None = None  # a date; None = until an event lifts it
    public: bool = False  # refused clients get the reason

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        sanction = Sanction.of(seq, to.dates.of(time_us), self.by, self.until_us, self.public)
        try:
            to.block(self.network, sanction)
        except ValueError as error:
            raise ReplayError(f"event {seq} blocks no network: {error}") from None


@admin_event(87, "network_unblocked")
@frozen
class NetworkUnblocked(AdminEvent):
    """Announces from a network are taken again."""

    network: Network

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's names
        to.block(self.network, None)


@admin_event(120, "client_rule_set")
@frozen
class ClientRuleSet(AdminEvent):
    """Versions of a client are refused, from a date on. Until then they get a warning by HTTP."""

    rule: int
    client: str  # the beginning of its peer_ids, such as -qB
    first: str  # versions: the characters behind it, in the order of ASCII; "" = all
    last: str
    from_us: int  # a date
    public: bool = False  # refused and warned clients get the reason

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        date_us = to.dates.of(time_us)
        sanction = Sanction.of(seq, date_us, self.by, None, self.public)
        to.rule_client(
            ClientRule(
                self.rule, self.client, self.first, self.last, self.from_us,
                self.from_us <= date_us, sanction,
            )
        )  # fmt: skip


@admin_event(121, "client_rule_ended")
@frozen
class ClientRuleEnded(AdminEvent):
    """A rule about a client is no longer in force, or will not be."""

    rule: int

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        try:
            to.end_client_rule(self.rule)
        except KeyError:
            raise ReplayError(
                f"event {seq} ends rule {self.rule} about a client, which is not there"
            ) from None


@admin_event(88, "owner_keys_revoked")
@frozen
class OwnerKeysRevoked(AdminEvent):
    """An owner's keys are no longer in force, and their peers and bases are removed."""

    owner: str
    account: Account
    key_refs: tuple[int, ...]

    def subjects(self) -> list[Subject]:
        return [*super().subjects(), *(("key_ref", key_ref) for key_ref in self.key_refs)]

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        to.listing.awake_us = time_us
        for key_ref in self.key_refs:
            key_hash = to.access.hash_of(key_ref)
            if key_hash is None or key_hash not in to.access.keys:
                raise ReplayError(f"event {seq} revokes key {key_ref}, which is not in force")
            _revoke(to, key_hash)


# Limits.


@admin_event(105, "limits_set")
@frozen
class LimitsSet(AdminEvent):
    """An account has limits of its own in place of the policy's: 0 = none, None = the policy's."""

    account: Account
    slots: int | None = None  # torrents that it leeches at once
    locations: int | None = None  # its peers on one torrent
    started_per_day: int | None = None  # torrents that it starts
    handed_per_hour: int | None = None  # peers in replies to it
    handed_per_day: int | None = None

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        by = self.by or {}
        since_us = to.dates.of(time_us)
        limits = tuple(getattr(self, name) for name in KINDS)
        own = Exemption(seq, since_us, by.get("token", ""), by.get("reason", ""), *limits)
        if not all(0 <= (limit or 0) <= MOST for limit in limits):
            raise ReplayError(f"event {seq} sets a limit above {MOST}")
        to.limit(self.account, own)


# Accounts.


@frozen
class KeysMoved(AdminEvent):
    """Base of the events by which keys and totals of an account go to another one."""

    account: Account
    to: Account
    moved: Moved

    def change(self, accounts: Accounts, account: int) -> None:
        """Changes the totals of one of the two accounts, in the state or in its ledger."""
        accounts.gain(account, self.moved.signed(1 if account == self.to else -1))

    def _move(self, to: Target, seq: int, key_refs: Sequence[int]) -> None:
        """Moves totals, peers and bases. Raises `ReplayError` if there are no such totals."""
        to.listing.awake_us = to.time_us
        moving.move(to, self.account, self.to, frozenset(key_refs))
        try:
            to.accounts.check_move(self.account, self.to, self.moved)
        except ValueError as error:
            raise ReplayError(f"event {seq} moves more than there is: {error}") from None
        for account in self.account, self.to:
            self.change(to.accounts, account)
        if to.book is not None:
            to.book.move(self.account, self.to, self.moved)


@admin_event(122, "account_merged")
@frozen
class AccountMerged(KeysMoved):
    """All keys of an account and its totals are another account's from here on."""

    dropped: tuple[int, ...] = ()  # announces whose peers and bases end, as of `moving.twins`

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        access = to.access
        if not (access.has_account(self.account) and access.has_account(self.to)) or (
            self.account == self.to
        ):
            raise ReplayError(f"event {seq} merges account {self.account} into {self.to}")
        key_refs = [*access.keys_of(self.account)]
        moving.drop(to, (self.account, self.to), frozenset(self.dropped), MERGED)
        access.merge(self.account, self.to, seq, to.dates.of(time_us))
        to.freeleech.hand_over(self.account, self.to, time_us)
        self._move(to, seq, key_refs)


@admin_event(123, "account_split")
@frozen
class AccountSplit(KeysMoved):
    """Some keys of an account, and maybe a part of its totals, are a new account's from here on.

    An account that was merged before is the new one if its first key comes back.
    """

    owner: str
    key_refs: tuple[int, ...]

    def subjects(self) -> list[Subject]:
        return [*super().subjects(), *(("key_ref", key_ref) for key_ref in self.key_refs)]

    def apply(self, to: Target, seq: int, time_us: int) -> None:  # noqa: ARG002  # the base's name
        access, keys = to.access, set(self.key_refs)
        if not (
            access.has_account(self.account)
            and keys <= {*access.keys_of(self.account)} - {self.account}
            and self.to in keys
        ):
            raise ReplayError(f"event {seq} splits account {self.account}, which has no such keys")
        access.split(self.key_refs, self.to, self.owner)
        self._move(to, seq, self.key_refs)


def _idempotency(by: dict[str, str] | None) -> tuple[str, str]:
    """Returns token label and idempotency key of a request. Raises `ReplayError` without them."""
    try:
        return by["token"], by["idempotency_key"]  # type: ignore[index]  # None is caught as well
    except (TypeError, KeyError):
        raise ReplayError("a request without its idempotency key") from None


# Access tokens of the API. The tokens themselves are never in the log.


@admin_event(95, "token_issued")
@frozen
class TokenIssued(AdminEvent):
    """Somebody got an access token."""

    token: AccessTokenNumber  # 1, 2, 3 and so on
    token_hash: bytes  # SHA-256 of the token
    label: str  # names the author of changes with it
    scope: str  # one of `access_tokens.SCOPES`
    until_us: int | None = None  # the date on which it expires; None = never

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        made = AccessToken(self.token, self.label, self.scope, to.dates.of(time_us), self.until_us)
        try:
            to.access_tokens.issue(made, self.token_hash)
        except ValueError as error:
            raise ReplayError(f"event {seq} issues {error}") from None


@admin_event(96, "token_revoked")
@frozen
class TokenRevoked(AdminEvent):
    """An access token is refused from here on."""

    token: AccessTokenNumber
    label: str

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        if self.token not in to.access_tokens.by_number:
            raise ReplayError(
                f"event {seq} revokes access token {self.token}, which was not issued"
            )
        to.access_tokens.revoke(self.token, to.dates.of(time_us))


@admin_event(97, "token_used")
@frozen
class TokenUsed(AdminEvent):
    """An access token was used, for the first time on this date."""

    administered = False

    token: AccessTokenNumber
    label: str

    def apply(self, to: Target, seq: int, time_us: int) -> None:
        if self.token not in to.access_tokens.by_number:
            raise ReplayError(f"event {seq} uses access token {self.token}, which was not issued")
        to.access_tokens.use(self.token, to.dates.of(time_us))
