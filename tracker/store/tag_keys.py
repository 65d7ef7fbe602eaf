"""Authenticates frames and files of the log with keys derived from the server's secret.

tag key    = HMAC-SHA-256(secret, "swarmlog tag key")
key id     = first 16 bytes of HMAC-SHA-256(tag key, "swarmlog key id")
frame key  = first 16 bytes of HMAC-SHA-256(tag key, "swarmlog tag" + log id + the frame's seed)
tag        = AES-128-GMAC(frame key, nonce 0) over the frame's bytes (docs/log-format.md)
MAC        = HMAC-SHA-256(tag key, "swarmlog mac " + purpose + 0 + the file's SHA-256)

A frame key makes one tag, so its nonce may be fixed. The secret is never shredded, because the tags
are checked as long as the log lives.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventlog import LogError, list_segments, open_header
from tracker.store import server_secret
from tracker.store.server_secret import SecretError, derive, load

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import Part

ID_SIZE = 16
MAC_SIZE = 32
_NONCE = bytes(12)


def prepare(log: Path, secrets: Path) -> None:
    """Makes the server's secret on first use, before a log is opened for writing.

    Raises `OtherKeyError` for a log that another secret's key authenticates, `SecretError`,
    `LogError`, `OSError`.
    """
    segments = list_segments(log / "seg") if (log / "seg").is_dir() else []
    for path in segments:
        try:
            header = open_header(path)
        except LogError:
            continue  # opening the log reports it
        if header.format > 1 and header.key_id != _key_id(secrets):
            raise OtherKeyError(path, secrets)
    server_secret.load_or_create(secrets)


def _key_id(secrets: Path) -> bytes:
    """Returns the id of the key; nothing without a secret."""
    try:
        return TagKeys(secrets).key_id
    except FileNotFoundError:
        return b""


class OtherKeyError(LogError):
    """The secrets are not those that the log was written with."""

    def __init__(self, segment: Path, secrets: Path) -> None:
        super().__init__(
            f"{segment} was written with another server.key than the one in {secrets}, or there is none: restore it from a "
            "backup of the secrets. Nothing was changed"
        )


class TagKeys:
    """Implements `eventlog.Tags` over the folder of the secrets. For any thread."""

    def __init__(self, secrets: Path) -> None:
        """Reads `server.key` when it is first needed."""
        self._secrets = secrets
        self._key = b""
        self._key_id = b""

    @property
    def key_id(self) -> bytes:
        """Raises `SecretError`, `OSError` without a usable `server.key`."""
        if not self._key:
            self._key = derive(load(self._secrets), "tag key")
            self._key_id = hmac.digest(self._key, b"swarmlog key id", "sha256")[:ID_SIZE]
        return self._key_id

    def sign(self, log_id: bytes, seed: bytes, *parts: Part) -> bytes:
        """Raises `SecretError`, `OSError` without a usable `server.key`."""
        _ = self.key_id
        key = hmac.digest(self._key, b"swarmlog tag" + log_id + seed, "sha256")[:16]
        return AESGCM(key).encrypt(_NONCE, b"", b"".join(parts))

    def tag(self, key_id: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes | None:
        """Returns the tag that these bytes must have; None without their key."""
        return self.sign(log_id, seed, *parts) if self._is(key_id) else None

    def mac(self, purpose: bytes, data: bytes) -> bytes:
        """Authenticates a file by its digest.

        Raises `SecretError`, `OSError` without a usable `server.key`.
        """
        _ = self.key_id
        return hmac.digest(self._key, b"swarmlog mac " + purpose + b"\0" + data, "sha256")

    def mac_of(self, key_id: bytes, purpose: bytes, data: bytes) -> bytes | None:
        """Returns the MAC that `mac` made with a key; None without that key."""
        return self.mac(purpose, data) if self._is(key_id) else None

    def _is(self, key_id: bytes) -> bool:
        try:
            return key_id == self.key_id
        except (SecretError, OSError):
            return False
