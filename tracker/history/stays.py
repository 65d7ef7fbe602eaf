"""Looks up in the index of stays who was there, for the API, and shows stays as JSON values.

It shows no addresses, but their networks and pseudonyms. With the keys it finds an address.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from tracker.domain.clients import shown_text
from tracker.history import pseudonyms
from tracker.ports import InvalidPartError, Moment, StaysPage
from tracker.store import stay_files
from tracker.store.address_keys import day_name
from tracker.store.stay_files import Sought, Stays, packed_network
from tracker.times import rfc3339

if TYPE_CHECKING:
    from tracker.domain.clients import Clients
    from tracker.ports import StaysQuery
    from tracker.store.moments import ForwardReplay
    from tracker.store.stay_files import Stay


def page(log: ForwardReplay, query: StaysQuery, limit: int) -> StaysPage:
    """Returns a page of stays.

    Raises `StaysError` where there is no usable index, `InvalidNetworkError`, `InvalidPartError`
    for a part that ends before it begins, `NoMomentError`, and what reading the log raises.
    """
    begin, end = query.between
    to = log.resolve(end)
    after = log.resolve(begin) if begin != Moment() else -1
    if to < after:
        raise InvalidPartError("to: it is before `from`")
    stays = Stays(log.folder, stay_files.read_list(log.folder), log.keys, log.folder)
    clients = stays.listed.clients
    network, v6 = packed_network(query.network) if query.network else (None, False)
    sought = Sought(
        address=query.address, network=network, network_v6=v6, prefix=query.peer_id, key_ref=query.key_ref,
        account=query.account, info_hash=query.info_hash, listener=query.listener,
        clients=numbers(clients, query.client, query.user_agent),
    )  # fmt: skip
    found = list(islice(stays.find(sought, after, to, query.row), limit + 1))
    following = found[limit].row if len(found) > limit else None
    shown = [as_json(stay, clients) for stay in found[:limit]]
    unread = [day_name(day) for day in sorted(stays.unknown_days)]
    named = query.address or network
    name = pseudonyms.today(log, named) if named else None
    return StaysPage(shown, following, stays.listed.upto, unread, name)


def numbers(clients: Clients, client: str | None, user_agent: str | None) -> set[int] | None:
    """Returns the numbers of clients whose texts begin so; None = all are meant.

    The dash with which most peer_ids begin may be left out.
    """
    if client is None and user_agent is None:
        return None
    found = set()
    for number in range(1, len(clients.pairs) + 1):
        prefix, agent = clients.shown(number)
        begins = prefix.lstrip("-").startswith((client or "").lstrip("-"))
        if begins and agent.startswith(user_agent or ""):
            found.add(number)
    return found


def as_json(stay: Stay, clients: Clients) -> dict[str, Any]:
    """Returns a stay as the members of a JSON object."""
    prefix, agent = clients.shown(stay.client) if stay.client else ("", "")
    return {
        "info_hash": stay.info_hash.hex(),
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
