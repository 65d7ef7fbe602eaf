"""Looks up in the index of stays who was there, for `tracker stays`. Blocking; reads beside a
running tracker.
"""

from __future__ import annotations

from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from eventlog import Reader, first_seq
from tracker.domain.clients import shown_text
from tracker.store import frames, moments, snapshots, stay_files
from tracker.store.stay_files import NoStaysError, Stays, StaysError, pseudonym
from tracker.times import rfc3339
from tracker.upkeep.stay_keeping import StayKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring
    from tracker.store.stay_files import Stay

    Report = Callable[[int, int | None], None]

_V4_MAPPED = bytes(10) + b"\xff\xff"


def packed_address(text: str) -> bytes:
    """Returns an address as 16 bytes. Raises `ValueError`."""
    if ":" in text:
        return IPv6Address(text).packed
    return _V4_MAPPED + IPv4Address(text).packed


def packed_network(text: str) -> tuple[bytes, bool]:
    """Returns the bytes with which the addresses of a network begin, and whether it is IPv6.

    Raises `ValueError` for one that is narrower than what the index has, or no whole bytes wide.
    """
    network = ip_network(text)
    v6, width = network.version == 6, network.prefixlen
    if width % 8 or not 8 <= width <= (48 if v6 else 24):
        raise ValueError("the index has networks of /8, /16 or /24, and of /8 to /48 in IPv6")
    return network.network_address.packed[: width // 8], v6


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
    try them; of IPv6 the address is read from the event.
    """

    def __init__(self, log: Path, keys: Keyring | None) -> None:
        self._log, self._keys, self._begin = log, keys, first_seq(log)
        self._known: dict[tuple[int, str], str] = {}

    def of(self, stay: Stay) -> str:
        """Returns the address of a stay; "" = it cannot be known."""
        name = stay.day, stay.pseudonym
        if not stay.pseudonym or self._keys is None:
            return ""
        if name not in self._known:
            secret = self._keys.pseudonyms(stay.day)
            self._known[name] = self._found(stay, secret) if secret else ""
        return self._known[name]

    def _found(self, stay: Stay, secret: bytes) -> str:
        wanted = bytes.fromhex(stay.pseudonym)
        if not stay.v6:
            first = int(IPv4Address(stay.network.removesuffix("/24")))
            for number in range(first, first + 256):
                packed = _V4_MAPPED + number.to_bytes(4, "big")
                if pseudonym(secret, packed) == wanted:
                    return str(IPv4Address(number))
        elif stay.from_seq >= self._begin:
            frame = next(Reader(self._log, stay.from_seq, keys=self._keys).frames(), None)
            if frame is not None:
                at = (stay.from_seq - frame.header.base_seq) * 32
                packed = bytes(frame.protected[at : at + 16])
                if pseudonym(secret, packed) == wanted:
                    return str(IPv6Address(packed))
        return ""


def as_json(stay: Stay, stays: Stays, addresses: Addresses) -> dict[str, Any]:
    """Returns a stay as the members of a JSON object."""
    prefix, agent = stays.listed.clients.shown(stay.client) if stay.client else ("", "")
    return {
        "info_hash": stay.info_hash.hex(),
        "address": addresses.of(stay) or None,
        "network": stay.network or None,
        "pseudonym": stay.pseudonym or None,
        "peer_id_prefix": shown_text(stay.peer_id),
        "client": prefix or None,
        "user_agent": agent or None,
        "protocol": "udp" if stay.udp else "http",
        "listener": stay.listener,
        "account": stay.account,
        "key_ref": stay.key_ref,
        "joined": None if stay.how == "before" else rfc3339(stay.from_us),
        "how": stay.how,
        "seq": stay.from_seq,
        "left": rfc3339(stay.to_us) if stay.to_us else None,
        "why": stay.why,
        "left_seq": stay.to_seq,
        "last_announce": rfc3339(stay.seen_us) if stay.seen_us else None,
    }
