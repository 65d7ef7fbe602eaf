"""Writes the log of eight days of a small private site, for the pictures in the docs."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import open_log
from tests.console.site import key_of
from tests.e2e.clients import torrent
from tests.eventlog.logs import running
from tests.support import SELECTION_KEY, HandTime, keys_of
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import HitAndRunRuleSet, KeyIssued, TrackerStarted
from tracker.domain.hit_and_run import Rule
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.ports import Actor
from tracker.service.service import Service
from tracker.store import high_water_mark

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.service.announce import Holder

GIB = 1 << 30
MINUTE_US = 60_000_000
STEP_US = 30 * MINUTE_US
STEPS = 144  # three days
EARLIER = 240  # steps of the five days before, in which others download
OWNERS = ("anna", "bert", "carla", "dora", "emil", "frida", "gustav", "hanna", "ivan", "judith")
LABELS = {
    1: ("Debian 13.2 amd64 DVD", 4 * GIB), 2: ("Fedora Workstation 44", 3 * GIB),
    3: ("Big Buck Bunny 4K", 9 * GIB), 4: ("Sintel, all subtitles", 6 * GIB),
    5: ("Wikipedia de 2026-11", 38 * GIB), 6: ("LibriVox: Moby Dick", 1 * GIB),
    7: ("Tears of Steel 1080p", 2 * GIB),
}  # fmt: skip
"""Labels and bytes of the torrents."""
CLIENTS = {
    b"-qB4630-": b"qBittorrent/4.6.3", b"-TR4050-": b"Transmission/4.0.5",
    b"-DE2110-": b"Deluge/2.1.1 libtorrent/2.0.9.0",
}  # fmt: skip
RULE = Rule(seed_seconds=172_800, warn_absent=7_200, grace_absent=43_200)
CHEAT = (9, 6)  # claims uploads where nobody downloads


@define
class Part:
    """What a member does in a torrent: from a step on, so many bytes a step; 0 = he seeds."""

    member: int
    torrent: int
    first: int = -EARLIER
    rate: int = 0
    last: int = STEPS
    up: int = 0
    down: int = 0
    was: int = field(default=-1)  # bytes left at the announce before; -1 = there was none

    @property
    def size(self) -> int:
        return LABELS[self.torrent][1]

    @property
    def left(self) -> int:
        return max(0, self.size - self.down) if self.rate else 0

    def here(self, step: int) -> bool:
        """Returns whether the client is on; three members turn theirs off at night."""
        asleep = self.member in (2, 6, 10) and step % 48 in range(26, 42)
        return self.first <= step <= self.last and not asleep


def parts() -> list[Part]:
    """Returns who seeds what, and who downloads what and when."""
    seeds = [(1, 1), (1, 2), (1, 3), (4, 3), (4, 4), (5, 5), (8, 5), (7, 2), CHEAT]
    mib = 1 << 20
    return [
        *(Part(member, number) for member, number in seeds), Part(4, 7, last=STEPS - 2),
        Part(2, 1, 6, 300 * mib), Part(2, 3, 20, 240 * mib), Part(2, 5, 118, 700 * mib),
        Part(3, 1, 30, 500 * mib, 48), Part(3, 4, 70, 410 * mib), Part(3, 3, 136, 333 * mib),
        Part(6, 2, 12, 200 * mib), Part(6, 5, 60, 650 * mib), Part(6, 4, 130, 180 * mib),
        Part(7, 3, 90, 480 * mib, 112), Part(7, 1, 134, 290 * mib), Part(8, 4, 44, 350 * mib),
        Part(5, 3, -200, 300 * mib, -90), Part(8, 1, -230, 120 * mib, -150),
        Part(3, 2, -120, 150 * mib, -20), Part(10, 2, 66, 270 * mib, 76), Part(10, 1, 128, 150 * mib), Part(10, 5, 50, 120 * mib),
    ]  # fmt: skip


def write(folder: Path) -> None:
    """Writes the log and the secrets of a tracker that was not started yet."""
    keyring = keys_of(folder / "secrets")
    log = open_log(folder / "log", codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
    begin = time.time_ns() // 1000 - STEPS * STEP_US - MINUTE_US
    clock = HandTime(wall=begin - EARLIER * STEP_US)

    async def main() -> None:
        async with running(log, 300):
            service = Service(log, State(), clock.log_clock(), SELECTION_KEY)
            service.append(TrackerStarted("0.1.0", log.epoch))
            settings = Settings(private=True, accounting=2, max_peer_timeout=2700, interval=1800)
            service.change_settings(settings)
            by = Actor("admin", "192.0.2.7", "", "the first members")
            service.append(HitAndRunRuleSet(RULE), by)
            holders = [issued(service, number, by) for number in range(1, len(OWNERS) + 1)]
            playing = parts()
            for step in range(-EARLIER, STEPS + 1):
                for minute in range(1, 31 if step < STEPS else 2):
                    for part in playing:
                        if (part.member * 7 + part.torrent * 3) % 30 == minute % 30:
                            clock.advance(MINUTE_US // 60)
                            move(part, playing, step)
                            service.begin()
                            announce(service, part, step, holders[part.member - 1])
                            service.end()
                    clock.advance(begin + step * STEP_US + minute * MINUTE_US - clock.wall)
                    service.tick()
                    while not service.state.sweep.done:
                        service.tick(goes_on=True)
                    # Detectors take a pause of ten minutes between two frames for an outage.
                    if minute % 8 == 1:
                        await log.wait_durable(service.state.seq - 1)
            high_water_mark.note(folder / "secrets", log, service.state.time_us)

    trio.run(main)


def issued(service: Service, member: int, by: Actor) -> Holder:
    digest = sha256(key_of(member).encode()).digest()
    service.append(KeyIssued(digest, member, member, None, OWNERS[member - 1], "home"), by)
    holder = service.held(digest)
    assert not isinstance(holder, int)
    return holder


def move(part: Part, playing: list[Part], step: int) -> None:
    """Lets a leecher download what the seeders of its torrent upload."""
    if (part.member, part.torrent) == CHEAT:
        part.up += 1_288_490_188 + step % 7 * 31_337_000
    if not (part.left and part.here(step)):
        return
    givers = [
        one for one in playing if one.torrent == part.torrent and one.here(step) and not one.left
    ]
    size = min(part.left, part.rate + step % 5 * 9_111_000) if givers else 0
    part.down += size
    for giver in givers:
        giver.up += size // len(givers)


def announce(service: Service, part: Part, step: int, holder: Holder) -> None:
    """Announces, unless the client is off; one that was just turned off says so."""
    if not part.here(step):
        if part.was < 0 or not part.here(step - 1):
            return
        event = events.STOPPED
    elif not part.here(step - 1):
        event = events.STARTED
    else:
        event = events.COMPLETED if part.was > 0 and part.left == 0 else events.NONE
    part.was = part.left
    prefix, agent = list(CLIENTS.items())[part.member % 3]
    service.announce(
        0, events.HTTP4, bytes([198, 51, 100, 10 + part.member]),
        (40_000 + part.member).to_bytes(2, "big"), torrent(part.torrent),
        prefix + b"%012d" % part.member, part.up, part.down, part.left, event, 50, 0, 7,
        holder, agent,
    )  # fmt: skip
