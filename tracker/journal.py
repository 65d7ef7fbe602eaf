"""Reading the log for the API: `ports.Journal` over the files, beside the writer and never beyond the durable end.

The work is done in worker threads in steps of about two milliseconds, since a thread that computes keeps the
interpreter from everybody else; a ledger, which reads the whole log, is a process of its own (`tracker.ledger_page`).
"""

from __future__ import annotations

import sys
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import trio

from eventlog import LogError, Reader, kept_frames
from eventlog.segment import base_seq_of, list_segments
from tracker import narrate, ports, records
from tracker.domain import events
from tracker.keyring import Keyring
from tracker.past import split

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from eventlog import Frame

STEP_SECONDS = 0.002
READ_SECONDS = 1.0  # of work for one page; what is left is for the next
FOLLOW_EVENTS = 200  # handed out at once to who follows
POLL_SECONDS = 0.1
LEDGER_SECONDS = 300.0

_TYPES = {
    events.ANNOUNCE: frozenset({"announced"}),
    events.EVICTIONS: frozenset({"evicted"}),
    events.TICK: frozenset({"tick"}),
    events.COUNTERS: frozenset({"counted"}),
    events.ADMIN: frozenset({*events.ADMIN_NAMES.values(), events.UNKNOWN}),
}
_UNKNOWN = frozenset({events.UNKNOWN})


class LogJournal:
    """`ports.Journal` over a log folder."""

    event_types = events.EVENT_TYPES

    def __init__(
        self,
        folder: Path,
        durable_seq: Callable[[], int],
        account_of: array[int],
        stopping: trio.Event,
        secrets_path: Path | None = None,
    ) -> None:
        """`durable_seq`: where the durable part ends now; `account_of`: accounts by `key_ref`, growing with the
        state; `stopping`: ends what follows the log; `secrets_path`: where the keys to addresses are."""
        self._folder = folder
        self._durable_seq = durable_seq
        self._account_of = account_of
        self._stopping = stopping
        self._secrets_path = secrets_path
        self._threads = trio.CapacityLimiter(2)
        self._ledgers = trio.CapacityLimiter(1)

    @property
    def end(self) -> int:
        return self._durable_seq()

    async def read(
        self, part: ports.LogPart, wanted: ports.EventFilter, limit: int
    ) -> ports.EventPage:
        scan = self._scan(part, wanted)
        worked = 0.0
        # However long the way to the first event was: a page that does not get beyond it would be asked for again.
        while (
            not scan.over
            and len(scan.found) < limit
            and (worked < READ_SECONDS or scan.seq == part.first)
        ):
            worked += await trio.to_thread.run_sync(scan.step, limit, limiter=self._threads)
            await trio.lowlevel.checkpoint()
        return ports.EventPage(scan.take(), None if scan.over else scan.seq, self.end)

    async def follow(
        self, after: int | None, wanted: ports.EventFilter
    ) -> AsyncGenerator[ports.Followed, None]:
        first = self.end if after is None else after + 1
        part = ports.LogPart(first=first)
        scan = self._scan(part, wanted)
        while not self._stopping.is_set():
            if self.end > scan.seq:
                scan.over = False
                await trio.to_thread.run_sync(scan.step, FOLLOW_EVENTS, limiter=self._threads)
            yield ports.Followed(scan.take(), scan.seq - 1)
            if scan.over or self.end <= scan.seq:
                with trio.move_on_after(POLL_SECONDS):
                    await self._stopping.wait()

    def _scan(self, part: ports.LogPart, wanted: ports.EventFilter) -> _Scan:
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        return _Scan(self._folder, part, _Filter(wanted, self._account_of), keys)

    def check_ledger(self) -> None:
        if not self._ledgers.available_tokens:
            raise ports.BusyError("a ledger is being computed already: ask again when it is done")

    async def ledger(self, account: int, info_hash: bytes | None, after: int, limit: int) -> str:
        self.check_ledger()
        command = [sys.executable, "-m", "tracker.ledger_page", str(self._folder), str(account)]
        command += [info_hash.hex() if info_hash else "-", str(after), str(limit)]
        command += [str(self._secrets_path or "-")]
        async with self._ledgers:
            try:
                with trio.fail_after(LEDGER_SECONDS):
                    done = await trio.run_process(command, capture_stdout=True, check=False)
            except trio.TooSlowError:
                raise ports.BusyError(f"not done in {LEDGER_SECONDS:.0f} seconds") from None
        if done.returncode:
            raise LogError(f"the ledger's process ended with status {done.returncode}")
        return done.stdout.decode()


class _Scan:
    """A walk over a part of the log that is done in steps, each in a worker thread."""

    def __init__(
        self, folder: Path, part: ports.LogPart, wanted: _Filter, keys: Keyring | None
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._part = part
        self._wanted = wanted
        self._reader: Reader | None = None
        self._frames: Iterator[Frame] | None = None
        self._events: Iterator[tuple[int, dict[str, Any] | None]] = iter(())
        self.seq = part.first  # the next event to look at
        self.found: list[dict[str, Any]] = []
        self.over = False  # the part's end was reached, or the durable one

    def take(self) -> list[dict[str, Any]]:
        found, self.found = self.found, []
        return found

    def step(self, limit: int) -> float:
        """Work for a moment; seconds of it. Raises what reading does."""
        began = now = time.perf_counter()
        while not self.over and len(self.found) < limit and now - began < STEP_SECONDS:
            self._look()
            now = time.perf_counter()
        return now - began

    def _look(self) -> None:
        """At one event, or at a frame with none of interest."""
        following = next(self._events, None)
        if following is None:
            self._next_frame()
            return
        seq, event = following
        if self._part.last is not None and seq > self._part.last:
            self.over = True
            return
        if event is not None:
            self.found.append(event)
        self.seq = seq + 1

    def _next_frame(self) -> None:
        if self._reader is None:
            self._reader = Reader(self._folder, self._first_segment(), keys=self._keys)
            self._frames = chain(self._kept(self._reader.first_seq), self._reader.frames())
        elif self._frames is None:
            self._frames = self._reader.frames()
        frame = next(self._frames, None)
        if frame is None:
            self._frames = None  # what comes later is for the next time
            self.over = True
            return
        header, part = frame.header, self._part
        if header.next_seq <= part.first:
            return
        if part.to_us is not None and header.time_us > part.to_us:
            self.over = True
            return
        rest = split(frame, part.first)[1] if header.base_seq < part.first else frame
        self._events = self._wanted.events(rest or frame, part.from_us, part.to_us)

    def _kept(self, begin: int) -> Iterator[Frame]:
        """What there still is of the events before the log's beginning."""
        return kept_frames(self._folder, begin) if self._part.first < begin else iter(())

    def _first_segment(self) -> int:
        """The reader begins with a whole segment, so that the frames before the first one are passed in steps too."""
        paths = list_segments(self._folder / "seg")
        starts = [base_seq_of(path) for path in paths]
        before = [start for start in starts if start <= self._part.first]
        if self._part.from_us is None:
            return before[-1] if before else self._part.first
        low, high = 0, len(starts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            frame = next(Reader(self._folder, starts[middle]).frames(), None)
            if frame is not None and frame.header.time_us <= self._part.from_us:
                low = middle
            else:
                high = middle - 1
        return max([starts[low] if starts else 0, *before[-1:]])


class _Filter:
    """What of a frame is of interest, told without telling all of it."""

    def __init__(self, wanted: ports.EventFilter, account_of: array[int]) -> None:
        self._wanted = wanted
        self._account_of = account_of
        self._hash = wanted.info_hash.hex() if wanted.info_hash else None

    def events(
        self, frame: Frame, from_us: int | None, to_us: int | None
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Each event's seq with what it says if it is wanted; ends with the frame's last seq in any case."""
        header, wanted = frame.header, self._wanted
        known = records.known(frame)
        types = _TYPES[header.kind] if known else _UNKNOWN
        last = header.next_seq - 1
        if wanted.types and not wanted.types & types:
            yield last, None
            return
        if known and header.kind == events.ANNOUNCE and self._narrow:
            told = self._announces(frame)
        else:
            told = ((event["seq"], event) for event in narrate.narrate(frame))
        first_time = "" if from_us is None else narrate.rfc3339(from_us)
        last_time = "~" if to_us is None else narrate.rfc3339(to_us)
        for seq, event in told:
            timely = event is not None and first_time <= event["time"] <= last_time
            yield seq, event if timely and event is not None and self._wants(event) else None
        yield last, None

    @property
    def _narrow(self) -> bool:
        wanted = self._wanted
        return bool(wanted.info_hash or wanted.key_ref is not None or wanted.account is not None)

    def _announces(self, frame: Frame) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Most announces are nobody's that is asked for: they are passed over as bytes."""
        wanted = self._wanted
        if wanted.info_hash and bytes(frame.plain).find(wanted.info_hash) < 0:
            return
        base = frame.header.base_seq
        for seq, (row, _) in enumerate(records.announces(frame), base):
            info_hash, key_ref = row[1], row[6]
            if (
                (wanted.info_hash and info_hash != wanted.info_hash)
                or (wanted.key_ref is not None and key_ref != wanted.key_ref)
                or (wanted.account is not None and self._account(key_ref) != wanted.account)
            ):
                if not seq % 256:
                    yield seq, None
                continue
            upto = split(frame, seq + 1)[0]
            one = split(upto, seq)[1] or upto
            yield seq, next(narrate.narrate(one))

    def _account(self, key_ref: object) -> int | None:
        if isinstance(key_ref, int) and 0 < key_ref < len(self._account_of):
            return self._account_of[key_ref]
        return None

    def _wants(self, event: dict[str, Any]) -> bool:
        wanted, key_ref = self._wanted, event.get("key_ref")
        if wanted.types and event["type"] not in wanted.types:
            return False
        if self._hash and event.get("info_hash") != self._hash:
            return False
        if wanted.key_ref is not None and key_ref != wanted.key_ref:
            return False
        return wanted.account is None or wanted.account in (
            event.get("account"),
            self._account(key_ref),
        )
