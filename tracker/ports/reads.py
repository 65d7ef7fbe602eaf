"""The ports that read: the tracker now and at past moments, its events, its ledgers, and the state
of the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Callable,
        Collection,
        Container,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from tracker.ports.cases import CasesPage, CasesQuery, CaseTold, Detector
    from tracker.ports.derived import DerivedPage, DerivedPlace, DerivedQuery
    from tracker.ports.hit_and_run import (
        JudgedPage,
        JudgedQuery,
        RuleInForce,
        Transition,
        TransitionPlace,
        TransitionsPage,
    )
    from tracker.ports.ledger import BookPage, BookQuery, EntriesPage, SumsPage
    from tracker.ports.limits import LimitsOfAccount
    from tracker.ports.lists import ListQuery
    from tracker.ports.outages import Outage, OutagesPage
    from tracker.ports.sanctions import (
        Blacklisted,
        Block,
        ClientRule,
        ClientRuleTerms,
        ClientUse,
        SanctionedAccount,
    )
    from tracker.ports.seeded import SeededPage
    from tracker.ports.series import SeedingRow, SeriesPage
    from tracker.ports.settings import SettingsChanged, SettingsInForce
    from tracker.ports.tokens import TokenInfo
    from tracker.ports.values import (
        Account,
        Client,
        CountPage,
        EventFilter,
        EventPage,
        Factor,
        Followed,
        FreeleechToken,
        HandedPage,
        HandedQuery,
        KeyInfo,
        LogPart,
        Metric,
        Moment,
        Peer,
        Present,
        Refused,
        RefusedPage,
        Stats,
        StaysPage,
        StaysQuery,
        Torrent,
        TorrentSummary,
        UdpStats,
    )

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ReadModel(Protocol):
    """The tracker's state at one moment. Calls are synchronous.

    Iterators may be consumed with checkpoints between items. An item None has no content: it marks
    a good place to pause.
    """

    def stats(self) -> Stats: ...

    def torrents(self, offset: int, limit: int) -> Iterator[TorrentSummary | None]:
        """At most `limit` torrents in ascending order of info hash, after skipping `offset`."""
        ...

    def summaries(self, info_hashes: Iterable[bytes]) -> Iterator[TorrentSummary]:
        """In the order of the arguments, repetitions included, unknown torrents left out."""
        ...

    def summary(self, info_hash: bytes) -> TorrentSummary | None: ...

    def torrent(self, info_hash: bytes) -> Torrent | None:
        """Counts and facts; None = the tracker knows nothing of the torrent."""
        ...

    def listed_torrents(self, query: ListQuery, present: bool) -> Iterator[Torrent | None]:
        """The rows of a page, and one more where another follows; named by `info_hash`.

        They are of all torrents that the tracker knows, or of those with peers (`present`).
        """
        ...

    def label(self, info_hash: bytes) -> str | None:
        """What the site calls a torrent; None = nothing."""
        ...

    def labelled(self, labels: Container[str]) -> Iterator[tuple[str, bytes] | None]:
        """The torrents that the site calls so, each with its label."""
        ...

    def peers(self, info_hash: bytes) -> Iterator[Peer | None]:
        """The torrent's peers, in no order; none for an unknown torrent.

        None = a place to pause.
        """
        ...

    def keys(self, after: int) -> Iterator[KeyInfo]:
        """Keys whose `key_ref` is larger than `after`, ascending.

        A key that was revoked and issued again comes once, under its latest number.
        """
        ...

    def listed_keys(self, query: ListQuery) -> Iterator[KeyInfo | None]:
        """The rows of a page, and one more where another follows; named by `key_ref`."""
        ...

    def key(self, key_ref: int) -> KeyInfo | None:
        """The key that got this number.

        If it was issued again since, its `key_ref` is another one now.
        """
        ...

    def key_of_hash(self, key_hash: bytes) -> KeyInfo | None:
        """The key with this SHA-256."""
        ...

    def whitelist(self, after: bytes) -> Iterator[bytes]:
        """Whitelisted info hashes larger than `after` (b"" = all), ascending."""
        ...

    def whitelisted(self, info_hash: bytes) -> bool: ...

    def settings(self) -> SettingsInForce:
        """The settings that the log has in force, and where each comes from."""
        ...

    def settings_changes(self, after: int) -> Iterator[SettingsChanged]:
        """The changes of settings by events whose numbers are larger than `after`, ascending; a
        thousand at most.
        """
        ...

    def tokens(self) -> Iterator[TokenInfo]:
        """The access tokens that were issued, by number."""
        ...

    def token_of_hash(self, token_hash: bytes) -> TokenInfo | None:
        """The access token with this SHA-256, while it is valid. The time that this takes does not
        depend on the hash.
        """
        ...

    def refusals(self) -> Mapping[str, int]:
        """Requests refused since the log began, by reason."""
        ...

    def refused_clients(self) -> Iterator[Refused]:
        """The same by client, in the order of clients, versions and reasons; a few thousand at
        most.
        """
        ...

    def clients(self) -> Iterator[Client]:
        """The clients with a number, ascending; a few thousand at most."""
        ...

    def client(self, number: int) -> Client | None:
        """The client with this number; None = there is none."""
        ...

    def present(self, account: int) -> Iterator[Present | None]:
        """The account's peers in all swarms."""
        ...

    def in_swarm(self, info_hash: bytes) -> Iterator[Present | None]:
        """The torrent's peers, in no order, as `present` has those of an account."""
        ...

    def members(
        self, info_hash: bytes, after: int, limit: int
    ) -> Iterator[Mapping[str, Any] | None]:
        """At most `limit` peers of a swarm by their last announces, after event `after`, with the
        swarm's counts, as JSON values: one item. Where peers announce meanwhile there may be fewer.
        """
        ...

    def account(self, account: int) -> Account | None:
        """Totals of an account; None = there is no such account.

        Totals by torrent are sums over the ledger: see `Ledgers` and docs/audit.md.
        """
        ...

    def listed_accounts(self, query: ListQuery) -> Iterator[Account | None]:
        """The rows of a page, and one more where another follows; named by `account`."""
        ...

    def owner(self, account: int) -> str | None:
        """The site's name of an account's user; None = it has none."""
        ...

    def account_of_key(self, key_ref: int) -> int | None:
        """The account of the key with this number; None = there is none."""
        ...

    def account_of(self, owner: str) -> int | None:
        """The account of an owner; None = there is no such owner."""
        ...

    def sanctions(self, after: int) -> Iterator[SanctionedAccount]:
        """Accounts with a sanction, with numbers larger than `after`, ascending."""
        ...

    def own_limits(self, after: int) -> Iterator[LimitsOfAccount]:
        """Accounts with limits of their own, with numbers larger than `after`, ascending."""
        ...

    def limits_of(self, account: int) -> LimitsOfAccount | None:
        """The limits of an account, and what it uses; None = there is no such account."""
        ...

    def blacklist(self, after: bytes) -> Iterator[Blacklisted]:
        """Blacklisted torrents larger than `after` (b"" = all), ascending."""
        ...

    def blacklisted(self, info_hash: bytes) -> Blacklisted | None: ...

    def blocks(self, after: str) -> Iterator[Block]:
        """Blocked networks that come after `after` as texts, ascending."""
        ...

    def client_rules(self, after: int) -> Iterator[ClientRule]:
        """Rules about clients with numbers larger than `after`, ascending."""
        ...

    def client_use(self, terms: ClientRuleTerms) -> Iterator[ClientUse | None]:
        """Who would be concerned by a rule with these terms now."""
        ...

    def factor(self, number: int) -> Factor | None:
        """A credit factor that is not over."""
        ...

    def factors(self, after: int) -> Iterator[Factor]:
        """Credit factors that are in force or still to come, with numbers larger than `after`,
        ascending.
        """
        ...

    def freeleech(self, number: int) -> FreeleechToken | None:
        """A freeleech token that is not over, or was over less than 30 days ago."""
        ...

    def freeleech_tokens(self, after: int) -> Iterator[FreeleechToken]:
        """These tokens, with numbers larger than `after`, ascending."""
        ...

    def group_of(self, account: int) -> str | None:
        """The group of an account; None = it is in none."""
        ...


class Live(Protocol):
    """The tracker as it is."""

    def now(self) -> ReadModel:
        """The read model of this moment; it is out of date after the next await."""
        ...


class Past(Protocol):
    """The read model at moments that are over, up to the durable end.

    A question is a method of `ReadModel` with its arguments, `ask(moment, ReadModel.summary,
    info_hash)`: another process calls the method of that name. No call holds up the loop; an answer
    may take a replay of the log. `on_outage` is called before the answer is there, if the moment
    lies in a time without events. Raises `NoMomentError`, `BusyError`, and what reading the log
    does.
    """

    async def ask(
        self,
        moment: Moment,
        method: Callable[[ReadModel, *Ts], T],
        *arguments: *Ts,
        on_outage: Callable[[Outage], None] = ...,
    ) -> T: ...

    def each(
        self,
        moment: Moment,
        method: Callable[[ReadModel, *Ts], Iterator[T | None]],
        *arguments: *Ts,
        on_outage: Callable[[Outage], None] = ...,
    ) -> AsyncGenerator[list[T], None]:
        """The items that a method iterates over, `LISTED_AT_ONCE` at a time; a list with fewer is
        the last one.
        """
        ...

    async def explain(self, seq: int) -> Mapping[str, Any]:
        """Why the announce of event `seq` got the reply that it got, as JSON values.

        Raises `NoAnnounceError` for an event that is none.
        """
        ...

    async def handed(self, query: HandedQuery, limit: int) -> HandedPage:
        """At most `limit` replies that listed an address, or that an account got.

        The page is shorter after some seconds of work.
        """
        ...

    async def stays(self, query: StaysQuery, limit: int) -> StaysPage:
        """At most `limit` stays. Raises `InvalidNetworkError`, and `BusyError` where there is no
        index of them yet.
        """
        ...

    async def swarm(
        self,
        moment: Moment,
        info_hash: bytes,
        after: int,
        limit: int,
        on_outage: Callable[[Outage], None] = ...,
    ) -> Mapping[str, Any]:
        """What `ReadModel.members` returns."""
        ...

    async def summary(
        self, moment: Moment | None, on_outage: Callable[[Outage], None] = ...
    ) -> Mapping[str, Any]:
        """The state in numbers, with its digest and the history digest, as JSON values."""
        ...

    async def diff(
        self, first: Moment, last: Moment | None, info_hash: bytes | None, after: int, limit: int
    ) -> Mapping[str, Any]:
        """At most `limit` changes from one moment to another, beyond the first `after`, as JSON
        values; with those of a swarm for `info_hash`.
        """
        ...

    async def seeding(
        self, from_us: int, after: tuple[int, bytes], limit: int
    ) -> Sequence[SeedingRow]:
        """At most `limit` rows of the hour that begins at a date, after an account and a torrent.

        Raises `NoMomentError` for an hour that is not over.
        """
        ...

    async def outages(
        self, first: Moment | None, last: Moment | None, after: int, limit: int
    ) -> OutagesPage:
        """At most `limit` outages that end after the moment `first` and after event `after` (-1 =
        from the first), and begin up to `last`.

        The page is shorter after some seconds of work.
        """
        ...


class Reruns(Protocol):
    """Parts of the log, decided again. `first` and `last`: moments, included; None = as far as the
    log goes.

    Each call works in another process, one at a time, and ends when it is cancelled. Raises
    `InvalidPartError`, `NoMomentError`, `BusyError`, and what reading the log does.
    """

    async def check(
        self, first: Moment | None, last: Moment | None, *, trace: bool
    ) -> Mapping[str, Any]:
        """Decides the events of a part again, as JSON values: a summary, and as `outcomes` those
        that are not as recorded (with `trace` all).
        """
        ...

    async def what_if(
        self, first: Moment | None, last: Moment | None, settings: Sequence[str]
    ) -> Mapping[str, Any]:
        """Replays a part by other settings (`policy.max_peers=7`), and tells as JSON values what
        would have been different.
        """
        ...


class Gauges(Protocol):
    """The metrics of the process itself. Calls are synchronous, and cost about a millisecond."""

    def udp(self) -> UdpStats: ...

    def metrics(self) -> list[Metric]: ...


class Events(Protocol):
    """The events of the durable part of the log.

    No call holds up the loop; each raises what reading the log does.
    """

    @property
    def event_types(self) -> Mapping[str, frozenset[str]]:
        """The names that a request may give, and the types that each stands for."""
        ...

    @property
    def end(self) -> int:
        """The number that the event after the last durable one will get."""
        ...

    async def read(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        """At most `limit` events of a part of the log.

        The page is shorter after about a second of work, and after three seconds in any case.

        Raises `PrunedMomentError` when retention removes the events that are being read.
        """
        ...

    async def read_last(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        """The last `limit` events of a part of the log at most, ascending, of types that the log
        has. It is read from the end backwards.

        It is shorter, and raises, as `read` is and does.
        """
        ...

    async def count(self, part: LogPart, step_us: int | None) -> CountPage:
        """Counts the events of a part of the log by type, of types that the log has, and by pieces
        of time of so many microseconds, which begin with the part's; None = all is one.

        It ends early, and raises, as `read` does.
        """
        ...

    async def rates(self, seqs: Collection[int]) -> Mapping[int, tuple[int, int]]:
        """Bytes a second, up and down, between the announces with these numbers and the same peers'
        announces before them, by number.

        It reads nothing else. An announce has none if it was the first one, if both have the same
        log time, if a total fell, if one of both was removed, or after three seconds of work.
        """
        ...

    async def refused(self, part: LogPart, reason: str) -> RefusedPage:
        """Counts the announces of a part of the log that were refused for a reason.

        It ends early, and raises, as `read` does.
        """
        ...

    def follow(
        self, after: int | None, wanted: EventFilter, n: int | None = None
    ) -> AsyncGenerator[Followed, None]:
        """Events beyond `after` (None = from now on) as they become durable, until the tracker
        stops. `n`: and what `after` itself shows beyond that number; None = nothing of that.

        Yields several times a second, also when there are no events. A slow reader costs no memory:
        its events wait in the log.
        """
        ...


class Ledgers(Protocol):
    """The announces and corrections behind an account's totals.

    Each call reads the log in another process.

    `moment` None is now. The first page takes as long as reading the log up to the moment, the next
    ones what lies between. Raises `BusyError`, `NoMomentError`, and what reading the log does.
    """

    async def entries(
        self,
        account: int,
        info_hash: bytes | None,
        moment: Moment | None,
        after: int,
        limit: int,
    ) -> EntriesPage:
        """Entries of an account, of one torrent alone with `info_hash`, after seq `after` (-1 =
        from the first).

        Raises `PrunedMomentError` also when entries behind `after` were removed.
        """
        ...

    async def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> SumsPage:
        """An account's sums by torrent, after the torrent `after` (None = from the first)."""
        ...

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> SumsPage:
        """A torrent's sums by account, after the account `after` (None = from the first)."""
        ...

    async def account_rows(self, account: int, moment: Moment | None, query: BookQuery) -> BookPage:
        """An account's rows of the book. `moment` None: of the newest book, which is read at once,
        and lags behind the log.
        """
        ...

    async def torrent_rows(
        self, info_hash: bytes, moment: Moment | None, query: BookQuery
    ) -> BookPage:
        """A torrent's rows of the book, as `account_rows`."""
        ...

    async def hit_and_run_rules(self) -> Sequence[RuleInForce]:
        """Every rule of hit and run that there was, the oldest first, by the newest book."""
        ...

    async def judged(self, query: JudgedQuery, moment: Moment | None) -> JudgedPage:
        """Downloads as they are judged, by the newest book."""
        ...

    async def series(self, whose: int | bytes, first: int, last: int, limit: int) -> SeriesPage:
        """The daily series of an account or a torrent, by the newest book. `first` and `last`: days
        since 1970.
        """
        ...

    async def seeded(self, query: ListQuery) -> SeededPage:
        """Torrents by when they were seeded, by the newest book; fields of `SeededTorrent`."""
        ...

    async def judged_history(self, account: int, info_hash: bytes) -> Sequence[Transition]:
        """The transitions of a download, the oldest first, by the newest book."""
        ...

    async def transitions(self, after: TransitionPlace | None, limit: int) -> TransitionsPage:
        """The transitions of all downloads after a position, by the newest book (None = from the
        first).
        """
        ...

    def follow_transitions(
        self, after: TransitionPlace | None
    ) -> AsyncGenerator[TransitionsPage, None]:
        """Yields the transitions after a position, and those that the book gets from then on.

        A page is empty while there is nothing new. It ends when the tracker stops.
        """

    async def derived(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        """What was made from events, after a place in the log, by the newest book."""
        ...

    def follow_derived(
        self, after: DerivedPlace, query: DerivedQuery
    ) -> AsyncGenerator[DerivedPage, None]:
        """Yields what was made from events after a place, and what is made from then on.

        A page is empty while there is nothing new. It ends when the tracker stops.
        """
        ...

    async def cases(self, query: CasesQuery) -> CasesPage:
        """Cases as the follower found them, which lags behind the log."""
        ...

    async def case(self, account: int, detector: str) -> CaseTold | None:
        """A case with its newest findings, 1000 at most, and its history; None = there is none."""
        ...

    async def detectors(self) -> Sequence[Detector]:
        """The detectors, and how their cases came out."""
        ...
