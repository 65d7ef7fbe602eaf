"""The daily keys that encrypt peers' addresses: one small file a day of log time, apart from the log, readable by the owner only.

A frame is encrypted under the key of the day of its first record, and `key_epoch` is that day's number since 1970-01-01. Losing
a key loses the addresses of that day and nothing else; shredding is losing it on purpose.

How a frame is encrypted: HMAC-SHA-512, keyed with the day's 32 bytes, of "swarmlog frame" and the frame's place
(log id 16, epoch 4, base_seq 8, boottime 8, little-endian) gives 64 bytes: AES-128 key 16, initial counter block 16, key_check 8.
The section is AES-128-CTR with these.

Counter mode is broken by one key and counter used for two texts. Here every place has both of its own, and no place comes
twice: see `eventlog.FrameId`. A section is 2**16 blocks at most, so it never counts into anything; and a second log under
the same keys has another id. The sections of a snapshot have keys of their own: HMAC of "swarmlog snapshot", the file's random 16
bytes and the section's name. The frames that a crash tore off were encrypted in an epoch that ended with it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from eventlog import Encrypted, destroy_file, write_new
from tracker.domain.events import DAY_US
from tracker.store.server_secret import SecretError

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import FrameId

KEY_SIZE = 32

_FRAME, _SECTION = b"swarmlog frame", b"swarmlog snapshot"
_FRAME_ID = Struct("<16sIQQ")
_FIRST_DAY = date(1970, 1, 1)
_NAME = re.compile(r"\d{4}-\d\d-\d\d\.key", re.ASCII)


def day_of(time_us: int) -> int:
    """The number of the day (UTC, since 1970-01-01) of a log time."""
    return time_us // DAY_US


def day_name(day: int) -> str:
    """`2026-11-21`."""
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def parse_day(text: str) -> int:
    """The number of the day that `day_name` would write so; raises `ValueError`."""
    return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() - _FIRST_DAY).days


class Keyring:
    """`eventlog.Encryptor` and `eventlog.Decryptor` over a folder, which need not exist. Blocking; any thread."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the `secrets_path`, `secrets` from then on; the keys are in `privacy` within."""
        self.secrets = folder
        self._folder = folder / "privacy"
        self._keys: dict[int, bytes] = {}
        self._lock = Lock()

    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        """Raises `SecretError`, `OSError` when there is no key for the day and none can be made."""
        day = day_of(time_us)
        key, counter, check = _derive(
            self._keys.get(day) or self.prepare(day), _FRAME + _FRAME_ID.pack(*frame_id)
        )
        return Encrypted(day, check, _crypt(key, counter, data))

    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | None:
        """None also for a key that is another than that day's, and for one that may not be read."""
        master = self._keys.get(key_epoch) or self._load_for_reading(key_epoch)
        if master is None:
            return None
        key, counter, expected = _derive(master, _FRAME + _FRAME_ID.pack(*frame_id))
        return _crypt(key, counter, data) if check == expected else None

    def encrypt_section(self, day: int, context: bytes, data: bytes) -> Encrypted | None:
        """Encrypt what is no frame under a day's key; `context` never comes twice with one key. None when there is no such key:
        none is made, for the day may have been shredded."""
        master = self._keys.get(day) or self._load_for_reading(day)
        if master is None:
            return None
        key, counter, check = _derive(master, _SECTION + context)
        return Encrypted(day, check, _crypt(key, counter, data))

    def decrypt_section(
        self, day: int, context: bytes, check: int, data: bytes | memoryview
    ) -> bytes | None:
        """As `decrypt`, of what `encrypt_section` gave."""
        master = self._keys.get(day) or self._load_for_reading(day)
        if master is None:
            return None
        key, counter, expected = _derive(master, _SECTION + context)
        return _crypt(key, counter, data) if check == expected else None

    def prepare(self, day: int) -> bytes:
        """A day's key, made and durable if there was none. Raises `SecretError`, `OSError`."""
        with self._lock:
            key = self._load(day)
            if key is None:
                key = secrets.token_bytes(KEY_SIZE)
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_new(self._path(day), key, 0o600)
            self._keys[day] = key
            return key

    def days(self) -> list[int]:
        """The days whose keys are there, in order."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        found = []
        for name in filter(_NAME.fullmatch, names):
            with suppress(ValueError):  # digits, and no date: no key of ours
                found.append(parse_day(name.removesuffix(".key")))
        return sorted(found)

    def destroy(self, day: int) -> None:
        """Overwrite and remove a day's key, durably. Raises `OSError`."""
        with self._lock:
            self._keys.pop(day, None)
            destroy_file(self._path(day))

    def forget(self) -> None:
        """Keep no key in memory that is not in the folder any more, whoever destroyed it. Raises `OSError`."""
        with self._lock:
            there = set(self.days())
            self._keys = {day: key for day, key in self._keys.items() if day in there}

    def _load_for_reading(self, day: int) -> bytes | None:
        with self._lock:
            try:
                key = self._load(day)
            except (SecretError, OSError):
                return None
            if key is not None:
                self._keys[day] = key
            return key

    def _load(self, day: int) -> bytes | None:
        path = self._path(day)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(key) != KEY_SIZE:
            raise SecretError(
                f"{path} should hold {KEY_SIZE} bytes, it holds {len(key)}; restore it, or remove it: that day's "
                "addresses cannot be read then"
            )
        return key

    def _path(self, day: int) -> Path:
        return self._folder / f"{day_name(day)}.key"


def _derive(master: bytes, context: bytes) -> tuple[bytes, bytes, int]:
    """AES key, initial counter block and key check of a frame or section."""
    derived = hmac.digest(master, context, "sha512")
    return derived[:16], derived[16:32], int.from_bytes(derived[32:40], "little")


def _crypt(key: bytes, counter: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """Encrypt or decrypt: in counter mode the same. One call a frame."""
    return Cipher(AES(key), CTR(counter)).encryptor().update(data)
