"""Feeds the log to a ledger, from its beginning to a given event, and goes on from there later.

Blocking.

Protected sections stay encrypted until the ledger needs one, because most frames have nothing for
it and decrypting costs more than passing over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from eventlog import Reader, decrypt_frame, read_identity, read_kept_frames
from tracker.store import opening_balance
from tracker.store.frames import reading
from tracker.store.moments import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventlog import Frame, FrameId
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

Entry = TypeVar("Entry", covariant=True)


class Book(Protocol[Entry]):
    """Learns from the log and yields entries: `Ledger`, `Contributions`."""

    def opening(self, kept: Iterable[Frame], state: State) -> Iterator[Entry]: ...

    def entries(self, frames: Iterable[Frame]) -> Iterator[Entry]: ...


class _StillEncrypted:
    """`eventlog.Decryptor` that leaves sections encrypted."""

    def decrypt(
        self,
        frame_id: FrameId,  # noqa: ARG002  # the protocol's name
        key_epoch: int,  # noqa: ARG002  # likewise
        check: int,  # noqa: ARG002  # likewise
        data: bytes | memoryview,
    ) -> bytes | memoryview:
        return data


def decryptor(folder: Path, keys: Keyring | None) -> Callable[[Frame], Frame]:
    """Decrypts the protected section of a frame that a `Walk` gave."""
    log_id = read_identity(folder)
    return lambda frame: decrypt_frame(log_id, frame, keys)


class Walk:
    """A walk over a log. Raises what a `Reader` does.

    `seq` is the next event to come, `first_seq` the event that the log began with when the walk
    did.
    """

    def __init__(self, folder: Path, decrypt: Callable[[Frame], Frame]) -> None:
        self._folder = folder
        self._decrypt = decrypt
        self._reader = Reader(folder, keys=_StillEncrypted())
        self._frames: Iterator[Frame] | None = None
        self._rest: Frame | None = None
        self.first_seq = self.seq = self._reader.first_seq
        self._begun = False
        self.hurried: Callable[[], bool] = lambda: False  # true = pause before the next frame
        self.paused = False  # the latest call of `tell` paused

    def tell(self, book: Book[Entry], end: int | None = None) -> Iterator[Entry]:
        """The entries that the book makes of the next events up to `end`, exclusive (None = the
        durable end).

        Consume the iterator before the next call. It ends early, between two frames, when `hurried`
        is true.
        """
        self.paused = False
        with reading(self.seq):
            if not self._begun:
                self._begun = True
                if self.first_seq:
                    kept = read_kept_frames(self._folder, self.first_seq)
                    yield from book.opening(
                        kept, opening_balance.begin(self._folder, self.first_seq)[0]
                    )
            yield from book.entries(self._until(end))

    def _until(self, end: int | None) -> Iterator[Frame]:
        while not self.hurried():
            frame = self._next()
            if frame is None:
                return
            header = frame.header
            if end is not None and header.next_seq > end:
                if header.base_seq < end:
                    # A section is encrypted as a whole: only a decrypted one can be cut.
                    whole = self._decrypt(frame)
                    below, self._rest = split(
                        whole._replace(header=header._replace(key_epoch=0)), end
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
            self._frames = None  # what comes later is for the next time
        return frame
