"""Names the hot modules, and says which build of them runs.

They are plain Python that Cython compiles unchanged, with the types in the .pxd beside each. An
install compiles them where it can (scripts/compiling.py); all other code works with either build.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent
MODULES = (
    "domain/access",
    "domain/accounts",
    "domain/addresses_by_day",
    "domain/bases",
    "domain/booking",
    "domain/budgets",
    "domain/by_age",
    "domain/changes",
    "domain/clients",
    "domain/daily",
    "domain/detecting/addresses",
    "domain/detecting/alone",
    "domain/detecting/feed",
    "domain/detecting/holding",
    "domain/detecting/identities",
    "domain/detecting/intervals",
    "domain/detecting/keeping",
    "domain/detecting/leeching",
    "domain/detecting/networks",
    "domain/detecting/outages",
    "domain/detecting/rates",
    "domain/detecting/received",
    "domain/detecting/sent",
    "domain/detecting/steady",
    "domain/detecting/watch",
    "domain/directory",
    "domain/factors",
    "domain/groups",
    "domain/hidden_peers",
    "domain/hit_and_run",
    "domain/index",
    "domain/judging",
    "domain/limits",
    "domain/listing",
    "domain/names",
    "domain/peer_by_seq",
    "domain/peer_lists",
    "domain/rules",
    "domain/seeding",
    "domain/staying",
    "domain/state",
    "domain/swarms",
    "domain/sweep",
    "frontends/http/engine",
    "frontends/http/handler",
    "frontends/udp/handler",
    "frontends/udp/receivers",
    "frontends/udp/recvmmsg",
    "places",
    "service/announce",
    "service/deadline",
    "service/rate_limits",
    "store/book_packing",
    "store/stay_scan",
    "wire/connection_id",
    "wire/query",
    "wire/request",
)
"""One a line: scripts/_venv reads this list too."""
RECORD = ROOT / "compiled.json"
"""Written by an install that compiled: the digest of the sources, and the ABI."""


def digest() -> str:
    """Returns the SHA-256 over the sources of the compiled modules, in hexadecimal."""
    hasher = sha256()
    sources = [ROOT / f"{name}.py" for name in MODULES]
    for path in sorted([*sources, *ROOT.rglob("*.pxd")]):
        hasher.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return hasher.hexdigest()


def build() -> str:
    """Names the build that runs, for people."""
    return "compiled" if _extensions() else "pure Python"


def stale() -> str | None:
    """Says what is wrong when the compiled modules come from other sources; None = nothing.

    Python would import them all the same.
    """
    if not _extensions():
        return None
    try:
        recorded = json.loads(RECORD.read_bytes())["sources"]
    except (OSError, ValueError, KeyError, TypeError):
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
