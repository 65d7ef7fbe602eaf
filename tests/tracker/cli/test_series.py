"""`tracker series` prints days as a table, as lines and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import eventlog.log
from tests.support import START_US
from tests.tracker.upkeep.book.site import Site
from tracker.cli import main
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    site = Site(tmp_path / "log")
    site.keys.prepare(START_US // DAY_US)
    site.go_on(30)
    site.follow()
    own = "--log", str(site.log), "--secrets", str(site.log / "secrets"), "account", "1"
    assert main(["series", *own, "--json"]) == 0
    day = json.loads(capsys.readouterr().out)
    assert (day["date"], day["uploaded"] > 0) == ("2027-01-15", True)
    assert main(["series", *own]) == 0
    assert capsys.readouterr().out == "\t".join(map(str, day.values())) + "\n"
    assert main(["series", *own, "--from", "2027-01-02", "--until", "2027-01-01"]) == 1
    assert capsys.readouterr().err == "tracker: --until is before --from\n"
