"""Says which certificates a client of the API trusts."""

from __future__ import annotations

import ssl
from pathlib import Path


def trusting(certificate: str | None) -> ssl.SSLContext:
    """Trusts the certificate authorities of this machine, or one certificate alone: the API's own.

    That certificate names the tracker's host and not the loopback address, so names are not
    compared. Raises `OSError`.
    """
    if certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not have signed itself
    # What stands beside the certificates may be in any encoding.
    text = Path(certificate).read_bytes().decode("ascii", "ignore")
    first, end, _ = text.partition("-----END CERTIFICATE-----")
    context.load_verify_locations(cadata=first + end + "\n")
    return context
