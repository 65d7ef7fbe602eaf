"""Feeds the log to a ledger, from its beginning to a given event, and later from there on.

Announces of keys that are not the ledger's are passed over where the index of frames knows them.
Blocking. A protected section stays encrypted until the ledger needs it, because most frames hold
nothing for the ledger, and decrypting costs more than skipping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from eventlog import NOT_ENCRYPTED, Reader, decrypt_frame, read_identity
from tracker.domain import events
from tracker.ledger.rules import ONLY_TIME
from tracker.store import checked_segments, opening_balance
from tracker.store.book import open_beginning
from tracker.store.frames import reading
from tracker.store.known_frames import Indexes, Picker
from tracker.store.moments import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.ports import BookRead
    from tracker.store.address_keys import Keyring
    from tracker.store.frame_index import FrameIndex

Entry = TypeVar("Entry", covariant=True)

_PASSED = ONLY_TIME | {events.ANNOUNCE}
"""Kinds of frames that a ledger may do without."""


class Listener(Protocol[Entry]):
    """Takes frames and yields entries: `Ledger`, `Contributions`."""

    @property
    def keys(self) -> set[int] | None:
        """The keys whose announces it needs now, by number; None = it needs all."""
        ...

    def passed(self, kind: int, time_us: int) -> None:
        """Takes kind and log time of a frame that it does not need, and so does not get."""
        ...

    def opening(
        self, kept: Iterable[Frame], state: State, book: BookRead | None = None
    ) -> Iterator[Entry]: ...

    def entries(self, frames: Iterable[Frame]) -> Iterator[Entry]: ...


class Decryption:
    """Decrypts the protected section of a frame from a `Walk`."""

    def __init__(self, folder: Path, keys: Keyring | None) -> None:
        self.keys = keys
        self._log_id = read_identity(folder)

    def __call__(self, frame: Frame) -> Frame:
        return decrypt_frame(self._log_id, frame, self.keys)


class _Needs:
    """Says which frames of a segment a listener needs. It does not know the walk, so that files are
    closed with the last reference to that.
    """

    def __init__(self) -> None:
        self.listener: Listener[Any] | None = None
        self.end: int | None = None  # the event before which the walk stops; None = it does not
        self.seq = 0  # the event after the last one that was passed over

    def wanted(self, index: FrameIndex) -> Iterator[int]:
        """Yields the numbers of the frames that the listener needs when it has those before them,
        and tells it of the others.
        """
        known, numbers = set[int](), set[int]()
        for number, kind in enumerate(index.kinds):
            keys = self.listener.keys if self.listener else None
            for key_ref in (keys or set()) - known:
                known.add(key_ref)
                numbers.update(index.with_key(key_ref))
            if (
                keys is None
                or kind not in _PASSED
                # The walk stops in it or before it.
                or (self.end is not None and index.next_seq(number) > self.end)
                or (kind == events.ANNOUNCE and number in numbers)
            ):
                yield number
                continue
            self.seq = index.next_seq(number)
            if self.listener is not None:
                self.listener.passed(kind, index.lasts[number])


class Walk:
    """A walk over a log. Raises the errors of `Reader`.

    `seq` is the next event of the walk. `first_seq` is the first event that the log had when the
    walk began.
    """

    def __init__(self, folder: Path, decrypt: Decryption, indexes: Indexes | None = None) -> None:
        """`indexes`: those that are kept for later walks; None = none are."""
        self._folder = folder
        self._decrypt = decrypt
        self._needs = _Needs()
        picks = Picker(indexes or Indexes(decrypt.keys), self._needs.wanted)
        self._reader = Reader(folder, keys=decrypt.keys, decrypt=False, picks=picks)
        self._frames: Iterator[Frame] | None = None
        self._rest: Frame | None = None
        self.first_seq = self.seq = self._reader.first_seq
        self._begun = False
        self.since = self.first_seq  # the first event that is summed up by torrent
        self.hurried: Callable[[], bool] = lambda: False  # true = pause before the next frame
        self.paused = False  # the latest call of `tell` paused

    def tell(self, listener: Listener[Entry], end: int | None = None) -> Iterator[Entry]:
        """Yields the entries that the listener makes from the next events, those below `end`.

        `end` None: the durable end. Consume the iterator before the next call. It ends early,
        between two frames, if `hurried` returns true.
        """
        self.paused = False
        self._needs.listener, self._needs.end = listener, end
        with reading(self.seq):
            if not self._begun:
                self._begun = True
                keys = self._decrypt.keys
                checked_segments.check_old(self._folder, self.first_seq, keys)
                if self.first_seq:
                    kept = checked_segments.read_kept(self._folder, self.first_seq, keys)
                    begin = opening_balance.begin(self._folder, self.first_seq, keys)
                    if keys is None:
                        opening_balance.compare(self._folder, self.first_seq, begin.opening)
                    book = open_beginning(self._folder, keys, begin.state)
                    if book is not None:
                        self.since = book.since
                    yield from listener.opening(kept, begin.state, book)
            yield from listener.entries(self._until(end))

    def _until(self, end: int | None) -> Iterator[Frame]:
        while not self.hurried():
            frame = self._next()
            self.seq = max(self.seq, self._needs.seq)
            if frame is None:
                return
            header = frame.header
            if end is not None and header.next_seq > end:
                if header.base_seq < end:
                    # A section is encrypted as a whole, so it must be decrypted before it is cut.
                    whole = self._decrypt(frame)
                    below, self._rest = split(
                        whole._replace(header=header._replace(key_epoch=NOT_ENCRYPTED)), end
                    )
                    self.seq = end
                    yield below
                else:
                    self._rest = frame
                return
            self.seq = header.next_seq
            yield frame
        self.paused = True

    def _next(self) -> Frame | None:
        rest, self._rest = self._rest, None
        if rest is not None:
            return rest
        if self._frames is None:
            self._frames = self._reader.frames()
        frame = next(self._frames, None)
        if frame is None:
            self._frames = None  # the next call reads on from here
        return frame


def rereading(folder: Path, decrypt: Decryption) -> Callable[[Listener[Entry], int], None]:
    """Returns what tells a listener the log from its beginning up to an event."""

    def reread(listener: Listener[Entry], end: int) -> None:
        for _ in Walk(folder, decrypt).tell(listener, end):
            pass

    return reread
