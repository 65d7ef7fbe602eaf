"""Writes and reads the files of the index of stays (docs/adr/0030).

    <log>/stays/list.json            the volumes, how much of each counts, and up to which event
    <log>/stays/<from seq>.rows      50 bytes a row that began
    <log>/stays/<from seq>.ends      20 bytes a row that ended, also of earlier volumes
    <log>/stays/<from seq>.torrents  20 bytes an info hash, by number

The files only grow, and the list is replaced as a whole. What is in a file beyond the list does not
count. A volume has the rows of one day, because addresses are hashed under the key of their day.
Everything here can be deleted at any time: the follower makes it again from the log. So it has
checksums against accidents and no MACs; each row names the event that proves it. Blocking.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from attrs import define, evolve, field, frozen

from eventlog import (
    NotAFileError,
    border,
    create_file,
    first_seq,
    holds_frame,
    make_folder,
    open_file,
    parse_json,
    read_file,
    read_identity,
    sync_directory,
    write_all,
    write_new,
)
from tracker.domain.clients import Clients
from tracker.domain.dates import Dates
from tracker.domain.events.announce import NOT_RECORDED
from tracker.domain.staying import BEGUN, HOWS, UDP, UNKNOWN, V6, WHYS, Staying
from tracker.ports import InvalidNetworkError
from tracker.store import stay_scan
from tracker.store.address_keys import pseudonym
from tracker.store.stay_scan import END, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

FOLDER, LIST = "stays", "list.json"
FORMAT = 2
KINDS = ("rows", "ends", "torrents")
MOST_ROWS = 4_000_000
"""Rows after which a volume is full, 200 MB."""
MOST_EVENTS = 1 << 31
"""Events after which it is full, because places in it are 32 bits."""
_OURS = re.compile(r"[0-9]{20}\.(rows|ends|torrents)|list\.json(\.tmp)?")
_SIZES = {"rows": ROW, "ends": END, "torrents": 20}
_AT_ONCE = 20_000  # rows that are read at a time

_ROW = Struct("<II8s6s8sIIIIHBB")
"""Seq and milliseconds of log time since the volume begins, hash of the address, network (IPv4: 3
bytes and zeros), beginning of the peer_id, number of the torrent, peer, key_ref, account, client,
listener, flags."""
_END = Struct("<QIII")
"""Number of the row with `why` << 56, seq and milliseconds as in a row, milliseconds since the last
announce."""
_HASH, _NETWORK, _PREFIX, _TORRENT, _KEY, _ACCOUNT, _CLIENT, _LISTENER, _FLAGS = (
    8, 16, 22, 30, 38, 42, 46, 48, 49
)  # fmt: skip
_MOST = 2**32 - 1
PAGE = 10_000
"""Rows whose ends are looked for in one walk."""


class StaysError(Exception):
    """There is no usable index of stays; the text says why."""


class NoStaysError(StaysError):
    """There is no index at all."""


@define
class Volume:
    """Facts about the files of a volume, as in the list."""

    first_row: int
    day: int  # of the keys
    from_seq: int  # the first event that it may tell of
    from_us: int  # log time from which its times count
    to_seq: int  # the first event that it does not tell of
    open_from: int = 0  # at its end, all rows below were over
    counts: list[int] = field(factory=lambda: [0, 0, 0])  # of rows, ends, torrents
    sums: list[int] = field(factory=lambda: [0, 0, 0])  # CRC-32 of each file

    @property
    def end(self) -> int:
        """Number of the first row after it."""
        return self.first_row + self.counts[0]

    def path(self, log: Path, kind: str) -> Path:
        return log / FOLDER / f"{self.from_seq:020d}.{kind}"


@frozen
class Listed:
    """A list: the index of the events below `upto`."""

    upto: int
    frame_seq: int
    chain: bytes
    volumes: list[Volume]
    dates: Dates
    clients: Clients


class Stay(NamedTuple):
    """A row as readers see it. Times are dates in microseconds; None = it has not ended."""

    row: int
    info_hash: bytes
    peer_id: bytes  # its first 8 bytes
    network: str  # with its width, such as 198.51.100.0/24; "" = not known
    pseudonym: str  # equal for equal addresses of a day; "" = not known
    v6: bool
    udp: bool
    listener: int
    client: int | None
    key_ref: int | None
    account: int | None
    day: int  # of log time, since 1970-01-01: whose key the pseudonym was made with
    from_seq: int
    from_us: int
    how: str
    to_seq: int | None
    to_us: int | None
    seen_us: int | None
    why: str | None


@define
class Sought:
    """What to look for: all that is given must fit. Times are events: see `Stays.find`."""

    address: bytes | None = None  # 4 or 16 bytes
    network: bytes | None = None  # its first bytes: at most 3 of IPv4, at most 6 of IPv6
    network_v6: bool = False
    prefix: bytes = b""  # of the peer_id, 8 bytes at most
    clients: set[int] | None = None
    key_ref: int | None = None
    account: int | None = None
    info_hash: bytes | None = None
    listener: int | None = None


def packed_network(text: str) -> tuple[bytes, bool]:
    """Returns the bytes with which the addresses of a network begin, and whether it is IPv6.

    Raises `InvalidNetworkError` for one that is narrower than what the index has, or no whole bytes
    wide.
    """
    try:
        network = ip_network(text)
    except ValueError as error:
        raise InvalidNetworkError(f"{error}: expected one such as 192.0.2.0/24") from None
    v6, width = network.version == 6, network.prefixlen
    if width % 8 or not 8 <= width <= (48 if v6 else 24):
        known = "the index has networks of /8, /16 or /24, and of /8 to /48 in IPv6"
        raise InvalidNetworkError(known)
    return network.network_address.packed[: width // 8], v6


def read_list(log: Path, folder: Path | None = None) -> Listed:
    """Reads the list of an index that fits the log; it lies in another folder, if one is given.

    Raises `StaysError`, and what reading the log raises.
    """
    try:
        data = read_file((folder or log) / FOLDER / LIST)
    except FileNotFoundError:
        raise NoStaysError("there is no index of stays") from None
    except NotAFileError as error:
        raise StaysError(str(error)) from None
    with border(StaysError, StaysError):
        body, _, foot = data.rpartition(b"\n")
        if int(foot, 16) != crc32(body):
            raise StaysError("the checksum of the index's list is wrong")
        said: Any = parse_json(body)
        if said["format"] != FORMAT or said["log_id"] != read_identity(log).hex():
            raise StaysError("the index is of another format or log")
        dates = Dates()
        dates.changes = tuple((since, lead) for since, lead in said["leads"])
        listed = Listed(
            said["upto"], said["frame_seq"], bytes.fromhex(said["chain"]),
            [Volume(*one) for one in said["volumes"]], dates, Clients.from_data(said["clients"]),
        )  # fmt: skip
        numbers = [[one.first_row, one.day, one.from_us, *one.counts] for one in listed.volumes]
        if any(min(each) < 0 for each in numbers):
            raise StaysError("the index's list has a negative number")
        if any(one.end != other.first_row for one, other in pairwise(listed.volumes)):
            raise StaysError("the volumes of the index's list do not follow each other")
    if listed.upto <= first_seq(log):
        raise StaysError("events that it does not tell of were removed from the log")
    if not holds_frame(log, listed.upto, listed.chain):
        raise StaysError("the index was made of another history than this log's")
    return listed


class Writer:
    """Writes the index as it grows. It must be the only one."""

    def __init__(
        self, log: Path, keys: Keyring | None, listed: Listed | None, folder: Path
    ) -> None:
        """`folder`: that has `FOLDER`, mostly the log. `listed`: goes on from there; None = anew.
        Raises `OSError`.
        """
        self._log_id, self._keys, self._folder = read_identity(log), keys, folder
        self._from_seq = first_seq(log)  # of the first volume
        self._durable_seq = listed.upto if listed else 0
        self.volumes = listed.volumes if listed else []
        self._torrents: dict[bytes, int] = {}
        self._secrets: dict[int, bytes | None] = {}
        make_folder(folder / FOLDER)
        if listed is None:
            (folder / FOLDER / LIST).unlink(missing_ok=True)
        self._clean()
        for volume in self.volumes:
            for kind, count in zip(KINDS, volume.counts, strict=True):
                with _opened(volume.path(folder, kind)) as descriptor:
                    os.ftruncate(descriptor, count * _SIZES[kind])
        if self.volumes:
            data = self.volumes[-1].path(folder, "torrents").read_bytes()
            hashes = [data[at : at + 20] for at in range(0, len(data), 20)]
            self._torrents = {each: number for number, each in enumerate(hashes)}

    def add(self, staying: Staying, seq: int, time_us: int) -> None:
        """Writes what was noted since the last time, for events below `seq`.

        `time_us`: log time of the first event that it may tell of. Raises `OSError`.
        """
        volume = self.volumes[-1] if self.volumes else None
        if volume is None or self._is_full(volume, staying.day, seq):
            first_row = volume.end if volume else 0
            from_seq = volume.to_seq if volume else self._from_seq
            volume = Volume(first_row, staying.day, from_seq, time_us, from_seq)
            for kind in KINDS:
                os.close(create_file(volume.path(self._folder, kind)))
            self._torrents = {}
            self.volumes.append(volume)
        fresh: list[bytes] = []
        rows = self._rows(volume, staying.begun, fresh)
        pieces = (rows, _ends(volume, staying.ended), b"".join(fresh))
        try:
            for kind, count, piece in zip(KINDS, volume.counts, pieces, strict=True):
                with _opened(volume.path(self._folder, kind)) as descriptor:
                    write_all(descriptor, [piece], count * _SIZES[kind])
        except OSError:
            for each in fresh:
                del self._torrents[each]
            raise
        for at, (kind, piece) in enumerate(zip(KINDS, pieces, strict=True)):
            volume.counts[at] += len(piece) // _SIZES[kind]
            volume.sums[at] = crc32(piece, volume.sums[at])
        volume.to_seq = seq
        volume.open_from = staying.first_open()
        staying.clear()

    @staticmethod
    def _is_full(volume: Volume, day: int, seq: int) -> bool:
        return (
            volume.day != day
            or volume.counts[0] >= MOST_ROWS
            or seq - volume.from_seq >= MOST_EVENTS
        )

    def _rows(self, volume: Volume, begun: bytearray, fresh: list[bytes]) -> bytes:
        made, torrents, secret = bytearray(), self._torrents, self._secret(volume.day)
        for (
            seq, time_us, peer, key_ref, account, client, listener, flags, info_hash, prefix, address,
        ) in BEGUN.iter_unpack(begun):  # fmt: skip
            number = torrents.get(info_hash)
            if number is None:
                number = torrents[info_hash] = len(torrents)
                fresh.append(info_hash)
            network = address[:6] if flags & V6 else address[12:15]
            hashed = bytes(8)
            if secret is None or flags & UNKNOWN:
                flags, network = flags | UNKNOWN, b""
            else:
                hashed = pseudonym(secret, address)
            made += _ROW.pack(
                seq - volume.from_seq, _ms(volume, time_us), hashed, network, prefix, number, peer,
                key_ref, account, client, listener, flags,
            )  # fmt: skip
        return bytes(made)

    def _secret(self, day: int) -> bytes | None:
        if self._secrets.get(day) is None:  # the day's first announce makes its key
            self._secrets = {day: self._keys.pseudonyms(day) if self._keys else None}
        return self._secrets[day]

    def commit(self, state: State, frame_seq: int, chain: bytes, begin: int) -> None:
        """Makes everything durable that was added, and has it count. `begin`: the first event of
        the log.

        Raises `OSError`.
        """
        for volume in filter(lambda one: one.to_seq >= self._durable_seq, self.volumes):
            for kind in KINDS:
                with _opened(volume.path(self._folder, kind)) as descriptor:
                    os.fsync(descriptor)
        self._durable_seq = state.seq
        over = max((one.open_from for one in self.volumes if one.to_seq <= begin), default=0)
        while len(self.volumes) > 1 and self.volumes[1].first_row <= over:
            self.volumes.pop(0)
        body = json.dumps(
            {
                "format": FORMAT,
                "log_id": self._log_id.hex(),
                "upto": state.seq,
                "frame_seq": frame_seq,
                "chain": chain.hex(),
                "volumes": [_as_data(one) for one in self.volumes],
                "leads": list(state.dates.changes),
                "clients": state.clients.as_data(),
            }
        ).encode()
        write_new(self._folder / FOLDER / LIST, body + b"\n%08x" % crc32(body))
        self._clean()

    def _clean(self) -> None:
        """Removes the files of volumes that are not listed any more."""
        folder = self._folder / FOLDER
        used = {
            LIST,
            *(one.path(self._folder, kind).name for one in self.volumes for kind in KINDS),
        }
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in used:
                path.unlink(missing_ok=True)
        sync_directory(folder)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Opens a file that is there, to write into it. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _as_data(volume: Volume) -> list[Any]:
    return [
        volume.first_row, volume.day, volume.from_seq, volume.from_us, volume.to_seq,
        volume.open_from, volume.counts, volume.sums,
    ]  # fmt: skip


def _ms(volume: Volume, time_us: int) -> int:
    return min(max(0, time_us - volume.from_us) // 1000, _MOST)


def _ends(volume: Volume, ended: Any) -> bytes:
    words, made = iter(ended), bytearray()
    for row, seq, time_us, seen_us in zip(words, words, words, words, strict=True):
        silent = min((time_us - seen_us) // 1000, _MOST)
        made += _END.pack(row, seq - volume.from_seq, _ms(volume, time_us), silent)
    return bytes(made)


class Stays:
    """An index that was opened; every byte was compared with its checksum."""

    def __init__(self, log: Path, listed: Listed, keys: Keyring | None, folder: Path) -> None:
        """`folder`: that has `FOLDER`, mostly the log. Raises `StaysError`, `OSError`."""
        self.listed, self._keys, self._folder, self._begin = listed, keys, folder, first_seq(log)
        self.unknown_days: set[int] = set()
        """Days of stays that `find` may have missed, because all fits but the address or network,
        which cannot be read."""
        for volume in listed.volumes:
            for kind, count, expected in zip(KINDS, volume.counts, volume.sums, strict=True):
                total = 0
                for piece in self._pieces(volume, kind, count):
                    total = crc32(piece, total)
                if total != expected:
                    raise StaysError(f"{volume.path(folder, kind).name} of the index is damaged")

    def _pieces(self, volume: Volume, kind: str, count: int) -> Iterator[bytes]:
        """Yields the first `count` rows of a file."""
        size = _SIZES[kind]
        try:
            with open_file(volume.path(self._folder, kind)) as file:
                while count > 0:
                    piece = file.read(min(count, _AT_ONCE) * size)
                    if not piece or len(piece) % size:
                        raise StaysError(f"{volume.path(self._folder, kind).name} is too short")
                    count -= len(piece) // size
                    yield piece
        except FileNotFoundError:
            name = volume.path(self._folder, kind).name
            raise StaysError(f"{name} of the index was removed: try again") from None

    def open_rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Yields what `Staying.resume` takes, of the rows that have not ended."""
        flags = bytearray(b"\1") * (self.end - self._first)
        self._clear_ended(flags, None)
        for row, fields, volume in self._flagged(flags, 0):
            peer, key_ref, _, client, listener, own = fields[6:12]
            way = client | listener << 16 | (own & V6) << 24 | volume.day << 32
            yield peer, row, way | (own & UDP > 0) << 25, key_ref

    @property
    def _first(self) -> int:
        """Number of the first row that there is."""
        return self.listed.volumes[0].first_row if self.listed.volumes else 0

    @property
    def end(self) -> int:
        """Number of the next row that there will be."""
        last = self.listed.volumes[-1:]
        return last[0].end if last else 0

    def find(self, sought: Sought, after: int, to: int, row: int = 0) -> Iterator[Stay]:
        """Yields the rows of who was there at an event, or between two, in the order in which they
        began. `after`: they ended later than with this event, or have not. `to`: they began with
        this event or before. `row`: begin with that number.

        Raises `StaysError`, `OSError`.
        """
        with border(StaysError, StaysError):  # who forges a row can only have it refused
            yield from self._find(sought, after, to, row)

    def _find(self, sought: Sought, after: int, to: int, row: int) -> Iterator[Stay]:
        flags, hidden = bytearray(self.end - self._first), bytearray()
        for volume in self.listed.volumes:
            if volume.from_seq > to:
                break
            self._select(volume, self._tests(volume, sought), sought.clients, to, flags)
            if self._may_hide(volume, sought):
                hidden = hidden or bytearray(len(flags))
                tests = self._hidden_tests(volume, sought)
                self._select(volume, tests, sought.clients, to, hidden)
        self._clear_ended(flags, max(after, self._begin - 1))
        if hidden:
            self._clear_ended(hidden, max(after, self._begin - 1))
            self._note_days(hidden)
        at = flags.find(1, max(0, row - self._first))
        while at >= 0:
            # Some at a time, because their ends take another walk, and most readers want a page.
            chosen, end = bytearray(len(flags)), at
            for _ in range(PAGE):
                chosen[end] = 1
                end = flags.find(1, end + 1)
                if end < 0:
                    break
            yield from self._shown(chosen, at)
            at = end

    def _may_hide(self, volume: Volume, sought: Sought) -> bool:
        """Tells whether a volume may have stays at what is looked for, and does not show it."""
        anywhere = sought.address is None and sought.network is None
        return not anywhere and self._secret(volume) is None

    def _hidden_tests(self, volume: Volume, sought: Sought) -> list[tuple[int, int, int]] | None:
        """Returns the tests of rows of which all fits but what cannot be compared."""
        tests = self._tests(volume, evolve(sought, address=None, network=None))
        if tests is not None and sought.address is None:  # networks outlive the day's key
            tests.append((_FLAGS, UNKNOWN, UNKNOWN))
        return tests

    def _note_days(self, hidden: bytearray) -> None:
        for volume in self.listed.volumes:
            if hidden.find(1, volume.first_row - self._first, volume.end - self._first) >= 0:
                self.unknown_days.add(volume.day)

    def _secret(self, volume: Volume) -> bytes | None:
        """Returns that of the pseudonyms of a volume's day; None = its key is not there."""
        return self._keys.pseudonyms(volume.day) if self._keys else None

    def _select(
        self, volume: Volume, tests: list[tuple[int, int, int]] | None, numbers: set[int] | None, to: int,
        flags: bytearray,
    ) -> None:  # fmt: skip
        """Sets the flags of a volume's rows that pass the tests, and have one of these clients."""
        if tests is None:
            return
        places = bytes(place for place, _, _ in tests)
        masks = bytes(mask for _, mask, _ in tests)
        wanted = bytes(value for _, _, value in tests)
        clients = b""
        if numbers is not None:
            clients = bytes(number in numbers for number in range(NOT_RECORDED + 1))
        at = volume.first_row - self._first
        for piece in self._pieces(volume, "rows", volume.counts[0]):
            count = _up_to(piece, ROW, 0, to - volume.from_seq)
            stay_scan.select(piece[: count * ROW], places, masks, wanted, clients, flags, at)
            at += count
            if count * ROW < len(piece):
                break

    def _tests(self, volume: Volume, sought: Sought) -> list[tuple[int, int, int]] | None:
        """Returns places of bytes, masks and values; None = no row of the volume can fit."""
        tests: list[tuple[int, int, int]] = []

        def add(at: int, value: bytes) -> None:
            tests.extend((at + number, 255, each) for number, each in enumerate(value))

        if sought.info_hash is not None:
            number = self._torrents(volume).get(sought.info_hash)
            if number is None:
                return None
            add(_TORRENT, number.to_bytes(4, "little"))
        if sought.address is not None:
            secret = self._secret(volume)
            if secret is None:
                return None
            add(_HASH, pseudonym(secret, sought.address))
            tests.append((_FLAGS, UNKNOWN, 0))
        if sought.network is not None:
            add(_NETWORK, sought.network)
            tests.append((_FLAGS, UNKNOWN | V6, V6 if sought.network_v6 else 0))
        if sought.key_ref is not None:
            add(_KEY, sought.key_ref.to_bytes(4, "little"))
        if sought.account is not None:
            add(_ACCOUNT, sought.account.to_bytes(4, "little"))
        if sought.listener is not None:
            add(_LISTENER, bytes([sought.listener]))
        add(_PREFIX, sought.prefix)
        return tests

    def _torrents(self, volume: Volume) -> dict[bytes, int]:
        data = b"".join(self._pieces(volume, "torrents", volume.counts[2]))
        return {data[at : at + 20]: at // 20 for at in range(0, len(data), 20)}

    def _clear_ended(self, flags: bytearray, upto: int | None) -> None:
        """Clears the flags of rows that ended with event `upto` or before; None = ever."""
        for volume in self.listed.volumes:
            if upto is not None and volume.from_seq > upto:
                break
            for piece in self._pieces(volume, "ends", volume.counts[1]):
                most = _MOST if upto is None else upto - volume.from_seq
                count = _up_to(piece, END, 8, most)
                stay_scan.clear_ended(piece[: count * END], flags, self._first)

    def _shown(self, chosen: bytearray, at: int) -> Iterator[Stay]:
        ends: dict[int, tuple[int, int, int, str]] = {}
        for volume in self.listed.volumes:
            for piece in self._pieces(volume, "ends", volume.counts[1]):
                for start in stay_scan.ends_of(piece, chosen, self._first):
                    word, seq, ms, silent = _END.unpack_from(piece, start)
                    time_us = volume.from_us + ms * 1000
                    seen_us = time_us - silent * 1000
                    ends[word & (1 << 56) - 1] = (
                        seq + volume.from_seq, time_us, seen_us, WHYS[word >> 56]
                    )  # fmt: skip
        dates, hashes, of = self.listed.dates, b"", -1
        for row, fields, volume in self._flagged(chosen, at):
            if of != volume.from_seq:
                hashes = b"".join(self._pieces(volume, "torrents", volume.counts[2]))
                of = volume.from_seq
            seq, ms, hashed, network, prefix, number, _, key_ref, account, client, listener, own = (
                fields
            )
            end = ends.get(row)
            yield Stay(
                row, hashes[number * 20 : number * 20 + 20], prefix,
                "" if own & UNKNOWN else _shown_network(network, own & V6 > 0),
                "" if own & UNKNOWN else hashed.hex(), own & V6 > 0, own & UDP > 0, listener,
                None if client in (0, NOT_RECORDED) else client, key_ref or None, account or None,
                volume.day, seq + volume.from_seq, dates.of(volume.from_us + ms * 1000),
                HOWS[own >> 4], end[0] if end else None, dates.of(end[1]) if end else None,
                dates.of(end[2]) if end else None, end[3] if end else None,
            )  # fmt: skip

    def _flagged(self, flags: bytearray, at: int) -> Iterator[tuple[int, Any, Volume]]:
        """Yields number, fields and volume of the rows that have a flag, from flag `at` on."""
        for volume in self.listed.volumes:
            begin = volume.first_row - self._first
            for piece in self._pieces(volume, "rows", volume.counts[0]):
                end = begin + len(piece) // ROW
                found = flags.find(1, max(begin, at), max(end, at))
                while found >= 0:
                    start = (found - begin) * ROW
                    yield found + self._first, _ROW.unpack_from(piece, start), volume
                    found = flags.find(1, found + 1, end)
                begin = end


def _up_to(piece: bytes, size: int, at: int, most: int) -> int:
    """Returns how many rows have a number of at most `most` at byte `at`; they ascend."""

    def number(row: int) -> int:
        return int.from_bytes(piece[row * size + at : row * size + at + 4], "little")

    return bisect_right(range(len(piece) // size), most, key=number)


def _shown_network(network: bytes, v6: bool) -> str:
    if v6:
        return f"{IPv6Address(network + bytes(10))}/48"
    return f"{IPv4Address(network[:3] + bytes(1))}/24"
