"""Bring another tracker's whitelist, keys and completed counts into the log, as events.

    source (SQLite, CSV) --check--> entries --Importer: decide against the state--> Service.admin --> log

Takes the log's lock, so it runs only while the tracker does not. What is there already is skipped, so an import can be
repeated, and one that was interrupted goes on when it is started again. A key that was revoked stays so.

Completed counts: the log keeps what was imported for every torrent, and only what a source has beyond that is added.
Completions counted here meanwhile are kept on top; a source with a lower count changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import trio
from attrs import define

from eventlog import LogError, Pool, Reader, open_log, read_kept_frames
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
from tracker.store import frames as records
from tracker.store import high_water_mark, server_secret
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Decryptor, EventLog, Frame, Recovery
    from tracker.config import EventLog as LogConfig
    from tracker.domain.events.registry import AdminEvent
    from tracker.offline.import_sources import Entry
    from tracker.service.append import Log

    Report = Callable[[int, int | None], None]
    Told = Callable[[AdminEvent], None]

BATCH = 4096
"""Events between two waits for the disk: what is in memory only stays small."""
MAX_PROBLEMS = 100
"""Problems told at once; the rest is counted."""

# An import serves no announce, so nothing is ever chosen with this key.
_NO_SELECTION = bytes(32)


class ImportProblemsError(Exception):
    """The source cannot be used as it is; the text has a line for each problem. Nothing was appended."""


class Source(Protocol):
    """Can be iterated more than once, with the same entries each time."""

    @property
    def name(self) -> str: ...

    def __iter__(self) -> Iterator[Entry]: ...


@define
class Summary:
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


def check(source: Source) -> int:
    """Read all of the source before anything is done. Returns the number of entries.

    Raises `ImportProblemsError` with every problem, `SourceError`.
    """
    problems: list[str] = []
    more = count = 0
    for entry in source:
        count += 1
        if isinstance(entry, Problem) and len(problems) < MAX_PROBLEMS:
            problems.append(f"{source.name}: {entry.where}: {entry.what}")
        elif isinstance(entry, Problem):
            more += 1
    if more:
        problems.append(f"{source.name}: and {_count(more, 'more problem')}")
    if problems:
        raise ImportProblemsError("\n".join(problems))
    return count


class Importer:
    """Decides, entry by entry, which events a source comes to. One thread, one use."""

    def __init__(self, service: Service, imported: dict[bytes, int], name: str, told: Told) -> None:
        """`imported`: completions that earlier imports brought, by info hash. `told` is called with each event."""
        self.summary = Summary()
        self._service = service
        self._imported = imported
        self._told = told
        self._by = Actor("import", "", str(uuid4()), name)

    def add(self, entry: Entry) -> bool:
        """Append what the entry comes to; whether that is anything."""
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
        self._told(event)
        self._service.append(event, self._by)
        return True


class _NotingReader(Reader):
    """A reader that adds up, in passing, the completions that imports brought."""

    def __init__(self, path: Path, *, to_end: bool, keys: Decryptor | None = None) -> None:
        super().__init__(path, to_end=to_end, keys=keys)
        self.imported: dict[bytes, int] = {}

    def frames(self) -> Iterator[Frame]:
        for frame in read_kept_frames(self.path, self.first_seq):
            self._note(frame)
        for frame in super().frames():
            self._note(frame)
            yield frame

    def _note(self, frame: Frame) -> None:
        for _, record in records.admin(frame):
            event = record.event()
            if isinstance(event, CompletedImported):
                before = self.imported.get(event.info_hash, 0)
                self.imported[event.info_hash] = before + event.completed


# For real.


def run(
    source: Source,
    config: LogConfig,
    replaying: Report,
    importing: Report,
    recovered: Callable[[Recovery], None],
) -> Summary:
    """Import a source that was checked. The reports are told how much is done, and how much there is.

    Raises `LogLockedError` while the tracker runs, `ImportProblemsError`, `SourceError`, `LogError`, `ReplayError`, `OSError`.
    """
    total = check(source)
    event_log = open_log(
        Path(config.path),
        codec.RECORD_SIZES,
        segment_bytes=config.segment_bytes,
        linger_seconds=config.linger_ms / 1000,
    )
    recovered(event_log.recovery)
    high_water_mark.check(Path(config.secrets_path), event_log)
    keys = Keyring(Path(config.secrets_path))
    reader = _NotingReader(Path(config.path), to_end=True, keys=keys)
    state = replay(reader, lambda done: replaying(done, event_log.next_seq))
    replaying(event_log.next_seq, event_log.next_seq)
    clock = LogClock(max(state.time_us, event_log.recovery.last_time_us))
    service = Service(event_log, state, clock, _NO_SELECTION)
    importer = Importer(service, reader.imported, source.name, lambda _event: None)
    failures: list[Exception] = []
    try:
        trio.run(_import, source, importer, event_log, lambda done: importing(done, total))
    except* (LogError, SourceError) as group:
        failures += _leaves(group)
    if failures:
        raise failures[0]
    return importer.summary


async def _import(
    source: Source, importer: Importer, event_log: EventLog, report: Callable[[int], None]
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(event_log.run)
        await _add_all(source, importer, event_log, event_log.pool, report)
        nursery.cancel_scope.cancel()


async def _add_all(
    source: Iterable[Entry],
    importer: Importer,
    log: Log,
    pool: Pool,
    report: Callable[[int], None] = lambda _done: None,
) -> None:
    """Add every entry; none of its events is in memory only when this returns."""
    waiting = done = 0
    for done, entry in enumerate(source, 1):
        waiting += importer.add(entry)
        if waiting == BATCH:
            await log.wait_durable(pool.next_seq - 1)
            waiting = 0
        if done % BATCH == 0:
            report(done)
            await trio.lowlevel.checkpoint()  # a signal ends the import here
    await log.wait_durable(pool.next_seq - 1)
    report(done)


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


# For show.


class _Nowhere:
    """A log that forgets: a dry run takes the same decisions and leaves no trace."""

    def __init__(self, next_seq: int) -> None:
        self.pool = Pool(codec.RECORD_SIZES, next_seq)

    def has_room(self, *, reserved: bool = False) -> bool:  # noqa: ARG002  # the protocol's name
        return True

    def appended(self) -> None:
        pass

    async def wait_durable(self, seq: int) -> None:  # noqa: ARG002  # the protocol's name
        self.pool.take()


def rehearse(source: Source, folder: Path, replaying: Report, told: Told) -> Summary:
    """What `run` would do, told event by event. Needs no lock: beside a running tracker it is about what is durable.

    Raises `ImportProblemsError`, `SourceError`, `LogError`, `ReplayError`, `OSError`.
    """
    check(source)
    state, imported = _read(folder, replaying)
    log = _Nowhere(state.seq)
    service = Service(log, state, LogClock(state.time_us), _NO_SELECTION)
    importer = Importer(service, imported, source.name, told)
    trio.run(_add_all, source, importer, log, log.pool)
    return importer.summary


def _read(folder: Path, replaying: Report) -> tuple[State, dict[bytes, int]]:
    if not (folder / "identity.json").exists():
        return State(), {}  # the first import may come before the first start
    reader = _NotingReader(folder, to_end=False)
    state = replay(reader, lambda done: replaying(done, None))
    return state, reader.imported
