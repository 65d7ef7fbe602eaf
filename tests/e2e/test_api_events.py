"""Tests the log in version 2 of the API: pages, filters, stream, refusals, ledgers, settings."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest

from tests.e2e.clients import (
    all_pages,
    announce_datagram,
    announce_target,
    ask,
    exchange,
    get,
    peer_id,
    server_sent,
    torrent,
    udp_client,
)
from tests.e2e.process import DEADLINE, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = {1: "A" * 32, 2: "B" * 32, 3: "C" * 32}
BY_THEMSELVES = ("tick", "counted", "refusals_counted")


@pytest.fixture(scope="module")
def site(private_site: Callable[..., Tracker]) -> Tracker:
    """A private tracker with three keys, two of one owner, and some announces."""
    tracker = private_site({KEYS[1]: "anna", KEYS[2]: "bert", KEYS[3]: "anna"})
    for number in range(20):
        announce_by(tracker, 1 + number % 3, number % 5, uploaded=100 * number)
    assert ask(tracker, "DELETE", "/api/v2/keys/2").status == 204
    announce_by(tracker, 2, 1)
    tracker.events_until(bool, "--type", "announce_refused")
    return tracker


def announce_by(tracker: Tracker, key: int, number: int, **fields: int | str) -> None:
    target = announce_target(torrent(number + 1), key, 6000 + key, left=1, **fields)
    get(tracker.http[0], target.replace("announce", f"announce/{KEYS[key]}", 1))


def pages(tracker: Tracker, query: str, limit: int) -> list[dict[str, Any]]:
    """Returns all events, page by page, without pseudonyms."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = ask(tracker, "GET", f"/api/v2/events?limit={limit}{after}{query}")
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert len(answer.json["events"]) <= limit
        for event in answer.json["events"]:
            assert event.pop("pseudonym", "") is not None
            found.append(event)
        if answer.json["next"] is None:
            return found
        after = f"&after={answer.json['next']}"


def settled(tracker: Tracker) -> list[dict[str, Any]]:
    """Returns the events of `tracker events --names` without ticks and counters, which may come at
    any time, and without addresses, which the API does not show.
    """
    found = [one for one in tracker.events("--names") if one["type"] not in BY_THEMSELVES]
    return [one | {"address": None} if one["type"] == "announced" else one for one in found]


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", lambda _: True),
        ("&type=key_issued", lambda one: one["type"] == "key_issued"),
        (
            "&type=announced&type=key_revoked",
            lambda one: one["type"] in ("announced", "key_revoked"),
        ),
        (f"&info_hash={torrent(2).hex()}", lambda one: one.get("info_hash") == torrent(2).hex()),
        ("&key_ref=3", lambda one: one.get("key_ref") == 3),
        ("&account=1&type=announced", lambda one: one.get("key_ref") in (1, 3)),
        ("&account=1&type=key_issued", lambda one: one.get("account") == 1),
        ("&key_ref=4294967295", lambda _: False),
        ("&from=5&to=9", lambda one: 5 <= one["seq"] <= 9),
        ("&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z", lambda _: False),
        ("&from=2020-01-01T00:00:00Z", lambda _: True),
        ("&to=2099-01-01T00:00:00Z&key_ref=1", lambda one: one.get("key_ref") == 1),
    ],
)
def test_pages(site: Tracker, query: str, wanted: Any, limit: int) -> None:
    """The API gives the events that `tracker events` prints, filtered, at any page size."""
    types = query.count("&type=")
    kinds = [part.partition("=")[2] for part in query.split("&") if part.startswith("type=")]
    expected = [one for one in settled(site) if wanted(one) and (not types or one["type"] in kinds)]
    found = [one for one in pages(site, query, limit) if one["type"] not in BY_THEMSELVES]
    assert found == expected


def test_a_change_is_readable_at_once(new_tracker: Any) -> None:
    """A read after a change includes it: events up to `end`, ledgers, and `at=` of the change."""
    tracker = new_tracker().start()
    assert ask(tracker, "POST", "/api/v2/keys", {"owner": "anna"}).status == 201
    factor = ask(tracker, "POST", "/api/v2/factors", {"upload_percent": 100}).json
    ledger = "/api/v2/accounts/1/ledger?limit=100"
    ask(tracker, "GET", ledger)  # starts the process that reads ledgers
    ask(tracker, "GET", "/api/v2/keys?at=0")  # starts the process that reads the past
    first = 0
    for number in range(3):
        form = {"uploaded": 1, "corrects": factor["seq"]}
        why = {"X-Reason": "a test"}
        answer = ask(tracker, "POST", "/api/v2/accounts/1/corrections", form, **why)
        seq = answer.json["seq"]
        events, page = all_pages(tracker, f"/api/v2/events?from={first}", "events")
        assert seq in [one["seq"] for one in events]
        assert events[-1]["seq"] == page["end"] - 1
        first = page["end"]
        answer = ask(tracker, "POST", "/api/v2/accounts/1/corrections", form, **why)
        assert len(all_pages(tracker, ledger, "entries")[0]) == 3 * number + 2
        answer = ask(tracker, "POST", "/api/v2/accounts/1/corrections", form, **why)
        seq = answer.json["seq"]
        assert ask(tracker, "GET", f"/api/v2/accounts/1?at={seq}").status == 200


def test_by_time(site: Tracker) -> None:
    """Both ends of a time range are included, to the microsecond."""
    every = settled(site)
    first, last = every[3], every[-3]
    found = pages(site, f"&from={first['time']}&to={last['time']}", 1000)
    listed = [one for one in found if one["type"] not in BY_THEMSELVES]
    assert listed == [one for one in every if first["time"] <= one["time"] <= last["time"]]


@pytest.mark.parametrize(
    "query",
    ["type=nothing", "from=yesterday", "to=-1", "limit=0", "after=x", "info_hash=1", "colour=red",
     "key_ref=4294967296", "from=1&from=2", "after=9223372036854775808"],
)  # fmt: skip
def test_bad_queries(site: Tracker, query: str) -> None:
    """An invalid parameter gets status 400 and a detail that begins with its name."""
    answer = ask(site, "GET", f"/api/v2/events?{query}")
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert answer.json["detail"].startswith(query.partition("=")[0])


def stream(tracker: Tracker, query: str, **headers: str) -> Iterator[dict[str, str]]:
    return server_sent(tracker, f"/api/v2/events/stream?{query}", **headers)


def test_stream(site: Tracker) -> None:
    """The stream sends events once they are durable; a reconnect with the last id misses none."""
    before = [one for one in settled(site) if one["type"] == "torrent_whitelisted"]
    assert before == []
    hashes = [torrent(0x80 + number).hex() for number in range(4)]
    end = ask(site, "GET", "/api/v2/events?limit=1").json["end"]
    with closing(stream(site, f"type=torrent_whitelisted&after={end - 1}")) as first:
        for info_hash in hashes[:2]:
            assert ask(site, "PUT", f"/api/v2/whitelist/{info_hash}").status == 201
        received = [next(first), next(first)]
    assert ask(site, "PUT", f"/api/v2/whitelist/{hashes[2]}").status == 201
    with closing(
        stream(site, "type=torrent_whitelisted", last_event_id=received[-1]["id"])
    ) as again:
        received.append(next(again))
        assert ask(site, "PUT", f"/api/v2/whitelist/{hashes[3]}").status == 201
        received.append(next(again))
    events = [json.loads(one["data"]) for one in received]
    assert [one["info_hash"] for one in events] == hashes
    assert [(one["id"], one["event"]) for one in received] == [
        (str(event["seq"]), "torrent_whitelisted") for event in events
    ]
    assert ask(site, "HEAD", "/api/v2/events/stream").status == 200


def test_rejections(site: Tracker) -> None:
    """Refusals are counted by reason, by client and by key."""
    reasons = ask(site, "GET", "/api/v2/rejections").json["reasons"]
    assert reasons["key_revoked"] >= 1
    clients = ask(site, "GET", "/api/v2/rejections/clients").json["clients"]
    (one,) = [each for each in clients if each["reason"] == "key_revoked"]
    assert (one["client"], one["version"], one["times"]) == ("Other", None, reasons["key_revoked"])
    ((one,), _) = all_pages(site, "/api/v2/rejections/keys?from=0", "keys")
    assert (one["key_ref"], one["reason"], one["times"]) == (2, "key_revoked", 1)
    assert all_pages(site, "/api/v2/rejections/keys?key_ref=1", "keys")[0] == []


def test_rejections_by_client(new_tracker: Any) -> None:
    """Refusals are counted by client over both protocols, after a restart and at any moment."""
    tracker = new_tracker(
        extra='[policy]\nclients_denied = ["-qB"]\nrefused_ports = ["7777"]'
    ).start()
    named = announce_target(torrent(1), 1, 6001, left=1).replace(
        quote_from_bytes(peer_id(1)), "-qB4650-abcdefghijkl"
    )
    get(tracker.http[0], named)
    moment = next(e for e in tracker.events_until(_has_refusals) if e["type"] == "refusals_counted")
    get(tracker.http[0], named.replace("-qB", "-TR"))  # served
    get(tracker.http[0], "/announce?port=1")
    get(tracker.http[0], announce_target(torrent(1), 1, 7777, left=1))
    with udp_client(tracker.udp[0]) as client:
        datagram = announce_datagram(client.connection_id, torrent(1), 1, 6001)
        client.exchange(datagram.replace(peer_id(1), b"-qB4650-abcdefghijkl"))
        client.exchange(datagram.replace(client.connection_id, bytes(8), 1))
    expected = [
        {"client": None, "version": None, "reason": "malformed", "times": 1},
        {"client": "Other", "version": None, "reason": "malformed", "times": 1},
        {"client": "Other", "version": None, "reason": "port_refused", "times": 1},
        {"client": "qBittorrent", "version": "4650", "reason": "client_refused", "times": 2},
    ]
    assert ask(tracker, "GET", "/api/v2/rejections/clients").json["clients"] == expected
    assert tracker.stop() == 0
    tracker.start()
    assert ask(tracker, "GET", "/api/v2/rejections/clients").json["clients"] == expected
    reasons = ask(tracker, "GET", "/api/v2/rejections").json["reasons"]
    assert reasons == {"malformed": 2, "port_refused": 1, "client_refused": 2}
    then = ask(tracker, "GET", f"/api/v2/rejections/clients?at={moment['seq']}").json["clients"]
    assert then == [{**expected[-1], "times": 1}]


def _has_refusals(found: list[dict[str, Any]]) -> bool:
    return any(one["type"] == "refusals_counted" for one in found)


def ledger(tracker: Tracker, query: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Returns all entries of account 1, page by page, and the totals."""
    found, last = all_pages(tracker, f"/api/v2/accounts/1/ledger?{query}", "entries")
    return found, last["totals"]


def test_ledger(site: Tracker) -> None:
    """The pages hold the entries that `tracker ledger` prints; the last page has the totals."""
    printed = site.command("ledger", "--json", "--names", "anna").stdout.splitlines()
    rows = [json.loads(line) for line in printed]
    entries = [one for one in rows if one["type"] in ("announce", "correction")]
    assert len(entries) > 5
    found, totals = ledger(site, "limit=5")
    assert found == entries
    account = {"type": "account", **totals}
    assert account == rows[-1]
    only, _ = ledger(site, f"info_hash={torrent(1).hex()}")
    assert {one["info_hash"] for one in only} == {torrent(1).hex()}
    assert ask(site, "GET", "/api/v2/accounts/9/ledger").status == 404


def test_totals(site: Tracker) -> None:
    """Sums by torrent equal those of `tracker ledger`; sums by account agree; both take `at=`."""
    printed = [
        json.loads(line)
        for line in site.command("ledger", "--json", "--names", "anna").stdout.splitlines()
    ]
    answer = ask(site, "GET", "/api/v2/accounts/1/totals").json
    rows = {one["info_hash"]: one for one in printed if one.pop("type") == "torrent"}
    assert answer["totals"] == [rows[name] for name in sorted(rows)]
    for info_hash, row in rows.items():
        mine, *others = ask(site, "GET", f"/api/v2/torrents/{info_hash}/totals").json["totals"]
        assert {"info_hash": info_hash, "label": None, **mine} == {
            "account": 1,
            "owner": "anna",
            **row,
        }
        assert all(one["account"] > 1 for one in others)
    first = next(one["seq"] for one in printed if "seq" in one)
    then = ask(site, "GET", f"/api/v2/accounts/1/totals?at={first}").json
    assert (then["seq"], [one["announces"] for one in then["totals"]]) == (first, [1])
    entries, _ = ledger(site, f"at={first}")
    assert [one["seq"] for one in entries] == [first]
    assert ask(site, "GET", "/api/v2/accounts/1/totals?at=999999").status == 404
    assert ask(site, "GET", "/api/v2/accounts/9/totals").status == 404


def book_rows(tracker: Tracker, path: str, query: str) -> tuple[list[dict[str, Any]], int]:
    """Returns the rows of all pages, and the last event in them."""
    found, last = all_pages(tracker, f"/api/v2/{path}?{query}", path.rpartition("/")[2])
    return found, last["seq"]


def test_rows_of_the_book(site: Tracker) -> None:
    """An account's rows are those of `tracker ledger --torrents`, in any order and pages, and
    those of a torrent are the same rows.
    """
    printed = site.command("ledger", "--torrents", "--json", "anna").stdout.splitlines()
    wanted = [json.loads(line) for line in printed]
    assert [one["info_hash"] for one in wanted] == [torrent(one).hex() for one in range(1, 6)]
    end = ask(site, "GET", "/api/v2/events?limit=1").json["end"] - 1
    mine = "accounts/1/torrents"
    for sort in ("info_hash", "-info_hash", "uploaded", "-uploaded", "-last_seen", "completed_at"):
        found, seq = book_rows(site, mine, f"at={end}&sort={sort}&limit=2")
        assert seq == end
        key = sort.removeprefix("-")
        order = sorted(wanted, key=lambda one: (one[key] or 0, one["info_hash"]))
        assert found == [{**one, "label": None} for one in order[:: 1 if sort == key else -1]]
    most = max(one["uploaded"] for one in wanted)
    found, _ = book_rows(site, mine, f"at={end}&min_uploaded={most}")
    assert [one["uploaded"] for one in found] == [
        one["uploaded"] for one in wanted if one["uploaded"] == most
    ]
    assert book_rows(site, mine, f"at={end}&max_completed_at=2100-01-01T00:00:00Z")[0] == []
    for row in wanted:
        path = f"torrents/{row.pop('info_hash')}/accounts"
        own, *others = book_rows(site, path, f"at={end}&limit=1")[0]
        assert own == {"account": 1, "owner": "anna", **row}
        assert all(one["account"] > 1 for one in others)
        assert ask(site, "GET", f"/api/v2/{path}?at=999999").status == 404
    first = site.events("--type", "announced")[0]["seq"]
    (then,), _ = book_rows(site, mine, f"at={first}")
    assert (then["announces"], then["info_hash"]) == (1, torrent(1).hex())
    assert ask(site, "GET", "/api/v2/accounts/9/torrents").status == 404


def test_rows_of_the_written_book(site: Tracker) -> None:
    """Once the follower wrote the book, rows without a moment are those of the book, and the same
    as they were then by the log.
    """
    lists, give_up = site.folder / "log" / "book", time.monotonic() + DEADLINE
    path, seq = "accounts/1/torrents", -1
    while seq + 1 not in {int(one.name[:20]) for one in lists.glob("*.book")}:
        assert time.monotonic() < give_up
        found, seq = book_rows(site, path, "limit=2&sort=-announces")
    assert len(found) == 5
    assert book_rows(site, path, f"at={seq}&sort=-announces")[0] == found
    for row in found:
        others = f"torrents/{row['info_hash']}/accounts"
        assert book_rows(site, others, "limit=1")[0] == book_rows(site, others, f"at={seq}")[0]


def test_peers_of_an_account(site: Tracker) -> None:
    """The API lists an account's peers in all swarms."""
    found = ask(site, "GET", "/api/v2/accounts/1/peers").json["peers"]
    assert {one["key_ref"] for one in found} == {1, 3}
    assert {one["info_hash"] for one in found} == {torrent(number + 1).hex() for number in range(5)}
    assert {one["role"] for one in found} == {"leecher"}
    assert ask(site, "GET", "/api/v2/accounts/2/peers").json == {"peers": []}


def test_settings(site: Tracker) -> None:
    """The API returns the settings in the log and the event that brought them."""
    answer = ask(site, "GET", "/api/v2/settings").json
    (event,) = site.events("--type", "settings_changed")
    assert (answer["seq"], answer["settings"]) == (event["seq"], event["settings"])
    assert answer["settings"]["private"] is True


def test_clients(site: Tracker) -> None:
    """An announce names the client by a number: of the peer id and the header User-Agent, also on
    a connection that goes on.
    """
    target = announce_target(torrent(9), 1, 6001, left=1)
    target = target.replace("announce", f"announce/{KEYS[1]}", 1).replace("QS0001.", "QS0001-")
    headers = [
        b"User-Agent: first/1.0 (a; b)\r\n", b"uSER-aGENT:  second \r\n", b"", b"USER-AGENT:\r\n",
        b"User-Agent: first/1.0 (a; b)\r\nAccept: x\r\n", b"User-Agent: " + b"z" * 5000 + b"\r\n",
    ]  # fmt: skip
    requests = [b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (target.encode(), one) for one in headers]
    requests[-1] = requests[-1].replace(b"Host", b"Connection: close\r\nHost")
    assert exchange(site.http[0], b"".join(requests)).count(b"HTTP/1.1 200 OK") == len(headers)
    named = "--info-hash", torrent(9).hex()
    events = site.events_until(lambda found: len(found) == len(headers), *named)
    found = ask(site, "GET", "/api/v2/clients").json["clients"]
    texts = [(one["peer_id_prefix"], one["user_agent"]) for one in found]
    assert [one["client"] for one in found] == list(range(1, len(found) + 1))
    assert texts[-4:] == [
        ("-QS0001-", agent) for agent in ("first/1.0 (a; b)", "second", None, "z" * 104)
    ]
    entries, _ = ledger(site, f"info_hash={torrent(9).hex()}")
    first, second, none, long = found[-4:]
    expected = [first, second, none, none, first, long]
    assert [one["client"] for one in entries] == expected
    assert [one["client"] for one in events] == [one["client"] for one in expected]
    before = next(e for e in site.events("--type", "client_named"))["seq"] - 1
    assert ask(site, "GET", f"/api/v2/clients?at={before}").json["clients"] == []


def test_stop_with_a_stream_open(new_tracker: Any) -> None:
    """An open stream does not delay the stop; the stream ends."""
    tracker = new_tracker().start()
    with closing(stream(tracker, "after=0")) as received:
        assert json.loads(next(received)["data"])["seq"] == 1
        assert tracker.stop() == 0
        assert all(json.loads(one["data"])["seq"] > 1 for one in received)  # and it ends
