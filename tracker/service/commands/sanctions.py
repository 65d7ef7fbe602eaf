"""Imposes sanctions on accounts, torrents and networks, and lifts them."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_network

from tracker import ports
from tracker.domain.events.admin import (
    ClientRuleEnded,
    ClientRuleSet,
    HidingChanged,
    LeechOffChanged,
    NetworkBlocked,
    NetworkUnblocked,
    TorrentBlacklisted,
    TorrentUnblacklisted,
)
from tracker.domain.sanctions import KINDS
from tracker.service.commands import pending
from tracker.service.commands.checks import check_account
from tracker.service.commands.crediting import END_US
from tracker.service.commands.writing import Writing
from tracker.service.read_model import rule_seen

_EVENTS = {"leech_off": LeechOffChanged, "hidden": HidingChanged}
LEAST_PREFIX = {4: 8, 6: 16}
"""Shortest prefixes of blocks, in bits, by the version of IP. A slip must not block everybody."""
MOST_CLIENT_RULES = 100
"""Largest number of rules about clients, because each announce looks at all that are in force."""
_MAPPED = IPv6Network("::ffff:0:0/96")


class SanctionCommands(Writing):
    async def impose(self, what: str, account: int, until_us: int | None, by: ports.Actor) -> int:
        async with self._answer(pending.account(account)):
            self._check(by, until_us)
            self._check_account(account)
            self._need_room()
            return self._append(_EVENTS[what](account, True, until_us), by)

    async def lift(self, what: str, account: int, by: ports.Actor) -> int:
        async with self._answer(pending.account(account)):
            self._check(by)
            self._check_account(account)
            event = _EVENTS[what](account, False)
            if (account, event.flag) not in self._service.state.sanctions.accounts:
                raise ports.UnknownSanctionError(f"{KINDS[event.flag]} is not in force there")
            self._need_room()
            return self._append(event, by)

    async def blacklist(self, info_hash: bytes, public: bool, by: ports.Actor) -> int:
        async with self._answer(pending.torrent(info_hash)):
            self._check(by)
            self._need_room()
            return self._append(TorrentBlacklisted(info_hash, public), by)

    async def unblacklist(self, info_hash: bytes, by: ports.Actor) -> int:
        async with self._answer(pending.torrent(info_hash)):
            self._check(by)
            if info_hash not in self._service.state.sanctions.blacklist:
                raise ports.UnknownSanctionError("that torrent is not on the blacklist")
            self._need_room()
            return self._append(TorrentUnblacklisted(info_hash), by)

    async def block(self, network: str, until_us: int | None, public: bool, by: ports.Actor) -> int:
        async with self._answer():
            self._check(by, until_us)
            name = network_of(network)
            self._need_room()
            return self._append(NetworkBlocked(name, until_us, public), by)

    async def unblock(self, network: str, by: ports.Actor) -> int:
        async with self._answer(pending.network(network)):
            self._check(by)
            name = network_of(network)
            if name not in self._service.state.sanctions.networks.sanctions:
                raise ports.UnknownSanctionError(f"{name} is not blocked")
            self._need_room()
            return self._append(NetworkUnblocked(name), by)

    async def rule_client(self, terms: ports.ClientRuleTerms, by: ports.Actor) -> ports.ClientRule:
        sanctions, now = self._service.state.sanctions, self._service.date_us()
        async with self._answer():
            self._check(by)
            if problem := terms.problem():
                raise ports.InvalidSanctionError(problem)
            from_us = max(now, terms.from_us or 0)
            if from_us >= END_US:
                raise ports.InvalidSanctionError("it would begin after the year 9999")
            if len(sanctions.clients) >= MOST_CLIENT_RULES:
                text = f"there are {MOST_CLIENT_RULES} rules about clients already"
                raise ports.InvalidSanctionError(text)
            self._need_room()
            number = sanctions.next_client_rule
            self._append(
                ClientRuleSet(number, terms.client, terms.first, terms.last, from_us, terms.public),
                by,
            )
            return rule_seen(sanctions.clients[number])

    async def end_client_rule(self, number: int, by: ports.Actor) -> int:
        async with self._answer():
            self._check(by)
            if number not in self._service.state.sanctions.clients:
                raise ports.UnknownSanctionError(f"there is no rule {number} about a client")
            self._need_room()
            return self._append(ClientRuleEnded(number), by)

    def _check(self, by: ports.Actor, until_us: int | None = None) -> None:
        if not by.reason:
            raise ports.InvalidSanctionError("this needs a reason")
        if until_us is not None and not self._service.date_us() < until_us < END_US:
            raise ports.InvalidSanctionError("it would end in the past, or after the year 9999")

    def _check_account(self, account: int) -> None:
        check_account(self._service.state.access, account)


def network_of(text: str) -> str:
    """Returns a network as the log names it. Raises `InvalidSanctionError`."""
    try:
        found = ip_network(text)
    except ValueError as error:
        raise ports.InvalidSanctionError(
            f"expected a network such as 198.51.100.0/24: {error}"
        ) from None
    if found.prefixlen < LEAST_PREFIX[found.version]:
        raise ports.InvalidSanctionError(
            f"{found} is larger than /{LEAST_PREFIX[found.version]}, the largest network that can "
            "be blocked"
        )
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        raise ports.InvalidSanctionError("name the IPv4 network itself, without ::ffff:")
    return str(found)
