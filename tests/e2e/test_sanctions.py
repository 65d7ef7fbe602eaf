"""Sanctions by the command line and the API, as clients on sockets see them, also after a restart
and at past moments."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest

from tests.e2e.clients import api, get, torrent, udp_client
from tests.e2e.process import Tracker, lasting_listeners
from tracker.wire.bencode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

TORRENT = torrent(0xAB)
CONTACT = "https://example.org/staff"


@pytest.fixture
def site(tmp_path: Any) -> Iterator[Tracker]:
    extra = f'[policy]\ncontact = "{CONTACT}"\n'
    with closing(Tracker(tmp_path, lasting_listeners(), extra)) as tracker:
        tracker.switch_on("private")
        yield tracker.start()


def done(tracker: Tracker, *arguments: str) -> Any:
    """Returns the output of a command that must succeed, as JSON values."""
    ran = tracker.command(*arguments, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    return [json.loads(line) for line in ran.stdout.splitlines()]


def ask(tracker: Tracker, key: str, number: int, left: int) -> dict[str, Any]:
    """Announces over HTTP from port 7000 + number."""
    target = (
        f"/announce/{key}?info_hash={quote_from_bytes(TORRENT)}&peer_id=-XX0001-{number:012d}"
        f"&port={7000 + number}&left={left}"
    )
    values = decode(get(tracker.http[0], target).partition(b"\r\n\r\n")[2])
    assert isinstance(values, dict)
    return {name.decode(): value for name, value in values.items()}


def ports(reply: dict[str, Any]) -> set[int]:
    packed = reply["peers"]
    return {int.from_bytes(packed[at + 4 : at + 6], "big") for at in range(0, len(packed), 6)}


def test_sanctions(site: Tracker) -> None:
    """Each takes effect at once, is listed now and then, survives a restart, and is lifted."""
    anna, bert = (
        done(site, "key", "add", "--owner", owner)[0]["key"] for owner in ("anna", "bert")
    )
    ask(site, anna, 0, 7)
    assert ports(ask(site, bert, 1, 7)) == {7000}
    why = ("--reason", "ratio below 0.3")
    (off,) = done(site, "account", "leech-off", "anna", *why)
    done(site, "torrent", "blacklist", torrent(1).hex(), "--public", "--reason", "a virus")
    done(site, "block", "add", "198.51.100.0/24", "--until", "+7d", "--reason", "scraper")
    for _ in range(2):
        assert ports(ask(site, bert, 1, 7)) == set()
        reply = ask(site, anna, 0, 7)
        assert (ports(reply), reply["incomplete"]) == (set(), 2)
        assert reply["warning message"].decode().endswith(f"Contact: {CONTACT}")
        (row,) = done(site, "account", "sanctions")
        assert (row["owner"], row["sanction"], row["reason"]) == ("anna", "leech_off", why[1])
        assert [each["reason"] for each in done(site, "torrent", "blacklisted")] == ["a virus"]
        assert [each["network"] for each in done(site, "block", "list")] == ["198.51.100.0/24"]
        assert site.stop() == 0
        site.start()
    before = str(off["seq"] - 1)
    for path, name in (
        ("sanctions", "sanctions"),
        ("blacklist", "blacklist"),
        ("blocks", "blocks"),
    ):
        assert len(api(site, f"/api/v2/{path}")[name]) == 1
        assert api(site, f"/api/v2/{path}?at={before}")[name] == []
    done(site, "account", "leech-off", "anna", "--lift", "--reason", "paid back")
    assert ports(ask(site, bert, 1, 7)) == {7000}
    assert ports(ask(site, anna, 0, 7)) == {7001}
    done(site, "block", "add", "127.0.0.0/8", "--public", "--reason", "a test")
    refused = f"Tracker error: your network is blocked here: a test. Contact: {CONTACT}"
    assert ask(site, anna, 0, 7)["failure reason"].decode() == refused
    done(site, "block", "lift", "127.0.0.0/8", "--reason", "tested")
    versions = ("XX", "--first", "0000", "--last", "0001")
    (use,) = done(site, "client", "preview", *versions)
    assert use == {"peers": 2, "members": 2, "torrents": 1, "torrents_alone": 0}
    (rule,) = done(site, "client", "refuse", *versions, "--from", "+3d", "--reason", "it leaks")
    assert (rule["rule"], rule["in_force"], rule["reason"]) == (1, False, "it leaks")
    assert "-XX0000 to -XX0001" in ask(site, bert, 1, 7)["warning message"].decode()
    assert [one["rule"] for one in done(site, "client", "list")] == [1]
    done(site, "client", "end", "1", "--reason", "they mended it")
    assert "warning message" not in ask(site, bert, 1, 7)
    (revoked,) = done(site, "key", "revoke-owner", "anna", "--reason", "sold")
    assert revoked == {"owner": "anna", "revoked": 1}
    failure = ask(site, anna, 0, 7)["failure reason"].decode()
    assert failure.endswith(f"it was revoked, get a new one. Contact: {CONTACT}")
    with udp_client(site.udp[0]) as client:
        assert client is not None  # the UDP tracker serves beside it
    assert site.stop() == 0
    assert site.command("verify").returncode == 0
    (seq,) = [each["seq"] for each in done_events(site) if each["type"] == "announced"][-1:]
    assert site.command("explain", str(seq)).returncode == 0


def done_events(tracker: Tracker) -> list[dict[str, Any]]:
    ran = tracker.command("events")
    return [json.loads(line) for line in ran.stdout.splitlines()]
