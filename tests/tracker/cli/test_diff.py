"""`tracker diff` prints a table for each kind of change."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from tracker.cli.diff import _print

if TYPE_CHECKING:
    import pytest

CHANGES: list[dict[str, Any]] = [
    {"type": "count", "name": "torrents", "before": 1, "after": 2},
    {"type": "count", "name": "seeders", "before": 0, "after": 3},
    {"type": "delisted", "info_hash": "ab" * 20, "label": None},
    {"type": "described", "info_hash": "ab" * 20, "before": None, "after": {"label": "ä", "size": 7}},
]  # fmt: skip
HASH = "ab" * 20
TOLD = f"""count
name      before  after
torrents  1       2
seeders   0       3

delisted
info_hash{" " * 33}label
{HASH}  -

described
info_hash{" " * 33}before  after
{HASH}  -       {{"label": "ä", "size": 7}}
"""


def test_kinds_of_changes(capsys: pytest.CaptureFixture[str]) -> None:
    _print(CHANGES, Namespace(json=False, wide=False, bytes=False))
    assert capsys.readouterr().out == TOLD
