"""On the compiled build accounting makes no object for an announce, whatever a peer does."""

from __future__ import annotations

import shutil
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import Rig
from tests.tracker.frontends.udp.lives import batch_of, put
from tests.tracker.frontends.udp.test_allocations import REQUEST, answered, output
from tracker import build
from tracker.domain.events.admin import ClientRuleSet
from tracker.domain.policy import Policy
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = [bytes([10, 0, 0, number]) for number in range(1, 65)]

MANY = 24
"""Announces of a scenario, beside 4: so few that no table of an index grows."""

LIMITS = Policy(
    leeching_slots=1000, peers_per_account=1000, started_per_day=1000, handed_per_hour=100_000,
    handed_per_day=100_000,
)  # fmt: skip
MODES = "public", "private", "freeleech", "limited"
"""All but the first are private. `freeleech` has a factor in force, and `limited` all limits of
accounts and a rule about another client.
"""

# What peers announced before, and what they announce then: `Front.allocations`.
SCENARIOS: dict[str, tuple[list[dict[str, int]], dict[str, int]]] = {
    "known": ([{}], {}),
    "new": ([], {}),
    "moved": ([{}], {"moved": 1}),
    "a seeder now": ([{"left": 9}], {}),
    "no seeder any more": ([{}], {"left": 9}),
    "paused": ([{"left": 9}], {"left": 9, "event": 4}),
    "completed": ([{"left": 9}], {"event": 1}),
    "stopped": ([{}], {"event": 3}),
    "a client without a name": ([{"client": 9}], {"client": 9}),
    "a second client": ([{}], {"client": 1}),
    "one of two clients": ([{}, {"client": 1}, {"left": 9}], {}),
    "one of two clients stops": ([{}, {"client": 1}], {"event": 3}),
    "the one that is left": ([{}, {"client": 1}, {"event": 3}], {"client": 1}),
}


class Front:
    """A handler, and a batch that nobody received."""

    def __init__(self, mode: str) -> None:
        policy = LIMITS if mode == "limited" else Policy()
        self.rig = rig = Rig.with_settings(private=mode != "public", accounting=2, policy=policy)
        self.options = [b""] * (3 * MANY)
        if mode == "freeleech":
            rig.set_factor(download_percent=0)
        if mode == "limited":
            rig.service.append(ClientRuleSet(1, "-YY", "0001", "0009", 0))
            assert rig.state.barring
        if mode != "public":
            paths = [b"/announce/" + rig.issue(n, f"member {n}") for n in range(3 * MANY)]
            self.options = [bytes([2, len(path)]) + path for path in paths]
        self.ids = ConnectionIds(b"k")
        self.handler = DatagramHandler(rig.service, self.ids, 0)
        self.batch = batch_of(socket.AF_INET)
        # The handler meets each key once, while no account can announce.
        rig.log.room = False
        for first in (0, MANY, 2 * MANY):
            self.allocations(MANY, first)
        rig.log.room = True
        self.allocations(MANY, 2 * MANY)  # all torrents are there then, and the client's number

    def allocations(
        self, count: int, first: int, client: int = 0, moved: int = 0, left: int = 0, event: int = 0
    ) -> int:
        """Announces peers of `count` accounts, and returns how often memory was allocated
        meanwhile.

        `first`: number of the first account. `client` tells the peers of an account apart.
        """
        self.rig.time.advance(60_000_000)
        self.handler.begin()
        name = b"nameless" if client == 9 else b"-XX0001-"
        for slot in range(count):
            address = ADDRESSES[slot]
            connection_id = int.from_bytes(self.ids.issue(address), "big")
            peer_id = b"%b%03d%09d" % (name, client, first + slot)
            port = 1 + first + client * 1000 + moved
            request = REQUEST.pack(
                connection_id, 1, b"tran", bytes([slot % 7]) * 20, peer_id, 0, left, 0, event, 0, 0, 50, port
            ) + self.options[first + slot]  # fmt: skip
            put(self.batch, slot, address, request)
        return answered(self.handler, self.batch, count)


def main() -> None:
    """Writes for each scenario what many announces allocate more than 4."""
    for mode in MODES:
        for name, (earlier, now) in SCENARIOS.items():
            front = Front(mode)
            for first, count in ((0, 4), (MANY, MANY)):
                for one in earlier:
                    front.allocations(count, first, **one)
            few, many = front.allocations(4, 0, **now), front.allocations(MANY, MANY, **now)
            sys.stdout.write(f"{mode}, {name}: {many - few}\n")


@pytest.mark.skipif(build.build() != "compiled", reason="the pure build makes objects")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_accounting_allocates_nothing(tmp_path: Path) -> None:
    """Many announces allocate as often as 4."""
    lines = output(__name__, tmp_path)
    assert len(lines) == len(MODES) * len(SCENARIOS)
    assert [line for line in lines if not line.endswith(": 0")] == []


if __name__ == "__main__":
    main()
