"""`tracker events` with options prints what a filter over all events leaves."""

from __future__ import annotations

import json
from argparse import Namespace
from array import array
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import eventlog.log
from tests.support import START_US, Rig
from tests.tracker.upkeep.book.site import Site
from tracker.cli import events as command
from tracker.cli import main
from tracker.domain.events import DAY_US
from tracker.service.read_model import LiveReads

if TYPE_CHECKING:
    from collections.abc import Callable

    Event = dict[str, Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A log with accounts, clients and addresses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
        named = Rig.issue
        patch.setattr(Rig, "issue", lambda rig, number: named(rig, number, f"member {number}"))
        site = Site(tmp_path_factory.mktemp("site") / "log")
        site.keys.prepare(START_US // DAY_US)
        site.go_on(60)
        site.follow()
    return site


@pytest.fixture
def said(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Event]]:
    def run(*line: str) -> list[Event]:
        own = "--log", str(site.log), "--secrets", str(site.log / "secrets")
        assert main(["events", *own, *line]) == 0
        return [json.loads(each) for each in capsys.readouterr().out.splitlines()]

    return run


def accounts(whole: list[Event]) -> dict[int, int]:
    """Returns the account of each key."""
    issued = [one for one in whole if one["type"] in ("key_issued", "key_rotated")]
    return {one["key_ref"]: one["account"] for one in issued}


def test_names(said: Callable[..., list[Event]]) -> None:
    """Announces get account and owner of their key; else nothing changes."""
    plain, named = said(), said("--names")
    owners = {one["key_ref"]: (one["account"], one["owner"]) for one in plain if "owner" in one}
    for one, told in zip(plain, named, strict=True):
        assert told | one == told
        if one.get("key_ref"):
            assert (told["account"], told["owner"]) == owners[one["key_ref"]]
        assert ("label" in told) == ("label" in one or "info_hash" in one)


def test_names_of_what_comes_later(capsys: pytest.CaptureFixture[str]) -> None:
    """Events after the end of the log at the start tell names; those before it do not."""
    rig = Rig.with_settings(private=True)
    rig.issue(1, "anna")
    names = command.KnownNames(LiveReads(rig.service).now(), 9)
    out = command.Printer(Namespace(address=None, client=None, limit=None), array("I"), names)
    issued = {"type": "key_issued", "key_ref": 7, "account": 7}
    described = {"type": "torrent_described", "info_hash": "ab" * 20}
    asked = {"type": "announced", "info_hash": "ab" * 20}
    out.say([
        issued | {"seq": 8, "owner": "nobody"}, described | {"seq": 8, "label": "then"},
        asked | {"seq": 8, "key_ref": 1}, issued | {"seq": 9, "owner": "otto"},
        described | {"seq": 10, "label": "now"}, asked | {"seq": 11, "key_ref": 7},
    ])  # fmt: skip
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["account"], one["owner"], one["label"]) for one in (told[2], told[5])] == [
        (1, "anna", None), (7, "otto", "now"),
    ]  # fmt: skip


def test_whose_events(said: Callable[..., list[Event]]) -> None:
    whole = said()
    account_of = accounts(whole)
    announces = [one for one in whole if one["type"] == "announced" and one["key_ref"]]
    key = announces[len(announces) // 2]["key_ref"]
    account = account_of[key]
    of_account = [
        one for one in whole
        if account in (one.get("account"), account_of.get(one.get("key_ref") or 0))
    ]  # fmt: skip
    assert {"key_issued", "announced"} <= {one["type"] for one in of_account}
    assert said("--account", str(account)) == of_account
    assert said("--owner", f"member {account}") == of_account
    assert said("--account", f"member {account}") == of_account
    assert said("--key", str(key)) == [one for one in whole if one.get("key_ref") == key]


def test_from_where_and_by_what(said: Callable[..., list[Event]]) -> None:
    whole = said()
    announces = [one for one in whole if one["type"] == "announced"]
    address, port = announces[0]["address"], announces[0]["port"]
    there = [one for one in announces if one["address"] == address]
    assert said("--address", address) == there
    assert any(one["port"] == port for one in there)
    for client in ("XX0001", "-XX0001-", "XX"):
        assert said(f"--client={client}") == announces
    assert said("--client", "XX0002") == said("--address", "192.0.2.77") == []
    assert said("--client", "XX", "--address", address, "--json") == there
    assert said("--address", address, "--type", "tick") == []


@pytest.mark.parametrize(
    "options", [[], ["--type", "announced"], ["--client", "XX"], ["--from", "9", "--to", "40"],
                ["--to", "-100d"]],
    ids=" ".join,
)  # fmt: skip
def test_the_first_and_the_last(said: Callable[..., list[Event]], options: list[str]) -> None:
    found = said(*options)
    for number in (0, 1, 5, 10_000):
        assert said(*options, "--limit", str(number)) == found[:number]
        assert (
            said(*options, "--last", str(number)) == found[len(found) - min(number, len(found)) :]
        )
    assert said(*options, "--last", "5", "--limit", "2") == found[-5:][:2]


def test_counts(said: Callable[..., list[Event]]) -> None:
    """Counts are those of the events that are printed, as a whole and by pieces of time."""
    for options in ((), ("--from", "9", "--to", "40")):
        types = Counter(one["type"] for one in said(*options))
        assert said("--count", *options) == [
            {"from": None, "until": None, "types": dict(sorted(types.items()))}
        ]
    whole = said()
    first, last = whole[7]["time"], whole[-9]["time"]
    pieces = said("--count", "--from", first, "--to", last, "--step", "2m")
    for one in pieces:
        inside = [each for each in whole if one["from"] <= each["time"] < one["until"]]
        assert one["types"] == Counter(each["type"] for each in inside)
    assert (pieces[0]["from"], len(pieces) > 3) == (first, True)
    assert all(one["until"] == two["from"] for one, two in pairwise(pieces))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--step", "2h"), "--step: goes with --count only"),
        (("--count", "--step", "2h"), "--step: expected a length of time, with two times"),
        (("--count", "--last", "2"), "--last: does not go with --count"),
        (("--count", "--info-hash", "ab" * 20), "--info-hash: does not go with --count"),
    ],
)
def test_refused_counts(
    site: Site, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    assert main(["events", "--log", str(site.log), *options]) != 0
    assert why in capsys.readouterr().err


def test_keys_that_are_issued_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    """Who follows an account gets the announces of its new keys. Forged numbers take no memory."""
    account_of = array("I", [0])
    out = command.Printer(Namespace(address=None, client=None, limit=None), account_of, None)
    for key_ref in (3, 2**32 - 1):
        out.say([{"type": "key_issued", "key_ref": key_ref, "account": 2}])
    assert account_of.tolist() == [0, 0, 0, 2]
    assert capsys.readouterr().out.count("\n") == 2


def test_what_cannot_be(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--log", str(site.log), "--address", "127.0.0.1"]) == 1
    assert "needs the keys to the addresses" in capsys.readouterr().err
    for option in ("--owner", "--account"):
        assert main(["events", "--log", str(site.log), option, "nobody"]) == 1
        assert "no account has the owner nobody" in capsys.readouterr().err
    assert main(["events", "--log", str(site.log / "seg")]) == 1
    assert "there is none" in capsys.readouterr().err


def test_what_is_made_from_events(said: Callable[..., list[Event]]) -> None:
    """It comes in one order with events, after the one that shows it."""
    types = "--type", "completed", "--type", "last_seeder_left"
    made = said(*types)
    assert {one["type"] for one in made} == {"completed", "last_seeder_left"}
    places = [(one["seq"], one["position"]["n"]) for one in made]
    assert places == sorted(places)
    both = said(*types, "--type", "announced", "--type", "tick")
    assert [one for one in both if "position" in one] == made
    assert [one for one in both if "position" not in one] == said(
        "--type", "announced", "--type", "tick"
    )
    places = [(one["seq"], one.get("position", {"n": -1})["n"]) for one in both]
    assert places == sorted(places)
    mine = said(*types, "--account", "member 1")
    assert mine == [one for one in made if one["account"] == 1]
    first, last = made[2]["seq"], made[-2]["seq"]
    assert said(*types, "--from", str(first), "--to", str(last)) == [
        one for one in made if first <= one["seq"] <= last
    ]
    assert said(*types, "--limit", "3") == made[:3]
    assert said(*types, "--last", "3") == made[-3:]
    assert said("--type", "case_opened") == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ((), "--secrets FOLDER"),
        (("--secrets", "here", "--key", "1"), "use --account"),
        (("--secrets", "here", "--last", "1", "--follow"), "does not go with --follow"),
    ],
)
def test_options_that_do_not_go_with_it(
    site: Site, capsys: pytest.CaptureFixture[str], line: tuple[str, ...], why: str
) -> None:
    assert main(["events", "--log", str(site.log), "--type", "completed", *line]) == 1
    assert why in capsys.readouterr().err
