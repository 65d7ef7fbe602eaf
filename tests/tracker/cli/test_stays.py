"""`tracker stays` says the same with an index and without one, and hides what it has no keys to."""

from __future__ import annotations

import json
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest

import eventlog.log
from tests.support import START_US, hash_of
from tests.tracker.upkeep.book.site import Site
from tracker.cli import main
from tracker.domain.events import DAY_US
from tracker.history.stays import page
from tracker.ports import InvalidPartError, Moment, StaysPage, StaysQuery
from tracker.store.moments import ForwardReplay

if TYPE_CHECKING:
    from pathlib import Path


def test_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    site = Site(tmp_path / "log")
    site.keys.prepare(START_US // DAY_US)
    site.go_on(30)
    site.follow()
    own = "--log", str(site.log), "--secrets", str(site.log / "secrets")

    def said(*line: str, code: int = 0) -> list[dict[str, Any]]:
        assert main(["stays", "--json", *line]) == code
        return [json.loads(each) for each in capsys.readouterr().out.splitlines()]

    whole = said(*own)
    assert {one["why"] for one in whole} >= {None, "expired"}
    address, torrent = whole[0]["address"], whole[0]["info_hash"]
    assert address.startswith("127.0.0.")
    assert torrent in {hash_of(number).hex() for number in range(1, 5)}
    assert said(*own, "--limit", "2") == whole[:2]
    assert said(*own, "--address", address) == [one for one in whole if one["address"] == address]
    assert said(*own, "--client", "XX0001", "--network", "127.0.0.0/24") == whole
    assert said(*own, "--peer-id=-XX") == whole
    assert said(*own, "--user-agent", "a") == said(*own, "--account", "99") == []
    at = whole[len(whole) // 2]
    there = [one for one in whole if one["seq"] <= at["seq"]]
    there = [one for one in there if (one["left_seq"] or at["seq"] + 1) > at["seq"]]
    assert said(*own, "--at", str(at["seq"])) == there
    *hidden, note = said("--log", str(site.log), code=4)
    assert note["what"] == "tags not checked"
    assert hidden == [one | {"address": None} for one in whole]
    rmtree(site.log / "stays")
    assert said(*own) == whole
    assert not (site.log / "stays").exists()
    assert main(["stays", *own, "--address", address]) == 0
    assert f"\t{address}\t" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["stays", *own, "--account", ""])
    assert "not empty" in capsys.readouterr().err
    assert main(["stays", *own, "--at", "5", "--from", "3"]) == 1
    assert "give one or the other" in capsys.readouterr().err

    def asked(**what: Any) -> StaysPage:
        given = StaysQuery(**({"between": (Moment(), Moment())} | what))
        return page(ForwardReplay(site.log, lambda _done, _total: None, site.keys), given, 3)

    site.follow()
    bare = [{name: one[name] for name in one if name != "address"} for one in whole]
    first = asked()
    assert first.stays == bare[:3]
    assert first.following is not None
    assert asked(row=first.following).stays == bare[3:6]
    moment = Moment(seq=at["seq"])
    found = asked(between=(moment, moment), account=at["account"]).stays
    assert [one["seq"] for one in found] == [
        one["seq"] for one in there if one["account"] == at["account"]
    ]
    assert asked(network="127.0.0.0/8", client="qB").stays == []
    with pytest.raises(InvalidPartError):
        asked(between=(Moment(seq=at["seq"]), Moment(seq=0)))
