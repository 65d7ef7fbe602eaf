"""Looks up in the index of stays who was there, for `tracker stays`. Blocking; reads beside a
running tracker.
"""

from __future__ import annotations

from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eventlog import Reader, first_seq
from tracker.domain.staying import ANOTHER_ACCOUNT, HOWS
from tracker.store import frames, moments, snapshots, stay_files
from tracker.store.address_keys import pseudonym
from tracker.store.stay_files import NoStaysError, Sought, Stays, StaysError
from tracker.upkeep.stay_keeping import StayKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring
    from tracker.store.stay_files import Stay

    Report = Callable[[int, int | None], None]


@contextmanager
def opened(
    log: Path,
    keys: Keyring | None,
    note: Callable[[str], None],
    report: Report,
) -> Iterator[Stays]:
    """Opens the index of a log. Without a usable one it makes one from the log, and drops it again.

    Raises what reading and replaying raise.
    """
    try:
        yield Stays(log, stay_files.read_list(log), keys, log)
        return
    except NoStaysError:
        pass
    except StaysError as error:
        note(f"note: {error}, so the whole log is replayed")
    with TemporaryDirectory(prefix="swarmlog-stays-") as folder:
        yield made(log, keys, Path(folder), report)


def made(log: Path, keys: Keyring | None, folder: Path, report: Report) -> Stays:
    """Makes the index of a log in a folder. Raises what reading and replaying raise."""
    keeper, span = StayKeeper(log, keys, folder=folder), moments.span(log)

    def apply(state: State, frame: Frame) -> None:
        frames.apply(state, frame)
        report(state.seq, span.last_seq + 1 if span else None)

    state, reader = snapshots.start(log, keys, at_most=first_seq(log))
    keeper.apply_all(state, reader, apply)
    return Stays(log, stay_files.read_list(log, folder), keys, folder)


class Addresses:
    """Finds the addresses of stays, with the keys of their days.

    The index has none. Of IPv4 it has all but 8 bits, so that whoever has the key of the day can
    try them; of IPv6 the address is read from the announce with which the stay began. Where a merge
    or split began it, that is the announce of the stay that ended there.
    """

    def __init__(self, log: Path, keys: Keyring | None, stays: Stays) -> None:
        self._log, self._keys, self._stays, self._begin = log, keys, stays, first_seq(log)
        self._known: dict[tuple[int, str], str] = {}
        self.unknown_days: set[int] = set()
        """Days of stays whose address `of` could not tell, because there is no key."""

    def of(self, stay: Stay) -> str:
        """Returns the address of a stay; "" = it cannot be known."""
        name = stay.day, stay.pseudonym
        if not stay.pseudonym or self._keys is None:
            self.unknown_days.add(stay.day)
            return ""
        if name not in self._known:
            secret = self._keys.pseudonyms(stay.day)
            if secret is None:
                self.unknown_days.add(stay.day)
            self._known[name] = self._found(stay, secret) if secret else ""
        return self._known[name]

    def _found(self, stay: Stay, secret: bytes) -> str:
        wanted = bytes.fromhex(stay.pseudonym)
        if not stay.v6:
            first = int(IPv4Address(stay.network.removesuffix("/24")))
            for number in range(first, first + 256):
                if pseudonym(secret, number.to_bytes(4, "big")) == wanted:
                    return str(IPv4Address(number))
        elif stay.how == HOWS[ANOTHER_ACCOUNT >> 4]:
            at = stay.from_seq - 1
            sought = Sought(
                info_hash=stay.info_hash, prefix=stay.peer_id, key_ref=stay.key_ref,
                listener=stay.listener,
            )  # fmt: skip
            for one in self._stays.find(sought, at, at):
                text = self.of(one) if one.v6 and one.to_seq == stay.from_seq else ""
                if text and pseudonym(secret, IPv6Address(text).packed) == wanted:
                    return text
        elif stay.from_seq >= self._begin:
            frame = next(Reader(self._log, stay.from_seq, keys=self._keys).frames(), None)
            if frame is not None:
                at = (stay.from_seq - frame.header.base_seq) * 32
                packed = bytes(frame.protected[at : at + 16])
                if pseudonym(secret, packed) == wanted:
                    return str(IPv6Address(packed))
        return ""
