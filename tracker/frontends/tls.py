"""Reads certificates at the start, and replaces them while serving, always certificate and key
together.

A server keeps one context for good. That context passes every handshake to the context of the pair
in force, so that a replacement touches no open connection. Knows no sockets, signals or
configuration.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NoReturn

MINIMUM: Final = ssl.TLSVersion.TLSv1_2
PROTOCOLS: Final = ["http/1.1"]  # ALPN (RFC 7301)

# OpenSSL's reasons, by version, for a key that does not fit its certificate.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


class TlsError(Exception):
    """A certificate cannot be served; the text gives the file and the cause."""


class Certificate:
    """A certificate and its private key, read from two PEM files.

    `context` is what a server uses; it always hands over to the pair in force.
    """

    __slots__ = ("_cert", "_current", "_expires", "_key", "context")

    def __init__(self, cert: str, key: str) -> None:
        """Reads `cert` (the certificate with its chain) and `key` (its private key), both paths.

        Raises `TlsError`.
        """
        self._cert = cert
        self._key = key
        self.context = self._current = _load(cert, key)
        self.context.sni_callback = self._hand_over
        self._expires = _expiry(cert)

    def __str__(self) -> str:
        return self._cert

    def reload(self) -> None:
        """Reads the files again, for later handshakes. Raises `TlsError`; the old pair stays in
        force then.
        """
        self._current = _load(self._cert, self._key)
        self._expires = _expiry(self._cert)

    def expires_seconds(self) -> float | None:
        """Returns when the certificate in force expires, in Unix seconds; None = it does not say so
        in a form that can be read.
        """
        return self._expires

    def _hand_over(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        # OpenSSL calls this at every handshake, also when the client names no server. The new pair
        # is not loaded into the old context, because OpenSSL keeps one pair for each kind of key
        # there and would go on serving the old one.
        connection.context = self._current


def _load(cert: str, key: str) -> ssl.SSLContext:
    """Returns a context for a server. Raises `TlsError`."""
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
        # Without this function OpenSSL would wait for a passphrase on the terminal.
        context.load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        raise TlsError(_pair_problem(error, cert, key)) from None
    except OSError as error:
        raise TlsError(f"{cert} with {key}: {error.strerror or error}") from None
    return context


def _expiry(cert: str) -> float | None:
    """Returns when the first certificate of a PEM file expires, in Unix seconds."""
    from cryptography import x509  # only where TLS is served, because it takes 3 MB

    try:
        first = x509.load_pem_x509_certificates(Path(cert).read_bytes())[0]
        return first.not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def _check_readable(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror or error}") from None


def _check_certificate(cert: str) -> None:
    """Raises `TlsError` for a bad certificate, which `load_cert_chain` does not tell from a bad
    key.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except OSError:
        raise TlsError(f"{cert}: holds no certificate in PEM form") from None


def _pair_problem(error: ssl.SSLError, cert: str, key: str) -> str:
    if error.reason in _MISMATCHES:
        return f"{key}: is not the key of the certificate {cert}"
    if error.reason and error.reason != "PEM_LIB":
        # For example, a key that is too short for this OpenSSL.
        return f"{cert} with {key}: {error.reason.lower().replace('_', ' ')}"
    return f"{key}: holds no private key in PEM form"
