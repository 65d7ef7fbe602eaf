"""Tests that the command and the API call under a page ask what the page asks, as they stand."""

from __future__ import annotations

import html
import re

import pytest

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import WHEN

HASH = "01" * 20
BEGIN = " --from 1970-01-01T00:00:00.000000Z --to 1970-01-01T00:00:00.000000Z"
AT = "1970-01-01T00%3A00%3A00.000000Z"
ACCOUNT = {"account": 7, "owner": "anna"}
ROWS = [
    ("/log?from=2026-11-30+20:15", "tracker events --from '2026-11-30 20:15'",
     "GET /api/v2/events?from=2026-11-30T20%3A15%3A00.000000Z"),
    ("/log?before=50&account=owner:anna", "tracker events --account anna --last 100 --to 49",
     "GET /api/v2/events?account=owner%3Aanna&last=100&before=50"),
    ("/log?after=50&type=tick", "tracker events --type tick --from 51",
     "GET /api/v2/events?type=tick&after=50"),
    ("/log?account=-rf", "tracker events --account=-rf --last 100 --follow",
     "GET /api/v2/events/stream?account=-rf"),
    ("/log/kinds?from=2026-11-30&until=2026-12-01",
     "tracker events --count --from 2026-11-30T00:00:00.000000Z --to 2026-11-30T23:59:59.999999Z --step 7200",
     "GET /api/v2/events/counts?from=2026-11-30T00%3A00%3A00.000000Z&to=2026-11-30T23%3A59%3A59.999999Z&step=7200"),
    ("/today/rates?hours=1&until=2026-11-30",
     ("tracker events --count --from 2026-11-29T23:00:00.000000Z --to 2026-11-29T23:59:59.999999Z --step 120; "
     "tracker events --type counted --from 2026-11-29T23:00:00.000000Z --to 2026-11-29T23:59:59.999999Z"),
     "GET /api/v2/events/counts?from=2026-11-29T23%3A00%3A00.000000Z&to=2026-11-29T23%3A59%3A59.999999Z&step=120"),
    ("/hit-and-run?at=2026-11-30", "tracker hit-and-run list --at 2026-11-30",
     "GET /api/v2/hit-and-run?at=2026-11-30T00%3A00%3A00.000000Z"),
    ("/hit-and-run/pardon?account=7", "tracker hit-and-run pardon --preview --reason preview --account 7",
     'POST /api/v2/hit-and-run/pardons {"account": 7, "preview": true}'),
    ("/stays?peer_id=-qB4630-x&account=owner:O'Brien", "tracker stays --peer-id=-qB4630- --account 'O'\"'\"'Brien'" + BEGIN,
     f"GET /api/v2/stays?peer_id=-qB4630-&account=owner%3AO%27Brien&from={AT}&to={AT}"),
    ("/events/3", "tracker events --from 3 --to 3; tracker explain 3", "GET /api/v2/announces/3/explain"),
    ("/events/4", "tracker events --from 4 --to 4", "GET /api/v2/events?from=4&to=4"),
    (f"/members/7/ledger?info_hash={HASH}", f"tracker ledger anna {HASH}",
     f"GET /api/v2/accounts/7/ledger?info_hash={HASH}"),
    ("/members/7/hit-and-run?state=void", "tracker hit-and-run list 7 --state void",
     "GET /api/v2/accounts/7/hit-and-run?state=void"),
    ("/members/7/torrents?sort=uploaded", "tracker ledger --torrents anna",
     "GET /api/v2/accounts/7/torrents?sort=uploaded"),
    (f"/torrents/{HASH}/snatches", f"tracker torrent members {HASH} --snatched",
     f"GET /api/v2/torrents/{HASH}/accounts?min_snatched=1&sort=-last_seen"),
    (f"/torrents/{HASH}/snatches?who=all&sort=-uploaded", f"tracker torrent members {HASH}",
     f"GET /api/v2/torrents/{HASH}/accounts?sort=-uploaded"),
    (f"/torrents/{HASH}/time?span=all", f"tracker stays --info-hash {HASH}{BEGIN}",
     f"GET /api/v2/stays?info_hash={HASH}&from={AT}&to={AT}"),
    ("/bulk?what=revoke", "tracker key revoke @FILE", "DELETE /api/v2/keys/{key_ref}"),
    ("/changes?type=key_issued&before=9", "tracker events --type key_issued --to 8 --last 100",
     "GET /api/v2/events?type=key_issued&last=100&before=9"),
    ("/keys?search=an+na&state=revoked&sort=owner", "tracker key list --search 'an na' --state revoked --sort owner",
     "GET /api/v2/keys?sort=owner&search=an+na&state=revoked"),
    ("/whitelist?sort=-seeders", "tracker whitelist list --sort seeders --down",
     "GET /api/v2/torrents?whitelisted=true&sort=-seeders"),
    (f"/torrents/{HASH}/handed?account=owner:anna&from=9", "tracker received anna --from 9",
     "GET /api/v2/accounts/owner%3Aanna/received?from=9"),
    ("/cases?account=owner:anna&grade=lead", "tracker cases list anna --grade lead",
     "GET /api/v2/cases?grade=lead&account=owner%3Aanna"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "command", "call"), ROWS, ids=[row[0] for row in ROWS])
async def test_what_stands_under_a_page(path: str, command: str, call: str) -> None:
    torrent = {"info_hash": HASH, "label": None}
    cases = {"cases": [], "next": None, "seq": 1}
    answers = {
        "/api/v2/cases": cases,
        f"/api/v2/torrents/{HASH}": torrent,
        "/api/v2/accounts/7": ACCOUNT,
        "/api/v2/accounts/owner%3Aanna": ACCOUNT,
    }
    if "/events/" in path:
        kind = "announce_refused" if path.endswith("3") else "tick"
        answers["/api/v2/events"] = {
            "events": [{"seq": int(path[-1]), "type": kind, "time": WHEN}],
            "end": 9,
        }
    browser = Browser(FakeApi(answers))
    await browser.sign_in()
    source = (await browser.text(path)).partition('<aside class="source"')[2]
    assert [html.unescape(one) for one in re.findall("<code>(.*?)</code>", source)] == [
        command,
        call,
    ]
