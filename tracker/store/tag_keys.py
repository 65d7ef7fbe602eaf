"""Authenticates frames and files of the log with keys derived from the server's secret.

tag key    = HMAC-SHA-256(secret, "swarmlog tag key")
key id     = first 16 bytes of HMAC-SHA-256(tag key, "swarmlog key id")
frame key  = first 16 bytes of HMAC-SHA-256(tag key, "swarmlog tag" + log id + the frame's seed)
tag        = AES-128-GMAC(frame key, nonce 0) over the frame's bytes (docs/log-format.md)
MAC        = HMAC-SHA-256(tag key, "swarmlog mac " + purpose + 0 + the file's SHA-256)

    <secrets>/server.key               the secret that makes new tags
    <secrets>/retired/<key id>.key     earlier secrets, which only check

A frame key makes one tag, so its nonce may be fixed. A secret is never shredded, because the tags
are checked as long as the log lives.
"""

from __future__ import annotations

import hmac
import os
import secrets as random
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from itertools import zip_longest
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventlog import (
    RESTORE_KEYS,
    LogCorruptError,
    LogError,
    base_seq_of,
    first_frame_header,
    make_folder,
    open_header,
    read_identity,
    segments_of,
    write_new,
)
from tracker.store import high_water_mark, server_secret
from tracker.store.server_secret import FILE, SECRET_SIZE, SecretError, derive, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from hashlib import _Hash as Hash
    from pathlib import Path

    from eventlog import Part

ID_SIZE = 16
MAC_SIZE = 32
RETIRED = "retired"
"""Folder of earlier secrets."""
_NONCE = bytes(12)


class OtherKeyError(LogError):
    """The secrets are not those that the log was written with."""

    def __init__(self, segment: Path, what: str) -> None:
        super().__init__(
            f"{segment} {what}: {RESTORE_KEYS}. Nothing was changed, and no new key was made"
        )
        self.path = segment
        self.what = what


def prepare(log: Path, secrets: Path) -> None:
    """Makes the server's secret on first use, before a log is opened for writing.

    Raises `OtherKeyError` for a log that other keys authenticate, `SecretError`, `LogError`,
    `OSError`.
    """
    tags = TagKeys(secrets)
    if wrong := wrong_key(segments_of(log), tags):
        raise wrong
    if not os.path.lexists(tags.path) and (log / "identity.json").exists():
        mark = high_water_mark.read(secrets, read_identity(log))
        if mark is not None and mark.tagged_from is not None:  # no segment can tell any more
            raise OtherKeyError(log, f"had tags when it was noted, and {tags.path} is missing")
    server_secret.load_or_create(secrets)


def wrong_key(segments: Iterable[Path], tags: TagKeys) -> OtherKeyError | None:
    """Finds the first segment that these secrets cannot have written; None = there is none.

    A key is used from one change to the next, and never again. Raises `LogError`, `OSError`.
    """
    used: list[bytes] = []
    for path in segments:
        key_id = _key_id_of(path)
        if not key_id:
            continue
        try:
            now = tags.key_id
        except FileNotFoundError:
            return OtherKeyError(path, f"needs {tags.path}, which is missing")
        except SecretError as error:
            return OtherKeyError(path, f"needs {tags.path}, and {error}")
        if not tags.has(key_id):
            return OtherKeyError(path, f"was written with another {FILE} than {tags.path}")
        if used[-1:] != [key_id]:
            if key_id in used or now in used:
                what = f"was written with a {FILE} that had been retired before"
                return OtherKeyError(path, what)
            used.append(key_id)
    return None


def can_check(log: Path, tags: TagKeys | None) -> bool:
    """Says whether every tag of a log can be checked; None = there are no secrets.

    Then the log is as its tracker wrote it, if reading it finds nothing wrong. Otherwise it may be
    anything with right checksums. Raises `LogError`, `OSError`.
    """
    if tags is None:
        return False
    for path in segments_of(log):
        with suppress(FileNotFoundError):  # a removal took it meanwhile
            header = open_header(path)
            if header.format > 1 and not tags.has(header.key_id):
                return False
    return True


def last_used(segments: Sequence[Path]) -> bytes:
    """Returns the id of the key of the last frame with a tag; b"" = there is none.

    Raises `LogError`, `OSError`.
    """
    for path in reversed(segments):
        if (key_id := _key_id_of(path)) and first_frame_header(path) is not None:
            return key_id
    return b""


def secret_at(log: Path, seq: int, tags: TagKeys) -> bytes | None:
    """Returns the server's secret with which an event was written; None without it.

    Segments of format 1 do not name it: it is that of the first tag after them. Raises `LogError`,
    `OSError`.
    """
    paths = segments_of(log)
    starts = [base_seq_of(path) for path in paths[1:]]
    for path, following in zip_longest(paths, starts):
        if (following is None or following > seq) and (key_id := _key_id_of(path)):
            return tags.secret(key_id)
    return tags.secret(None)


def _key_id_of(path: Path) -> bytes:
    """Returns the id of a segment's key; b"" = it has no tags, or opening it tells of damage."""
    with suppress(LogCorruptError):
        header = open_header(path)
        return header.key_id if header.format > 1 else b""
    return b""


class TagKeys:
    """Implements `eventlog.Tags` over the folder of the secrets. For any thread."""

    def __init__(self, secrets: Path) -> None:
        """Reads `server.key` when it is first needed."""
        self._secrets = secrets
        self._keys: dict[bytes, bytes] = {}  # tag keys by their ids
        self._new = b""  # the id of the key of new tags

    @property
    def path(self) -> Path:
        return self._secrets / FILE

    @property
    def key_id(self) -> bytes:
        """Raises `SecretError`, `OSError` without a usable `server.key`."""
        if not self._new:
            self._new = self._add(load(self._secrets))
        return self._new

    def has(self, key_id: bytes) -> bool:
        """Says whether a key is there, the one in use or an earlier one."""
        return self._key(key_id) is not None

    def secret(self, key_id: bytes | None) -> bytes | None:
        """Returns the secret behind a key, None = the one in use; None without it."""
        places = [(self._secrets, FILE)]
        if key_id is not None:
            places.append((self._secrets / RETIRED, self._retired(key_id).name))
        for folder, name in places:
            with suppress(SecretError, OSError):
                found = load(folder, name)
                if key_id in (None, self._add(found)):
                    return found
        return None

    def change(self) -> bytes:
        """Puts another secret in the place of `server.key`, and keeps the old one to check tags.

        The log must not be written meanwhile. Returns the id of the new key. Raises `SecretError`,
        `OSError`.
        """
        before, old = self.key_id, load(self._secrets)
        make_folder(self._secrets / RETIRED, 0o700)
        write_new(self._retired(before), old, 0o600)
        secret = random.token_bytes(SECRET_SIZE)
        write_new(self.path, secret, 0o600)
        self._new = self._add(secret)
        return self._new

    def sign(self, log_id: bytes, seed: bytes, *parts: Part) -> bytes:
        """Raises `SecretError`, `OSError` without a usable `server.key`."""
        return _tag(self._keys[self.key_id], log_id, seed, *parts)

    def tag(self, key_id: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes | None:
        """Returns the tag that these bytes must have; None without their key."""
        key = self._key(key_id)
        return _tag(key, log_id, seed, *parts) if key is not None else None

    def mac(self, purpose: bytes, data: bytes) -> bytes:
        """Authenticates a file by its digest.

        Raises `SecretError`, `OSError` without a usable `server.key`.
        """
        return _mac(self._keys[self.key_id], purpose, data)

    def mac_of(self, key_id: bytes, purpose: bytes, data: bytes) -> bytes | None:
        """Returns the MAC that `mac` made with a key; None without that key."""
        key = self._key(key_id)
        return _mac(key, purpose, data) if key is not None else None

    def _key(self, key_id: bytes) -> bytes | None:
        if (key := self._keys.get(key_id)) is not None:
            return key
        with suppress(SecretError, OSError):
            _ = self.key_id
        if key_id not in self._keys:
            with suppress(SecretError, OSError):
                self._add(load(self._secrets / RETIRED, self._retired(key_id).name))
        return self._keys.get(key_id)

    def _add(self, secret: bytes) -> bytes:
        key = derive(secret, "tag key")
        key_id = hmac.digest(key, b"swarmlog key id", "sha256")[:ID_SIZE]
        self._keys[key_id] = key
        return key_id

    def _retired(self, key_id: bytes) -> Path:
        return self._secrets / RETIRED / f"{key_id.hex()}.key"


def _tag(key: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes:
    begun = _begun(key, log_id)
    inner, outer = begun[0].copy(), begun[1].copy()
    inner.update(seed)
    outer.update(inner.digest())
    return AESGCM(outer.digest()[:16]).encrypt(_NONCE, b"", b"".join(parts))


@lru_cache(maxsize=64)
def _begun(key: bytes, log_id: bytes) -> tuple[Hash, Hash]:
    """Returns the inner and the outer SHA-256 of the HMAC (RFC 2104) that makes the frame keys of a
    log, up to the seed, because a reader makes one for each frame.
    """
    padded = key.ljust(sha256().block_size, b"\0")
    inner, outer = (sha256(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))
    inner.update(b"swarmlog tag" + log_id)
    return inner, outer


def _mac(key: bytes, purpose: bytes, data: bytes) -> bytes:
    return hmac.digest(key, b"swarmlog mac " + purpose + b"\0" + data, "sha256")
