"""Says with a result whether the tags of the log that it comes from were checked.

Without the server's secret a log may be anything that has right checksums, and so may a result. So
may one of format 1, which has no tags.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from eventlog import has_tags, segments_of
from tracker.cli.output import UNCHECKED, note, say
from tracker.store import tag_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.store.address_keys import Keyring

CHECKED, NOT_CHECKED, NO_TAGS = "tags checked", "tags not checked", "no tags yet (format 1)"
_WHY = {
    NOT_CHECKED: "without the secrets that the log was written with (--secrets) nobody can tell whether "
    "somebody else rewrote it",
    NO_TAGS: "nobody can tell whether somebody else rewrote it. The next start of the tracker begins with tags, "
    "and binds what is there then",
}
CUT_SHORT = BrokenPipeError, KeyboardInterrupt
"""What ends a list early: its reader left, or a signal came. It says so about the tags all the
same."""


def of(log: Path, keys: Keyring | None) -> str:
    """Says what is known of the tags of a log, in the words of the member `trust` in JSON.

    Raises `LogError`, `OSError`.
    """
    if not tag_keys.can_check(log, keys.tags if keys else None):
        return NOT_CHECKED
    return NO_TAGS if segments_of(log) and not has_tags(log) else CHECKED


def end(known: str, *, as_json: bool = False) -> int:
    """Ends a result that reading a log gave; returns the exit code.

    `known`: by `of`. `as_json`: the result is a list of JSON objects, so it ends with an object
    that says it too.
    """
    if known == CHECKED:
        return 0
    if as_json:
        with suppress(BrokenPipeError):
            say(json.dumps({"type": "note", "what": known}))
    note(f"{known}: {_WHY[known]}")
    return UNCHECKED if known == NOT_CHECKED else 0
