"""Lists the endpoints of version 2."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from attrs import evolve
from quart import request

from api.endpoint import under
from api.reads import Reads
from api.v2 import params, problems
from api.v2.about import About
from api.v2.accounts import Moves
from api.v2.announces import Announces
from api.v2.books import Books
from api.v2.cases import Cases
from api.v2.changes import Changes
from api.v2.clients import Clients
from api.v2.consumers import Consumers
from api.v2.credit import Accounts, Factors
from api.v2.event_counts import EventCounts
from api.v2.events import Events, Rejections, Stream
from api.v2.exports import Exports
from api.v2.freeleech import Freeleech
from api.v2.hit_and_run import HitAndRun
from api.v2.keys import Keys
from api.v2.ledgers import Ledgers
from api.v2.limits import Limits
from api.v2.looks import Looks
from api.v2.member import Member
from api.v2.names import by_name
from api.v2.outages import Outages
from api.v2.ready import ReadyLists
from api.v2.reruns import Reruns
from api.v2.sanctions import Sanctions
from api.v2.seeding import Seeding
from api.v2.series import Series
from api.v2.server_sent import Streams
from api.v2.settings import Settings
from api.v2.states import States
from api.v2.stays import Stays
from api.v2.swarms import Swarms
from api.v2.tokens import Tokens
from api.v2.torrents import Torrents
from api.v2.transitions import Transitions
from api.v2.webhooks import Hooks
from api.v2.whitelist import Whitelist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.auth import Tokens as Known
    from api.endpoint import Endpoint, Handler
    from api.ports import Ports
    from api.replies import Response


def version_2(ports: Ports, known: Known, described: Sequence[Endpoint]) -> list[Endpoint]:
    """Joins the rows of version 2. The API's description covers the rows in `described`; `known`
    has the configured tokens.
    """
    reads, commands = Reads(ports.live, ports.past), ports.commands
    looks, streams = Looks(commands), Streams()
    events, changes = Events(reads, ports.events, looks), Changes(ports.changes)
    rows = [
        *Keys(reads, commands, ports.announce_urls).endpoints(),
        *Whitelist(reads, commands).endpoints(),
        *Torrents(reads, commands, changes).endpoints(),
        *Factors(reads, commands).endpoints(),
        *Freeleech(reads, commands).endpoints(),
        *Accounts(reads, commands, ports.events, looks, changes).endpoints(),
        *Moves(reads, commands, ports.ledgers).endpoints(),
        *Member(reads, ports.ledgers, ports.events, looks).endpoints(),
        *Ledgers(ports.live, ports.ledgers).endpoints(),
        *Books(ports.live, ports.ledgers).endpoints(),
        *Exports(ports.live, looks).endpoints(),
        *ReadyLists(reads, ports.ledgers, ports.events).endpoints(),
        *Series(ports.live, ports.ledgers).endpoints(),
        *Seeding(reads).endpoints(),
        *HitAndRun(ports.live, ports.ledgers, commands).endpoints(),
        *Transitions(ports.live, ports.ledgers, streams).endpoints(),
        *Cases(ports.live, ports.ledgers, commands).endpoints(),
        *Sanctions(reads, commands).endpoints(),
        *Limits(reads, commands).endpoints(),
        *events.endpoints(),
        *EventCounts(ports.events).endpoints(),
        *Stream(events, streams).endpoints(),
        *Rejections(reads, ports.events).endpoints(),
        *Announces(reads, looks).endpoints(),
        *Stays(reads, looks).endpoints(),
        *Outages(reads).endpoints(),
        *States(reads, looks).endpoints(),
        *Swarms(reads, ports.events, looks).endpoints(),
        *Reruns(ports.reruns).endpoints(),
        *Hooks(ports.webhooks).endpoints(),
        *Consumers(ports.consumers).endpoints(),
        *Clients(reads).endpoints(),
        *Settings(reads, commands).endpoints(),
        *Tokens(ports.live, commands, known).endpoints(),
        *About(described).endpoints(),
    ]
    rows = [
        row if row.method == "GET" else evolve(row, handler=_without_parameters(row.handler))
        for row in under(problems.PREFIX, problems.DESCRIBED, rows)
    ]
    return [evolve(row, handler=by_name(row.handler, ports.live), by_name=True) for row in rows]


def _without_parameters(handler: Handler) -> Handler:
    """Refuses a query, because a change would otherwise ignore `at=` silently."""

    @wraps(handler)
    async def checked(**in_path: str) -> Response:
        params.only(request.args)
        return await handler(**in_path)

    return checked
