"""Keeps the daily keys that encrypt peers' addresses: a small file for each day of log time.

The files lie apart from the log and only their owner can read them. A frame is encrypted under the
key of the day of its first record, and `key_epoch` is that day's number since 1970-01-01. Without a
key the addresses of its day cannot be read, and nothing else is lost; shredding destroys the key on
purpose.

How a frame is encrypted (docs/log-format.md): HMAC-SHA-512, keyed with the day's 32 bytes, over
"swarmlog frame" and the frame's id (log id 16, epoch 4, base_seq 8, boottime 8, little-endian, and
since format 2 the frame's seed) gives 64 bytes. They are the AES-128 key (16), the initial counter
block (16) and key_check (8); the section is AES-128-CTR.

Counter mode breaks when one key and counter encrypt two texts. Here each frame has a key and a
counter of its own:

- No frame id comes twice, see `eventlog.FrameId`. A second log under the same keys has another log
  id.
- Frames that a crash tore off were encrypted in an epoch that ended with the crash.
- A section has 2**16 blocks at most, so its counter cannot reach another section's.
- A section of a snapshot derives its key from "swarmlog snapshot", 16 random bytes of the file and
  its name.
"""

from __future__ import annotations

import hmac
import re
import secrets
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from eventlog import Encrypted, NotAFileError, destroy_file, make_folder, read_file, write_new
from tracker.domain.events import DAY_US
from tracker.domain.events.announce import V4_MAPPED
from tracker.store.server_secret import SecretError
from tracker.store.tag_keys import TagKeys

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import FrameId

KEY_SIZE = 32

_FRAME, _SECTION = b"swarmlog frame", b"swarmlog snapshot"
_PSEUDONYMS = b"swarmlog pseudonyms"
_FRAME_ID = Struct("<16sIQQ")
_FIRST_DAY = date(1970, 1, 1)
_LAST_DAY = (date.max - _FIRST_DAY).days
_NAME = re.compile(r"\d{4}-\d\d-\d\d\.key", re.ASCII)


def day_of(time_us: int) -> int:
    """Returns the number of the day (UTC, since 1970-01-01) of a log time."""
    return time_us // DAY_US


def day_name(day: int) -> str:
    """Returns a day as `2026-11-21`; `day 4294967295` where the calendar has none."""
    if not 0 <= day <= _LAST_DAY:
        return f"day {day}"
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def day_shown(day: str, date: str | None) -> str:
    """Returns the name of a day of log time for people, with its date where that is another."""
    return day if date in (day, None) else f"{day} (by the clock {date})"


def parse_day(text: str) -> int:
    """Reads what `day_name` writes. Raises `ValueError` for any other text."""
    return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() - _FIRST_DAY).days


class Keyring:
    """Implements `eventlog.Encryptor` and `eventlog.Keys` over the folder of the secrets.

    Blocking; for any thread.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is the `secrets_path`. It need not exist; the keys lie in `privacy` in it."""
        self.secrets = folder
        self.tags = TagKeys(folder)
        self.tag = self.tags.tag
        self.mac_of = self.tags.mac_of
        self._folder = folder / "privacy"
        self._keys: dict[int, bytes] = {}
        self._lock = Lock()

    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        """Encrypts a frame's section under the day's key, which it makes if there is none.

        Raises `SecretError` or `OSError` when there is no key and none can be made.
        """
        day = day_of(time_us)
        key, counter, check = _derive(self._keys.get(day) or self.prepare(day), _context(frame_id))
        return Encrypted(day, check, _crypt(key, counter, data))

    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | None:
        """Decrypts a frame's section; None without the key, or with a wrong or unreadable one."""
        master = self._keys.get(key_epoch) or self._load_for_reading(key_epoch)
        if master is None:
            return None
        key, counter, expected = _derive(master, _context(frame_id))
        return _crypt(key, counter, data) if check == expected else None

    def opens(self, frame_id: FrameId, key_epoch: int, check: int) -> bool:
        """Says whether the key of a frame is there, and is the one that encrypted it."""
        master = self._keys.get(key_epoch) or self._load_for_reading(key_epoch)
        return master is not None and _derive(master, _context(frame_id))[2] == check

    def encrypt_section(self, day: int, context: bytes, data: bytes) -> Encrypted | None:
        """Encrypts a section of a snapshot under a day's key.

        `context` must not come twice with one key. Returns None without the key: it makes none,
        because the day may have been shredded.
        """
        master = self._keys.get(day) or self._load_for_reading(day)
        if master is None:
            return None
        key, counter, check = _derive(master, _SECTION + context)
        return Encrypted(day, check, _crypt(key, counter, data))

    def decrypt_section(
        self, day: int, context: bytes, check: int, data: bytes | bytearray
    ) -> bytes | None:
        """Decrypts what `encrypt_section` returned; None as with `decrypt`."""
        master = self._keys.get(day) or self._load_for_reading(day)
        if master is None:
            return None
        key, counter, expected = _derive(master, _SECTION + context)
        return _crypt(key, counter, data) if check == expected else None

    def pseudonyms(self, day: int) -> bytes | None:
        """Returns the secret under which addresses of a day are hashed; None without its key.

        It cannot be made again once the day is shredded.
        """
        master = self._keys.get(day) or self._load_for_reading(day)
        return hmac.digest(master, _PSEUDONYMS, "sha256") if master is not None else None

    def pseudonym(self, day: int, address: bytes) -> str | None:
        """Returns the name of an address (4 or 16 bytes) on a day, 16 hexadecimal digits.

        None without the day's key.
        """
        secret = self.pseudonyms(day)
        return pseudonym(secret, address).hex() if secret is not None else None

    def prepare(self, day: int) -> bytes:
        """Returns a day's key, and makes it, durably, if there is none.

        Raises `SecretError`, `OSError`.
        """
        with self._lock:
            # Before the look for the key, because an attempt that could not sync may have made it.
            make_folder(self._folder, 0o700)
            key = self._load(day)
            if key is None:
                key = secrets.token_bytes(KEY_SIZE)
                write_new(self._path(day), key, 0o600)
            self._keys[day] = key
            return key

    def days(self) -> list[int]:
        """Returns the days whose keys exist, in order."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        found = []
        for name in filter(_NAME.fullmatch, names):
            with suppress(ValueError):  # digits that are no date name no key
                found.append(parse_day(name.removesuffix(".key")))
        return sorted(found)

    def files(self) -> list[Path]:
        """Returns the files of the keys, in order of their days."""
        return [self._path(day) for day in self.days()]

    def destroy(self, day: int) -> None:
        """Overwrites and removes a day's key, durably. Raises `OSError`."""
        with self._lock:
            self._keys.pop(day, None)
            destroy_file(self._path(day))

    def forget(self) -> bool:
        """Drops keys from memory that are gone from the folder, because their days were shredded.

        Returns whether there were any: then what they decrypted has to be forgotten as well. Raises
        `OSError`.
        """
        with self._lock:
            there = set(self.days())
            kept = {day: key for day, key in self._keys.items() if day in there}
            shredded = len(kept) < len(self._keys)
            self._keys = kept
            return shredded

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
        if not 0 <= day <= _LAST_DAY:
            return None  # a frame may name any number
        path = self._path(day)
        try:
            key = read_file(path)
        except NotAFileError as error:
            raise SecretError(str(error)) from None
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


def pseudonym(secret: bytes, address: bytes) -> bytes:
    """Returns the hash of an address (4 or 16 bytes) under `Keyring.pseudonyms` of a day."""
    packed = V4_MAPPED + address if len(address) == 4 else address
    return blake2b(packed, digest_size=8, key=secret).digest()


def _context(frame_id: FrameId) -> bytes:
    """Returns what tells a frame from all others, in the derivation of its key."""
    *numbers, seed = frame_id
    return _FRAME + _FRAME_ID.pack(*numbers) + seed


def _derive(master: bytes, context: bytes) -> tuple[bytes, bytes, int]:
    """Derives the AES key, the initial counter block and the key check of a frame or section."""
    derived = hmac.digest(master, context, "sha512")
    return derived[:16], derived[16:32], int.from_bytes(derived[32:40], "little")


def _crypt(key: bytes, counter: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """Encrypts or decrypts, which is the same in counter mode. One call a frame."""
    return Cipher(AES(key), CTR(counter)).encryptor().update(data)
