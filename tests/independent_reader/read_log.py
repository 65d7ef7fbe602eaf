"""Reads a log without the tracker's code, because it is written from docs/log-format.md alone.

python read_log.py LOG [SECRETS]

prints the same as `tracker events --log LOG --secrets SECRETS`. With `--history` first it prints
the history digest and the number of the event after it, as `tracker replay` does. It needs the
standard library, and `cryptography` for AES. A fault in the log ends it with a sentence and exit
code 1.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = (1, 2)
SEGMENT_1 = Struct("<8sHHI16sQQQII60xI")
SEGMENT_2 = Struct("<8sHHI16sQQQI4x16s16s32sQ16s20x16sI")
FRAME_1 = Struct("<4sBBHIIIIQQQQIIIQI")
FRAME_2 = Struct("<4sBBHIIIIQQQQIIQ16s16sI16sI")
KEPT = Struct("<8sHHI16sQQQII")
OPENING_1 = Struct("<8sHHI16sQQ16sQI4x16s24xII")
OPENING_2 = Struct("<8sHHI16sQQ16sQ16s16s16s32sII")
ANNOUNCE_1 = Struct("<Q20s8sQQQIQHHBBH")
ANNOUNCE = Struct("<Q20s8sQQQIQHBBBBH")
PROTECTED = Struct("<16s12s2sH")
ADMIN = Struct("<IHHQ")
TICK_1, TICK_2 = Struct("<QIIIIQ"), Struct("<QIIIIQQ")
COUNTER = Struct("<QHHIQ")
EVICTION = Struct("<Q20sIQ")
REFUSAL = Struct("<QH6xQ32s8s")
REFUSED = Struct("<QIHH20sI")
CLIENT = Struct("<QH6x8s104s")
FRAME_ID = Struct("<16sIQQ")
IGNORABLE = 1
LONGEST = 1 << 20
NO_DAY = 0xFFFF_FFFF
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TYPES = {
    1: "tracker_started", 2: "tracker_stopped", 3: "clock_stepped", 10: "torrent_whitelisted", 11: "torrent_delisted",
    20: "key_issued", 21: "key_revoked", 22: "key_rotated", 23: "key_changed", 30: "completed_imported",
    31: "torrent_described",
    40: "settings_changed", 50: "announce_refused", 60: "credit_factor_set", 61: "credit_factor_ended",
    62: "credit_corrected", 65: "hit_and_run_rule_set", 66: "hit_and_run_rule_ended",
    67: "hit_and_run_pardoned", 68: "hit_and_run_voided", 69: "immunity_changed", 70: "addresses_shredded", 71: "addresses_lost",
    72: "server_key_changed", 73: "case_taken", 74: "case_waiting", 75: "case_closed", 76: "case_noted",
    77: "addresses_seen", 80: "log_pruned", 81: "format_begun",
    82: "leech_off_changed", 83: "hiding_changed", 84: "torrent_blacklisted", 85: "torrent_unblacklisted",
    86: "network_blocked", 87: "network_unblocked", 88: "owner_keys_revoked",
    95: "token_issued", 96: "token_revoked", 97: "token_used",
    105: "limits_set",
    110: "account_grouped", 111: "freeleech_given", 112: "freeleech_withdrawn",
    120: "client_rule_set", 121: "client_rule_ended", 122: "account_merged", 123: "account_split",
}  # fmt: skip
COUNTERS = {
    1: "udp4_connects", 2: "udp6_connects", 3: "tcp4_scrapes", 4: "tcp6_scrapes", 5: "udp4_scrapes", 6: "udp6_scrapes",
    7: "refused_requests", 8: "udp_dropped",
}  # fmt: skip
EVENTS = ("none", "completed", "started", "stopped", "paused")
REASONS = (
    "malformed", "log_full", "not_whitelisted", "key_missing", "key_unknown", "key_expired", "key_revoked", "client_refused",
    "port_refused", "torrents_full", "swarm_full", "peers_full", "account_full", "rate_exceeded",
    "torrent_blacklisted", "network_blocked", "client_ruled_out", "slots_full", "started_full",
)  # fmt: skip
RULES = {1: "first", 2: "continued", 3: "restarted"}


class BadLogError(Exception):
    """The log breaks its format."""


class InvalidError(Exception):
    """No valid frame begins here."""


class Header(NamedTuple):
    format: int
    kind: int
    schema: int
    flags: int
    count: int
    plain_size: int
    protected_size: int
    epoch: int
    base_seq: int
    durable_seq: int
    time: int
    boottime: int
    key_epoch: int  # all ones = not encrypted
    payload_crc: int
    key_check: int
    seed: bytes
    previous: bytes  # chain value of the frame before
    lead: int  # seconds, as it is in the header
    chain: bytes  # its own

    def times(self, time: int) -> dict[str, str]:
        """Returns the date of a log time in this frame, and the log time where it is another."""
        if not self.lead:
            return {"time": rfc3339(time)}
        lead = self.lead - 2**32 if self.lead >= 2**32 - 65536 else self.lead
        date = max(1, time - lead * 10**6)
        return {"time": rfc3339(date), "log_time": rfc3339(time)}

    @property
    def header_size(self) -> int:
        return FRAME_1.size if self.format == 1 else FRAME_2.size

    @property
    def size(self) -> int:
        """Returns the bytes of the whole frame."""
        payload = self.plain_size + self.protected_size
        return self.header_size + payload + -payload % 16


class Frame(NamedTuple):
    header: Header
    plain: bytes
    protected: bytes


class Segment(NamedTuple):
    path: Path
    format: int
    size: int  # of its header
    base_seq: int
    epoch: int
    previous: bytes  # chain value of the frame before
    key_id: bytes
    digest: bytes  # the history digest that its header names
    digest_seq: int  # and the event after that place


def chain_of(crc: int) -> bytes:
    """Returns the chain value of a frame of format 1."""
    return crc.to_bytes(4, "little") + bytes(12)


def parse_header(data: bytes, crc_start: int) -> Header:
    layout = {b"EVF1": FRAME_1, b"EVF2": FRAME_2}.get(data[:4])
    if layout is None or len(data) < layout.size:
        raise InvalidError("no frame begins here")
    _, *fields, crc = layout.unpack_from(data)
    if crc32(data[: layout.size - 4], crc_start) != crc:
        raise InvalidError("header_crc")
    if layout is FRAME_1:
        *common, day, prev_crc, payload_crc, check = fields
        chains = chain_of(prev_crc), 0, chain_of(crc)
        header = Header._make((1, *common, day or NO_DAY, payload_crc, check, b"", *chains))
    else:
        header = Header._make((2, *fields))
    if max(header.plain_size, header.protected_size) > LONGEST:
        raise InvalidError("a length")
    return header


def parse_frame(data: bytes, crc_start: int) -> Frame:
    header = parse_header(data, crc_start)
    begin = header.header_size
    end = begin + header.plain_size + header.protected_size
    if len(data) < header.size or any(data[end : header.size]):
        raise InvalidError("its end")
    if crc32(data[begin:end]) != header.payload_crc:
        raise InvalidError("payload_crc")
    middle = begin + header.plain_size
    return Frame(header, data[begin:middle], data[middle:end])


class Log:
    def __init__(self, folder: Path, secrets: Path | None) -> None:
        self.folder, self.secrets = folder, secrets
        identity = json.loads((folder / "identity.json").read_bytes())
        _check_format(identity["format"], folder / "identity.json")
        self.log_id = bytes.fromhex(identity["log_id"])
        self.crc_start = crc32(self.log_id)
        self.tag_keys = dict(self._tag_keys())
        self.begin, self.segments = self._begin()
        self.durable_seq = 0
        self.pruned: dict[str, Any] | None = None
        # The history digest before the segment that is being read, the bytes of that segment that
        # count so far, and all digests by the event after their places.
        self.history, self._counts = bytes(32), b""
        self.history_at: dict[int, bytes] = {}

    # Tags.

    def _tag_keys(self) -> Iterator[tuple[bytes, bytes]]:
        """Yields the keys of the tags by their ids; none without the server's secrets."""
        folder = self.secrets or self.folder / "no secrets"
        for path in (*folder.glob("server.key"), *folder.glob("retired/*.key")):
            key = hmac.digest(path.read_bytes(), b"swarmlog tag key", "sha256")
            yield hmac.digest(key, b"swarmlog key id", "sha256")[:16], key

    def _check_tag(self, key_id: bytes, seed: bytes, tagged: bytes, tag: bytes) -> None:
        if not self.tag_keys:
            return
        if key_id not in self.tag_keys:
            raise InvalidError("its tag is of another server.key")
        context = b"swarmlog tag" + self.log_id + seed
        key = hmac.digest(self.tag_keys[key_id], context, "sha256")[:16]
        if AESGCM(key).encrypt(bytes(12), b"", tagged) != tag:
            raise InvalidError("its tag does not match")

    def _check_frame(self, key_id: bytes, found: Frame, head: bytes) -> None:
        if found.header.format > 1:
            tagged = head + found.plain + found.protected
            self._check_tag(key_id, found.header.seed, tagged, found.header.chain)

    # The beginning of the log.

    def _names(self, inside: str, pattern: str) -> list[re.Match[str]]:
        there = sorted((self.folder / inside).glob("*"))
        return [match for each in there if (match := re.fullmatch(pattern, each.name))]

    def _begin(self) -> tuple[int, list[Segment]]:
        found = []
        for match in self._names("seg", r"(\d{20})\.(\d{10})\.evl"):
            path = self.folder / "seg" / match[0]
            data = path.read_bytes()
            version = int.from_bytes(data[8:10], "little")
            layout = SEGMENT_1 if version == 1 else SEGMENT_2
            if len(data) < layout.size:
                if self._mark(data, 0) > int(match[1]):
                    raise BadLogError(f"{match[0]}: its header is damaged")
                continue  # never begun
            head = data[: layout.size]
            magic, _, _, size, log_id, base, _, _, epoch, *rest, crc = layout.unpack(head)
            if magic != b"\x89EVL\r\n\x1a\n" or crc != crc32(head[:-4]):
                raise BadLogError(f"{match[0]}: its header is damaged")
            _check_format(version, path)
            if (size, log_id, base, epoch) != (
                layout.size,
                self.log_id,
                int(match[1]),
                int(match[2]),
            ):
                raise BadLogError(f"{match[0]}: a segment of another log or name")
            if found and version < found[-1].format:
                raise BadLogError(f"{match[0]}: format {version} after format {found[-1].format}")
            key_id, digest, digest_seq = b"", bytes(32), 0
            if version == 1:
                previous = chain_of(rest[0])
            else:
                previous, key_id, digest, digest_seq, seed, tag = rest
                try:
                    self._check_tag(key_id, seed, head[:-20], tag)
                except InvalidError as error:
                    raise BadLogError(f"{match[0]}: {error}") from None
            found.append(
                Segment(path, version, size, base, epoch, previous, key_id, digest, digest_seq)
            )
        openings = {int(match[1]) for match in self._names("opening", r"(\d{20})\.opening")}
        for at, one in enumerate(found):
            if not one.base_seq or one.base_seq in openings:
                return one.base_seq, found[at:]
        raise BadLogError("the beginning of the log is missing")

    def opening(self) -> str:
        """Checks the opening's envelope; returns its SHA-256, or "" if event 0 begins the log."""
        if not self.begin:
            return ""
        path = self.folder / "opening" / f"{self.begin:020d}.opening"
        data = path.read_bytes()
        version = int.from_bytes(data[8:10], "little")
        _check_format(version, path)
        layout, footer = (OPENING_1, 32) if version == 1 else (OPENING_2, 68)
        magic, _, _, sections, log_id, seq, _, _, frame_seq, *rest = layout.unpack_from(data)
        previous = chain_of(rest[0]) if version == 1 else rest[0]
        size = layout.size
        body, table = data[:-footer], data[size : size + 64 * sections]
        if (magic, *rest[-2:]) != (
            b"\x89EVS\r\n\x1a\n", crc32(table), crc32(data[: size - 4]),
        ) or sha256(body).digest() != data[-footer:][:32]:  # fmt: skip
            raise BadLogError(f"{path.name}: is damaged")
        if version > 1 and crc32(data[-68:-4]) != int.from_bytes(data[-4:], "little"):
            raise BadLogError(f"{path.name}: its MAC is damaged")
        if version > 1 and self.tag_keys:
            text = b"swarmlog mac opening\0" + sha256(body).digest()
            if hmac.digest(self.tag_keys.get(rest[2], b""), text, "sha256") != data[-36:-4]:
                raise BadLogError(f"{path.name}: its MAC does not match")
        first = self.segments[0]
        if (log_id, seq, frame_seq, previous) != (
            self.log_id, self.begin, self.begin, first.previous,
        ):  # fmt: skip
            raise BadLogError(f"{path.name}: is not of this log")
        if version > 1:
            self.history = rest[3]
        return sha256(data).hexdigest()

    # Frames.

    def _mark(self, data: bytes, at: int) -> int:
        """Returns the highest durable_seq of any intact header after an offset."""
        highest = 0
        while (at := data.find(b"EVF", at)) >= 0:
            with suppress(InvalidError):
                header = parse_header(data[at : at + FRAME_2.size], self.crc_start)
                highest = max(highest, header.durable_seq)
            at += 1
        return highest

    def frames(self) -> Iterator[Frame]:
        """Checks and yields all valid frames, in order."""
        seq, chain = self.segments[0].base_seq, self.segments[0].previous
        self.history_at[seq] = self.history
        for number, one in enumerate(self.segments):
            self._end_segment(seq)
            if self.history_at.get(one.digest_seq, one.digest) != one.digest and one.format > 1:
                raise BadLogError(f"{one.path.name}: its header names another history")
            if (one.base_seq, one.previous) != (seq, chain):
                raise BadLogError(f"{one.path.name}: does not follow event {seq - 1}")
            following = self.segments[number + 1] if number + 1 < len(self.segments) else None
            leaves = following and following.epoch != one.epoch
            data, at = one.path.read_bytes(), one.size
            while at < len(data):
                if (
                    leaves
                    and following
                    and (seq, chain) == (following.base_seq, following.previous)
                ):
                    break  # later bytes do not count
                try:
                    found = parse_frame(data[at:], self.crc_start)
                    header = found.header
                    if header.format < one.format:
                        raise BadLogError(f"{one.path.name}, byte {at}: a frame without a tag")
                    if (header.format, header.epoch, header.base_seq, header.previous) != (
                        one.format, one.epoch, seq, chain,
                    ):  # fmt: skip
                        raise InvalidError("it does not follow the frame before")
                    self._check_frame(one.key_id, found, data[at : at + 108])
                except InvalidError as error:
                    if following or self._mark(data, at) > seq:
                        raise BadLogError(f"{one.path.name}, byte {at}: {error}") from None
                    break  # a torn tail
                self.durable_seq = max(self.durable_seq, header.durable_seq)
                seq, chain, at = seq + header.count, header.chain, at + header.size
                if header.count:
                    self._counts = data[:at]
                yield found
        self._end_segment(seq)

    def _end_segment(self, seq: int) -> None:
        """Computes the history digest before event `seq`, where a segment ends."""
        if self._counts:
            content = sha256(self._counts).digest()
            self.history = sha256(b"history digest" + self.history + content).digest()
            self.history_at[seq] = self.history
        self._counts = b""

    def kept(self) -> Iterator[Frame]:
        """Yields the kept admin frames of events before the beginning."""
        names = self._names("kept", r"(\d{20})\.(\d{20})\.evk")
        files = {(int(match[1]), int(match[2])): match[0] for match in names}
        at = 0
        while at < self.begin:
            ends = [end for first, end in files if first == at < end <= self.begin]
            if not ends:
                raise BadLogError(f"what was kept of the events from {at} is missing")
            yield from self._kept(self.folder / "kept" / files[at, max(ends)], at, max(ends))
            at = max(ends)

    def _kept(self, path: Path, first: int, end: int) -> Iterator[Frame]:
        data = path.read_bytes()
        magic, version, _, size, log_id, *said, _, crc = KEPT.unpack_from(data)
        if magic != b"\x89EVK\r\n\x1a\n" or crc != crc32(data[:60]):
            raise BadLogError(f"{path.name}: its header is damaged")
        _check_format(version, path)
        if (size, log_id, said) != (64, self.log_id, [first, end, len(data) - 64]):
            raise BadLogError(f"{path.name}: another log's, or of another length")
        at, key_id = 64, b""
        while at < len(data):
            try:
                if data.startswith(b"\x89EVL", at):
                    key_id = self._kept_segment(data[at : at + SEGMENT_2.size])
                    at += SEGMENT_2.size
                    continue
                found = parse_frame(data[at:], self.crc_start)
                if (found.header.format > 1) != bool(key_id):
                    raise InvalidError("a frame without a tag, or without its segment's header")
                self._check_frame(key_id, found, data[at : at + 108])
            except InvalidError as error:
                raise BadLogError(f"{path.name}, byte {at}: {error}") from None
            yield found
            at += found.header.size

    def _kept_segment(self, head: bytes) -> bytes:
        """Checks the header of a segment between kept frames; returns the id of its key."""
        if len(head) < SEGMENT_2.size or int.from_bytes(head[-4:], "little") != crc32(head[:-4]):
            raise InvalidError("the header of a segment")
        _, version, _, size, log_id, *_, key_id, _, _, seed, tag, _ = SEGMENT_2.unpack(head)
        if (version, size, log_id) != (2, SEGMENT_2.size, self.log_id):
            raise InvalidError("the header of a segment of another log or format")
        self._check_tag(key_id, seed, head[:-20], tag)
        return bytes(key_id)

    def decrypted(self, frame: Frame) -> bytes:
        """Returns the decrypted protected section; empty without its key."""
        header = frame.header
        if header.key_epoch == NO_DAY:
            return frame.protected
        day = (EPOCH + timedelta(days=header.key_epoch)).date().isoformat()
        path = self.secrets / "privacy" / f"{day}.key" if self.secrets else None
        key = path.read_bytes() if path and path.exists() else b""
        if len(key) != 32:  # HMAC would take a longer one that ends in zeros for the same
            return b""
        frame_id = FRAME_ID.pack(self.log_id, header.epoch, header.base_seq, header.boottime)
        derived = hmac.digest(key, b"swarmlog frame" + frame_id + header.seed, "sha512")
        if int.from_bytes(derived[32:40], "little") != header.key_check:
            return b""
        return Cipher(AES(derived[:16]), CTR(derived[16:32])).decryptor().update(frame.protected)

    # Events.

    def events(self) -> Iterator[dict[str, Any]]:
        digest = self.opening()
        for frame in self.kept():
            yield from self._events(frame)
        waiting: list[Frame] = []
        for frame in self.frames():
            waiting.append(frame)
            while (
                waiting and waiting[0].header.base_seq + waiting[0].header.count <= self.durable_seq
            ):
                yield from self._events(waiting.pop(0))
        if digest and (self.pruned or {}).get("opening") != digest:
            raise BadLogError("no event vouches for the opening")

    def _events(self, frame: Frame) -> Iterator[dict[str, Any]]:
        header = frame.header
        tell = {
            1: self._announces,
            2: self._admin,
            3: _ticks,
            4: _counters,
            5: _evictions,
            6: _refusals,
            7: _clients,
            8: _refused,
        }.get(header.kind)
        if not header.count:
            return
        if tell is None or not 0 < header.schema <= (2 if header.kind in (1, 3) else 1):
            yield {
                "seq": header.base_seq, **header.times(header.time), "type": "unknown", "kind": header.kind,
                "schema": header.schema, "events": header.count, "plain": frame.plain.hex(),
                "sealed": self.decrypted(frame).hex(),
            }  # fmt: skip
            return
        seq = header.base_seq
        for time, kind, body in tell(frame):
            yield {"seq": seq, **header.times(time), "type": kind, **body}
            seq += 1
        if seq != header.base_seq + header.count:
            raise BadLogError(f"event {header.base_seq}: its frame holds {seq - header.base_seq}")

    def _announces(self, frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
        protected = self.decrypted(frame)
        layout = ANNOUNCE_1 if frame.header.schema == 1 else ANNOUNCE
        for number, row in enumerate(layout.iter_unpack(frame.plain)):
            (
                time,
                info_hash,
                head,
                up,
                down,
                left,
                key_ref,
                prev,
                numwant,
                flags,
                listener,
                what,
                rule,
                *client,
            ) = row
            address, tail, port, key_hash = (
                PROTECTED.unpack_from(protected, number * PROTECTED.size)
                if protected
                else (None, b"", None, None)
            )
            over = what >> 4
            if address is not None:
                v6 = over % 2
                address = inet_ntop(AF_INET6, address) if v6 else inet_ntop(AF_INET, address[12:])
            yield (
                time,
                "announced",
                {
                    "info_hash": info_hash.hex(),
                    "peer_id": (head + tail).hex(),
                    "address": address,
                    "port": None if port is None else int.from_bytes(port, "big"),
                    "uploaded": up,
                    "downloaded": down,
                    "left": None if left == 2**64 - 1 else left,
                    "event": EVENTS[what & 15],
                    "numwant": None if flags & 1 else numwant,
                    "compact": not flags & 2,
                    "protocol": "udp" if over >= 2 else "http",
                    "listener": listener,
                    "key_ref": key_ref or None,
                    "client_key_hash": key_hash,
                    "prev_seq": prev or None,
                    "rule": RULES[rule],
                    **({"client": client[0] or None} if client else {}),
                },
            )

    def _admin(self, frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
        at = 0
        while at < len(frame.plain):
            size, kind, schema, time = ADMIN.unpack_from(frame.plain, at)
            body = frame.plain[at + ADMIN.size : at + ADMIN.size + size]
            data = json.loads(body)
            if kind not in TYPES or not 0 < schema <= (2 if kind in (1, 3) else 1):
                yield (
                    time,
                    "unknown",
                    {"kind": 2, "admin_type": kind, "schema": schema, "data": data},
                )
            else:
                if TYPES[kind] == "log_pruned":
                    self._check_history(data.get("history_seq"), data.get("history"))
                if TYPES[kind] == "log_pruned" and data["first_seq"] == self.begin:
                    self.pruned = data
                if TYPES[kind] == "format_begun":
                    self._check_history(frame.header.base_seq, data["history"])
                    if self.pruned:  # that was said without a tag
                        self.pruned = data
                yield time, TYPES[kind], data
            at += ADMIN.size + size + -size % 16

    def _check_history(self, seq: int | None, said: str | None) -> None:
        found = self.history_at.get(seq) if seq is not None else None
        if said and found and found.hex() != said:
            raise BadLogError(f"the history digest before event {seq} is {found.hex()}")


def _ticks(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    layout = TICK_1 if frame.header.schema == 1 else TICK_2
    for time, interval, goes_on, _, _, _, *wall in layout.iter_unpack(frame.plain):
        tick = {"interval_ms": interval, "goes_on": bool(goes_on)}
        yield time, "tick", tick if wall in ([], [2**64 - 1]) else {**tick, "wall_us": wall[0]}


def _counters(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for time, counter, label, _, delta in COUNTER.iter_unpack(frame.plain):
        yield (
            time,
            "counted",
            {"counter": COUNTERS.get(counter, str(counter)), "label": label, "delta": delta},
        )


def _refusals(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for time, label, delta, client, version in REFUSAL.iter_unpack(frame.plain):
        names = {
            "client": client.rstrip(b"\0").decode() or None,
            "version": version.rstrip(b"\0").decode() or None,
        }
        yield time, "refusals_counted", {"label": label, **names, "delta": delta}


def _refused(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for time, key_ref, label, _, info_hash, _ in REFUSED.iter_unpack(frame.plain):
        reason = REASONS[label] if label < len(REASONS) else str(label)
        body = {"key_ref": key_ref, "reason": reason, "info_hash": info_hash.hex()}
        yield time, "announce_refused", body


def _clients(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for time, number, prefix, agent in CLIENT.iter_unpack(frame.plain):
        texts = [shown(each.rstrip(b"\0")) or None for each in (prefix, agent)]
        body = {"client": number, "peer_id_prefix": texts[0], "user_agent": texts[1]}
        yield time, "client_named", body


def shown(raw: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else f"\\x{each:02x}" for each in raw)


def _evictions(frame: Frame) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for time, info_hash, _, last_seq in EVICTION.iter_unpack(frame.plain):
        yield time, "evicted", {"info_hash": info_hash.hex(), "last_seq": last_seq}


def _check_format(found: int, path: Path) -> None:
    if found not in FORMATS:
        raise BadLogError(f"{path}: is of format {found}")


def rfc3339(time: int) -> str:
    seconds, micros = divmod(time, 10**6)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def main(arguments: list[str]) -> int:
    try:
        told = arguments[0] == "--history"
        folder, *secrets = map(Path, arguments[told:])
        log = Log(folder, secrets[0] if secrets else None)
        for event in log.events():
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            sys.stdout.write("" if told else line + "\n")
        if told:
            sys.stdout.write(f"{log.history.hex()} {max(log.history_at)}\n")
    except Exception as error:  # a checksum covers any nonsense, and nonsense raises anything
        sys.stderr.write(f"this log cannot be read: {error or type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
