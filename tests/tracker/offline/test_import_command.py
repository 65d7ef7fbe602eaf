"""The command `tracker import`: what it prints, and its exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import hash_of
from tests.tracker.offline.imports import (
    FULL,
    A,
    database,
    keys_file,
)
from tracker.cli import main
from tracker.offline.import_torrust import SqliteDatabase

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "tracker.toml"
    path.write_text(
        'metadata.schema_version = "2.0.0"\nlogging.threshold = "info"\ncore.listed = false\n'
        f'core.private = false\n[event_log]\npath = "{tmp_path}/log"\nsecrets_path = "{tmp_path}/s"\n'
    )
    return str(path)


def test_command(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one summary line, and creates nothing but the log and its secrets."""
    file = str(database(tmp_path, **FULL).path)
    for line in (
        "2 keys, 2 torrents whitelisted, 2 completed counts; 0 already there\n",
        "0 keys, 0 torrents whitelisted, 0 completed counts; 6 already there\n",
    ):
        assert main(["import", "torrust-sqlite", "--config", config, file]) == 0
        assert capsys.readouterr() == (line, "")
    assert {path.name for path in tmp_path.iterdir()} == {"log", "s", "torrust.db", "tracker.toml"}


def test_command_dry_run(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dry run prints a line of JSON for each event, then the summary."""
    file = str(keys_file(tmp_path, f"key,owner\n{A},alice\n").path)
    assert main(["--config", config, "import", "keys", "--dry-run", file]) == 0
    event, summary = capsys.readouterr().out.splitlines()
    assert event.startswith('{"type":"key_issued","key_hash":"')
    assert '"owner":"alice"' in event
    assert (
        summary == "would import 1 key, 0 torrents whitelisted, 0 completed counts; 0 already there"
    )
    assert not (tmp_path / "log").exists()


def test_command_refuses(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems go to standard error, and the exit code is 1."""
    file = str(keys_file(tmp_path, "key\nx\ny\n").path)
    assert main(["import", "keys", file, "--config", config]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "tracker: keys.csv: line 2: the key is not 10 to 64 letters, digits, - and _\n"
        "keys.csv: line 3: the key is not 10 to 64 letters, digits, - and _\n"
    )


def test_command_interrupted(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After Ctrl-C the exit code is 1, and a second import adds the rest."""
    source = database(tmp_path, whitelist=[(hash_of(number).hex(),) for number in range(20)])
    whole = SqliteDatabase.__iter__
    passes = 0

    def interrupted(self: SqliteDatabase) -> Any:
        nonlocal passes
        passes += 1
        for number, entry in enumerate(whole(self)):
            if passes == 2 and number == 10:
                raise KeyboardInterrupt
            yield entry

    monkeypatch.setattr(SqliteDatabase, "__iter__", interrupted)
    command = ["import", "torrust-sqlite", "--config", config, str(source.path)]
    assert main(command) == 1
    assert "interrupted" in capsys.readouterr().err
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("0 keys, 10 torrents whitelisted, 0 completed")
