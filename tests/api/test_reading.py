"""Tests statistics and torrents in version 1 and the un-prefixed API."""

from __future__ import annotations

import json

import pytest

from api.streams import BATCH
from tests.api.asking import JSON, TEXT, ask
from tracker.ports import Peer

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
OTHER = "67000d5d41a7da853b78621dc8316e3e0e89ab3c"
V4 = Peer(
    b"-qB4410-*dFZ:8DHIDpEy", "qBittorrent", "192.168.1.88:17548", 1680082693001, 1, 2, 3, "None"
)
V6 = Peer(b"\x00" * 20, None, "[2001:db8::1]:6881", 1680082693999, 0, 0, 0, "Started")
UT = Peer(b"-UT3550-" + b"x" * 12, 'µTorrent "x"', "10.0.0.1:1", 0, 0, 0, 0, "Completed")

V1_STATS = (
    '{"torrents":1,"seeders":2,"completed":3,"leechers":4,"tcp4_connections_handled":5,'
    '"tcp4_announces_handled":6,"tcp4_scrapes_handled":7,"tcp6_connections_handled":8,'
    '"tcp6_announces_handled":9,"tcp6_scrapes_handled":10,"udp4_connections_handled":11,'
    '"udp4_announces_handled":12,"udp4_scrapes_handled":13,"udp6_connections_handled":14,'
    '"udp6_announces_handled":15,"udp6_scrapes_handled":16}'
)
V1_PEER = (
    '{"peer_id":{"id":"0x' + V4.peer_id.hex() + '","client":"qBittorrent"},'
    '"peer_addr":"192.168.1.88:17548","updated":1680082693001,'
    '"updated_milliseconds_ago":1680082693001,"uploaded":1,"downloaded":2,"left":3,"event":"None"}'
)
LEGACY_PEER = (
    '[{"id":"' + V4.peer_id.hex() + '","client":"qBittorrent"},{"ip":"192.168.1.88:17548",'
    '"updated":1680082693,"uploaded":1,"downloaded":2,"left":3,"event":"None"}]'
)

BOTH = pytest.mark.parametrize("prefix", ["/api/v1", "/api"])


async def test_stats(app):
    """The un-prefixed API has sixteen counters in the contract's order, without a space."""
    assert tuple(await ask(app, "GET", "/api/stats")) == (200, JSON, V1_STATS)
    assert tuple(await ask(app, "GET", "/api/stats?format=json")) == (200, JSON, V1_STATS)


async def test_stats_for_prometheus(app):
    """The un-prefixed API has one `name value` line for each counter, and nothing else."""
    status, content_type, body = await ask(app, "GET", "/api/stats?format=prometheus")
    expected = "\n".join(f"{name} {value}" for name, value in json.loads(V1_STATS).items())
    assert (status, content_type, body) == (200, TEXT, expected)


async def test_unknown_stats_format(app):
    """An unknown format is a bad query."""
    status, content_type, body = await ask(app, "GET", "/api/v1/stats?format=xml")
    reason = (
        "Failed to deserialize query string: unknown variant `xml`, expected `json` or `prometheus`"
    )
    assert (status, content_type, body) == (400, TEXT, reason)


@pytest.mark.parametrize(
    ("prefix", "body"),
    [
        (
            "/api/v1",
            f'{{"info_hash":"{HASH}","seeders":1,"completed":7,"leechers":1,"peers":[{V1_PEER}]}}',
        ),
        (
            "/api",
            f'{{"info_hash":"{HASH}","completed":7,"seeders":1,"leechers":1,"peers":[{LEGACY_PEER}]}}',
        ),
    ],
)
@pytest.mark.parametrize("spelling", [HASH, HASH.upper()])
async def test_torrent(app, live, prefix, body, spelling):
    """A torrent with one peer has these exact bytes. Its hash is in lower case."""
    live.add(bytes.fromhex(HASH), V4, completed=7)
    assert tuple(await ask(app, "GET", f"{prefix}/torrent/{spelling}")) == (200, JSON, body)


@BOTH
async def test_torrent_without_peers(app, live, prefix):
    """`peers` is empty but there, because the index requires the member."""
    live.add(bytes.fromhex(HASH))
    answer = await ask(app, "GET", f"{prefix}/torrent/{HASH}")
    assert json.loads(answer.body)["peers"] == []


async def test_peers_of_all_kinds(app, live):
    """Peers may have IPv6 addresses, unknown clients, and client names that need escaping."""
    live.add(bytes.fromhex(HASH), V4, V6, UT)
    answer = await ask(app, "GET", f"/api/v1/torrent/{HASH}")
    peers = json.loads(answer.body)["peers"]
    assert [peer["peer_addr"] for peer in peers] == [V4.address, V6.address, UT.address]
    assert [peer["peer_id"]["client"] for peer in peers] == [V4.client, None, UT.client]
    assert "µTorrent" in answer.body


@BOTH
async def test_unknown_torrent(app, prefix):
    """An unknown torrent gives 200 and a JSON string; the index depends on both."""
    answer = await ask(app, "GET", f"{prefix}/torrent/{HASH}")
    assert tuple(answer) == (200, JSON, '"torrent not known"')


BAD_HASHES = ["0", "-1", "1.1", "INVALID", HASH[:-1], HASH + "0", "g" * 40, "%D9%A0" * 40, "%22%5C"]


@BOTH
@pytest.mark.parametrize("method_and_path", ["GET torrent", "POST whitelist", "DELETE whitelist"])
@pytest.mark.parametrize("value", BAD_HASHES)
async def test_bad_info_hash(app, prefix, method_and_path, value):
    """A malformed hash gives 400, and the text repeats the decoded value."""
    method, path = method_and_path.split()
    shown = value.replace("%D9%A0", "\u0660").replace("%22%5C", '"\\')
    reason = f'Invalid URL: invalid infohash param: string "{shown}", expected a 40 character long string'
    answer = await ask(app, method, f"{prefix}/{path}/{value}")
    assert tuple(answer) == (400, TEXT, reason)


@BOTH
@pytest.mark.parametrize("method_and_path", ["GET torrent", "POST whitelist", "DELETE whitelist"])
@pytest.mark.parametrize("value", ["", "%20", "%20%09"])
async def test_blank_info_hash(app, prefix, method_and_path, value):
    """An empty or blank hash makes an unknown path."""
    method, path = method_and_path.split()
    answer = await ask(app, method, f"{prefix}/{path}/{value}")
    assert tuple(answer) == (404, None, "")


def item(prefix: str, info_hash: str) -> str:
    if prefix == "/api":
        return f'{{"info_hash":"{info_hash}","completed":0,"seeders":1,"leechers":0}}'
    return f'{{"info_hash":"{info_hash}","seeders":1,"completed":0,"leechers":0}}'


@BOTH
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", range(5)),
        ("offset=0&limit=2", [0, 1]),
        ("offset=3", [3, 4]),
        ("offset=3&limit=1", [3]),
        ("limit=0", []),
        ("offset=9", []),
        ("limit=&offset=", range(5)),
        ("limit=%2B2", [0, 1]),
        ("limit=0000000000000000000000000000002", [0, 1]),
    ],
)
async def test_pages(app, live, prefix, query, numbers):
    """Info hashes ascend, `offset` counts torrents, and an empty parameter counts as absent."""
    hashes = [f"{number:040x}" for number in range(5)]
    for info_hash in reversed(hashes):
        live.add(bytes.fromhex(info_hash))
    body = "[" + ",".join(item(prefix, hashes[number]) for number in numbers) + "]"
    assert tuple(await ask(app, "GET", f"{prefix}/torrents?{query}")) == (200, JSON, body)


DIGIT = "invalid digit found in string"
TOO_LARGE = "number too large to fit in target type"


@pytest.mark.parametrize("name", ["offset", "limit"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *[(value, DIGIT) for value in ("%20", "-1", "1.1", "text", "1_0", "%D9%A1", "0x1", "+")],
        *[(value, TOO_LARGE) for value in ("4294967296", "9" * 5000)],
        ("1&{name}=1", "duplicate field `{name}`"),
    ],
)
async def test_bad_pages(app, name, value, reason):
    """A value that is not an unsigned number of 32 bits is a bad query."""
    target = f"/api/v1/torrents?{name}={value}".format(name=name)
    body = f"Failed to deserialize query string: {reason}".format(name=name)
    assert tuple(await ask(app, "GET", target)) == (400, TEXT, body)


@BOTH
async def test_torrents_by_hash(app, live, prefix):
    """Torrents come in the order of the request, repeated ones too, unknown ones left out."""
    for info_hash in (HASH, OTHER):
        live.add(bytes.fromhex(info_hash))
    asked = [OTHER.upper(), HASH, "00" * 20, OTHER]
    query = "&".join(f"info_hash={info_hash}" for info_hash in asked)
    body = "[" + ",".join(item(prefix, info_hash) for info_hash in (OTHER, HASH, OTHER)) + "]"
    answer = await ask(app, "GET", f"{prefix}/torrents?limit=1&{query}")
    assert tuple(answer) == (200, JSON, body)


async def test_first_bad_hash_of_a_list(app):
    """One malformed hash refuses the whole request."""
    answer = await ask(app, "GET", f"/api/v1/torrents?info_hash={HASH}&info_hash=bad&info_hash=x")
    reason = (
        'Invalid URL: invalid infohash param: string "bad", expected a 40 character long string'
    )
    assert tuple(answer) == (400, TEXT, reason)


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 1])
async def test_long_listing(app, live, count):
    """A listing is one whole JSON array, short or in chunks."""
    for number in range(count):
        live.add(number.to_bytes(20, "big"))
    answer = await ask(app, "GET", "/api/v1/torrents")
    listed = [entry["info_hash"] for entry in json.loads(answer.body)]
    assert listed == [f"{number:040x}" for number in range(count)]
    assert (" " in answer.body, answer.content_type) == (False, JSON)


async def test_long_swarm(app, live):
    """A swarm of any size is shown whole."""
    live.add(bytes.fromhex(HASH), *[V4] * (BATCH + 3))
    answer = await ask(app, "GET", f"/api/v1/torrent/{HASH}")
    assert len(json.loads(answer.body)["peers"]) == BATCH + 3
