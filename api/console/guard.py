"""Decides what the console answers to whom: headers of every answer, and which requests may change
something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from quart import Request

POLICY: Final = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

EVERY: Final = tuple(
    (name.encode(), text.encode())
    for name, text in {**HEADERS, "cache-control": "no-store"}.items()
)
"""What every answer has, as the server writes it: also those to what is no request."""


def is_own(request: Request) -> bool:
    """Tells whether a page of the console sent this request, and not another site.

    `Sec-Fetch-Site` says so; browsers without it send `Origin` with every POST. A proxy in front
    must keep `Host`.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    # Under `no-referrer` browsers say "null" with a form's POST; the first header vouches for it.
    if origin is not None and not (origin == "null" and site is not None):
        return _host_of(origin) == request.host != ""
    return site is not None


def _host_of(origin: str) -> str | None:
    """Returns the host and port of an origin; None = it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def from_elsewhere(request: Request) -> bool:
    """Tells whether a link of another site led here, so that the browser kept the cookie back."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def is_secure(request: Request) -> bool:
    """Tells whether the browser uses TLS, to the console or to a proxy that says so."""
    return request.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def cookie_name(request: Request) -> str:
    """Names the session's cookie. Cookies know no ports, and two instances may be on one host."""
    port = request.host.rpartition(":")[2]
    name = f"console-{port}" if port.isdecimal() else "console"
    return f"__Host-{name}" if is_secure(request) else name


def own_path(request: Request) -> str:
    """Returns the path of a request as URLs have it: a name in it may have any character."""
    return quote(request.path, safe="/:@!$&'()*+,;=~")


def here(request: Request) -> str:
    """Returns the path and query of a request, to lead a browser there again."""
    query = request.query_string.decode("latin-1")
    return f"{own_path(request)}?{query}" if query else own_path(request)


def local_path(text: str, default: str = "/") -> str:
    """Returns a path of the console, with its query, to lead a browser to; anything else is
    `default`.
    """
    # A browser takes a backslash for a slash, and drops control characters.
    odd = not text.isprintable() or "\\" in text
    return default if odd or not text.startswith("/") or text.startswith("//") else text
