"""`tracker replay --check` on logs of earlier versions, and on one whose records were altered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from eventlog import Reader
from tests.support import SECOND, Announce, endpoint4
from tests.tracker.history.test_explain import LOGS
from tests.tracker.logged import HASH, write_log
from tracker.cli import main
from tracker.domain.events import RULE_CONTINUED, RULE_RESTARTED
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Rig


@pytest.mark.parametrize("name", LOGS)
def test_logs_of_older_versions(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever version wrote a log: what can be decided again comes out as recorded."""
    log, secrets = LOGS[name] / "log", LOGS[name] / "secrets"
    line = ["replay", "--check", "--json", "--log", str(log), "--secrets", str(secrets)]
    main([*line[: None if secrets.is_dir() else -2], str(Reader(log).first_seq), "now"])
    summary = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (summary["type"], summary["differing"]) == ("summary", 0)
    assert summary["as_recorded"]
    assert bool(summary["not_decided"]) == ("shredded" in name or "pruned" in name)


def altered(rig: Rig) -> Iterator[None]:
    """A history in which three announces have another rule than was decided."""
    rig.service.change_settings(Settings())
    for number in range(1, 7):
        rig.time.advance(SECOND)
        rig.announce(Announce(HASH, endpoint4(1), uploaded=number))
        if number % 2:
            rig.log.pool._frames[-1].plain[-80 + 77] ^= RULE_CONTINUED ^ RULE_RESTARTED
        yield
    rig.service.tick()
    yield


def test_an_altered_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each record with another rule is shown with what it says and what is decided now."""
    log = tmp_path / "log"
    write_log(log, altered)
    line = ["replay", "--check", "--log", str(log), "--secrets", str(log / "secrets"), "2", "now"]
    assert main(line) == 1
    *found, summary = capsys.readouterr().out.splitlines()
    assert [each.split()[0] for each in found] == ["3", "5"]
    assert all(each.endswith("differs: rule: recorded restarted, now continued") for each in found)
    assert summary.startswith(
        "events 2 to 7: 6 decisions, 4 as recorded, 2 different, 0 not decided;"
    )
    assert main([*line, "--json"]) == 1
    shown, *_ = map(json.loads, capsys.readouterr().out.splitlines())
    assert shown["differences"] == [{"what": "rule", "recorded": "restarted", "now": "continued"}]
