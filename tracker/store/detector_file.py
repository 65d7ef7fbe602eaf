"""Writes and reads what detectors remember, so that a start need not hear the whole log again.

    <log>/cases/detectors   a line of JSON that says of what and until when; then, compressed and
                            encrypted, what is remembered; then the key's id and a MAC (16 + 32)

It is encrypted under the key of the day on which it was written, so that shredding reaches it, too.
It can be deleted at any time. Blocking.
"""

from __future__ import annotations

import json
import os
import zlib
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NamedTuple

from eventlog import (
    NotAFileError,
    border,
    first_seq,
    holds_frame,
    parse_json,
    read_file,
    read_identity,
    write_new,
)
from tracker.store.case_files import FOLDER
from tracker.store.snapshot_file import SPARE_BYTES
from tracker.store.tag_keys import ID_SIZE, MAC_SIZE

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.store.address_keys import Keyring

FILE = "detectors"
FORMAT = 2
MOST_BYTES = 1 << 31
"""The most bytes that are read, decompressed: what is larger is none of ours."""
_PURPOSE = b"detectors"


class RememberedError(Exception):
    """What was remembered cannot be used; the text says why."""


class NothingRememberedError(RememberedError):
    """There is none."""


class Remembered(NamedTuple):
    """What detectors remember after the events below `upto`."""

    shape: str  # of whom; others do not go on with it
    upto: int
    chain: bytes  # of the frame that ends there
    data: bytes | bytearray  # of `keeping.pack`


def write(log: Path, keys: Keyring, day: int, one: Remembered) -> None:
    """Writes it whole, or not at all. Without the key of the day nothing is written.

    `day`: of the last event, in log time. Raises `SecretError`, `OSError`.
    """
    nonce = os.urandom(16)
    hidden = keys.encrypt_section(day, nonce + _PURPOSE, zlib.compress(one.data, 1))
    if hidden is None:
        return
    room = os.statvfs(log)
    if room.f_bavail * room.f_frsize < SPARE_BYTES + len(hidden.data):
        raise OSError("too little free space for what the detectors remember")
    head = {
        "format": FORMAT, "log_id": read_identity(log).hex(), "shape": one.shape, "upto": one.upto,
        "chain": one.chain.hex(), "day": day, "check": hidden.check, "nonce": nonce.hex(),
    }  # fmt: skip
    body = json.dumps(head).encode() + b"\n" + hidden.data
    mac = keys.tags.mac(_PURPOSE, sha256(body).digest())
    write_new(log / FOLDER / FILE, body + keys.tags.key_id + mac)


def read(log: Path, keys: Keyring, shape: str) -> Remembered:
    """Reads what detectors of this shape can go on with. Raises `RememberedError`, `OSError`, and
    what reading the log raises.
    """
    try:
        data = read_file(log / FOLDER / FILE)
    except FileNotFoundError:
        raise NothingRememberedError("there is nothing") from None
    except NotAFileError as error:
        raise RememberedError(str(error)) from None
    with border(RememberedError, RememberedError):
        foot = ID_SIZE + MAC_SIZE
        body, key_id, mac = data[:-foot], data[-foot:-MAC_SIZE], data[-MAC_SIZE:]
        expected = keys.tags.mac_of(key_id, _PURPOSE, sha256(body).digest())
        if expected is None or not compare_digest(expected, mac):
            raise RememberedError("its MAC does not match")
        line, _, hidden = body.partition(b"\n")
        head: Any = parse_json(line)
        if head["format"] != FORMAT or head["log_id"] != read_identity(log).hex():
            raise RememberedError("it is of another format or log")
        if head["shape"] != shape:
            raise RememberedError(
                "the detectors are of another version, or know other networks or rates"
            )
        upto, chain = head["upto"], bytes.fromhex(head["chain"])
        context = bytes.fromhex(head["nonce"]) + _PURPOSE
        packed = keys.decrypt_section(head["day"], context, head["check"], hidden)
        if packed is None:
            raise RememberedError("the key of its day was shredded")
        remembered = Remembered(
            shape, upto, chain, zlib.decompressobj().decompress(packed, MOST_BYTES)
        )
    if upto < first_seq(log) or not holds_frame(log, upto, chain):
        raise RememberedError("the events after it are not in the log")
    return remembered
