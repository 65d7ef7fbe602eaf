"""Tests the page Today over a fake API, and the names of kinds that it asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import api.console
from api.console import kinds
from api.console.api import ProblemError
from tests.api.console.fakes import Browser, FakeApi
from tracker.domain.detecting.watch import DETECTORS
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.domain.refusals import REFUSALS

VENDORED = [
    Path(api.console.__file__).parent / "static" / "vendor",
    Path(__file__).parents[2] / "console" / "vendor",
]
EMPTY = {"events": [], "next": None, "previous": None, "end": 0}
CASE = {"account": 7, "detector": "ghost_leech", "grade": "case", "state": "open", "holder": None,
        "findings": 2, "first": "2026-11-30T10:00:00Z", "since": "2026-11-30T10:00:00Z"}  # fmt: skip


def test_kinds_are_those_of_the_log() -> None:
    """A new admin event belongs to `STAFF` or to `UNASKED` in api/console/kinds.py."""
    assert sorted((*kinds.STAFF, *kinds.UNASKED)) == sorted(
        event.name for event in ADMIN_EVENTS.values()
    )
    assert codec.GROUPS[kinds.ANY_OF_STAFF] == {*kinds.STAFF}
    assert {*kinds.RECORDS, *kinds.STAFF, *kinds.UNASKED} == {*codec.EVENT_TYPES}
    assert {-label: refusal.name for label, refusal in REFUSALS.items() if refusal.name} == dict(
        enumerate(kinds.REFUSALS)
    )


def test_every_detector_has_a_sentence() -> None:
    from api.console.today import SENTENCES

    assert {make().name for make in DETECTORS} == SENTENCES.keys()


@pytest.mark.parametrize("folder", VENDORED, ids=["pages", "tests"])
def test_vendored_files_are_as_published(folder: Path) -> None:
    """Every file of others has its checksum, and its licence beside it."""
    sums = dict(
        reversed(line.split("  ")) for line in (folder / "checksums").read_text().splitlines()
    )
    files = {one.name for one in folder.iterdir()} - {"checksums", "README.md"}
    assert sums.keys() == files
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / f"{name.split('.')[0]}.LICENSE").exists()


async def test_a_part_that_fails_leaves_the_rest() -> None:
    """Cases name their members, and a part without an answer says why."""
    fake = FakeApi(
        {
            "/api/v2/cases": {"cases": [CASE]},
            "/api/v2/accounts/7": {"owner": "<i>anna</i>"},
            "/api/v2/outages": {"outages": []},
            "/api/v2/lists/unseeded": ProblemError(503, "Busy", "ask again"),
        }
    )
    browser = Browser(fake)
    await browser.sign_in()
    text = await browser.text("/today")
    assert "&lt;i&gt;anna" in text
    assert 'href="/cases/7/ghost_leech"' in text
    assert "last seeder left: ask again" in text
