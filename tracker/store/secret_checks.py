"""Looks at everything in the secrets' folder that a log needs: keys, their modes and owners.

Blocking.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from eventlog import last_encrypted, read_identity, segments_of
from tracker.store.address_keys import KEY_SIZE, day_name
from tracker.store.server_secret import SECRET_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracker.store.address_keys import Keyring

RESTORE_KEY = (
    "restore it from a backup of the secrets; without it these addresses are lost for good"
)


def unusable(secrets: Path) -> Iterator[tuple[Path, str]]:
    """Yields the files that hold no key, with what is wrong: no tracker starts with them."""
    for path, size in _keys(secrets):
        try:
            found = len(path.read_bytes())
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}"
        else:
            if found != size:
                yield path, f"should hold {size} bytes, and holds {found}"


def exposed(secrets: Path) -> Iterator[tuple[Path, str]]:
    """Yields what others may read or have written, with what is wrong. Raises `OSError`."""
    owner = secrets.stat().st_uid
    folders = [secrets, *(secrets / name for name in ("privacy", "reached"))]
    for path in (*filter(lambda each: each.is_dir(), folders), *(key for key, _ in _keys(secrets))):
        found = path.stat()
        # Whoever may write in a folder can replace what is in it; names in it are no secret.
        others = stat.S_IWGRP | stat.S_IWOTH if path.is_dir() else stat.S_IRWXG | stat.S_IRWXO
        if found.st_mode & others:
            mode = stat.S_IMODE(found.st_mode)
            yield path, f"others than its owner may use it (mode {mode:04o})"
        if found.st_uid != owner:
            yield path, f"belongs to user {found.st_uid}, and the folder of the secrets to {owner}"


def _keys(secrets: Path) -> Iterator[tuple[Path, int]]:
    """Yields the files of keys, and the bytes that each should hold."""
    for path in (secrets / "server.key",):
        if path.exists():
            yield path, SECRET_SIZE
    folder = secrets / "privacy"
    if folder.is_dir():
        yield from ((path, KEY_SIZE) for path in sorted(folder.glob("*.key")))


def lost_days(log: Path, keyring: Keyring, shredded: Collection[str]) -> list[str]:
    """Names days whose key is gone or is another one, although the log does not call them shredded.

    Looks at the end of each segment only, so that a start can afford it; `tracker verify` looks at
    every frame. Raises `LogError`, `OSError`.
    """
    log_id = read_identity(log)
    lost = set()
    for path in segments_of(log):
        found = last_encrypted(path, log_id)
        if found is not None and not keyring.opens(*found):
            lost.add(day_name(found[1]))
    return sorted(lost.difference(shredded))
