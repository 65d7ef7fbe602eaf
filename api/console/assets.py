"""Holds the files that pages load: style, scripts and pictures, all of them ours or vendored.

They are read once, because they are few and small. Their addresses have a part of their digest, so
that a browser keeps them until they change.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import frozen

FOLDER: Final = Path(__file__).with_name("static")
KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@frozen
class Asset:
    body: bytes
    kind: str
    version: str


@cache
def load() -> dict[str, Asset]:
    """Reads every file of a kind that pages load, by its path below `static`."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in KINDS:
            body = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            found[name] = Asset(body, KINDS[path.suffix], sha256(body).hexdigest()[:12])
    return found
