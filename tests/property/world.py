"""A tracker and its model, driven side by side by operations that hypothesis draws."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import asdict, define, evolve, field
from hypothesis import strategies as st

from tests.property.model import Model, ModelAccount, ModelFactor
from tests.support import (
    SECOND,
    SELECTION_KEY,
    Announce,
    HandTime,
    announce,
    endpoint4,
    endpoint6,
    hash_of,
    issue,
    key_hash,
    key_text,
    pick,
    revoke,
    rotate,
)
from tracker.domain import choice, events, refusals
from tracker.domain.directory import CONCEALED, COUNT, TORRENT_WORDS
from tracker.domain.events.admin import (
    AccountGrouped,
    AddressesLost,
    AddressesShredded,
    ClientRuleEnded,
    ClientRuleSet,
    CreditCorrected,
    CreditFactorEnded,
    CreditFactorSet,
    FreeleechGiven,
    FreeleechWithdrawn,
    HidingChanged,
    KeyChanged,
    LeechOffChanged,
    LimitsSet,
    NetworkBlocked,
    NetworkUnblocked,
    OwnerKeysRevoked,
    SettingsChanged,
    TorrentBlacklisted,
    TorrentDelisted,
    TorrentDescribed,
    TorrentUnblacklisted,
    TorrentWhitelisted,
    TrackerStarted,
)
from tracker.domain.limits import KINDS
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.ports import Actor, CommandError, SplitTerms
from tracker.service.announce import EARLY, LEECH_OFF
from tracker.service.commands.accounts import merging, splitting
from tracker.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.domain.state import State
    from tracker.service.append import Log

# Few of each, so that they meet. Two hashes share a bucket; the sweep's slices separate the rest.
HASHES = [hash_of(number) for number in (1, 257, 90, 180, 255)]
ENDPOINTS = [endpoint4(1), endpoint4(1, 6882), endpoint4(2), endpoint4(3), endpoint4(4)] + [
    endpoint6(number) for number in (1, 2, 3)
]
PEER_IDS = [b"-XX0001-abcdefghijkl", b"-XX0001-lkjihgfedcba", b"-XX0002-abcdefghijkl"]
TOTALS = [0, 5, (1 << 63) - 1]
LEFTS = [0, 0, 7, events.LEFT_UNKNOWN]
KEYS = [key_text(number) for number in range(4)]
OWNERS = [None, None, "anna", "bert"]

announces = st.builds(
    Announce,
    info_hash=st.sampled_from(HASHES),
    endpoint=st.sampled_from(ENDPOINTS),
    peer_id=st.sampled_from(PEER_IDS),
    uploaded=st.sampled_from(TOTALS),
    downloaded=st.sampled_from(TOTALS),
    left=st.sampled_from(LEFTS),
    event=st.sampled_from([0, 0, 1, 1, 2, 3, 4]),
    udp=st.booleans(),
    numwant=st.sampled_from([1, 50, 65535]),
    flags=st.sampled_from([0, events.FLAG_NUMWANT_ABSENT, events.FLAG_DICTIONARIES]),
    key_hash=st.integers(0, 65535),
    agent=st.sampled_from([b"", b"a/1", b"\xe9 b"]),
    key=st.sampled_from([*KEYS[:2], *KEYS, key_text(99), b""]),
)
policies = st.builds(
    Policy,
    enforce_interval_min=st.booleans(),
    peers_per_account=st.sampled_from([0, 0, 1, 2]),
    leeching_slots=st.sampled_from([0, 0, 1, 2]),
    started_per_day=st.sampled_from([0, 0, 1, 2]),
    handed_per_hour=st.sampled_from([0, 0, 1, 5]),
    clients_allowed=st.sampled_from([(), (), ("-XX",), ("-XX0001-a", "-qB")]),
    clients_denied=st.sampled_from([(), (), (), ("-XX0001-l",)]),
    refused_ports=st.sampled_from([(), (), ("6882",)]),
    max_torrents=st.sampled_from([0, 0, 1, 3]),
    max_peers=st.sampled_from([0, 0, 2, 6]),
    max_peers_per_torrent=st.sampled_from([0, 0, 1, 3]),
)
changes = st.one_of(
    st.fixed_dictionaries({"policy": policies, "interval_min": st.sampled_from([1, 120])}),
    st.fixed_dictionaries({"listed": st.booleans()}),
    st.fixed_dictionaries({"private": st.booleans()}),
    st.fixed_dictionaries({"check_keys_expiration": st.booleans()}),
    st.fixed_dictionaries({"remove_peerless_torrents": st.booleans()}),
    st.fixed_dictionaries({"max_peer_timeout": st.sampled_from([1, 20, 60])}),
    st.fixed_dictionaries({"inactive_peer_cleanup_interval": st.sampled_from([0, 10, 30])}),
)
percents = st.sampled_from([None, 0, 50, 99, 150, 200, 10_000])
factors = st.tuples(
    st.sampled_from([None, None, *range(1, 6)]),  # account
    st.sampled_from([None, None, *HASHES[:2]]),
    percents,
    percents,
    st.sampled_from([0, 0, 0, 1, 5, 20]),  # seconds until it begins
    st.one_of(st.none(), st.integers(1, 40)),  # seconds it lasts
)
amounts = st.sampled_from([0, 1, -1, -3, 2**63, -(2**63), 2**64 - 1, 1 - 2**64])
sanctions = st.tuples(
    st.sampled_from([LeechOffChanged, HidingChanged]),
    st.integers(1, 4),  # account
    st.booleans(),
    st.sampled_from([None, 1, 20]),  # seconds it lasts
)
client_rules = st.tuples(
    st.just("-XX"),
    *([st.sampled_from(["0001", "0002"])] * 2),  # versions; a range may be empty
    st.sampled_from([-1, 0, 0, 1, 20]),  # seconds until it refuses
)
own_limits = st.tuples(
    st.integers(1, 4),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([None, 0, 1, 3]),
    st.sampled_from([None, None, 0, 2]),
    st.sampled_from([None, None, 0, 3]),
    st.sampled_from([None, None, 0, 4]),
)
merges = st.tuples(st.integers(1, 4), st.integers(1, 4))
splits = st.tuples(
    st.integers(1, 3),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.sampled_from(["anna", "bert", "carl"]),
    st.sampled_from([0, 0, 1, 700]),  # bytes
    st.sampled_from([0, 0, 1, 700]),
)
NETWORKS = ["127.0.0.2/31", "127.0.0.3/32", "2001:db8::2/127"]
batches = st.tuples(st.just("announce"), st.lists(announces, min_size=1, max_size=6))
steps = st.one_of(
    batches,
    batches,
    batches,
    st.tuples(st.just("tick"), st.integers(0, 40)),
    st.tuples(st.just("tick"), st.integers(0, 40)),
    st.tuples(st.just("change"), changes),
    st.tuples(st.just("staff"), changes),
    st.tuples(st.just("whitelist"), st.sampled_from(HASHES)),
    st.tuples(st.just("delist"), st.sampled_from(HASHES)),
    st.tuples(
        st.just("key"),
        st.tuples(
            st.sampled_from(KEYS),
            st.sampled_from(OWNERS),
            st.one_of(st.none(), st.integers(0, 40)),
        ),
    ),
    st.tuples(st.just("rotate"), st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS))),
    st.tuples(st.just("label"), st.tuples(st.sampled_from(KEYS), st.sampled_from([None, "x"]))),
    st.tuples(
        st.just("describe"), st.tuples(st.sampled_from(HASHES[:2]), st.sampled_from([None, 7]))
    ),
    st.tuples(st.just("count"), st.integers(1, 8)),
    st.tuples(st.just("refuse"), st.tuples(st.integers(-13, 0), st.sampled_from([*PEER_IDS, b""]))),
    st.tuples(st.just("factor"), factors),
    st.tuples(st.just("factor"), factors),
    st.tuples(st.just("end factor"), st.integers(0, 5)),
    st.tuples(st.just("correct"), st.tuples(st.integers(1, 5), amounts, amounts)),
    st.tuples(st.just("shred"), st.sampled_from(["2027-01-14", "2027-01-15"])),
    st.tuples(st.just("sanction"), sanctions),
    st.tuples(st.just("rule client"), client_rules),
    st.tuples(st.just("end client rule"), st.integers(1, 3)),
    st.tuples(st.just("sanction"), sanctions),
    st.tuples(st.just("limit"), own_limits),
    st.tuples(st.just("revoke owner"), st.sampled_from(OWNERS[2:])),
    st.tuples(st.just("merge"), merges),
    st.tuples(st.just("split"), splits),
    st.tuples(st.just("ban"), st.tuples(st.sampled_from(HASHES[:2]), st.booleans())),
    st.tuples(
        st.just("block"),
        st.tuples(st.sampled_from(NETWORKS), st.booleans(), st.sampled_from([None, 1, 20])),
    ),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(st.just("clock"), st.sampled_from([-90_000, -40, -7, 3, 40, 90_000])),
    st.tuples(st.just("restart"), st.integers(0, 100)),
    st.tuples(st.just("hand over"), st.none()),
)
Step = tuple[str, Any]

OUTCOMES = {
    **refusals.NAMES,
    refusals.MALFORMED: None,
    EARLY: "early",
    LEECH_OFF: None,
}  # 0 stands for no refusal here
FIRST_SETTINGS = Settings(max_peer_timeout=20, inactive_peer_cleanup_interval=10)
FIRST_KEYS = ((KEYS[0], None), (KEYS[1], "anna"), (KEYS[2], "anna"))


class PeerSeen(NamedTuple):
    """A peer as the tracker and the model both describe it."""

    endpoints: tuple[bytes, ...]
    peer_id: bytes
    uploaded: int
    downloaded: int
    seeder: bool
    seen_us: int
    key_ref: int


@define
class World:
    """`step` makes one operation on both; `check` compares them."""

    log: Log
    state: State
    time: HandTime
    model: Model = field(factory=Model)
    hashes: list[bytes] = field(default=HASHES)
    first_settings: Settings = field(default=FIRST_SETTINGS)
    service: Service = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = Service(
            self.log, self.state, self.time.log_clock(self.state.time_us), SELECTION_KEY
        )

    def start(self) -> None:
        """Appends the first events of a run."""
        self.service.append(TrackerStarted("test", 1))
        self.model.resumed_us = self.state.time_us
        self.model.lead_us = self.state.dates.lead_us
        if not self.state.tally.counters and self.state.tally.starts == 1:
            self._change(self.first_settings)
            for text, owner in FIRST_KEYS:
                self._issue(text, owner, None)

    def step(self, step: Step) -> None:
        name, argument = step
        do = _STEPS.get(name)
        if do is not None:
            do(self, argument)

    def _announce(self, batch: list[Announce]) -> None:
        self.time.advance(SECOND // 4)
        now = self.service.now_us()
        expected = [self.model.announce(one, now) for one in batch]
        returned = announce(self.service, *batch)
        assert [OUTCOMES.get(torrent) for torrent in returned] == expected

    def _tick(self, seconds: int) -> None:
        self.time.advance(seconds * SECOND)
        if self.service.tick():
            self.model.resumed_us = self.state.tally.resumed_us
        self.model.lead_us = self.state.dates.lead_us
        self.model.tick(self.state.time_us)

    def _set_clock(self, seconds: int) -> None:
        """Sets the wall clock forward or back; the next tick or start notices, a second later."""
        self.time.advance(SECOND)
        self.time.wall += seconds * SECOND

    def _wait(self, seconds: int) -> None:
        """Lets time pass without a tick."""
        self.time.advance(seconds * SECOND)

    def _change_some(self, changed: dict[str, Any]) -> None:
        self._change(evolve(self.state.settings, **changed))

    def _staff(self, changed: dict[str, Any]) -> None:
        """Has staff change settings while the tracker runs."""
        settings = evolve(self.state.settings, **changed)
        self.service.append(SettingsChanged(settings), Actor("anna", "", "", "why"))
        self.model.change_settings(settings)
        self._turn()

    def _change(self, settings: Settings) -> None:
        before = self.state.seq
        self.service.change_settings(settings)
        self.model.change_settings(settings)
        if self.state.seq != before:
            self._turn()

    def _turn(self) -> None:
        """Has the model begin a day, as an event does that may change limits."""
        self.model.turn(self.state.dates.of(self.state.time_us))

    def _whitelist(self, info_hash: bytes) -> None:
        if info_hash not in self.state.access.whitelist:
            self.service.append(TorrentWhitelisted(info_hash))
        self.model.whitelist.add(info_hash)

    def _delist(self, info_hash: bytes) -> None:
        if info_hash in self.state.access.whitelist:
            self.service.append(TorrentDelisted(info_hash))
        self.model.delist(info_hash)

    def _key(self, key: tuple[bytes, str | None, int | None]) -> None:
        """Issues a key, or revokes it when it is in force."""
        text, owner, seconds = key
        if self._in_force(text):
            revoke(self.service, text)
            self.model.revoke(text)
        else:
            self._issue(
                text, owner, None if seconds is None else self.service.date_us() + seconds * SECOND
            )

    def _issue(self, text: bytes, owner: str | None, valid_until_us: int | None) -> None:
        if owner and self.state.access.owners.get(owner) in self.state.access.merged:
            return  # a merged account gets no new keys
        issue(self.service, text, owner, valid_until_us)
        self.model.issue(text, owner, valid_until_us)

    def _rotate(self, keys: tuple[bytes, bytes]) -> None:
        """Replaces a key in force by one that is not."""
        old, new = keys
        if self._in_force(old) and not self._in_force(new):
            rotate(self.service, old, new)
            self.model.rotate(old, new)

    def _label(self, change: tuple[bytes, str | None]) -> None:
        text, label = change
        if self._in_force(text):
            key = self.state.access.keys[bytes.fromhex(key_hash(text))]
            self.service.append(KeyChanged(bytes.fromhex(key_hash(text)), key.key_ref, label))
            self.model.label(text, label)

    def _in_force(self, text: bytes) -> bool:
        return bytes.fromhex(key_hash(text)) in self.state.access.keys

    def _describe(self, said: tuple[bytes, int | None]) -> None:
        info_hash, size = said
        self.service.append(TorrentDescribed(info_hash, size=size))
        assert (info_hash in self.state.facts) == (size is not None)

    def _count(self, counter: int) -> None:
        self.service.count(counter)
        self.service.count(counter)
        self.service.flush_counters()
        self.model.counters[counter] = self.model.counters.get(counter, 0) + 2

    def _refuse(self, refusal: tuple[int, bytes]) -> None:
        reason, peer_id = refusal
        self.service.refused(*refusal)
        self.service.flush_counters()
        self.service.flush_refusals()
        counters, refusals = self.model.counters, self.model.refusals
        counters[events.REFUSED_REQUESTS] = counters.get(events.REFUSED_REQUESTS, 0) + 1
        key = -reason, "XTorrent" if peer_id else ""
        refusals[key] = refusals.get(key, 0) + 1

    def _factor(self, factor: tuple[Any, ...]) -> None:
        account, info_hash, upload, download, wait, lasts = factor
        from_us = self.service.date_us() + wait * SECOND
        until_us = None if lasts is None else from_us + lasts * SECOND
        self.model.factors.append(
            ModelFactor(account, info_hash, upload, download, from_us, until_us)
        )
        number = len(self.model.factors)
        event = CreditFactorSet(
            number, "any", from_us, until_us, "test", account, info_hash, upload, download
        )
        self.service.append(event)

    def _end_factor(self, back: int) -> None:
        """Ends one of the latest factors, unless it is over: those go with a tick."""
        number = len(self.model.factors) - back
        if number in self.state.factors.current:
            self.service.append(CreditFactorEnded(number))
            self.model.factors[number - 1].ended = True

    def _group(self, who: tuple[int, str | None]) -> None:
        self.service.append(AccountGrouped(*who))

    def _group_factor(self, factor: tuple[str, int]) -> None:
        """Sets a factor of a group. The model does not know groups."""
        group, download = factor
        now, number = self.service.date_us(), self.state.factors.next_number
        self.model.factors.append(ModelFactor(None, None, None, None, now, None, ended=True))
        self.service.append(
            CreditFactorSet(number, "group", now, None, "", download_percent=download, group=group)
        )

    def _freeleech(self, token: tuple[int, bytes, int | None, int | None, bool]) -> None:
        """Gives a freeleech token, unless the account has one there. The model does not know it."""
        account, info_hash, lasts, max_bytes, until_completed = token
        there = self.state.freeleech.of(account, info_hash)
        if there is None or there.state(self.service.now_us()) == "expired":
            until_us = None if lasts is None else self.service.date_us() + lasts * SECOND
            number = self.state.freeleech.next_number
            self.service.append(
                FreeleechGiven(number, account, info_hash, until_completed, "", until_us, max_bytes)
            )

    def _withdraw(self, back: int) -> None:
        """Withdraws one of the latest freeleech tokens, unless it is over."""
        token = self.state.freeleech.tokens.get(self.state.freeleech.next_number - back)
        if token is not None and token.state(self.service.now_us()) in ("unused", "in_use"):
            self.service.append(FreeleechWithdrawn(token.number))

    def _correct(self, correction: tuple[int, int, int]) -> None:
        account, uploaded, downloaded = correction
        if self.state.access.has_account(account) and self.model.correct(*correction):
            corrects = self.state.seq - 1
            self.service.append(CreditCorrected(account, uploaded, downloaded, corrects))

    def _shred(self, day: str) -> None:
        self.service.append(AddressesShredded((day,)))
        self.model.shredded.add(day)

    def _sanction(self, what: tuple[Any, int, bool, int | None]) -> None:
        event, account, on, lasts = what
        if self.state.access.has_account(account):
            until_us = None if lasts is None else self.service.date_us() + lasts * SECOND
            self.service.append(event(account, on, until_us))
            self.model.sanctions.pop((account, event.flag), None)
            if on:
                self.model.sanctions[account, event.flag] = until_us

    def _limit(self, what: tuple[int, *tuple[int | None, ...]]) -> None:
        account, *own = what
        if self.state.access.has_account(account):
            self.service.append(LimitsSet(*what))
            self.model.limits[account] = tuple(own)
            self._turn()

    def _merge(self, accounts: tuple[int, int]) -> None:
        now = self.service.now_us()
        try:
            event = merging(self.state, *accounts, "why", now)
        except CommandError:
            return
        before = self._everything(now)
        self.service.append(event, None, now)
        assert self._everything(now) == before
        self.model.merge(*accounts)

    def _split(self, what: tuple[int, list[int], str, int, int]) -> None:
        account, key_refs, owner, up, down = what
        now, terms = self.service.now_us(), SplitTerms(key_refs, owner, up, down)
        try:
            event = splitting(self.state, account, terms, "why")
        except CommandError:
            return
        before = self._everything(now)
        self.service.append(event, None, now)
        assert self._everything(now) == before
        self.model.split(account, event.to, event.key_refs, owner, (up, down))

    def _everything(self, now: int) -> list[int]:
        """Returns the sums of what all accounts have at a log time, without first and last."""
        totals = [self.state.totals(each, now) for each in range(1, self.model.key_refs + 1)]
        sums = [sum(column) for column in zip(*totals, strict=True)]
        return [*sums[:7], sums[9]]

    def _revoke_owner(self, owner: str) -> None:
        access = self.state.access
        account = access.owners.get(owner, 0)
        key_refs = tuple(access.in_force(account, owner)) if account else ()
        expected = [
            (key.key_ref, text)
            for text, key in self.model.keys.items()
            if key.owner == owner and not key.revoked
        ]
        assert key_refs == tuple(key_ref for key_ref, _ in sorted(expected))
        if key_refs:
            self.service.append(OwnerKeysRevoked(owner, account, key_refs))
        for _, text in expected:
            self.model.revoke(text)

    def _ban(self, what: tuple[bytes, bool]) -> None:
        info_hash, on = what
        if on:
            self.service.append(TorrentBlacklisted(info_hash))
            self.model.blacklist.add(info_hash)
            self.model.empty(info_hash)
        else:
            self.service.append(TorrentUnblacklisted(info_hash))
            self.model.blacklist.discard(info_hash)

    def _block(self, what: tuple[str, bool, int | None]) -> None:
        network, on, lasts = what
        until_us = None if lasts is None else self.service.date_us() + lasts * SECOND
        if on:
            self.service.append(NetworkBlocked(network, until_us))
            self.model.blocks[network] = until_us
        else:
            self.service.append(NetworkUnblocked(network))
            self.model.blocks.pop(network, None)

    def _rule_client(self, what: tuple[str, str, str, int]) -> None:
        client, first, last, wait = what
        from_us = self.service.date_us() + wait * SECOND
        number = self.state.sanctions.next_client_rule
        self.service.append(ClientRuleSet(number, client, first, last, from_us))
        self.model.client_rules[number] = client, first, last, from_us, wait <= 0

    def _end_client_rule(self, back: int) -> None:
        number = self.state.sanctions.next_client_rule - back
        if number in self.state.sanctions.clients:
            self.service.append(ClientRuleEnded(number))
        self.model.client_rules.pop(number, None)

    def _lose(self, _: None) -> None:
        self.service.append(AddressesLost())
        self.model.torrents.clear()

    def check(self) -> None:
        """Checks that every count and every peer agree."""
        swarms, model = self.state.swarms, self.model
        for info_hash in self.hashes:
            assert swarms.counts(info_hash) == model.counts(info_hash), info_hash.hex()
            assert swarms.downloaders(info_hash) == model.downloaders(info_hash)
            assert self._peers(info_hash) == self._model_peers(info_hash)
        counted = [model.counts(info_hash) for info_hash in self.hashes]
        assert swarms.torrents_total == len(model.torrents)
        assert swarms.seeders_total == sum(each[0] for each in counted)
        assert swarms.completed_total == sum(each[1] for each in counted)
        assert swarms.leechers_total == sum(each[2] for each in counted)
        gone = {each for each in model.completed if each not in model.torrents}
        assert swarms.retired == {each: model.completed[each] for each in gone}
        assert sum(swarms.announces) == model.announces
        whitelist = self.state.access.whitelist
        assert len(whitelist) == sum(each in whitelist for each in model.whitelist)
        assert list(self.state.access.listed_after(b"")) == sorted(model.whitelist)
        assert self.state.tally.shredded == model.shredded
        self._check_keys()
        self._check_sanctions()
        self._check_limits()
        self.check_totals()
        counters = Counter[int]()
        for (counter, _), count in self.state.tally.counters.items():
            counters[counter] += count
        assert counters == model.counters
        refusals = Counter[tuple[int, str]]()
        for (reason, name, _), count in self.state.tally.refusals.items():
            refusals[reason, name] += count
        assert refusals == model.refusals
        for directory in (self.state.swarms.v4, self.state.swarms.v6):
            assert directory.total == sum(directory.column(COUNT))

    def check_totals(self) -> None:
        """Checks that every account's totals agree."""
        for number in range(1, self.model.key_refs + 2):
            expected = asdict(self.model.accounts.get(number, ModelAccount()))
            assert self.state.accounts.totals(number)._asdict() == expected

    def _check_sanctions(self) -> None:
        """Checks what stands, and that replies list exactly the peers that may be shown."""
        swarms, model, found = self.state.swarms, self.model, self.state.sanctions
        assert {key: one.until_us for key, one in found.accounts.items()} == model.sanctions
        assert found.blacklist.keys() == model.blacklist
        blocks = {network: one.until_us for network, one in found.networks.sanctions.items()}
        assert blocks == model.blocks
        assert self.state.sanctioned == bool(model.sanctions)
        rules = {number: tuple(one[1:6]) for number, one in found.clients.items()}
        assert rules == model.client_rules
        refused = [one for one in rules.values() if one[-1]]
        assert self.state.barring == bool(model.blacklist or model.blocks or refused)
        for info_hash in self.hashes:
            torrent = swarms.lookup(info_hash)
            everybody = swarms.peers(torrent) if torrent else []
            shown = {peer for peer in everybody if not self._concealed(peer)}
            count = swarms.tables.torrents[torrent * TORRENT_WORDS + CONCEALED]
            assert count == len(everybody) - len(shown)
            for peer in [0, *everybody][:3]:
                for apart in {0, swarms.account_of(peer) if peer else 0}:
                    others = {
                        each
                        for each in shown - {peer}
                        if not apart or swarms.account_of(each) != apart
                    }
                    self._check_picked(torrent, peer, apart, others)

    def _check_limits(self) -> None:
        """Checks the limits in force, and that the leeching peers are listed where they count."""
        swarms, limits = self.state.swarms, self.state.limits
        begun = bytes(limits.budgets.torrents)
        names = [begun[at : at + 24] for at in range(0, len(begun), 24)]
        found = sorted((int.from_bytes(name[20:], "little"), name[:20]) for name in names)
        assert found == sorted(self.model.begun)
        for account in range(1, self.state.access.next_key_ref):
            if self.model.settings.private:
                limited = tuple(limits.of(account, word) for word in range(len(KINDS)))
                assert limited == self.model.limits_of(account)
            assert (
                limits.budgets.used(limits.budgets.started, account) == self.model.started[account]
            )
            leeching = len(self.model.leeching(account))
            assert sum(not swarms.seeds(peer) for peer in swarms.peers_of(account)) == leeching
            if limits.counts_slots():
                assert swarms.leeching(account) == leeching
                assert len(swarms.leechers.peers(account)) == leeching

    def _concealed(self, peer: int) -> bool:
        swarms, sanctions = self.state.swarms, self.model.sanctions
        account = swarms.account_of(peer) if swarms.identified(peer) else 0
        leeches = swarms.peer(peer).left != 0
        return (account, HidingChanged.flag) in sanctions or (
            leeches and (account, LeechOffChanged.flag) in sanctions
        )

    def _check_picked(self, torrent: int, peer: int, apart: int, others: set[int]) -> None:
        for directory in (self.state.swarms.v4, self.state.swarms.v6):
            allowed = [directory.endpoint(each) for each in others if each in directory]
            for want in (1, 2, 50):
                secret = choice.halves(SELECTION_KEY)
                picked = directory.pick(
                    b"", torrent, want, peer, want == 2, secret, self.state.seq, apart
                )
                width = directory.width
                each = [picked[at : at + width] for at in range(0, len(picked), width)]
                assert len(set(each)) == len(each) == min(want, len(allowed))
                assert directory.listed(torrent, want, peer, apart) == len(each)
                assert set(each) <= set(allowed)

    def _check_keys(self) -> None:
        access = self.state.access
        for text, told in self.model.keys.items():
            digest = bytes.fromhex(key_hash(text))
            key = (access.revoked if told.revoked else access.keys)[digest]
            assert asdict(key) | {"revoked": told.revoked} == asdict(told)
            assert access.hash_of(key.key_ref) == digest
        assert len(access.keys) + len(access.revoked) == len(self.model.keys)
        used = {key_ref: time_us for key_ref, time_us in enumerate(access.last_used) if time_us}
        assert used == self.model.used
        assert len(access.last_used) == self.model.key_refs + 1

    def _model_peers(self, info_hash: bytes) -> list[PeerSeen]:
        return sorted(
            PeerSeen(
                tuple(sorted(peer.endpoints)), peer.peer_id, peer.uploaded, peer.downloaded,
                peer.seeder, peer.seen_us, peer.key_ref,
            )
            for peer in self.model.torrents.get(info_hash, {}).values()
        )  # fmt: skip

    def _peers(self, info_hash: bytes) -> list[PeerSeen]:
        swarms = self.state.swarms
        torrent = swarms.lookup(info_hash)
        found = []
        for number in swarms.peers(torrent) if torrent else ():
            row = swarms.peer(number)
            both = (swarms.v4.endpoint(number), swarms.v6.endpoint(number))
            endpoints = tuple(sorted(filter(None, both)))
            assert {swarms.find(torrent, endpoint) for endpoint in endpoints} == {number}
            found.append(
                PeerSeen(
                    endpoints, row.peer_id, row.uploaded, row.downloaded, row.left == 0,
                    row.seen_us, row.key_ref,
                )
            )  # fmt: skip
        return sorted(found)

    def choices(self) -> list[tuple[bytes, ...]]:
        """Returns the peers that an outside client would get: they follow from swarm order."""
        swarms = self.state.swarms
        return [
            tuple(
                b"".join(pick(family, swarms.lookup(info_hash), want, 0, False, 1 << 33 | 1))
                for family in (swarms.v4, swarms.v6)
                for want in (1, 2, 74)
            )
            for info_hash in self.hashes
        ]


_STEPS: dict[str, Callable[[World, Any], None]] = {
    "announce": World._announce,
    "tick": World._tick,
    "clock": World._set_clock,
    "staff": World._staff,
    "wait": World._wait,
    "change": World._change_some,
    "whitelist": World._whitelist,
    "delist": World._delist,
    "key": World._key,
    "rotate": World._rotate,
    "label": World._label,
    "describe": World._describe,
    "count": World._count,
    "refuse": World._refuse,
    "factor": World._factor,
    "end factor": World._end_factor,
    "group": World._group,
    "group factor": World._group_factor,
    "freeleech": World._freeleech,
    "withdraw": World._withdraw,
    "correct": World._correct,
    "shred": World._shred,
    "sanction": World._sanction,
    "rule client": World._rule_client,
    "end client rule": World._end_client_rule,
    "ban": World._ban,
    "limit": World._limit,
    "block": World._block,
    "merge": World._merge,
    "split": World._split,
    "revoke owner": World._revoke_owner,
    "lose": World._lose,
}
