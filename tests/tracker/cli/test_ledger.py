"""`tracker ledger` prints an account's ledger as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support import Announce, announce, endpoint4, hash_of
from tests.tracker.service.test_commands import BY, administered
from tracker import ports
from tracker.cli import ledger as ledger_command
from tracker.cli import main, tables
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

HASH, OTHER = hash_of(1), hash_of(2)
START = "2027-01-15T08:00:00.000000Z"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A log in which anna has two torrents, one of them free, and a correction. Events 3 to 7 are
    hers."""
    async with administered(tmp_path) as admin:
        admin.service.change_settings(Settings(private=True))
        key = (await admin.commands.issue_key(ports.NewKey("A" * 32, owner="anna"), BY)).key
        free = ports.FactorTerms(info_hash=HASH, download_percent=0, upload_percent=200)
        await admin.commands.set_factor(free, BY)
        one = Announce(HASH, endpoint4(1), left=0, key=key.encode())
        other = evolve(one, info_hash=OTHER, left=9)
        for moved in (0, 50):
            announce(
                admin.service,
                *(evolve(each, uploaded=moved, downloaded=moved) for each in (one, other)),
            )
        correction = ports.Correction(1, -7, 1, 5)
        await admin.commands.correct(correction, evolve(BY, reason="a \x1b[31mmistake"))
    return tmp_path


def ledger(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str]:
    code = main(["ledger", "--log", str(folder), *arguments])
    return code, capsys.readouterr().out


def lines_of(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str
) -> list[dict[str, Any]]:
    """Returns the printed JSON lines."""
    code, out = ledger(capsys, folder, "--json", *arguments)
    assert code == 4  # it ran without the secrets
    *lines, _ = out.splitlines()  # the last one says that
    return [json.loads(line) for line in lines]


async def test_json_lines_hold_entries_and_sums(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries have raw and credited differences. The correction and the sums by torrent and in all
    follow."""
    lines = lines_of(capsys, folder, "anna")
    assert [one["type"] for one in lines] == [
        *["announce"] * 4,
        "correction",
        *["torrent"] * 2,
        "account",
    ]
    free = lines[2]
    assert (free["seq"], free["delta_uploaded"], free["delta_downloaded"]) == (5, 50, 50)
    assert (free["credited_uploaded"], free["credited_downloaded"]) == (100, 0)
    assert free["rule"] == "continued, upload 200% by factor 1, download 0% by factor 1"
    assert free["factors"] == [1]
    assert lines[4] == {
        "type": "correction", "seq": 7, "time": START, "info_hash": HASH.hex(),
        "credited_uploaded": -7, "credited_downloaded": 1, "corrects": 5,
        "reason": "a \x1b[31mmistake",
    }  # fmt: skip
    assert lines[-1] == {
        "type": "account", "announces": 4, "corrections": 1, "uploaded": 100, "downloaded": 100,
        "credited_uploaded": 143, "credited_downloaded": 51, "seeding_seconds": 0, "partial_seeding_seconds": 0, "sessions": 2,
        "snatched": 0, "first_seen": START, "last_seen": START,
    }  # fmt: skip


async def test_one_torrent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a torrent the command prints its entries and sums. A torrent without any announce of the
    account has zeros."""
    *entries, sums = lines_of(capsys, folder, "1", OTHER.hex())
    assert [one["seq"] for one in entries] == [4, 6]
    assert (sums["info_hash"], sums["uploaded"], sums["credited_uploaded"]) == (OTHER.hex(), 50, 50)
    (nothing,) = lines_of(capsys, folder, "1", hash_of(3).hex())
    assert (nothing["announces"], nothing["first_seen"]) == (0, None)


async def test_the_table_is_safe_for_a_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has a line for each entry and the totals below, and escapes control characters.
    Where no terminal is, there are no totals, because they have other columns.
    """
    code, out = ledger(capsys, folder, "anna")
    lines = out.splitlines()
    assert code == 4  # it ran without the secrets
    assert len(lines) == 5
    assert r'corrects 5: "a \u001b[31mmistake"' in lines[4].split("\t")
    _, sums = ledger(capsys, folder, "--totals", "anna")
    *_, whole = sums.splitlines()
    assert whole.split("\t") == [
        "account", "4", "100", "100", "143", "51", "0", "0", "2", "0", START, START,
    ]  # fmt: skip
    for module in (tables, ledger_command):
        monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    _, out = ledger(capsys, folder, "anna")
    lines = out.splitlines()
    assert len(lines) == 1 + 5 + 1 + 3
    assert lines[-1].split()[:4] == ["account", "4", "100", "B"]


async def test_an_unknown_account_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ledger(capsys, folder, "bert") == (1, "")
