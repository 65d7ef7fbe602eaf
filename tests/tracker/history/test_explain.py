"""Explanations of the golden logs' announces, and of what is no announce."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from eventlog import Reader
from tests.golden.test_log_v1 import FOLDER
from tests.tracker.logged import write_log
from tracker.cli import main
from tracker.history import event_json
from tracker.history.explain import NO_SECRETS, explain
from tracker.history.past_worker import PastWorker
from tracker.ports import NoAnnounceError, PrunedMomentError
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.workers.question_pipe import Question

if TYPE_CHECKING:
    from pathlib import Path

LOGS = {f"{path.parent.name[-2:]} {path.name}": path for version in ("log-v1", "log-v2") for path in sorted((FOLDER.parent / version).iterdir())}  # fmt: skip
UNREAD = "not possible, because the address cannot be read"
OTHERS = "not possible, because addresses of other peers cannot be read"


def explained(log: Path, seq: int, keys: Keyring | None) -> dict[str, Any]:
    return explain(ForwardReplay(log, lambda _done, _total: None, keys), seq)


@pytest.mark.parametrize("name", LOGS)
def test_announces_of_older_versions(name: str) -> None:
    """Whatever version wrote an announce: it is explained, and decided again as it was then where
    addresses can be read. Refused ones are explained as far as they are events.
    """
    log, secrets = LOGS[name] / "log", LOGS[name] / "secrets"
    keys = Keyring(secrets) if secrets.is_dir() else None
    found = [
        each for frame in Reader(log, keys=keys).frames() for each in event_json.narrate(frame)
    ]
    decided = Counter[str]()
    for event in found[::3] if len(found) > 100 else found:
        if event["type"] not in ("announced", "announce_refused"):
            continue
        shown = explained(log, event["seq"], keys)
        assert (shown["seq"], shown["time"]) == (event["seq"], event["time"])
        assert shown["request"]["info_hash"] == event["info_hash"]
        if event["type"] == "announced":
            assert shown["request"]["address"] == event["address"]
            assert shown["peer"]["rule"] == event["rule"]
            assert (event["address"] is None) == (shown["decided_again"] == UNREAD)
            decided[shown["decided_again"]] += 1
        else:
            assert shown["refusal"] == event["reason"]
            assert any(f"refused: {event['reason']}" == each["answer"] for each in shown["rules"])
        if "v2" in name and keys is not None:
            assert (shown["peers"] is None) == (event["type"] == "announce_refused")
    assert decided["as recorded"]
    assert not decided.keys() - {"as recorded", UNREAD, OTHERS}


def test_after_a_change_of_the_servers_key() -> None:
    """Peers are drawn with the secret of their time, also after another one took its place."""
    log, keys = LOGS["v2 rekeyed"] / "log", Keyring(LOGS["v2 rekeyed"] / "secrets")
    found = [each for frame in Reader(log).frames() for each in event_json.narrate(frame)]
    first, *_, last = (each["seq"] for each in found if each["type"] == "announced")
    (change,) = (each["seq"] for each in found if each["type"] == "server_key_changed")
    assert first < change < last
    for seq in (first, last):
        assert explained(log, seq, keys)["withheld"] is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("explain") / "log"
    write_log(made)
    return made


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints one JSON object, or text. Another event and one beyond the log are errors."""
    line = ["explain", "--log", str(folder), "--secrets", str(folder / "secrets")]
    assert main([*line, "--json", "4"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["request"]["address"] == "2001:db8::1"
    assert [(each["address"], each["port"]) for each in shown["peers"]] == []
    assert (shown["seq"], shown["trust"], shown["withheld"]) == (4, "tags checked", None)
    assert main([*line, "9"]) == 0
    out = capsys.readouterr().out
    for part in ("event 9, ", "\nwho\n", "\nreply\n", "\n  127.0.0.1:6881  ", "decided again: as recorded\n"):  # fmt: skip
        assert part in out
    for seq, why in (("1", "its type is settings_changed: `tracker events --from 1 --to 1`"), ("999", "is not in the log")):  # fmt: skip
        assert main([*line, seq]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert why in said.err
    assert main(["explain", "--log", str(folder), "--json", "9"]) == 4
    shown = json.loads(capsys.readouterr().out)
    assert (shown["peers"], shown["withheld"]) == (None, NO_SECRETS)


def test_the_worker(folder: Path) -> None:
    """The process that reads the past explains as well, and answers about moments as before."""
    worker, keys = PastWorker(folder, folder / "secrets"), Keyring(folder / "secrets")
    for seq in (9, 4):
        assert worker.answer(Question("explain", (seq,))) == explained(folder, seq, keys)
    assert isinstance(worker.answer(Question("explain", (0,))), NoAnnounceError)


def test_a_removed_announce() -> None:
    """An announce that retention removed gets an error that says where the log begins."""
    log = LOGS["v2 pruned"] / "log"
    with pytest.raises(PrunedMomentError):
        explained(log, 3, None)
