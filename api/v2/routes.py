"""What version 2 serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import request

from api import routing
from api.auth import READING
from api.reads import Reads
from api.v2 import about, params
from api.v2.credit import Accounts, Factors
from api.v2.events import Events, Rejections, Stream
from api.v2.keys import Keys
from api.v2.ledgers import Ledgers
from api.v2.problems import PREFIX
from api.v2.settings import Settings
from api.v2.whitelist import Whitelist

if TYPE_CHECKING:
    from quart import Blueprint

    from api.ports import Ports
    from api.routing import Route
    from tracker.ports import Journal


def blueprint(ports: Ports) -> Blueprint:
    """Without a journal, what reads the log is not there."""
    reads, commands, journal = Reads(ports.history, ports.past), ports.commands, ports.journal
    keys, whitelist = Keys(reads, commands), Whitelist(reads, commands)
    factors, accounts = Factors(reads, commands), Accounts(reads, commands)
    served = routing.blueprint(
        "v2",
        PREFIX,
        [
            *([] if journal is None else _of_the_log(reads, journal)),
            ("GET", "/openapi.json", about.openapi),
            ("GET", "/docs", about.docs),
            ("GET", "/settings", Settings(reads).told),
            ("GET", "/keys", keys.many),
            ("POST", "/keys", keys.issue),
            ("POST", "/keys/import", keys.import_many),
            ("GET", "/keys/<key_ref>", keys.one),
            ("PATCH", "/keys/<key_ref>", keys.change),
            ("DELETE", "/keys/<key_ref>", keys.revoke),
            ("POST", "/keys/<key_ref>/rotate", keys.rotate),
            ("GET", "/accounts/<account>", accounts.one),
            ("POST", "/accounts/<account>/corrections", accounts.correct),
            ("GET", "/accounts/<account>/torrents", accounts.present),
            ("GET", "/factors", factors.many),
            ("POST", "/factors", factors.set),
            ("GET", "/factors/<factor>", factors.one),
            ("DELETE", "/factors/<factor>", factors.end),
            ("GET", "/whitelist", whitelist.many),
            ("POST", "/whitelist", whitelist.add_many),
            ("GET", "/whitelist/<info_hash>", whitelist.one),
            ("PUT", "/whitelist/<info_hash>", whitelist.add),
            ("DELETE", "/whitelist/<info_hash>", whitelist.remove),
        ],
    )
    served.before_request(_refuse_parameters_of_changes)
    return served


async def _refuse_parameters_of_changes() -> None:
    """A change is told by path and body: `at=`, or whatever else the query has, would be passed over in silence."""
    if request.method not in READING:
        params.only(request.args)


def _of_the_log(reads: Reads, journal: Journal) -> list[Route]:
    events, rejections = Events(reads, journal), Rejections(reads, journal)
    ledgers = Ledgers(reads.history, journal)
    return [
        ("GET", "/events", events.many),
        ("GET", "/events/stream", Stream(events).follow),
        ("GET", "/rejections", rejections.reasons),
        ("GET", "/rejections/clients", rejections.clients),
        ("GET", "/rejections/keys", rejections.keys),
        ("GET", "/accounts/<account>/ledger", ledgers.entries),
        ("GET", "/accounts/<account>/totals", ledgers.of_account),
        ("GET", "/torrents/<info_hash>/totals", ledgers.of_torrent),
    ]
