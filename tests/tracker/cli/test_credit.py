"""`tracker factor` and `tracker account` send these requests and print these lines."""

from __future__ import annotations

import json

import pytest

from tests.tracker.cli.api_server import HASHES, SHOWN, Api, run
from tracker.cli import main

FACTOR = {
    "factor": 3, "seq": 9, "account": None, "info_hash": HASHES[0], "upload_percent": None, "download_percent": 0,
    "from": "2027-01-15T08:00:00.000000Z", "until": None, "label": "freeleech",
}  # fmt: skip
OWNED = {"keys": [{**SHOWN, "account": 2}], "next": None}
NOBODY = {"keys": [], "next": None}


def test_factors(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`factor set` sends only the given terms. `factor list` prints columns or JSON."""
    api.answers["POST /api/v2/factors"] = FACTOR
    api.answers["GET /api/v2/factors?limit=200"] = {"factors": [FACTOR], "next": None}
    api.answers["GET /api/v2/keys?owner=anna&limit=200"] = OWNED
    terms = ["--torrent", HASHES[0], "--download", "0", "--label", "freeleech", "--account", "anna"]
    times = ["--until", "2027-02-01T00:00:00Z", "--reason", "a party"]
    assert run(capsys, "factor", "set", "--config", config, *terms, *times) == (0, "3\n", "")
    sent = api.requests[-1]
    assert json.loads(sent.body) == {
        "account": 2, "info_hash": HASHES[0], "download_percent": 0, "label": "freeleech",
        "until": "2027-02-01T00:00:00Z",
    }  # fmt: skip
    assert sent.headers["x-reason"] == "a party"
    line = f"3\tall\t{HASHES[0]}\t-\t0\t2027-01-15T08:00:00.000000Z\t-\tfreeleech\n"
    assert run(capsys, "factor", "list", "--config", config) == (0, line, "")
    code, out, _ = run(capsys, "factor", "list", "--config", config, "--json")
    assert (code, json.loads(out)) == (0, FACTOR)


def test_accounts(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An account is named by its owner, or by its number when no owner has that name. A correction
    sends its reason and its idempotency key."""
    api.answers["GET /api/v2/keys?owner=anna&limit=200"] = OWNED
    api.answers["GET /api/v2/keys?owner=2&limit=200"] = NOBODY
    api.answers["GET /api/v2/keys?owner=bert&limit=200"] = NOBODY
    api.answers["GET /api/v2/accounts/2"] = {"account": 2, "uploaded": 7, "last_seen": None}
    api.answers["POST /api/v2/accounts/2/corrections"] = {"seq": 70, "account": {}}
    for name in ("anna", "2"):
        shown = run(capsys, "account", "show", "--config", config, name)
        assert shown == (0, "account 2\nuploaded 7\nlast_seen -\n", "")
    code, _, err = run(capsys, "account", "show", "--config", config, "bert")
    assert (code, "no key was issued to an owner bert" in err) == (1, True)
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
