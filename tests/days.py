"""Writes logs of many days quickly, with a few peers a day at addresses of that day."""

from __future__ import annotations

from ipaddress import ip_address
from time import time_ns
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import Reader, open_log
from tests.eventlog.logs import running
from tests.support import (
    SECOND,
    SELECTION_KEY,
    START_US,
    Announce,
    HandTime,
    announce,
    hash_of,
    keys_of,
)
from tracker.domain.events import DAY_US, codec
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.settings import Settings
from tracker.service.service import Service
from tracker.store import high_water_mark
from tracker.store.address_keys import day_name, day_of
from tracker.store.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.service.append import Log

TORRENT = hash_of(7)
SETTINGS = Settings(max_peer_timeout=60, inactive_peer_cleanup_interval=10)
V4, V6 = 4, 3  # peers a day
HOUR_US = DAY_US // 24


@define
class Site:
    """Holds a log folder, its secrets, and clocks for the tracker that writes it."""

    folder: Path
    time: HandTime = field(factory=lambda: HandTime(wall=START_US // DAY_US * DAY_US + DAY_US // 2))
    first_day: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.first_day = day_of(self.time.wall)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def live(self, days: int, *, leave: bool = True, encrypted: bool = True) -> State:
        """Runs the tracker for some days; returns the state after them.

        At the end of each day all peers leave, unless `leave` is false.
        """
        return trio.run(self._live, days, leave, encrypted)

    async def _live(self, days: int, leave: bool, encrypted: bool) -> State:
        keyring = keys_of(self.secrets)
        log = open_log(
            self.log, codec.RECORD_SIZES, keyring.tags, encryptor=keyring if encrypted else None
        )
        state = replay(Reader(self.log, to_end=True, keys=keyring))
        async with running(log):
            service = self.service(log, state)
            service.change_settings(SETTINGS)
            for day in range(days):
                if day:
                    self.time.advance(DAY_US)
                await log.wait_durable(self._day(service, leave))
        high_water_mark.note(self.secrets, log, state.time_us)
        return state

    def live_until_today(self, days: int) -> None:
        """Runs the tracker once a day for some days; the last one is today by the real clock."""
        self._live_until(time_ns() // 1000 // DAY_US * DAY_US + DAY_US // 48, days)

    def live_until_now(self, days: int) -> None:
        """The same, but the last time is two to three hours ago, whatever the time of day is.

        A run takes some minutes of log time, and none goes over midnight.
        """
        last = time_ns() // 1000 - 2 * HOUR_US
        if day_of(last) != day_of(last + HOUR_US // 10):
            last -= HOUR_US
        self._live_until(last, days)

    def _live_until(self, last: int, days: int) -> None:
        self.first_day = day_of(last) - days + 1
        for number in range(days):
            self.time.wall = last - (days - 1 - number) * DAY_US
            self.live(1)

    def service(self, log: Log, state: State) -> Service:
        service = Service(log, state, self.time.log_clock(state.time_us), SELECTION_KEY)
        service.append(TrackerStarted("test", 1))
        return service

    def _day(self, service: Service, leave: bool) -> int:
        """Runs one day; returns the seq of its last event."""
        day = day_of(self.time.wall)
        announce(service, *(Announce(TORRENT, each) for each in endpoints(day)))
        self.time.advance(SECOND)
        announce(service, *(Announce(TORRENT, each, event=1, left=0) for each in endpoints(day)))
        for _ in range(2 if leave else 0):
            self.time.advance(61 * SECOND)
            service.tick()
        return service.state.seq - 1

    def replayed(self, *, keys: bool = True) -> State:
        decryptor = keys_of(self.secrets) if keys else None
        return replay(Reader(self.log, to_end=True, keys=decryptor))

    def day(self, number: int) -> str:
        """Returns the name of the day that comes `number` days after the first."""
        return day_name(self.first_day + number)

    def traces(self) -> list[str]:
        """Returns the known addresses that any file of the log holds, as text or packed."""
        files = [path.read_bytes() for path in self.log.rglob("*") if path.is_file()]
        days = range(self.first_day, day_of(self.time.wall) + 1)
        known = [address_of(endpoint) for day in days for endpoint in endpoints(day)]
        return [
            address
            for address in known
            if any(form in data for form in forms(address) for data in files)
        ]


def endpoints(day: int) -> list[bytes]:
    """Returns the endpoints that announce on a day."""
    low = day & 0xFF
    return [bytes([10, 83, low, 17 * number]) + b"\x1a\xe1" for number in range(1, V4 + 1)] + [
        bytes.fromhex("20010db8c0ffee") + bytes([low, 0, 0, 77, 1, 9, 8, 7, number]) + b"\x1a\xe2"
        for number in range(1, V6 + 1)
    ]


def address_of(endpoint: bytes) -> str:
    return str(ip_address(endpoint[:-2]))


def forms(address: str) -> list[bytes]:
    """Returns an address as text, and as its bytes on the wire and in the log.

    Four bytes may match by chance, so IPv4 addresses are searched with the bytes beside them.
    """
    ip = ip_address(address)
    if ip.version == 6:
        return [address.encode(), ip.packed]
    return [address.encode(), b"\xff\xff" + ip.packed, ip.packed + b"\x1a\xe1"]
