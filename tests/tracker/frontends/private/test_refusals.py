"""What a refused member reads says what happened and whom to ask, and never repeats the key."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, field, frozen

from tests.support import hash_of
from tests.tracker.frontends.private.front import (
    BOTH,
    EXPIRED,
    FORMAT_TEXT,
    GOOD,
    HASH,
    MISSING_TEXT,
    PRIVATE,
    REVOKED,
    UNKNOWN,
    UNLISTED,
    V4,
    Front,
    announce,
    udp_announce,
)
from tracker.domain import refusals
from tracker.domain.events.admin import (
    ClientRuleSet,
    NetworkBlocked,
    TorrentBlacklisted,
    TorrentDelisted,
)
from tracker.domain.policy import Policy
from tracker.frontends.udp.handler import DatagramHandler
from tracker.ports import Actor
from tracker.wire.connection_id import ConnectionIds

CONTACT = "https://example.org/staff?a={b}&c=%41"
BANNED = hash_of(4)
BY = Actor("ops", "", "", "a virus")
SAID = ". Contact: " + CONTACT


@frozen
class Row:
    """An announce that is refused."""

    refusal: int
    text: str  # what happened
    key: bytes = GOOD
    info_hash: bytes = HASH
    settings: Any = PRIVATE
    policy: dict[str, Any] = field(factory=dict)
    before: bool = False  # another peer announced another torrent, and this one, before


ELSEWHERE = bytes([127, 0, 0, 8])
ROWS = {
    "log full": Row(refusals.LOG_FULL, "cannot record announces now"),
    "never listed": Row(refusals.NOT_WHITELISTED, f"{UNLISTED.hex()}, is not whitelisted", info_hash=UNLISTED, settings=BOTH),
    "delisted": Row(refusals.NOT_WHITELISTED, f"{hash_of(3).hex()}, is not whitelisted", info_hash=hash_of(3), settings=BOTH),
    "no key": Row(refusals.KEY_MISSING, "Missing authentication key", key=b""),
    "unknown key": Row(refusals.KEY_UNKNOWN, "Failed to read key: it is not known here", key=UNKNOWN),
    "expired key": Row(refusals.KEY_EXPIRED, "Key has expired, get a new one", key=EXPIRED),
    "revoked key": Row(refusals.KEY_REVOKED, "Failed to read key: it was revoked", key=REVOKED),
    "client": Row(refusals.CLIENT_REFUSED, "client is not allowed", policy={"clients_denied": ("-XX",)}),
    "port": Row(refusals.PORT_REFUSED, "port is not allowed", policy={"refused_ports": ("6881",)}),
    "torrents": Row(refusals.TORRENTS_FULL, "no more torrents", info_hash=UNLISTED, policy={"max_torrents": 1}, before=True),
    "swarm": Row(refusals.SWARM_FULL, "this torrent takes no more peers", policy={"max_peers_per_torrent": 1}, before=True),
    "peers": Row(refusals.PEERS_FULL, "takes no more peers now", policy={"max_peers": 1}, before=True),
    "account": Row(refusals.ACCOUNT_FULL, "too many clients with your key", policy={"peers_per_account": 1}, before=True),
    "slots": Row(refusals.SLOTS_FULL, "as many torrents as it may", policy={"leeching_slots": 1}, before=True),
    "started": Row(refusals.STARTED_FULL, "started as many torrents today", info_hash=UNLISTED, policy={"started_per_day": 1}, before=True),
    "blacklisted": Row(refusals.TORRENT_BLACKLISTED, f"{BANNED.hex()}, is blacklisted: a virus", info_hash=BANNED),
    "blocked": Row(refusals.NETWORK_BLOCKED, "your network is blocked here"),
    "version": Row(refusals.CLIENT_RULED_OUT, "this version of your client is not allowed here: -XX0000 to -XX0009"),
    "rate": Row(refusals.RATE_EXCEEDED, "too many requests", key=UNKNOWN, policy={"requests_per_minute": 1}, before=True),
}  # fmt: skip


def test_the_table_has_every_refusal() -> None:
    assert {row.refusal for row in ROWS.values()} | {refusals.MALFORMED} == set(refusals.REFUSALS)


def refuse(row: Row, contact: str) -> dict[str, str]:
    """Returns what a client reads, by protocol."""
    policy = Policy(contact=contact, **row.policy)
    front = Front(evolve(row.settings, policy=policy))
    if row.info_hash == hash_of(3):
        front.rig.service.append(TorrentDelisted(hash_of(3)))
    if row.info_hash == BANNED:
        front.rig.service.append(TorrentBlacklisted(BANNED, public=True), BY)
    if row.refusal == refusals.NETWORK_BLOCKED:
        front.rig.service.append(NetworkBlocked("127.0.0.0/28"), BY)
    if row.refusal == refusals.CLIENT_RULED_OUT:
        front.rig.service.append(ClientRuleSet(1, "-XX", "0000", "0009", 0), BY)
    if row.before:
        other = announce(row.key).replace(b"XX0001.abc", b"YY0001.abc").replace(b"6881", b"6882")
        limited = row.refusal in (refusals.ACCOUNT_FULL, refusals.SLOTS_FULL)
        front.http(other, ELSEWHERE if limited else V4)
    front.rig.log.room = row.refusal != refusals.LOG_FULL
    path = b"/announce/" + row.key if row.key else b""
    said = {
        "http": front.failure(announce(row.key, row.info_hash)),
        "passkey": front.failure(announce(b"", row.info_hash, b"&passkey=" + row.key if row.key else b"")),
        "udp": front.udp_failure(path, row.info_hash),
    }  # fmt: skip
    front.rig.service.flush_counters()
    refused = {
        one["label"] for one in front.rig.events() if one.get("counter") == "refused_requests"
    }
    assert -row.refusal in refused
    return said


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("contact", ["", CONTACT])
def test_what_a_refused_member_reads(row: Row, contact: str) -> None:
    for said in refuse(row, contact).values():
        assert row.text in said
        assert said.endswith(SAID) if contact else "Contact" not in said
        assert not row.key or row.key.decode() not in said


def test_a_key_in_another_form() -> None:
    """It is malformed, and the member who copied it wrongly reads whom to ask."""
    front, bad = Front(evolve(PRIVATE, policy=Policy(contact=CONTACT))), UNKNOWN[:-1]
    for said in (
        front.failure(announce(bad)),
        front.failure(announce(extra=b"&passkey=" + bad)),
        front.failure(b"/scrape/" + bad + b"?info_hash=" + b"a" * 20),
        front.udp_failure(b"/announce/" + bad),
    ):
        assert said == FORMAT_TEXT.removesuffix(".") + SAID


def test_an_expiring_key() -> None:
    front = Front(evolve(PRIVATE, policy=Policy(contact=CONTACT)))
    front.rig.issue(9, valid_until_us=front.rig.service.now_us() + 3600 * 10**6)
    warned = front.get(announce(b"key%029d" % 9))["warning message"].decode()
    assert warned == "Your tracker key expires in about 1 h: renew it" + SAID


def test_the_contact_is_left_out_where_it_does_not_fit() -> None:
    """Without a valid connection id no reply is longer than its datagram."""
    front = Front(evolve(PRIVATE, policy=Policy(contact=CONTACT)))
    handler = DatagramHandler(front.rig.service, ConnectionIds(b"c" * 32, checked=False), 0)
    said = []
    for size in (20, 80):
        handler.begin()
        datagram = bytearray(udp_announce(b"no id of", HASH) + bytes(size))
        said.append((handler.answer(datagram, 0, len(datagram), V4) or b"")[8:].decode())
        handler.end()
    assert said == [MISSING_TEXT.removesuffix("."), MISSING_TEXT.removesuffix(".") + SAID]
