"""Holds what staff imposed: leech off and hiding for accounts, blacklisted torrents, blocked
networks, and clients that are refused.

A sanction stands until an event lifts it, or until its end: the first tick from that date on. So
replay agrees with the live tracker.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEECH_OFF = 1
"""The account gets no peers while something is left, and such peers of it are in no reply."""
HIDDEN = 2
"""No peer of the account is in a reply."""
KINDS = {LEECH_OFF: "leech_off", HIDDEN: "hidden"}
"""The kinds for accounts by their flags, and their names."""

NEVER = 1 << 63
"""The end of what ends by an event only, as a date."""


class Sanction(NamedTuple):
    """Why, since when and until when something stands."""

    seq: int  # the event that imposed it
    since_us: int  # date of that event
    until_us: int | None  # ends with the first tick from this date on; None = by an event only
    by: str  # label of the author's access token; "" = not known
    reason: str
    public: bool = False  # clients that are refused by it get the reason

    @classmethod
    def of(
        cls, seq: int, since_us: int, by: dict[str, str] | None, until_us: int | None, public: bool
    ) -> Sanction:
        """Takes author and reason from the `by` of an event."""
        author = by or {}
        return cls(
            seq, since_us, until_us, author.get("token", ""), author.get("reason", ""), public
        )

    @property
    def end_us(self) -> int:
        return NEVER if self.until_us is None else self.until_us


class ClientRule(NamedTuple):
    """Versions of a client that are refused from a date on."""

    number: int
    client: str  # the beginning of its peer_ids, such as -qB
    first: str  # versions, the characters behind it, in the order of ASCII; "" = all
    last: str
    from_us: int  # refused from the first tick from this date on
    in_force: bool
    sanction: Sanction

    def is_of(self, peer_id: bytes) -> bool:
        """Tells whether a peer_id is of these versions."""
        size = len(self.client)
        if peer_id[:size] != self.client.encode():
            return False
        version = peer_id[size : size + len(self.first)]
        return self.first.encode() <= version <= self.last.encode()

    def text(self) -> str:
        """Names the versions for the members who use them."""
        return (
            f"{self.client}{self.first} to {self.client}{self.last}" if self.first else self.client
        )


class Networks:
    """A set of networks, to find the one of an address: one look for each length of prefix."""

    __slots__ = ("_lengths", "sanctions")

    def __init__(self) -> None:
        self.sanctions: dict[str, Sanction] = {}  # by network, such as 198.51.100.0/24
        # By bytes of an address and bits behind the prefix: the networks by their prefix.
        self._lengths: dict[int, dict[int, dict[int, str]]] = {4: {}, 16: {}}

    def add(self, network: str, sanction: Sanction) -> None:
        """Adds a network, or gives it another sanction. Raises `ValueError` for other texts."""
        size, behind, prefix = _parts(network)
        self.sanctions[network] = sanction
        self._lengths[size].setdefault(behind, {})[prefix] = network

    def remove(self, network: str) -> None:
        """Removes a network that is there. Raises `KeyError` for others."""
        del self.sanctions[network]
        size, behind, prefix = _parts(network)
        del self._lengths[size][behind][prefix]
        if not self._lengths[size][behind]:
            del self._lengths[size][behind]

    def find(self, address: bytes) -> Sanction | None:
        """Returns the sanction of a network with this address, 4 or 16 bytes; None = of none."""
        number = int.from_bytes(address, "big")
        for behind, networks in self._lengths[len(address)].items():
            network = networks.get(number >> behind)
            if network is not None:
                return self.sanctions[network]
        return None


def _parts(network: str) -> tuple[int, int, int]:
    """Returns the bytes of an address, the bits behind the prefix, and the prefix as a number."""
    found = ip_network(network)
    if str(found) != network:
        raise ValueError(f"{network} is not written as {found}")
    size, behind = len(found.network_address.packed), found.max_prefixlen - found.prefixlen
    return size, behind, int(found.network_address) >> behind


class Sanctions:
    """The sanctions in force. Only applying events changes them.

    `flags` has the kinds of each account in one byte. It is as long as the highest account with a
    sanction needs. It and `names` are always the same objects, because the announce path holds
    them.
    """

    __slots__ = (
        "accounts",
        "blacklist",
        "clients",
        "flags",
        "names",
        "networks",
        "next_client_rule",
        "next_end_us",
        "refused",
        "warned",
    )

    def __init__(self) -> None:
        self.flags = bytearray()
        self.accounts: dict[tuple[int, int], Sanction] = {}  # by account and flag
        self.blacklist: dict[bytes, Sanction] = {}  # by info hash
        self.names = Names()  # the same torrents
        self.networks = Networks()
        self.clients: dict[int, ClientRule] = {}  # by number
        self.next_client_rule = 1
        # Those of them that refuse, and those that will and warn until then.
        self.refused: tuple[ClientRule, ...] = ()
        self.warned: tuple[ClientRule, ...] = ()
        self.next_end_us = NEVER  # date of the earliest end, or when a client is first refused

    def flags_of(self, account: int) -> int:
        return self.flags[account] if account < len(self.flags) else 0

    def impose(self, account: int, flag: int, sanction: Sanction | None) -> None:
        """Imposes a sanction on an account in place of an earlier one; None = lifts it."""
        if sanction is None:
            self.accounts.pop((account, flag), None)
        else:
            self.accounts[account, flag] = sanction
        self._flag(account)
        self._find_end()

    def ban(self, info_hash: bytes, sanction: Sanction | None) -> None:
        """Blacklists a torrent, or gives it another sanction; None = takes it off the blacklist."""
        if sanction is not None:
            if info_hash not in self.blacklist:
                self.names.add(info_hash)
            self.blacklist[info_hash] = sanction
        elif self.blacklist.pop(info_hash, None) is not None:
            self.names.remove(info_hash)

    def block(self, network: str, sanction: Sanction | None) -> None:
        """Blocks a network, or gives it another sanction; None = unblocks it.

        Raises `ValueError` for what is no network.
        """
        if sanction is not None:
            self.networks.add(network, sanction)
        elif network in self.networks.sanctions:
            self.networks.remove(network)
        self._find_end()

    def rule_client(self, rule: ClientRule) -> None:
        """Adds a rule about a client, whose number is `next_client_rule`."""
        self.next_client_rule = rule.number + 1
        self.clients[rule.number] = rule
        self._sort_clients()

    def end_client_rule(self, number: int) -> None:
        """Removes a rule about a client. Raises `KeyError` if it is not there."""
        del self.clients[number]
        self._sort_clients()

    def _sort_clients(self) -> None:
        self.refused = tuple(one for one in self.clients.values() if one.in_force)
        self.warned = tuple(one for one in self.clients.values() if not one.in_force)
        self._find_end()

    def refusing(self, peer_id: bytes) -> ClientRule | None:
        """Returns the rule that refuses the client with this peer_id; None = none does."""
        return next((one for one in self.refused if one.is_of(peer_id)), None)

    def warning(self, peer_id: bytes) -> ClientRule | None:
        """Returns the rule that will refuse the client with this peer_id; None = none will."""
        return next((one for one in self.warned if one.is_of(peer_id)), None)

    def bars(self) -> bool:
        """Tells whether any torrent, network or client is refused."""
        return bool(self.blacklist or self.networks.sanctions or self.refused)

    def expire(self, date_us: int) -> Iterable[int]:
        """Ends what is over by a date. Returns the accounts concerned."""
        if date_us < self.next_end_us:
            return ()
        for network, one in [*self.networks.sanctions.items()]:
            if one.end_us <= date_us:
                self.networks.remove(network)
        for rule in self.warned:
            if rule.from_us <= date_us:
                self.clients[rule.number] = rule._replace(in_force=True)
        self._sort_clients()
        over = [key for key, one in self.accounts.items() if one.end_us <= date_us]
        for key in over:
            del self.accounts[key]
        accounts = sorted({account for account, _ in over})
        for account in accounts:
            self._flag(account)
        self._find_end()
        return accounts

    def _flag(self, account: int) -> None:
        flags = sum(flag for flag in KINDS if (account, flag) in self.accounts)
        if flags and account >= len(self.flags):
            self.flags.extend(bytes(account + 1 - len(self.flags)))
        if account < len(self.flags):
            self.flags[account] = flags

    def _find_end(self) -> None:
        some = *self.accounts.values(), *self.networks.sanctions.values()
        ends = [one.end_us for one in some] + [one.from_us for one in self.warned]
        self.next_end_us = min(ends, default=NEVER)

    def as_data(self) -> dict[str, Any]:
        """Returns all of it for JSON; {} = there is nothing."""
        every = {
            "accounts": [[*key, *one] for key, one in sorted(self.accounts.items())],
            "blacklist": [[key.hex(), *one] for key, one in sorted(self.blacklist.items())],
            "client_rules": [[*one[:-1], *one.sanction] for one in self.clients.values()],
            "next_client_rule": self.next_client_rule if self.next_client_rule > 1 else None,
            "blocks": [[key, *one] for key, one in sorted(self.networks.sanctions.items())],
        }
        return {name: rows for name, rows in every.items() if rows}

    def set_data(self, data: dict[str, Any]) -> None:
        """Makes an empty object from `as_data`. Raises `TypeError` or `ValueError` for others."""
        for account, flag, *rest in data.get("accounts", ()):
            if not (_is_number(account) and account < 1 << 32 and flag in KINDS):
                raise ValueError("a sanction of no account")
            self.accounts[account, flag] = _read(rest)
            self._flag(account)
        for name, *rest in data.get("blacklist", ()):
            self.ban(bytes.fromhex(name), _read(rest))
        for network, *rest in data.get("blocks", ()):
            self.networks.add(network, _read(rest))
        for number, client, first, last, from_us, in_force, *rest in data.get("client_rules", ()):
            rule = ClientRule(number, client, first, last, from_us, in_force, _read(rest))
            texts = all(type(each) is str for each in (client, first, last))
            if not (texts and _is_number(number) and _is_number(from_us)) or in_force not in (
                True,
                False,
            ):
                raise ValueError("something else stands in the place of a rule about a client")
            self.rule_client(rule)
        self.next_client_rule = data.get("next_client_rule", 1)
        if not _is_number(self.next_client_rule):
            raise ValueError("a rule about a client has no number")
        self._find_end()

    def numbers(self) -> Iterator[int]:
        """Yields the accounts with a sanction, ascending."""
        yield from sorted({account for account, _ in self.accounts})


def _read(row: list[Any]) -> Sanction:
    one = Sanction(*row)
    numbers = one.seq, one.since_us, one.until_us or 0
    texts = type(one.by) is str and type(one.reason) is str and type(one.public) is bool
    if not (texts and all(map(_is_number, numbers))):
        raise ValueError("something else stands in the place of a sanction")
    return one


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63
