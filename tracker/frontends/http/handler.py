"""Turns one HTTP request into one reply: the HTTP tracker without its sockets (BEP 3, 7, 23, 48).

Protocol failures are HTTP 200 with a bencoded `failure reason`, because many clients show nothing
else.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING

from tracker.domain import events, packed, refusals
from tracker.domain.limits import HANDED_DAY
from tracker.forwarding import Proxies
from tracker.frontends.addresses import (
    claimed_address,
    forwarded_address,
    is_local,
    is_proxy,
    listed_address,
)
from tracker.frontends.refusing import refuse
from tracker.frontends.traffic import HttpTraffic
from tracker.service.announce import EARLY, LEECH_OFF, NUMWANT_UNKNOWN
from tracker.wire import http, reply, scan
from tracker.wire.query import AnnounceQuery
from tracker.wire.request import REQUEST_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.directory import Directory
    from tracker.domain.sanctions import ClientRule
    from tracker.service.announce import Holder
    from tracker.service.service import Service

WARN_US = 3 * 86_400_000_000
"""Microseconds before a key expires during which replies carry a warning."""

_LEECH_OFF_TEXT = "Downloading is switched off for your account: you get no peers, but may seed"

_BENCODED = b"application/octet-stream"
_TEXT = b"text/plain; charset=utf-8"
_JSON = b"application/json"

_BEHIND_PROXY = (
    "Error resolving peer IP: missing or invalid the right most {} IP "
    "(mandatory on reverse proxy tracker configuration): the proxy has to send this header"
)
_ANY_PROXY = Proxies()  # whoever connects, as in the reference

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
_NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET,HEAD\r\nContent-Length: 0\r\n"
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_BAD_TEXT = (
    "bad request: {}. Send HTTP/1.1 or 1.0 with CR LF at the end of each line, in the target only "
    f"printable ASCII (all other bytes as %xx), and at most {REQUEST_LIMIT} bytes in all.\n"
)
_CLOSE = b"Connection: close\r\n\r\n"
_KEEP = b"\r\n"
_END = b"\r\n\r\n"
_OK = {
    (kind, keep): b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %%d\r\n%s" % (kind, end)
    for kind in (_BENCODED, _TEXT, _JSON)
    for keep, end in ((True, _KEEP), (False, _CLOSE))
}


class RequestHandler:
    """Answers the requests of one listener."""

    __slots__ = (
        "_announces",
        "_interval_min",
        "_listener",
        "_picked",
        "_policy",
        "_reads_ip",
        "_request",
        "_sends_external_ip",
        "_service",
        "_settings",
        "_swarms",
        "deadline",
        "external",
        "proxied",
        "proxies",
        "settle",
        "traffic",
    )

    def __init__(
        self,
        service: Service,
        listener: int,
        *,
        proxied: bool,
        proxies: Proxies = _ANY_PROXY,
        external: bytes | None = None,
        traffic: HttpTraffic | None = None,
    ) -> None:
        """Binds the handler to a service.

        Args:
            listener: number that announces are logged with, 0..255.
            proxied: the client's address is in a header of the proxies.
            proxies: the proxies, if not every connection is from one, and that header.
            external: address to list clients on this machine under, 4 or 16 bytes; None = theirs.
            traffic: counters for the metrics.
        """
        self.traffic = traffic or HttpTraffic()
        self._announces = 0  # of this batch
        self.external = external
        self._service = service
        self._swarms = service.swarms
        self._request = AnnounceQuery()  # the one that is being answered
        self._picked = bytearray()  # grows to the longest list of peers
        self._listener = listener
        self.proxied = proxied
        self.proxies = proxies
        self._obey_settings()
        self.settle = service.settle if service.strict else None
        self.deadline = service.deadline

    def behind_proxy(self, address: bytes) -> bool:
        """Tells whether a connection from there carries the requests of many clients."""
        return self.proxied and is_proxy(self.proxies, address)

    def _obey_settings(self) -> None:
        settings = self._settings = self._service.settings
        policy = settings.policy
        self._reads_ip = policy.ip_parameter != "ignored"
        self._sends_external_ip = policy.external_ip_in_replies
        self._policy = policy
        self._interval_min = settings.interval_min

    def begin(self) -> None:
        """Opens a batch: call it before `answer`. No settings change in a batch."""
        self._service.begin()
        if self._settings is not self._service.settings:
            self._obey_settings()

    def end(self) -> None:
        self.traffic.announces += self._announces
        self._announces = 0
        self._service.end()

    def answer(
        self,
        method: bytes,
        target: bytes,
        address: bytes,
        forwarded: bytes | None,
        keep: bool,
        agent: bytes = b"",
    ) -> bytes:
        """Returns the bytes to send for one request. Call it between `begin` and `end`.

        Args:
            target: the request target as received.
            address: the connection's other end, 4 or 16 bytes.
            forwarded: the proxies' header, or None.
            keep: the connection stays open after the reply.
            agent: the header User-Agent, b"" = none.
        """
        if method == b"GET" and target.startswith(b"/announce"):
            # The two forms of most requests: without a key, and with one in the path.
            if len(target) > 9 and target[9] == 63:
                return self._announce(target, 10, None, address, forwarded, keep, agent)
            if len(target) > 42 and target[9] == 47 and target[42] == 63:
                named = target[10:42]
                if named.isalnum():
                    return self._announce(target, 43, named, address, forwarded, keep, agent)
        if method != b"GET" and method != b"HEAD":
            return _NOT_ALLOWED + (_KEEP if keep else _CLOSE)
        kind, key, query = http.parse_target(target)
        if kind == http.ANNOUNCE:
            if method == b"HEAD":  # because an announce changes state, which HEAD may not
                return _NOT_ALLOWED + (_KEEP if keep else _CLOSE)
            return self._announce(query or b"", 0, key, address, forwarded, keep, agent)
        if kind == http.SCRAPE:
            self.traffic.scrapes += 1
            response = self._scrape(query, key, address, forwarded, keep)
        elif kind == http.HEALTH:
            response = _response(b'{"status":"Ok"}', _JSON, keep)
        else:
            return _NOT_FOUND + (_KEEP if keep else _CLOSE)
        return response if method == b"GET" else response[: response.index(_END) + len(_END)]

    def _announce(
        self,
        text: bytes,
        start: int,
        key: bytes | None,
        address: bytes,
        forwarded: bytes | None,
        keep: bool,
        agent: bytes,
    ) -> bytes:
        """Answers an announce with the query `text[start:]`."""
        self._announces += 1
        request = self._request
        if not request.read(text, start):
            try:
                request.take(http.parse_announce(text[start:]))
            except http.WireError as error:
                return self._refuse(error.reason, error.problem, keep)
        service = self._service
        if service.private and not key:
            key = request.passkey or self._other_key(text[start:])
        if key and not service.knows(key) and not http.is_key(key):
            return self._refuse_form_of_key(keep, request.peer_id)
        source = forwarded_address(self.proxies, address, forwarded) if self.proxied else address
        holder: Holder | None = None
        if service.guarded:
            admitted = service.admit(source, key)
            if isinstance(admitted, int):
                return self._refuse_announce(
                    admitted, request.info_hash, key, keep, request.peer_id
                )
            holder = admitted
        if self.proxied:
            if not service.whitelisted(request.info_hash):
                return self._refuse_announce(
                    refusals.NOT_WHITELISTED, request.info_hash, key, keep, request.peer_id
                )
            if not source:
                reason = _BEHIND_PROXY.format(self.proxies.header)
                return self._refuse(reason, "proxy_header", keep, request.peer_id)
        address = source
        if self._reads_ip and request.ip:
            address = self._claimed(request.ip, source)
        if self.external is not None and address is source:
            address = listed_address(source, self.external)
        if address is not source and source and service.blocked(source):
            return self._refuse_announce(
                refusals.NETWORK_BLOCKED, request.info_hash, key, keep, request.peer_id
            )
        numwant = request.numwant
        v4 = len(address) == 4
        # events.FLAG_NUMWANT_ABSENT, FLAG_DICTIONARIES, and NUMWANT_UNKNOWN of 16 bits.
        flags = (1 if numwant < 0 else 0) | (0 if request.compact else 2)
        noted = numwant if 0 <= numwant < 65535 else 65535
        torrent = service.announce(
            self._listener, 0 if v4 else 1, address, scan.two(request.port), request.info_hash,
            request.peer_id, request.uploaded, request.downloaded, request.left, request.event, noted,
            flags, scan.crc32(request.key) & 0xFFFF if request.key else 0, holder, agent,
        )  # fmt: skip
        rule = None  # about the client, which will be refused
        if service._state.warns and torrent != LEECH_OFF:
            rule = service.state.sanctions.warning(request.peer_id)
        warned = torrent == LEECH_OFF or rule is not None
        if torrent < 0:
            if torrent not in (EARLY, LEECH_OFF):
                return self._refuse_announce(
                    torrent, request.info_hash, None, keep, request.peer_id
                )
            torrent = self._swarms.lookup(request.info_hash)
            numwant = 0
        cap = service.cap
        want = numwant if 0 <= numwant < cap else cap
        if request.event == 3:  # events.STOPPED
            want = 0
        asked = want
        if want > service.budget:
            want = service.budget
        swarms = self._swarms
        peers4 = peers6 = b""
        if want:
            # The client's own family first. Without tuples, because they would be objects.
            if v4:
                peers4 = self._pick(swarms.v4, torrent, want, request.left == 0)
                want -= len(peers4) // 6
                if want and swarms.v6.total:
                    peers6 = self._pick(swarms.v6, torrent, want, request.left == 0)
            else:
                peers6 = self._pick(swarms.v6, torrent, want, request.left == 0)
                want -= len(peers6) // 18
                if want and swarms.v4.total:
                    peers4 = self._pick(swarms.v4, torrent, want, request.left == 0)
        seeders, leechers = packed.counts(swarms.tables.torrents, torrent * 32)
        interval, interval_min = service.interval(), self._interval_min
        # The budget is used up, so that the next reply lists nobody.
        spent = asked > 0 and len(peers4) // 6 + len(peers6) // 18 >= service.budget
        warned = warned or spent
        expires = not warned and holder is not None and holder.valid_until_us is not None
        if request.compact and not self._sends_external_ip and not (expires or warned):
            return reply.announced(interval, interval_min, seeders, leechers, peers4, peers6, keep)
        if request.compact:
            body = http.announce_reply(interval, interval_min, seeders, leechers, peers4, peers6)
        else:
            rows = self._dictionaries(torrent, peers4, peers6)
            body = http.announce_reply_dicts(
                interval, interval_min, seeders, leechers, rows, request.no_peer_id
            )
        if self._sends_external_ip:
            body = http.with_external_ip(body, source)
        if rule is not None:
            body = self._with_client_warning(body, rule)
        elif spent:
            body = self._with_budget(body, holder)
        elif warned:
            body = http.with_warning(
                body, refusals.with_contact(_LEECH_OFF_TEXT, self._policy.contact)
            )
        elif holder is not None and holder.valid_until_us is not None:
            body = self._with_expiry(body, holder.valid_until_us)
        return _response(body, _BENCODED, keep)

    def _pick(self, directory: Directory, torrent: int, want: int, seeder: bool) -> bytes:
        """Returns the endpoints that the latest announce gets of a family."""
        service, picked = self._service, self._picked
        missing = want * directory.width - len(picked)
        if missing > 0:
            packed.add_bytes(picked, missing)
        size = directory.put_picked(
            picked, 0, torrent, want, service.peer, seeder, service.selection_key, service.number,
            service.apart,
        )  # fmt: skip
        return scan.cut(picked, 0, size)

    def _claimed(self, text: bytes, source: bytes) -> bytes:
        """Returns the address in `ip=` where the policy accepts it, else the client's own."""
        if self._policy.ip_parameter == "always" or is_local(source):
            return claimed_address(text, source) or source
        return source

    def _refuse_announce(
        self,
        refusal: int,
        info_hash: bytes,
        key: bytes | None,
        keep: bool,
        peer_id: bytes = b"",
    ) -> bytes:
        """Refuses with the table's text and retry. `key` is the key sent, if that was refused."""
        text = refuse(self._service, refusal, info_hash, key, peer_id)
        retry = refusals.retry_in(refusal, self._policy.retry_in_minutes)
        return _response(http.failure(text, retry), _TEXT, keep)

    def _with_client_warning(self, reply: bytes, rule: ClientRule) -> bytes:
        """Adds the warning that the client will be refused, and from which day on."""
        text = f"From {events.day_name(rule.from_us // events.DAY_US)} on this client is not allowed here: {rule.text()}"
        if rule.sanction.public:
            text = f"{text}: {rule.sanction.reason}"
        return http.with_warning(reply, refusals.with_contact(text, self._policy.contact))

    def _with_budget(self, reply: bytes, holder: Holder | None) -> bytes:
        """Adds the warning that the account got as many peers as it may."""
        limits = self._service.state.limits
        account, budgets = (0 if holder is None else holder.account), limits.budgets
        of_day = limits.of(account, HANDED_DAY)
        today = 0 < of_day <= budgets.used(budgets.handed_today, account)
        text = f"Your account got as many peers as it may {'today' if today else 'this hour'}: seeding counts as before"
        return http.with_warning(reply, refusals.with_contact(text, self._policy.contact))

    def _with_expiry(self, reply: bytes, valid_until_us: int) -> bytes:
        """Adds a warning to the reply while the key is about to expire; clients show it."""
        left_us = valid_until_us - self._service.date_us()
        if left_us > WARN_US or not self._service.settings.check_keys_expiration:
            return reply
        hours = max(1, left_us // 3_600_000_000)
        text = f"Your tracker key expires in about {hours} h: renew it"
        return http.with_warning(reply, refusals.with_contact(text, self._policy.contact))

    def _dictionaries(
        self, torrent: int, peers4: bytes, peers6: bytes
    ) -> Iterator[tuple[bytes, str, int]]:
        swarms = self._swarms
        for endpoints, width, family in ((peers4, 6, AF_INET), (peers6, 18, AF_INET6)):
            for at in range(0, len(endpoints), width):
                endpoint = endpoints[at : at + width]
                peer_id = swarms.peer(swarms.find(torrent, endpoint)).peer_id
                port = int.from_bytes(endpoint[-2:], "big")
                yield peer_id, inet_ntop(family, endpoint[:-2]), port

    def _other_key(self, query: bytes | None) -> bytes | None:
        """Returns a known key in a parameter of another site's tracker, or None."""
        key = http.other_key(query)
        return key if key and self._service.knows(key) else None

    def _scrape(
        self,
        query: bytes | None,
        key: bytes | None,
        address: bytes,
        forwarded: bytes | None,
        keep: bool,
    ) -> bytes:
        try:
            hashes = http.parse_scrape(query)
        except http.WireError as error:
            return self._refuse(error.reason, error.problem, keep)
        service = self._service
        if service.private and not key:
            key = http.query_passkey(query) or self._other_key(query)
        if key and not http.is_key(key) and not service.knows(key):
            return self._refuse_form_of_key(keep)
        if self.proxied:
            address = forwarded_address(self.proxies, address, forwarded)
            if not address:
                reason = _BEHIND_PROXY.format(self.proxies.header)
                return self._refuse(reason, "proxy_header", keep)
        admitted = service.admit(address, key)
        if admitted == refusals.RATE_EXCEEDED:
            return self._refuse_announce(refusals.RATE_EXCEEDED, b"", None, keep)
        # Without a valid key a private tracker answers zeros, so that it reveals nothing.
        hidden = isinstance(admitted, int)
        service.count(events.TCP6_SCRAPES if len(address) == 16 else events.TCP4_SCRAPES)
        files = []
        for info_hash in hashes:
            seeders, completed, leechers = (0, 0, 0) if hidden else service.scrape(info_hash)
            files.append((info_hash, seeders, completed, leechers))
        if not self._policy.partial_seeds:
            return _response(http.scrape_reply(files), _BENCODED, keep)
        downloaders = {each: 0 if hidden else service.downloaders(each) for each in hashes}
        return _response(http.scrape_reply(files, downloaders), _BENCODED, keep)

    def unreadable(self, problem: str) -> bytes:
        """Counts bytes that are no HTTP request, and returns the reply to them."""
        self._service.refused_malformed("http", "framing")
        body = _BAD_TEXT.format(problem).encode()
        return _BAD_REQUEST % (len(body), body)

    def _refuse_form_of_key(self, keep: bool, peer_id: bytes = b"") -> bytes:
        text = refusals.with_contact(refusals.INVALID_KEY, self._policy.contact)
        return self._refuse(text, "key", keep, peer_id)

    def _refuse(self, reason: str, problem: str, keep: bool, peer_id: bytes = b"") -> bytes:
        """Refuses a malformed request; `problem` is the word for the metrics."""
        self._service.refused_malformed("http", problem, peer_id)
        return _response(http.failure(reason), _TEXT, keep)


def _response(body: bytes, content_type: bytes, keep: bool) -> bytes:
    return _OK[content_type, keep] % len(body) + body


_SAME_NUMBERS = (events.NONE, events.COMPLETED, events.STARTED, events.STOPPED, events.PAUSED)
if (http.NONE, http.COMPLETED, http.STARTED, http.STOPPED, http.PAUSED) != _SAME_NUMBERS or (
    http.LEFT_UNKNOWN != events.LEFT_UNKNOWN
):
    raise AssertionError("the wire and the domain number events differently")

# `_announce` spells these numbers out, because a global costs a dictionary look-up.
if (events.STOPPED, events.HTTP4, events.HTTP6) != (3, 0, 1) or (
    (events.FLAG_NUMWANT_ABSENT, events.FLAG_DICTIONARIES, NUMWANT_UNKNOWN) != (1, 2, 65535)
):
    raise AssertionError("RequestHandler._announce spells these numbers out")
