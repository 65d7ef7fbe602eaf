"""Looks at everything in the secrets' folder that a log needs: keys, their modes and owners.

Blocking.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from eventlog import A_FILE, NotAFileError, last_encrypted, read_file, read_identity, segments_of
from tracker.store.address_keys import KEY_SIZE, Keyring, day_name, day_shown
from tracker.store.server_secret import FILE, SECRET_SIZE
from tracker.store.tag_keys import RETIRED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracker.domain.dates import Dates


RESTORE_KEY = (
    "restore it from a backup of the secrets; without it these addresses are lost for good"
)


NO_START = "no tracker starts with it: restore it from a backup of the secrets"


def unusable(secrets: Path) -> Iterator[tuple[Path, str, str]]:
    """Yields what is no key or no folder of keys, with what is wrong, and advice."""
    for folder in (secrets, secrets / "privacy", secrets / RETIRED):
        if os.path.lexists(folder) and not folder.is_dir():
            yield folder, A_FILE, NO_START
    for path, size, advice in _keys(secrets):
        try:
            found = len(read_file(path))
        except NotAFileError as error:
            yield path, error.what, advice
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}", advice
        else:
            if found != size:
                yield path, f"should hold {size} bytes, and holds {found}", advice


def shut_off(log: Path, secrets: Path) -> Iterator[tuple[Path, str]]:
    """Yields what the tracker has to write, and what its owner may not write by its mode.

    Says nothing to root, whom no mode stops, nor to other users, because the tracker is not run as
    them.
    """
    folders = [log, log / "seg", secrets, secrets / "privacy"]
    for path in (*folders, log / "LOCK", *segments_of(log)[-1:]):
        with suppress(FileNotFoundError):
            found = path.stat()
            needed = stat.S_IRWXU if stat.S_ISDIR(found.st_mode) else stat.S_IRUSR | stat.S_IWUSR
            if found.st_uid == os.geteuid() != 0 and found.st_mode & needed != needed:
                mode = stat.S_IMODE(found.st_mode)
                yield path, f"the tracker may not write it (mode {mode:04o})"


def exposed(secrets: Path) -> Iterator[tuple[Path, str]]:
    """Yields what others may read or have written, with what is wrong. Raises `OSError`."""
    owner = secrets.stat().st_uid
    folders = [secrets, *(secrets / name for name in ("privacy", "reached", "checked", RETIRED))]
    for path in (*folders, *(key for key, _, _ in _keys(secrets))):
        if not path.exists():
            continue
        found = path.stat()
        # Whoever may write in a folder can replace what is in it; names in it are no secret.
        others = stat.S_IWGRP | stat.S_IWOTH if path.is_dir() else stat.S_IRWXG | stat.S_IRWXO
        if found.st_mode & others:
            mode = stat.S_IMODE(found.st_mode)
            yield path, f"others than its owner may use it (mode {mode:04o})"
        if found.st_uid != owner:
            yield path, f"belongs to user {found.st_uid}, and the folder of the secrets to {owner}"


def _keys(secrets: Path) -> Iterator[tuple[Path, int, str]]:
    """Yields the files of keys, the bytes that each should hold, and what to do about another."""
    if os.path.lexists(secrets / FILE):
        yield secrets / FILE, SECRET_SIZE, NO_START
    for path in sorted((secrets / RETIRED).glob("*.key")):
        yield path, SECRET_SIZE, NO_START
    if (secrets / "privacy").is_dir():
        for path in Keyring(secrets).files():
            yield path, KEY_SIZE, RESTORE_KEY


def lost_days(log: Path, keyring: Keyring, shredded: Collection[str], dates: Dates) -> list[str]:
    """Names days whose key is gone or is another one, although the log does not call them shredded,
    with their dates where those are others.

    Looks at the end of each segment only, so that a start can afford it; `tracker verify` looks at
    every frame. Raises `LogError`, `OSError`.
    """
    log_id = read_identity(log)
    lost = set()
    for path in segments_of(log):
        found = last_encrypted(path, log_id)
        if found is not None and not keyring.opens(*found):
            lost.add(found[1])
    return [
        day_shown(day_name(day), day_name(dates.of_day(day)))
        for day in sorted(lost)
        if day_name(day) not in shredded
    ]
