"""Tests who is registered, and what becomes of the file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tracker.ports import BusyError
from tracker.webhooks.consumers import FILE, MOST, Consumers

if TYPE_CHECKING:
    from pathlib import Path

LOG_ID = "ab" * 16


def load(folder: Path, end: int = 10, log_id: str = LOG_ID) -> Consumers:
    events: Any = SimpleNamespace(end=end)
    hooks: Any = [SimpleNamespace(name="site", seq=7)]
    return Consumers.load(folder, log_id, events, lambda: hooks)


async def test_positions_outlive_a_start(tmp_path: Path) -> None:
    """The slowest is whoever is the furthest behind, until it is registered anew or deleted."""
    found = load(tmp_path)
    assert [(one.name, one.webhook, one.behind) for one in found.all()] == [("site", True, 2)]
    assert (await found.register("stats", 3)).behind == 6
    await found.register("bonus", 9)
    found = load(tmp_path)
    assert [(one.name, one.seq) for one in found.all()] == [("site", 7), ("bonus", 9), ("stats", 3)]
    slowest = found.slowest()
    assert slowest is not None
    assert slowest.name == "stats"
    await found.register("stats", 8)
    assert await found.forget("bonus")
    assert not await found.forget("bonus")
    assert [(one.name, one.seq) for one in load(tmp_path).all()] == [("site", 7), ("stats", 8)]


@pytest.mark.parametrize(
    ("name", "seq", "why"),
    [
        ("stats", 10, "the newest event is 9"),
        ("site", 3, "is a webhook"),
        ("more", 3, f"{MOST} programs are registered"),
    ],
)
async def test_what_is_refused(tmp_path: Path, name: str, seq: int, why: str) -> None:
    found = load(tmp_path)
    for number in range(MOST if name == "more" else 0):
        await found.register(f"number-{number}", 1)
    with pytest.raises(ValueError, match=why):
        await found.register(name, seq)


async def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The position stays what it was, and whoever registers it hears so."""

    def full(*_: object) -> None:
        raise OSError("no space left")

    found = load(tmp_path)
    monkeypatch.setattr("tracker.webhooks.consumers.write_new", full)
    with pytest.raises(BusyError, match="no space left"):
        await found.register("stats", 3)
    assert len(found.all()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"log_id": "cd", "consumers": {}}',
        f'{{"log_id": "{LOG_ID}", "consumers": {{"stats": {{"seq": -2, "time_us": 1}}}}}}',
        f'{{"log_id": "{LOG_ID}", "consumers": {{"stats": {{"seq": 10, "time_us": 1}}}}}}',
    ],
)  # fmt: skip
def test_odd_files(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Nobody is registered then, and the text log says so."""
    (tmp_path / FILE).write_text(text)
    assert [one.name for one in load(tmp_path).all()] == ["site"]
    assert "Retention waits for no registered consumer" in caplog.text
