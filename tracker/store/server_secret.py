"""Keeps the server's secret, and derives keys from it.

Its file lies apart from the log, and only its owner can read it.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import NotAFileError, make_folder, read_file, write_new

if TYPE_CHECKING:
    from pathlib import Path

FILE = "server.key"
SECRET_SIZE = 32
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class SecretError(Exception):
    """The secret's file cannot be used; the text says why."""


def load_or_create(folder: Path) -> bytes:
    """Reads the 32 bytes of `server.key` in `folder`, and makes them on first use.

    Raises the errors of `load`.
    """
    make_folder(folder, 0o700)
    try:
        return load(folder)
    except FileNotFoundError:
        return _create(folder / FILE)


def load(folder: Path, name: str = FILE) -> bytes:
    """Reads the 32 bytes of a secret in `folder`.

    Raises `SecretError` for a file of another size, `FileNotFoundError`, `OSError`.
    """
    path = folder / name
    try:
        secret = read_file(path)
    except NotAFileError as error:
        raise SecretError(str(error)) from None
    if len(secret) != SECRET_SIZE:
        raise SecretError(
            f"{path} should hold {SECRET_SIZE} bytes, it holds {len(secret)}; restore it"
        )
    return secret


def _create(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_SIZE)
    write_new(path, secret, 0o600)
    return secret


def derive(secret: bytes, purpose: str) -> bytes:
    """Derives a key of 32 bytes for one purpose."""
    return hmac.digest(secret, b"swarmlog " + purpose.encode(), "sha256")


def selection_key(secret: bytes) -> bytes:
    """Derives the 32 bytes by which peers and intervals are drawn."""
    return derive(secret, "peer selection")


def tracker_key(secret: bytes, request: str) -> str:
    """Derives a tracker key of 32 letters and digits; the same request gets the same key."""
    number = int.from_bytes(hmac.digest(secret, b"tracker key " + request.encode(), "sha512"))
    characters = bytearray()
    for _ in range(32):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return characters.decode()


def key_hash(key: str) -> bytes:
    """Returns the SHA-256 of a tracker key, which stands for it in the log and in the state."""
    return sha256(key.encode()).digest()
