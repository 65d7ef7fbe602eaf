"""A plain second version of the swarms: dictionaries, no packing, no reused numbers."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from tests.support import SECOND, Announce
from tracker.domain import events
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 2**64 - 1  # the largest total

Identity = bytes | tuple[int, bytes]
"""Identifies a peer: its endpoint, or in private modes its account and peer_id."""
Place = tuple[bytes, Identity]
"""A peer in a torrent."""
LATE_SECONDS = 60
MOVED = (
    "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "seeding_us",
    "partial_us", "sessions", "snatched",
)  # fmt: skip


@define
class ModelPeer:
    peer_id: bytes
    endpoints: set[bytes]  # at most one of each family
    uploaded: int
    downloaded: int
    seeder: bool
    completed: bool  # sent `completed` in this session
    snatched: bool  # its account was credited with the download in this session
    partial: bool  # a partial seed: paused and incomplete
    seen_us: int
    order: int = 0  # of its last announce among all
    key_ref: int = 0
    days: dict[int, int] = field(factory=dict)  # endpoints by their length


@define
class ModelKey:
    key_ref: int
    account: int
    owner: str | None
    valid_until_us: int | None
    revoked: bool = False
    label: str | None = None


@define
class ModelFactor:
    account: int | None  # None = all
    info_hash: bytes | None
    upload: int | None  # percent
    download: int | None
    from_us: int
    until_us: int | None
    ended: bool = False


@define
class ModelAccount:
    uploaded: int = 0
    downloaded: int = 0
    credited_uploaded: int = 0
    credited_downloaded: int = 0
    seeding_us: int = 0
    sessions: int = 0
    snatched: int = 0
    first_us: int = 0
    last_us: int = 0
    partial_us: int = 0  # by rules 1 nothing counts here


@define
class Model:
    """The expected knowledge of the tracker after the same announces, commands and ticks."""

    settings: Settings = field(factory=Settings)
    torrents: dict[bytes, dict[Identity, ModelPeer]] = field(factory=dict)
    completed: dict[bytes, int] = field(factory=dict)
    whitelist: set[bytes] = field(factory=set)
    keys: dict[bytes, ModelKey] = field(factory=dict)
    key_refs: int = 0  # issued so far
    used: dict[int, int] = field(factory=dict)  # the last announce of each key_ref
    owners: dict[str, int] = field(factory=dict)  # their accounts
    accounts: dict[int, ModelAccount] = field(factory=dict)
    factors: list[ModelFactor] = field(factory=list)  # every factor that ever was
    counters: dict[int, int] = field(factory=dict)
    refusals: dict[tuple[int, str], int] = field(factory=dict)
    announces: int = 0
    ticks: int = 0
    resumed_us: int = 0
    lead_us: int = 0  # log time less the wall clock
    shredded: set[str] = field(factory=set)
    # Sanctions and their ends: of accounts and kinds, and of networks.
    sanctions: dict[tuple[int, int], int | None] = field(factory=dict)
    blocks: dict[str, int | None] = field(factory=dict)
    # By number: client, first and last version, from which date, and whether it refuses by now.
    client_rules: dict[int, tuple[str, str, str, int, bool]] = field(factory=dict)
    blacklist: set[bytes] = field(factory=set)
    # Limits of accounts of their own, in the order of `limits_of`; None = the policy's.
    limits: dict[int, tuple[int | None, ...]] = field(factory=dict)
    # Where torrents that are started are limited: the day, what accounts announced in it with
    # something left, and how many of these they started.
    day: int | None = None
    begun: set[tuple[int, bytes]] = field(factory=set)
    started: Counter[int] = field(factory=Counter)

    def announce(self, one: Announce, now: int) -> str | None:
        """Returns why the announce was refused; None if taken, "early" if it was too soon."""
        refusal = self._refusal(one, now) or self._policy_refusal(one)
        if refusal is not None:
            return refusal
        if self.settings.private and one.event != events.STOPPED:
            refusal, way = self._at_limit(one, now)
            if refusal is not None:
                return refusal
            if way is not None:
                del self.torrents[way[0]][way[1]]
        early = self._early(one, now)
        self._take(one if self._counts(one) else evolve(one, event=events.NONE), now)
        return "early" if early else None

    def _counts(self, one: Announce) -> bool:
        """Tells whether `completed` is taken; not where too many torrents are remembered."""
        most = self.settings.policy.max_torrents
        if one.event != events.COMPLETED or self.settings.listed or not most:
            return True
        remembered = self.completed.keys() - self.torrents.keys()
        return one.info_hash in self.completed or len(remembered) < most

    def _refusal(self, one: Announce, now: int) -> str | None:
        if self.settings.private:
            if not one.key:
                return "key_missing"
            key = self.keys.get(one.key)
            if key is None:
                return "key_unknown"
            if key.revoked:
                return "key_revoked"
            date = now - self.lead_us
            if self.settings.check_keys_expiration and date > (key.valid_until_us or date):
                return "key_expired"
        if any(ip_address(one.endpoint[:-2]) in ip_network(each) for each in self.blocks):
            return "network_blocked"
        if one.info_hash in self.blacklist:
            return "torrent_blacklisted"
        if one.event != events.STOPPED and self._ruled_out(one.peer_id.decode()):
            return "client_ruled_out"
        if self.settings.listed and one.info_hash not in self.whitelist:
            return "not_whitelisted"
        return None

    def _ruled_out(self, peer_id: str) -> bool:
        return any(
            refuses and peer_id.startswith(client) and first <= peer_id[3:7] <= last
            for client, first, last, _, refuses in self.client_rules.values()
        )

    def _identity(self, one: Announce) -> Identity:
        key = self.keys[one.key or b""] if self.settings.private else None
        return (key.account, one.peer_id) if key else one.endpoint

    def _policy_refusal(self, one: Announce) -> str | None:
        """Returns the refusal by the site's policy. `stopped` is never refused."""
        policy = self.settings.policy
        if one.event == events.STOPPED:
            return None
        name = one.peer_id.decode()
        if any(name.startswith(each) for each in policy.clients_denied):
            return "client_refused"
        if policy.clients_allowed and not any(name.startswith(e) for e in policy.clients_allowed):
            return "client_refused"
        if str(int.from_bytes(one.endpoint[-2:], "big")) in policy.refused_ports:
            return "port_refused"
        peers = self.torrents.get(one.info_hash, {})
        identity = self._identity(one)
        return None if identity in peers else self._no_room(one, peers)

    def _no_room(self, one: Announce, peers: dict[Identity, ModelPeer]) -> str | None:
        policy = self.settings.policy
        staying = [e for e, peer in peers.items() if one.endpoint not in peer.endpoints]
        if len(staying) < len(peers):
            return None  # it replaces another peer
        if one.info_hash not in self.torrents and 0 < policy.max_torrents <= len(self.torrents):
            return "torrents_full"
        if peers and 0 < policy.max_peers_per_torrent <= len(peers):
            return "swarm_full"
        if 0 < policy.max_peers <= sum(map(len, self.torrents.values())):
            return "peers_full"
        return None

    def limits_of(self, account: int) -> tuple[int, ...]:
        """Returns slots, locations, torrents a day, and peers an hour and a day of an account; 0 =
        no limit.
        """
        policy = self.settings.policy
        of_all = (
            policy.leeching_slots, policy.peers_per_account, policy.started_per_day,
            policy.handed_per_hour, policy.handed_per_day,
        )  # fmt: skip
        own = self.limits.get(account, (None,) * len(of_all))
        return tuple(a if b is None else b for a, b in zip(of_all, own, strict=True))

    def turn(self, date: int) -> None:
        """Begins a day where a date is in another one, and forgets it where nobody is limited."""
        policy = self.settings.policy
        limited = any(any(own[2:]) for own in self.limits.values())
        if self.settings.private:
            limited = limited or policy.started_per_day > 0 or policy.handed_per_hour > 0
        day = date // events.DAY_US if limited else None
        if day != self.day:
            self.day = day
            self.begun.clear()
            self.started.clear()

    def leeching(self, account: int) -> list[Place]:
        """Returns the leeching peers of an account."""
        return [
            (info_hash, each)
            for info_hash, peers in self.torrents.items()
            for each, peer in peers.items()
            if each[0] == account and not peer.seeder
        ]

    def _at_limit(self, one: Announce, now: int) -> tuple[str | None, Place | None]:
        """Returns the refusal by a limit of the account, and the peer that gives way."""
        identity = self._identity(one)
        account, peers = identity[0], self.torrents.get(one.info_hash, {})
        assert isinstance(account, int)
        slots, locations, started, *_ = self.limits_of(account)
        known = peers.get(identity)
        new = known is None and one.left and (account, one.info_hash) not in self.begun
        if new and 0 < started <= self.started[account]:
            return "started_full", None
        leaves = [e for e, p in peers.items() if one.endpoint in p.endpoints and e != identity]
        staying = [(one.info_hash, e) for e in peers if e[0] == account and e not in leaves]
        here = [place for place in staying if self._same_address(place, one)]
        way: Place | None = None
        if known is None and 0 < locations <= len(staying):
            if leaves or not here:
                return "account_full", None
            way = min(here, key=self._order)
        if one.left == 0 or (known is not None and not known.seeder) or not slots:
            return None, way
        every = self.leeching(account)
        used = [e for e in every if e != way and not (e[0] == one.info_hash and e[1] in leaves)]
        if len(used) < slots:
            return None, way
        if leaves or way:
            return "slots_full", None
        there = [place for place in here if place in every]
        if not there and len(every) == slots:
            policy = self.settings.policy
            late = (self.settings.interval + policy.interval_jitter + LATE_SECONDS) * SECOND
            there = [
                place
                for place in every
                if self._same_address(place, one)
                and self.torrents[place[0]][place[1]].seen_us + late < now
            ]
        return (None, min(there, key=self._order)) if there else ("slots_full", None)

    def _order(self, place: Place) -> int:
        return self.torrents[place[0]][place[1]].order

    def _same_address(self, place: Place, one: Announce) -> bool:
        endpoints = self.torrents[place[0]][place[1]].endpoints
        return one.endpoint[:-2] in {endpoint[:-2] for endpoint in endpoints}

    def _early(self, one: Announce, now: int) -> bool:
        before = self.torrents.get(one.info_hash, {}).get(self._identity(one))
        return (
            self.settings.policy.enforce_interval_min
            and before is not None
            and before.endpoints == {one.endpoint}
            and one.event in (events.NONE, events.PAUSED)
            and now - before.seen_us < self.settings.interval_min * SECOND
        )

    def _take(self, one: Announce, now: int) -> None:
        self.announces += 1
        peers = self.torrents.get(one.info_hash, {})
        key = self.keys[one.key or b""] if self.settings.private else None
        identity = self._identity(one)
        before = peers.get(identity)
        same_session = before is not None and continues(before, one)
        if key is not None:
            self.used[key.key_ref] = now
        gets = key is not None and self._account(key.account, before, one, now)
        if one.event == events.STOPPED:
            peers.pop(identity, None)
            return
        for other in [each for each, peer in peers.items() if one.endpoint in peer.endpoints]:
            if other != identity:
                del peers[other]
        says_completed = one.event == events.COMPLETED
        if says_completed and before is not None and same_session and not before.completed:
            self.completed[one.info_hash] = self.completed.get(one.info_hash, 0) + 1
        if key is not None and one.left and self.limits_of(key.account)[2]:
            if (key.account, one.info_hash) not in self.begun:
                self.started[key.account] += before is None
            self.begun.add((key.account, one.info_hash))
        width, day = len(one.endpoint), now // events.DAY_US
        # The other family's address stays for a day after its last announce.
        elsewhere = {
            endpoint
            for endpoint in (before.endpoints if before else ())
            if len(endpoint) != width and before and before.days[len(endpoint)] >= day - 1
        }
        kept = before if same_session else None
        self.torrents.setdefault(one.info_hash, peers)[identity] = ModelPeer(
            peer_id=one.peer_id,
            endpoints=elsewhere | {one.endpoint},
            uploaded=one.uploaded,
            downloaded=one.downloaded,
            seeder=one.left == 0,
            completed=says_completed or (kept is not None and kept.completed),
            snatched=gets or (kept is not None and kept.snatched),
            partial=one.event == events.PAUSED and one.left != 0,
            seen_us=now,
            order=self.announces,
            key_ref=key.key_ref if key else 0,
            days={**(before.days if before else {}), width: day},
        )

    def _account(self, number: int, before: ModelPeer | None, one: Announce, now: int) -> bool:
        """Credits an announce to its account; returns whether the account gets the download."""
        account = self.accounts.setdefault(number, ModelAccount())
        account.first_us = account.first_us or now
        account.last_us = now
        stops = one.event == events.STOPPED
        if before is None or not (stops or continues(before, one)):
            account.sessions += not stops
            return False
        up = min(max(0, one.uploaded - before.uploaded), MOST - account.uploaded)
        down = min(max(0, one.downloaded - before.downloaded), MOST - account.downloaded)
        account.uploaded += up
        account.downloaded += down
        percent_up, percent_down = self.percents(number, one.info_hash, now - self.lead_us)
        account.credited_uploaded = min(MOST, account.credited_uploaded + up * percent_up // 100)
        account.credited_downloaded = min(
            MOST, account.credited_downloaded + down * percent_down // 100
        )
        if before.seeder:
            account.seeding_us += min(now - before.seen_us, self.settings.max_peer_timeout * SECOND)
        said = one.event == events.COMPLETED and one.left in (0, events.LEFT_UNKNOWN)
        finished = said or (one.left == 0 and not before.seeder)
        gets = finished and not before.snatched
        account.snatched += gets
        return gets

    def percents(self, account: int, info_hash: bytes, now: int) -> tuple[int, int]:
        """Returns the percentages of uploads and downloads: the best factor of each, or 100."""
        force = [
            factor
            for factor in self.factors
            if not factor.ended
            and factor.account in (None, account)
            and factor.info_hash in (None, info_hash)
            and factor.from_us <= now
            and (factor.until_us is None or now < factor.until_us)
        ]
        ups = [factor.upload for factor in force if factor.upload is not None]
        downs = [factor.download for factor in force if factor.download is not None]
        return max(ups, default=100), min(downs, default=100)

    def correct(self, number: int, uploaded: int, downloaded: int) -> bool:
        """Returns whether the correction can be made."""
        account = self.accounts.get(number, ModelAccount())
        up = account.credited_uploaded + uploaded
        down = account.credited_downloaded + downloaded
        if not (0 <= up <= MOST and 0 <= down <= MOST):
            return False
        self.accounts[number] = account
        account.credited_uploaded, account.credited_downloaded = up, down
        return True

    def tick(self, now: int) -> None:
        tick, self.ticks = self.ticks, self.ticks + 1
        date = now - self.lead_us
        self.turn(date)
        for number, (client, first, last, from_us, refuses) in self.client_rules.items():
            refuses = refuses or from_us <= date  # the value of now
            self.client_rules[number] = client, first, last, from_us, refuses
        for standing in (self.sanctions, self.blocks):
            for over in [key for key, until in standing.items() if until and until <= date]:
                del standing[over]  # type: ignore[attr-defined]  # of its own keys
        cleanup_ms = self.settings.inactive_peer_cleanup_interval * 1000
        before_us = now - self.settings.max_peer_timeout * SECOND
        if not cleanup_ms:
            return
        if before_us < self.resumed_us:
            before_us = -1  # no peer expires, but empty torrents go
        slices = max(1, cleanup_ms // self.settings.tick_ms)
        first, end = (256 * part // slices for part in (tick % slices, tick % slices + 1))
        for info_hash in [each for each in self.torrents if first <= each[0] < end]:
            peers = self.torrents[info_hash]
            for identity in [e for e, peer in peers.items() if peer.seen_us <= before_us]:
                del peers[identity]
            self._drop_if_empty(info_hash)

    def _drop_if_empty(self, info_hash: bytes) -> None:
        if self.settings.remove_peerless_torrents and not self.torrents.get(info_hash, True):
            del self.torrents[info_hash]

    def delist(self, info_hash: bytes) -> None:
        if info_hash not in self.whitelist:
            return
        self.whitelist.remove(info_hash)
        if self.settings.listed:
            self.empty(info_hash)

    def empty(self, info_hash: bytes) -> None:
        """Removes the peers of a torrent."""
        if info_hash in self.torrents:
            self.torrents[info_hash].clear()
            self._drop_if_empty(info_hash)

    def issue(self, text: bytes, owner: str | None, valid_until_us: int | None) -> None:
        self.key_refs += 1
        account = self.owners.setdefault(owner, self.key_refs) if owner else self.key_refs
        self.keys[text] = ModelKey(self.key_refs, account, owner, valid_until_us)

    def revoke(self, text: bytes) -> None:
        """Revokes a key. Its peers go at once, in all swarms."""
        key = self.keys[text]
        key.revoked = True
        for info_hash, peers in list(self.torrents.items()):
            gone = [each for each, peer in peers.items() if peer.key_ref == key.key_ref]
            for identity in gone:
                del peers[identity]
            if gone:
                self._drop_if_empty(info_hash)

    def rotate(self, old: bytes, new: bytes) -> None:
        """Rotates a key. Its peers belong to the new key."""
        key = self.keys[old]
        key.revoked = True
        self.key_refs += 1
        self.keys[new] = ModelKey(self.key_refs, key.account, key.owner, key.valid_until_us)
        for peers in self.torrents.values():
            for peer in peers.values():
                if peer.key_ref == key.key_ref:
                    peer.key_ref = self.key_refs

    def merge(self, account: int, into: int) -> None:
        """Gives all keys, peers and totals of an account to another one."""
        refs = [key.key_ref for key in self.keys.values() if key.account == account]
        self._hand_over(account, into, refs, next(
            (key.owner for key in self.keys.values() if key.account == into), None
        ))  # fmt: skip
        ours, theirs = (self.accounts.setdefault(each, ModelAccount()) for each in (account, into))
        for name in MOVED:
            setattr(theirs, name, getattr(theirs, name) + getattr(ours, name))
            setattr(ours, name, 0)

    def split(
        self, account: int, to: int, refs: tuple[int, ...], owner: str, moved: tuple[int, int]
    ) -> None:
        """Gives some keys, with their peers and these bytes, to another account."""
        self.owners.setdefault(owner, to)
        self._hand_over(account, to, refs, owner)
        ours, theirs = (self.accounts.setdefault(each, ModelAccount()) for each in (account, to))
        for name, amount in zip(MOVED[:4], moved * 2, strict=True):
            setattr(ours, name, getattr(ours, name) - amount)
            setattr(theirs, name, getattr(theirs, name) + amount)

    def _hand_over(self, account: int, to: int, refs: Sequence[int], owner: str | None) -> None:
        for key in self.keys.values():
            if key.key_ref in refs:
                key.account, key.owner = to, owner
        for peers in self.torrents.values():
            for identity, peer in list(peers.items()):
                if identity[0] != account or peer.key_ref not in refs:
                    continue
                del peers[identity]
                twin = peers.get((to, peer.peer_id))
                if twin is None or twin.order < peer.order:
                    peers[to, peer.peer_id] = peer

    def label(self, text: bytes, label: str | None) -> None:
        self.keys[text].label = label

    def change_settings(self, settings: Settings) -> None:
        if settings.private != self.settings.private:
            self.torrents.clear()
        self.settings = settings

    def downloaders(self, info_hash: bytes) -> int:
        peers = self.torrents.get(info_hash, {}).values()
        return sum(not peer.seeder and not peer.partial for peer in peers)

    def counts(self, info_hash: bytes) -> tuple[int, int, int]:
        """Returns seeders, completed and leechers."""
        peers = self.torrents.get(info_hash, {}).values()
        seeders = sum(peer.seeder for peer in peers)
        return seeders, self.completed.get(info_hash, 0), len(peers) - seeders


def continues(before: ModelPeer, one: Announce) -> bool:
    """Returns whether an announce continues the session of the announce before it."""
    return (
        before.peer_id == one.peer_id
        and before.uploaded <= one.uploaded
        and before.downloaded <= one.downloaded
    )
