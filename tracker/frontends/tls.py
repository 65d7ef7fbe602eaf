"""Certificates: read once at the start, exchanged while serving, and never a half of a pair.

Whoever serves TLS holds one context for good. It hands every handshake on to the context of the pair in force,
so that an exchange touches no connection that is open. Knows nothing of sockets, signals or the configuration.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NoReturn

MINIMUM: Final = ssl.TLSVersion.TLSv1_2
PROTOCOLS: Final = ["http/1.1"]  # ALPN (RFC 7301)

# What OpenSSL's versions say of a key of the same kind and of another kind.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


class TlsError(Exception):
    """A certificate cannot be served; the text names the file and says why."""


class Certificate:
    """A certificate and its key, from two PEM files. Raises `TlsError` when made."""

    __slots__ = ("_cert", "_current", "_key", "context")

    def __init__(self, cert: str, key: str) -> None:
        """`cert`: path of the certificate with its chain. `key`: path of its private key."""
        self._cert = cert
        self._key = key
        self.context = self._current = _load(cert, key)
        self.context.sni_callback = self._hand_over

    def __str__(self) -> str:
        return self._cert

    def reload(self) -> None:
        """Read the files again, for the handshakes to come. After `TlsError` the old pair is still in force."""
        self._current = _load(self._cert, self._key)

    def _hand_over(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        # Called at every handshake, also of clients that name no server. Loading the new pair into the old
        # context would not do: OpenSSL keeps one for each kind of key there, and serves the older one too.
        connection.context = self._current


def _load(cert: str, key: str) -> ssl.SSLContext:
    """A server's context. Raises `TlsError`."""
    for path in (cert, key):
        _check_readable(path)
    _check_certificate(cert)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = MINIMUM
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(PROTOCOLS)

    def no_password() -> NoReturn:
        raise TlsError(f"{key}: the key has a passphrase, which nobody is there to type")

    try:
        # Without a function OpenSSL would ask on the terminal, and wait.
        context.load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        raise TlsError(_pair_problem(error, cert, key)) from None
    except OSError as error:
        raise TlsError(f"{cert} with {key}: {error.strerror or error}") from None
    return context


def _check_readable(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror or error}") from None


def _check_certificate(cert: str) -> None:
    """Tell a bad certificate from a bad key: `load_cert_chain` does not."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except OSError:
        raise TlsError(f"{cert}: holds no certificate in PEM form") from None


def _pair_problem(error: ssl.SSLError, cert: str, key: str) -> str:
    if error.reason in _MISMATCHES:
        return f"{key}: is not the key of the certificate {cert}"
    if error.reason and error.reason != "PEM_LIB":
        # Such as a key that is too small for today's OpenSSL.
        return f"{cert} with {key}: {error.reason.lower().replace('_', ' ')}"
    return f"{key}: holds no private key in PEM form"
