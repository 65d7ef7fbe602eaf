"""Finds accounts that announce from one address at the same time, because one person has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.domain.detecting.declared import NetworkSet
from tracker.domain.detecting.intervals import CASE, LEAD, Detector, Finding
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class AddressParameters:
    pause_seconds: int = 5400
    """An account is at an address until this time passes without an announce from there."""
    crowd_accounts: int = 6
    """An address with more accounts than this within a day is a shared network: left out."""
    usual_members: int = 5
    """A port that so many members use is one that clients come with, and shows nothing."""
    learn_days: int = 2
    """Days of the log before which no port shows anything, because usual ones are not known."""
    again_days: int = 30
    """Days until the same two accounts are found again."""
    shared: tuple[str, ...] = ()
    """Networks that many people share, such as those of a VPN: left out."""


MOST_NAMES = 65_536
"""The most hidden names that are held, about 150 bytes each; then they are made anew."""


Hide = Callable[[int, bytes], bytes | None]
"""Returns a hash of an address under a secret of a day (number since 1970-01-01), which goes with
the key of the day; None = it is not there.
"""


class _Stay:
    """An account at an address, without a pause."""

    __slots__ = ("account", "begin_us", "client", "key", "last_us", "port", "seq")

    def __init__(self, account: int, time_us: int) -> None:
        self.account, self.begin_us = account, time_us
        self.last_us = self.seq = self.port = self.client = 0
        self.key: int | None = None


class SharedAddress(Detector):
    """Compares the accounts at each address; the same port or `key=` says they are one client."""

    name = "shared_address"
    version = 1
    kept = ("_stays", "_ports", "_found", "_day", "_learnt_us")
    holds: tuple[Any, ...] = (_Stay,)

    def __init__(
        self,
        parameters: AddressParameters | None = None,
        hide: Hide = lambda _day, address: address,
    ) -> None:
        self.parameters, self._hide = parameters or AddressParameters(), hide
        self._pause_us = self.parameters.pause_seconds * 1_000_000
        self._shared = NetworkSet(self.parameters.shared)
        self._stays: dict[bytes, dict[int, _Stay]] = {}  # by hidden address and account
        # By port a bit for each member, its number modulo 64, of this time and of the one before.
        self._ports: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._found: dict[tuple[int, int], tuple[int, int]] = {}  # grade and time, by accounts
        # Hidden names of addresses, for a day, because hashing takes a microsecond.
        self._names: dict[bytes, bytes] = {}
        self._named_day = 0
        self._day = 0
        self._learnt_us = 0  # when usual ports are known; 0 = nothing was heard

    def heard(self, interval: Interval) -> Iterable[Finding]:
        address, account = interval.address, interval.account
        if not address or interval.gone or not account:
            return ()
        stays = self._at(address, interval.time_us // DAY_US)
        if stays is None:
            return ()
        stay = stays.get(account)
        if stay is None:
            stay = stays[account] = _Stay(account, interval.time_us)
        if interval.time_us - stay.last_us > self._pause_us:
            stay.begin_us = interval.time_us
        if interval.port != stay.port:
            self._uses(interval.port, account)
        stay.last_us, stay.seq, stay.port = interval.time_us, interval.seq, interval.port
        stay.key, stay.client = interval.key, interval.client
        if 1 < len(stays) <= self.parameters.crowd_accounts:
            return self._compare(stays.values(), stay, interval)
        return ()

    def _at(self, address: bytes, day: int) -> dict[int, _Stay] | None:
        """Returns the stays at an address. Those of the day before come under the new day's hash;
        older ones are forgotten. None = it is shared, or cannot be hidden.
        """
        if day != self._named_day:
            self._named_day, self._names = day, {}
        name = self._names.get(address)
        if name is None:
            name = self._hide(day, address)
            if name is None:
                return None
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            self._names[address] = name
        stays = self._stays.get(name)
        if stays is None:
            if self._shared.has(address):
                return None
            before = self._hide(day - 1, address)
            stays = self._stays[name] = self._stays.pop(before, {}) if before else {}
        return stays

    def ticked(self, time_us: int) -> Iterable[Finding]:
        if not self._learnt_us:
            self._learnt_us = time_us + self.parameters.learn_days * DAY_US
        day = time_us // DAY_US
        if day != self._day:
            self._day = day
            self._forget(time_us)
            if day % self.parameters.again_days == 0:
                self._ports = ({}, self._ports[0])
        return ()

    def _uses(self, port: int, account: int) -> None:
        """Notes that a member uses a port, and not who it is, because nothing shreds that."""
        ports = self._ports[0]
        ports[port] = ports.get(port, 0) | 1 << (account & 63)

    def _usual(self, port: int) -> bool:
        most = self.parameters.usual_members
        return any(ports.get(port, 0).bit_count() >= most for ports in self._ports)

    def _compare(self, stays: Iterable[_Stay], one: _Stay, interval: Interval) -> Iterable[Finding]:
        found: list[Finding] = []
        since_us = interval.time_us - self.parameters.pause_seconds * 1_000_000
        for other in stays:
            # Each must have come before the other's latest announce; else one followed the other.
            together = max(one.begin_us, other.begin_us) < min(one.last_us, other.last_us)
            if other is one or not together or other.last_us < since_us:
                continue
            port = one.port == other.port != 0 and interval.time_us >= self._learnt_us > 0
            port = port and not self._usual(one.port)
            key = one.key == other.key is not None
            same = one.client == other.client and (port or key)
            found += self._find(one, other, CASE if same else LEAD, port, key)
        return found

    def _find(
        self, one: _Stay, other: _Stay, grade: int, port: bool, key: bool
    ) -> Iterable[Finding]:
        pair = min(one.account, other.account), max(one.account, other.account)
        before, before_us = self._found.get(pair, (0, 0))
        if before >= grade and one.last_us - before_us < self.parameters.again_days * DAY_US:
            return
        self._found[pair] = grade, one.last_us
        for stay, opposite in ((one, other), (other, one)):
            facts = {
                "other_account": opposite.account,
                "same_port": int(port),
                "same_key": int(key),
            }
            yield Finding(
                self.name, grade, stay.account, None, max(one.begin_us, other.begin_us),
                one.last_us, 2, "accounts", tuple(sorted((one.seq, other.seq))), facts,
            )  # fmt: skip

    def _forget(self, time_us: int) -> None:
        for address, stays in list(self._stays.items()):
            kept = {who: stay for who, stay in stays.items() if stay.last_us > time_us - DAY_US}
            if kept:
                self._stays[address] = kept
            else:
                del self._stays[address]
        since_us = time_us - self.parameters.again_days * DAY_US
        self._found = {pair: last for pair, last in self._found.items() if last[1] > since_us}
