"""Makes self-signed certificates for 127.0.0.1, and writes them to files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


@frozen
class Pair:
    """A certificate and its key as PEM texts."""

    cert: bytes
    key: bytes

    def write(self, folder: Path, name: str = "site") -> str:
        """Writes both files; returns their paths as the TOML value of a `tls_config`."""
        cert, key = folder / f"{name}.crt", folder / f"{name}.key"
        cert.write_bytes(self.cert)
        key.write_bytes(self.key)
        return f'{{ssl_cert_path = "{cert}", ssl_key_path = "{key}"}}'


def make(name: str, *, old_kind: bool = False, passphrase: bytes = b"") -> Pair:
    """Makes a new pair. `old_kind` gives an RSA key in place of an elliptic curve."""
    key = rsa.generate_private_key(65537, 2048) if old_kind else ec.generate_private_key(_CURVE)
    cipher: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        cipher = serialization.BestAvailableEncryption(passphrase)
    return Pair(
        _signed(name, key).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher),
    )


_CURVE = ec.SECP256R1()


def _signed(name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
