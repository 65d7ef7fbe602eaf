"""Explanations of the golden logs' announces, and of what is no announce."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from eventlog import Reader
from tests.golden.test_log_v1 import FOLDER
from tests.tracker.logged import write_log
from tracker.cli import main
from tracker.history import event_json, past_worker
from tracker.history.explain import NO_SECRETS, explain
from tracker.history.past_worker import PastWorker
from tracker.history.pseudonyms import named
from tracker.ports import HandedPage, HandedQuery, LogPart, NoAnnounceError, PrunedMomentError
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
    told = [each for each in found if each["type"] in ("announced", "announce_refused")]
    refused = [each for each in told if each["type"] == "announce_refused"]
    for event in [*told[:: len(told) // 8 + 1], *refused]:
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
    for part in ("event 9, ", "\nwho\n", "\nreply\n", "\n127.0.0.1:6881  ", "decided again: as recorded\n"):  # fmt: skip
        assert part in out
    for seq, why in (("1", "its type is settings_changed: `tracker events --from 1 --to 1`"), ("999", "is not in the log")):  # fmt: skip
        assert main([*line, seq]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert why in said.err
    assert main(["explain", "--log", str(folder), "--json", "9"]) == 4
    shown = json.loads(capsys.readouterr().out)
    assert (shown["peers"], shown["withheld"]) == (None, NO_SECRETS)


def test_the_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads the past explains as well, and answers about moments as before."""
    worker, keys = PastWorker(folder, folder / "secrets"), Keyring(folder / "secrets")
    for seq in (9, 4):
        assert worker.answer(Question("explain", (seq,))) == named(
            explained(folder, seq, keys), keys
        )
    with monkeypatch.context() as patch:
        patch.setattr(past_worker, "explain", None)  # it is not worked out twice
        assert worker.answer(Question("explain", (4,)))
    assert isinstance(worker.answer(Question("explain", (0,))), NoAnnounceError)


def test_replies_by_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands and pages of one reply list the same, and a time bounds them as a number does."""
    line = ["--json", "--log", str(folder), "--secrets", str(folder / "secrets")]
    assert main(["handed", "127.0.0.1", *line]) == 0
    found = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert len(found) > 3
    assert all(one["address"] == "127.0.0.1" for each in found for one in each["peers"])
    worker, query = PastWorker(folder, folder / "secrets"), HandedQuery(LogPart(), address="127.0.0.1")  # fmt: skip
    pages, following = [], 0
    while following is not None:
        page = worker.answer(Question("handed", (query, 1)))
        assert isinstance(page, HandedPage)
        pages += page.replies
        following = page.following
        query = evolve(query, part=LogPart(first=following or 0))
    keys = Keyring(folder / "secrets")
    assert pages == [named(each, keys) for each in found]
    bounds = ["--from", found[1]["time"], "--to", str(found[2]["seq"])]
    assert main(["handed", "127.0.0.1", *bounds, *line]) == 0
    said = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert said == [each for each in found[:3] if each["time"] >= found[1]["time"]]
    assert main(["received", "anna", *line]) == 0
    said = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert said
    assert {each["owner"] for each in said} == {"anna"}
    assert main(["handed", "127.0.0.1", "--log", str(folder)]) == 1
    assert "(--secrets)" in capsys.readouterr().err


def test_a_removed_announce() -> None:
    """An announce that retention removed gets an error that says where the log begins."""
    log = LOGS["v2 pruned"] / "log"
    with pytest.raises(PrunedMomentError):
        explained(log, 3, None)
