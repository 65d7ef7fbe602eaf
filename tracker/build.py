"""The hot modules: plain Python that Cython compiles unchanged, with the types in the .pxd beside each.

An install compiles them where it can (scripts/compiling.py); everything else works with either build and cannot tell.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent
MODULES = (
    "domain/accounts",
    "domain/addresses_by_day",
    "domain/directory",
    "domain/peer_by_seq",
    "domain/state",
    "domain/swarms",
    "frontends/udp/handler",
    "service/announce",
)
RECORD = ROOT / "compiled.json"
"""What an install wrote of its compiling: the digest of the sources, the build."""


def digest() -> str:
    """SHA-256 over the sources that the compiled modules come from."""
    hasher = sha256()
    sources = [ROOT / f"{name}.py" for name in MODULES]
    for path in sorted([*sources, *ROOT.rglob("*.pxd")]):
        hasher.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return hasher.hexdigest()


def build() -> str:
    """Which build this is, for people."""
    return "compiled" if _extensions() else "pure Python"


def stale() -> str | None:
    """What is wrong when compiled modules are not those of their sources; they would be imported all the same."""
    if not _extensions():
        return None
    try:
        recorded = json.loads(RECORD.read_bytes())["sources"]
    except (OSError, ValueError, KeyError):
        recorded = None
    if recorded == digest():
        return None
    return (
        f"the compiled modules in {ROOT} are not those of the sources beside them: scripts/run compiles them again "
        "(elsewhere: install anew)"
    )


def _extensions() -> bool:
    from tracker.domain import directory

    return not directory.__file__.endswith(".py")
