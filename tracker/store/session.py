"""Opens a log for appending, for the tracker, an import, or shredding while no tracker runs.

Blocking.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio
from attrs import frozen

from eventlog import first_seq, has_tags, open_log, read_identity, segments_of
from tracker.domain.events import codec
from tracker.domain.events.admin import ServerKeyChanged
from tracker.store import book, format_border, high_water_mark, opening_balance, snapshots, tag_keys
from tracker.store.checked_segments import CheckedSegments
from tracker.store.noting import NotedLog
from tracker.store.replay import collector_off, replay
from tracker.store.tag_keys import last_used

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from eventlog import End, EventLog, Recovery
    from tracker.config import EventLog as LogConfig
    from tracker.domain.events.admin import FormatBegun
    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring
    from tracker.store.high_water_mark import Older

    Report = Callable[[int, int], None]
    """Called with the number of events replayed and the number of all events."""

T = TypeVar("T")

log = logging.getLogger("tracker")

RESERVE_BYTES = 4 << 20
"""Bytes of the disk that a serving tracker holds for admin events, for when the disk is full."""

GOES_OVER = (
    "From event %d on, the log is of format 2. There is no way back from there: versions that know format 1 only refuse "
    "the folder once it holds that event"
)
"""What the start says that begins the first segment with tags."""


@frozen
class Session:
    """A log that this process has locked, and the state after its last event."""

    event_log: EventLog
    noted: NotedLog  # the same log for administrators' changes
    state: State
    checked: CheckedSegments
    # Tells of a change of the server's secret, until the log holds it.
    key_change: ServerKeyChanged | None = None
    lost_seq: int = 0  # number of events the log once had, where it lost its end; 0 = it did not
    format_begun: FormatBegun | None = None  # the log's first event of its format, if it is due

    def append_first(self, append: Callable[[AdminEvent], int]) -> None:
        """Appends what has to come before any other event of this session."""
        if self.format_begun is not None:
            append(self.format_begun)

    @property
    def time_us(self) -> int:
        """Log time from which the clock goes on: that of the last event, cut events included."""
        return max(self.state.time_us, self.event_log.recovery.last_time_us)

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Runs `main` beside the log's committer and its note, and closes the log at the end.

        Raises the first failure by itself, not in a group.
        """

        async def beside_the_log() -> T:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.event_log.run)
                await nursery.start(self.noted.run, lambda: self.time_us)
                result = await main()
                nursery.cancel_scope.cancel()
            return result

        with first_failure(Exception, KeyboardInterrupt):
            result = trio.run(beside_the_log)
        self.noted.last(self.time_us)
        return result


def open_session(
    config: LogConfig,
    keyring: Keyring,
    recovered: Callable[[Recovery], None],
    report: Report,
    *,
    serving: bool = False,
    on_older: Callable[[Path, Older], None] = high_water_mark.refuse,
) -> Session:
    """Opens the log, compares it with the high-water mark, reads finished segments that somebody
    touched, and replays it from the newest snapshot.

    `recovered` is called with what opening did to an unfinished end. `serving`: announces will
    come, so their addresses are encrypted and room for admin events is held. `on_older` decides
    about a log that is not the one served last; it raises, or lets the session go on.

    Raises `LogLockedError` while another process has the log, `OlderLogError`, `LogError`,
    `ReplayError`, `CodecError`, `SecretError` and `OSError`.
    """
    path, secrets = Path(config.path), Path(config.secrets_path)
    older = high_water_mark.replaced(secrets, path)
    if older is not None:
        on_older(path, older)
    tag_keys.prepare(path, secrets)

    checked: CheckedSegments

    def compare(end: End) -> None:
        nonlocal older, checked
        found = high_water_mark.compare(secrets, path, read_identity(path), end)
        if found is not None:
            if not first_seq(path):
                opening_balance.check_whole(path)  # without its beginning it is damaged, not older
            on_older(path, found)
            older = found
        checked = CheckedSegments(path, keyring)
        checked.check(report)

    event_log = open_log(
        path,
        codec.RECORD_SIZES,
        keyring.tags,
        segment_bytes=config.segment_bytes,
        linger_seconds=config.linger_ms / 1000,
        reserve_bytes=RESERVE_BYTES if serving else 0,
        encryptor=keyring if serving else None,
        before_changes=compare,
        begin=partial(opening_balance.history, path, keyring),
    )
    if event_log.next_seq and not has_tags(path):
        log.warning(GOES_OVER, event_log.next_seq)
    recovered(event_log.recovery)
    try:
        noted = NotedLog(event_log, secrets, accepted=older is not None)
        state = _replayed(event_log, keyring, report, checked)
        old = checked.old()
        begun = _format_begun(event_log, keyring, report)
        if begun is not None:
            checked.remember_old(old)
        change = _key_change(last_used(segments_of(path)), keyring.tags.key_id)
    except BaseException:
        event_log.release()
        raise
    checked.save()
    return Session(event_log, noted, state, checked, change, older.seq if older else 0, begun)


def _format_begun(event_log: EventLog, keyring: Keyring, report: Report) -> FormatBegun | None:
    """Makes the first event of this format where it is due. Reads all that is there then."""
    path, seq = event_log.path, event_log.next_seq
    if not format_border.is_due(path, seq):
        return None
    if seq:
        log.info("Reading the whole log once, to bind what was written before this format")
    begin = opening_balance.history(path, keyring)
    made = format_border.made(path, seq, begin, snapshots.found(path), report)
    event_log.note_history((bytes.fromhex(made.history), seq))
    return made


def _key_change(before: bytes, after: bytes) -> ServerKeyChanged | None:
    return ServerKeyChanged(before.hex(), after.hex()) if before not in (b"", after) else None


def _replayed(
    event_log: EventLog, keyring: Keyring, report: Report, checked: CheckedSegments
) -> State:
    total = event_log.next_seq
    with collector_off():
        state, reader = snapshots.start(
            event_log.path,
            keyring,
            to_end=True,
            refused=lambda why: log.warning("%s", why),
            report=report,
        )
    if state.seq > reader.first_seq:
        log.info("Starting from the snapshot before event %d of %d", state.seq, total)
    state = replay(reader, lambda done: report(done, total), state)
    kept = opening_balance.check_files(event_log.path, state, keyring)
    checked.note_kept(first_seq(event_log.path), kept)
    book.named(event_log.path, state, keyring, checked)
    report(total, total)
    return state


@contextmanager
def first_failure(*kinds: type[BaseException]) -> Iterator[None]:
    """Raises the first error of these kinds by itself where trio raises it in groups."""
    failures: list[BaseException] = []
    try:
        yield
    except* kinds as group:
        failures += _errors_in(group)
    if failures:
        raise failures[0]


def _errors_in(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _errors_in(error)
        else:
            yield error
