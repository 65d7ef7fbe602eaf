"""The opening balance of a log whose oldest events were removed: the state at its first event, without addresses.

A file beside the segments rather than an event among them: replay has to know it before it reads the first event, and
the event that vouches for it, `log_pruned`, comes later in the log (docs/adr/0008). The peers in it are hidden ones
(`domain.hidden`). It is no cache: the events it stands for are gone.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import LogCorruptError, LogPrunedError, first_seq, opening_path
from tracker.domain.state import State

if TYPE_CHECKING:
    from pathlib import Path


def begin(folder: Path, seq: int) -> tuple[State, str]:
    """The state at the beginning of a log, which is `seq`, and the SHA-256 of its opening ("" = it needs none).

    Raises `LogCorruptError`, `LogPrunedError`.
    """
    if not seq:
        return State(), ""
    path = opening_path(folder, seq)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if first_seq(folder) != seq:
            raise LogPrunedError(folder) from None
        raise LogCorruptError(path, 0, "the opening balance is missing") from None
    return unpack(path, data, seq), sha256(data).hexdigest()


def check(folder: Path, seq: int, digest: str, state: State) -> None:
    """That an event vouches for the opening that a replay began with, once it is at the end.

    Raises `LogCorruptError`.
    """
    if seq and not any((seq, digest) == (each.first_seq, each.opening) for each in state.pruned):
        what = "no event of the log vouches for this opening balance"
        raise LogCorruptError(opening_path(folder, seq), 0, what)
