"""`tracker factor` and `tracker account` send these requests and print these lines."""

from __future__ import annotations

import json

import pytest

from tests.tracker.cli.api_server import HASHES, SHOWN, Api, run
from tracker.cli import main
from tracker.cli.moment_options import moment
from tracker.ports import Moment
from tracker.times import parse_loosely

FACTOR = {
    "factor": 3, "seq": 9, "account": None, "info_hash": HASHES[0], "upload_percent": None, "download_percent": 0,
    "from": "2027-01-15T08:00:00.000000Z", "until": None, "label": "freeleech",
}  # fmt: skip
OWNED = {"accounts": [{**SHOWN, "account": 2}], "next": None}
NOBODY = {"accounts": [], "next": None}


def test_factors(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`factor set` sends only the given terms. `factor list` prints columns or JSON."""
    api.answers["POST /api/v2/factors"] = FACTOR
    api.answers["GET /api/v2/factors?limit=200"] = {"factors": [FACTOR], "next": None}
    api.answers["GET /api/v2/accounts?owner=anna&limit=200"] = OWNED
    terms = ["--torrent", HASHES[0], "--download", "0", "--label", "freeleech", "--account", "anna"]
    times = ["--until", "2027-02-01T00:00:00Z", "--reason", "a party"]
    assert run(capsys, "factor", "set", "--config", config, *terms, *times) == (0, "3\n", "")
    sent = api.requests[-1]
    assert json.loads(sent.body) == {
        "account": 2, "info_hash": HASHES[0], "download_percent": 0, "label": "freeleech",
        "until": "2027-02-01T00:00:00Z",
    }  # fmt: skip
    assert sent.headers["x-reason"] == "a party"
    line = f"3\tall\t-\t{HASHES[0]}\t-\t0\t2027-01-15T08:00:00.000000Z\t-\tfreeleech\t-\n"
    assert run(capsys, "factor", "list", "--config", config) == (0, line, "")
    code, out, _ = run(capsys, "factor", "list", "--config", config, "--json")
    assert (code, json.loads(out)) == (0, FACTOR)


def test_accounts(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An account is named by its owner, or by its number when no owner has that name. A correction
    sends its reason and its idempotency key."""
    api.answers["GET /api/v2/accounts?owner=anna&limit=200"] = OWNED
    api.answers["GET /api/v2/accounts?owner=2&limit=200"] = NOBODY
    api.answers["GET /api/v2/accounts?owner=bert&limit=200"] = NOBODY
    refusals = [{"time": "then", "reason": "key_expired", "label": None, "info_hash": "ab"}] * 9
    page = {
        "account": {"account": 2, "uploaded": 7, "last_seen": None, "merged_into": None, "merged_at": None}, "missing_to_ratio_1": 5,
        "seeding": 1, "leeching": 0, "slots": {"used": 0, "limit": 9},
        "started_today": {"used": 2, "limit": None},
        "handed_this_hour": {"used": 2, "limit": None}, "handed_today": {"used": 9, "limit": 10},
        "immune": True, "hit_and_run": {"states": {"liable": 2, "cured": 1}, "open": []},
        "last_announce": {"time": "then", "words": "x with y"}, "refusals": refusals, "open_cases": [],
        "networks": [{"network": None, "pseudonym": "cc"}, {"network": "192.0.2.0/24"}],
    }  # fmt: skip
    api.answers["GET /api/v2/accounts/2/page"] = page
    lines = (
        "account 2\nuploaded 7\nlast_seen -\nmissing_to_ratio_1 5\nseeding 1\nleeching 0\n"
        "slots 0 of 9\nstarted_today 2 of any number\nhanded_this_hour 2 of any number\n"
        "handed_today 9 of 10\nimmune true\nhit_and_run 2 liable, 1 cured\nlast_announce then x with y\n"
        "networks cc, 192.0.2.0/24\nopen_cases -\n"
        + "".join(f"refusal_{at} then key_expired: ab\n" for at in range(1, 6))
    )
    api.answers["POST /api/v2/accounts/2/corrections"] = {"seq": 70, "account": {}}
    for name in ("anna", "2"):
        shown = run(capsys, "account", "show", "--config", config, name)
        assert shown == (0, lines, "")
    shown = run(capsys, "account", "show", "--config", config, "2", "--json")
    assert json.loads(shown[1]) == page
    code, _, err = run(capsys, "account", "show", "--config", config, "bert")
    assert (code, "no account has the owner bert" in err) == (1, True)
    correct = [
        "correct",
        "anna",
        "--uploaded",
        "-5",
        "--corrects",
        "55",
        "--idempotency-key",
        "t-7",
    ]
    done = run(capsys, "account", *correct, "--config", config, "--reason", "twice")
    assert done == (0, "70\n", "")
    sent = api.requests[-1]
    assert json.loads(sent.body) == {"uploaded": -5, "corrects": 55}
    assert (sent.headers["x-reason"], sent.headers["idempotency-key"]) == ("twice", "t-7")


@pytest.mark.parametrize(
    "arguments",
    [["factor", "set", "--upload", "10001"], ["factor", "set", "--upload", "-1"], ["factor", "end"],
     ["factor", "end", "x"], ["account", "correct", "1", "--corrects", "5"],
     ["account", "correct", "1", "--reason", "x"], ["account", "show"]],
)  # fmt: skip
def test_contradictory_credit_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command refuses contradictory arguments before it sends a request. A correction needs its
    event and a reason."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: tracker" in capsys.readouterr().err


def test_times_as_people_type_them(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factor's times may be counted from now, or be a time of the day to come, in UTC."""
    now_us, _ = parse_loosely("2027-01-15T08:00:00")
    monkeypatch.setattr("time.time_ns", lambda: now_us * 1000)
    api.answers["POST /api/v2/factors"] = FACTOR
    for text, time in [
        ("+3m", "2027-01-15T08:03:00"),
        ("+2d", "2027-01-17T08:00:00"),
        ("07:02", "2027-01-16T07:02:00"),
        ("08:00:01", "2027-01-15T08:00:01"),
        ("2027-02-01", "2027-02-01T00:00:00"),
        ("+1w2d", "2027-01-24T08:00:00"),
        ("7:02", "2027-01-16T07:02:00"),
        ("tomorrow", "2027-01-16T00:00:00"),
        ("2027-02-01 19:30 UTC", "2027-02-01T19:30:00"),
    ]:
        assert run(capsys, "factor", "set", "--config", config, "--until", text)[0] == 0
        assert json.loads(api.requests[-1].body) == {"until": f"{time}.000000Z"}
    assert moment("07:02").time_us == now_us - 58 * 60_000_000
    assert moment("08:01").time_us == now_us + 60_000_000 - 86_400_000_000
    assert moment("-3m").time_us == now_us - 180_000_000
    assert moment("-1h30m").time_us == now_us - 5400 * 1_000_000
    assert moment("now") == Moment()
    for text in ("+3", "+3y", "24:00", "+999999999d", "7"):
        with pytest.raises(SystemExit) as ended:
            main(["factor", "set", "--config", config, "--until", text])
        assert ended.value.code == 2
        assert repr(text) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "one"),
    [("freeleech withdraw", "7"), ("factor end", "9")],
)
def test_a_command_for_several_names_the_one_at_fault(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], command: str, one: str
) -> None:
    """A refusal, and a wrong argument, name the item."""
    api.status, api.answer = 404, b'{"detail":"there is no such thing"}'
    code, _, err = run(capsys, *command.split(), "--config", config, one)
    assert (code, err) == (1, f"tracker: {one}: the API refused: there is no such thing\n")
    with pytest.raises(SystemExit):
        main([*command.split(), "--config", config, one, "nonsense", one])
    assert "'nonsense': expected " in capsys.readouterr().err
