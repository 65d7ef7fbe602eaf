"""A month of a small community: the tracker and an independent count agree about all credit."""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from attrs import define, evolve, field

from tests.independent_reader import count_credit
from tests.support import (
    SECOND,
    SELECTION_KEY,
    Announce,
    HandTime,
    MemoryLog,
    announce,
    endpoint4,
    endpoint6,
    events_in,
    hash_of,
    issue,
    key_text,
    replayed,
    rotate,
)
from tracker.domain import events
from tracker.domain.events.admin import CreditFactorSet, TrackerStarted, TrackerStopped
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.ledger.account import Ledger
from tracker.service.service import Service

HOUR = 3600 * SECOND
ROUND = 30 * 60 * SECOND  # between two announces of a client
DAYS, MEMBERS = 30, 10


@define
class Client:
    """A client of a member, on one torrent."""

    key: bytes
    number: int
    info_hash: bytes
    sleeps: bool  # a laptop: silent for half of the day, without `stopped`
    breaks: bool  # its proxy drops every third announce, and it restarts now and then
    up: int = 0
    left: int = 5_000
    on: bool = field(default=False)

    def announce(self, chance: random.Random, hour: int) -> Announce | None:
        """Returns what it announces in this round, if anything."""
        self.up += chance.randrange(10_000) * (hour % 3)
        self.left = max(0, self.left - 500)
        if (self.sleeps and hour % 24 < 12) or (self.breaks and chance.random() < 1 / 3):
            return None
        if self.breaks and chance.random() < 0.02:
            self.up = 0
        event = events.NONE if self.on else events.STARTED
        stops = chance.random() < 0.01
        self.on = not stops
        partial = self.number % 7 == 3
        return Announce(
            self.info_hash,
            (endpoint6 if chance.random() < 0.2 else endpoint4)(self.number),
            b"-XX0001-%012d" % self.number,
            self.up,
            5_000 - self.left,
            7 if partial else self.left,
            events.STOPPED if stops else events.PAUSED if partial else event,
            key=self.key,
        )


def lived() -> tuple[Service, MemoryLog]:
    chance, time, log = random.Random(30), HandTime(), MemoryLog()

    def started(state: State) -> Service:
        made = Service(log, state, time.log_clock(state.time_us), SELECTION_KEY)
        made.append(TrackerStarted("test", 1))
        made.change_settings(
            Settings(private=True, max_peer_timeout=2700, tick_ms=600_000, accounting=2)
        )
        return made

    service, clients = started(State()), []
    for member in range(MEMBERS):
        issue(service, key_text(member), f"member {member}")
        for number in range(1 + member % 3):
            client = Client(
                key_text(member), 10 * member + number, hash_of(chance.randrange(4)),
                chance.random() < 0.3, chance.random() < 0.2,
            )  # fmt: skip
            clients.append(client)
    for half in range(DAYS * 48):
        for _ in range(3):
            time.advance(ROUND // 3)
            service.tick()
        if half % 300 == 150:  # freeleech for a day, and double upload for half of it
            now = service.now_us()
            for number, terms in enumerate(((None, 0, 24), (200, None, 12))):
                up, down, hours = terms
                service.append(
                    CreditFactorSet(
                        service.state.factors.next_number,
                        "global",
                        now,
                        now + hours * HOUR,
                        "",
                        None,
                        None if number else hash_of(1),
                        up,
                        down,
                    )
                )
        if half % 200 == 199:  # an outage: a crash, or an orderly stop
            if half % 400 == 199:
                service.append(TrackerStopped("signal"))
            time.advance(chance.choice([60 * SECOND, 2 * HOUR, 40 * HOUR]))
            service = started(service.state)
        if half % 500 == 400:  # the machine was suspended
            time.wall += 3 * HOUR
            service.tick()
        if half == 700:
            rotate(service, key_text(1), key_text(100))
            clients = [
                evolve(one, key=key_text(100)) if one.key == key_text(1) else one for one in clients
            ]
        batch = [one.announce(chance, half // 2) for one in clients]
        announce(service, *(one for one in batch if one is not None))
    return service, log


def test_a_month_is_counted_alike() -> None:
    """`count_credit.py`, the state, its replay without keys, and the ledgers of some members."""
    service, log = lived()
    frames = log.frames()
    lines = [json.dumps(event) for event in events_in(frames)]
    script = Path(count_credit.__file__)
    assert len(script.read_text().splitlines()) <= 100
    told = subprocess.run(
        [sys.executable, script], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    by_account = defaultdict(lambda: [0] * 6)
    for line in told.stdout.splitlines():
        (account, _), row = ast.literal_eval(line)
        by_account[account] = [a + b for a, b in zip(by_account[account], row, strict=True)]
    blind = replayed(one._replace(protected=memoryview(b"")) for one in frames)
    for rule in events.RULE_NAMES.values():
        assert sum(f'"rule": "{rule}"' in line for line in lines) > DAYS
    for account in range(1, MEMBERS + 1):
        totals = service.state.totals(account)
        assert [*totals[:4], totals.seeding_us, totals.partial_us] == by_account[account]
        assert blind.totals(account) == totals
        assert totals.uploaded > 0
        if account < 4:
            ledger = Ledger(account)
            for _ in ledger.entries(frames):
                pass
            assert ledger.whole().totals == totals
