"""Says with a result whether the tags of the log that it comes from were checked.

Without the server's secret a log may be anything that has right checksums, and so may a result.
"""

from __future__ import annotations

import json

from tracker.cli.output import UNCHECKED, note, say

CHECKED, NOT_CHECKED = "tags checked", "tags not checked"


def in_words(checked: bool) -> str:
    """Returns the value of the member `trust` in JSON."""
    return CHECKED if checked else NOT_CHECKED


def end(*, checked: bool, as_json: bool = False) -> int:
    """Ends a result that reading a log gave; returns the exit code.

    `as_json`: the result is a list of JSON objects, so it ends with an object that says it too.
    """
    if checked:
        return 0
    if as_json:
        say(json.dumps({"type": "note", "what": NOT_CHECKED}))
    note(
        f"{NOT_CHECKED}: without the secrets that the log was written with (--secrets) nobody can tell whether "
        "somebody else rewrote it"
    )
    return UNCHECKED
