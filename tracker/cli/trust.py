"""Says with a result whether the tags of the log that it comes from were checked.

Without the server's secret a log may be anything that has right checksums, and so may a result. So
may one of format 1, which has no tags.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from eventlog import has_tags, segments_of
from tracker import streams
from tracker.cli.output import UNCHECKED, note, say_json
from tracker.store import tag_keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracker.store.address_keys import Keyring

CHECKED, NOT_CHECKED, NO_TAGS = "tags checked", "tags not checked", "no tags yet (format 1)"
_WHY = {
    NOT_CHECKED: "without the secrets that the log was written with (--secrets) nobody can tell whether "
    "somebody else rewrote it",
    NO_TAGS: "nobody can tell whether somebody else rewrote it. The next start of the tracker begins with tags, "
    "and binds what is there then",
}


def of(log: Path, keys: Keyring | None) -> str:
    """Says what is known of the tags of a log, in the words of the member `trust` in JSON.

    Raises `LogError`, `OSError`.
    """
    if not tag_keys.can_check(log, keys.tags if keys else None):
        return NOT_CHECKED
    return NO_TAGS if segments_of(log) and not has_tags(log) else CHECKED


def listed(
    print_all: Callable[[], None], log: Path, keys: Keyring | None, *, as_json: bool = False
) -> int:
    """Prints a list of what a log gave, and ends it: `end`. It does so as well where the list is
    cut short, because its reader left or a signal came; then nothing waits for a reader.
    """
    try:
        print_all()
    except (BrokenPipeError, KeyboardInterrupt):
        known = of(log, keys)
        with streams.impatient():
            streams.flush_or_drop(sys.stdout)
            return end(known, as_json=as_json)
    return end(of(log, keys), as_json=as_json)


def end(known: str, *, as_json: bool = False) -> int:
    """Ends a result that reading a log gave; returns the exit code.

    `known`: by `of`. `as_json`: the result is a list of JSON objects, so it ends with an object
    that says it too.
    """
    if known == CHECKED:
        return 0
    if as_json:
        say_json({"type": "note", "what": known})
    note(f"{known}: {_WHY[known]}")
    return UNCHECKED if known == NOT_CHECKED else 0
