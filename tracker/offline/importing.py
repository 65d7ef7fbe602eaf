"""Imports another tracker's whitelist, keys and completed counts into the log, as events.

    source (database, CSV, text) --check--> entries --Importer: decides--> Service.append --> log

It takes the log's lock, so it runs only while the tracker does not. Entries that the log has
already are skipped, so an import can be repeated, and goes on after an interruption. A revoked key
stays revoked.

Completed counts: the log knows how many completions of a torrent were imported, and only what a
source has beyond that is added. Completions counted here stay on top; a source with a lower count
changes nothing.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import trio
from attrs import define

from eventlog import Pool, Reader
from tracker.domain.events import codec
from tracker.domain.events.admin import CompletedImported, KeyIssued, TorrentWhitelisted
from tracker.domain.state import State
from tracker.offline.import_sources import (
    CompletedEntry,
    KeyEntry,
    Problem,
    SourceError,
    WhitelistEntry,
)
from tracker.ports import Actor
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import checked_segments, frames, server_secret, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay
from tracker.store.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Recovery
    from tracker.config import EventLog as LogConfig
    from tracker.domain.events.registry import AdminEvent
    from tracker.offline.import_sources import Entry
    from tracker.service.append import Log

    Report = Callable[[int, int | None], None]
    OnEvent = Callable[[AdminEvent], None]

BATCH = 4096
"""Events between two waits for the disk, so that few are in memory only."""
MAX_PROBLEMS = 100
"""Problems listed; the others are only counted."""

# Never used: an import serves no announce, so no peers are selected.
_NO_SELECTION = bytes(32)


class ImportProblemsError(Exception):
    """The source has problems; the text has a line for each. Nothing was appended."""


class Source(Protocol):
    """Entries to import. Each iteration must yield the same entries."""

    @property
    def name(self) -> str: ...

    def __iter__(self) -> Iterator[Entry]: ...


@define
class Summary:
    """The numbers of imported entries, by kind."""

    keys: int = 0
    whitelisted: int = 0
    completed: int = 0  # torrents whose count was raised
    present: int = 0  # entries that changed nothing

    def __str__(self) -> str:
        counts = f"{_count(self.completed, 'completed count')}; {self.present} already there"
        whitelisted = _count(self.whitelisted, "torrent")
        return f"{_count(self.keys, 'key')}, {whitelisted} whitelisted, {counts}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def check(source: Source, report: Report = lambda _done, _all: None) -> int:
    """Reads the whole source before anything is appended; returns the number of entries.

    `report` is called with the number so far. Raises `ImportProblemsError` with every problem,
    `SourceError`.
    """
    problems: list[str] = []
    more = count = 0
    for entry in source:
        count += 1
        if count % BATCH == 0:
            report(count, None)
        if isinstance(entry, Problem) and len(problems) < MAX_PROBLEMS:
            problems.append(f"{source.name}: {entry.where}: {entry.what}")
        elif isinstance(entry, Problem):
            more += 1
    report(count, count)
    if more:
        problems.append(f"{source.name}: and {_count(more, 'more problem')}")
    if problems:
        raise ImportProblemsError("\n".join(problems))
    return count


class Importer:
    """Decides, entry by entry, which events to append. For one thread and one source."""

    def __init__(
        self, service: Service, imported: dict[bytes, int], name: str, on_event: OnEvent
    ) -> None:
        """`imported`: completions that earlier imports brought, by info hash.

        `on_event` is called with each event.
        """
        self.summary = Summary()
        self._service = service
        self._imported = imported
        self._on_event = on_event
        self._by = Actor("import", "", str(uuid4()), name)

    def add(self, entry: Entry) -> bool:
        """Appends the event of an entry, if the log needs one; returns whether it does."""
        match entry:
            case WhitelistEntry():
                appended = self._whitelist(entry)
                self.summary.whitelisted += appended
            case KeyEntry():
                appended = self._key(entry)
                self.summary.keys += appended
            case CompletedEntry():
                appended = self._completed(entry)
                self.summary.completed += appended
            case Problem():
                raise SourceError(f"{self._by.reason} was changed while it was read")
        self.summary.present += not appended
        return appended

    def _whitelist(self, entry: WhitelistEntry) -> bool:
        if entry.info_hash in self._service.state.access.whitelist:
            return False
        return self._append(TorrentWhitelisted(entry.info_hash))

    def _key(self, entry: KeyEntry) -> bool:
        access = self._service.state.access
        key_hash = server_secret.key_hash(entry.key)
        if key_hash in access.keys or key_hash in access.revoked:
            return False
        account = access.account_for(entry.owner)
        event = KeyIssued(
            key_hash, access.next_key_ref, account, entry.valid_until_us, entry.owner, entry.label
        )
        return self._append(event)

    def _completed(self, entry: CompletedEntry) -> bool:
        before = self._imported.get(entry.info_hash, 0)
        if entry.completed <= before:
            return False
        self._imported[entry.info_hash] = entry.completed
        return self._append(CompletedImported(entry.info_hash, entry.completed - before))

    def _append(self, event: AdminEvent) -> bool:
        self._on_event(event)
        self._service.append(event, self._by)
        return True


def _imported_before(reader: Reader, keys: Keyring) -> dict[bytes, int]:
    """Adds up the completions that earlier imports brought, by info hash; reads the whole log."""
    imported: dict[bytes, int] = {}
    for frame in chain(
        checked_segments.read_kept(reader.path, reader.first_seq, keys), reader.frames()
    ):
        for _, record in frames.admin(frame):
            event = record.event()
            if isinstance(event, CompletedImported):
                imported[event.info_hash] = imported.get(event.info_hash, 0) + event.completed
    return imported


# The import.


def run(
    source: Source,
    config: LogConfig,
    checking: Report,
    replaying: Report,
    importing: Report,
    recovered: Callable[[Recovery], None],
) -> Summary:
    """Checks a source and imports it.

    The reports are called with the amount done and the whole amount.

    Raises `LogLockedError` while the tracker runs, `ImportProblemsError`, `SourceError`,
    `LogError`, `ReplayError`, `OSError`.
    """
    total = check(source, checking)
    keys = Keyring(Path(config.secrets_path))
    session = open_session(config, keys, recovered, replaying)
    event_log = session.event_log
    imported = _imported_before(Reader(event_log.path, to_end=True, keys=keys), keys)
    service = Service(event_log, session.state, LogClock(session.time_us), _NO_SELECTION)
    session.append_first(service.append)
    service.note_clock()
    if session.key_change is not None:
        service.append(session.key_change)
    importer = Importer(service, imported, source.name, lambda _event: None)

    def report(done: int) -> None:
        importing(done, total)

    session.run(partial(_add_all, source, importer, session.noted, event_log.pool, report))
    return importer.summary


async def _add_all(
    source: Iterable[Entry],
    importer: Importer,
    log: Log,
    pool: Pool,
    report: Callable[[int], None] = lambda _done: None,
) -> None:
    """Adds every entry. All events are durable when this returns."""
    waiting = done = 0
    for done, entry in enumerate(source, 1):
        waiting += importer.add(entry)
        if waiting == BATCH:
            await log.wait_durable(pool.next_seq - 1)
            waiting = 0
        if done % BATCH == 0:
            report(done)
            await trio.lowlevel.checkpoint()  # an interrupt ends the import here
    await log.wait_durable(pool.next_seq - 1)
    report(done)


# The dry run.


class _Nowhere:
    """A log that keeps nothing, so that a dry run makes the same decisions and appends nothing."""

    def __init__(self, next_seq: int) -> None:
        self.pool = Pool(codec.RECORD_SIZES, next_seq)

    def has_room(self, *, reserved: bool = False) -> bool:  # noqa: ARG002  # the protocol's name
        return True

    def appended(self) -> None:
        pass

    async def wait_durable(self, seq: int) -> None:  # noqa: ARG002  # the protocol's name
        self.pool.take()


def rehearse(
    source: Source,
    folder: Path,
    keys: Keyring,
    checking: Report,
    replaying: Report,
    on_event: OnEvent,
) -> Summary:
    """Reports event by event what `run` would do.

    It takes no lock: beside a running tracker it decides against what is durable. Raises
    `ImportProblemsError`, `SourceError`, `LogError`, `ReplayError`, `OSError`.
    """
    check(source, checking)
    state, imported = _read(folder, keys, replaying)
    log = _Nowhere(state.seq)
    service = Service(log, state, LogClock(state.time_us), _NO_SELECTION)
    importer = Importer(service, imported, source.name, on_event)
    trio.run(_add_all, source, importer, log, log.pool)
    return importer.summary


def _read(folder: Path, keys: Keyring, replaying: Report) -> tuple[State, dict[bytes, int]]:
    if not (folder / "identity.json").exists():
        return State(), {}  # the first import may come before the first start
    state, reader = snapshots.start(folder, keys)
    state = replay(reader, lambda done: replaying(done, None), state)
    return state, _imported_before(Reader(folder, keys=keys), keys)
