"""Refusals and wrong arguments end in one line and an exit code."""

from __future__ import annotations

import pytest

from tests.tracker.cli.api_server import KEY, Api, run
from tracker.cli import main


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, 'Unhandled rejection: Err { reason: "token not valid" }', "refused the access token"),
        (500, 'Unhandled rejection: Err { reason: "unauthorized" }', "without an access token"),
        (401, '{"status":401}', "the API refused the access token"),
        (403, '{"status":403,"detail":"may only read"}', "the API refused: may only read"),
        (404, '{"title":"Not Found","status":404}', "the API refused: Not Found"),
        (410, '{"status":410,"detail":"that key is\\nrevoked"}', "refused: that key is revoked"),
        (
            500,
            'Unhandled rejection: Err { reason: "the disk\nis full" }',
            "refused: the disk is full",
        ),
        (400, "Invalid URL: something", "the API refused: Invalid URL: something"),
        (404, "", "says 404: is it a tracker's API?"),
    ],
    ids=["token", "none", "401", "403", "title", "410", "other", "400", "404"],
)
def test_refusals(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    status: int,
    answer: str,
    words: str,
) -> None:
    """Every refusal is one line with its reason and without a token, and the exit code is 1."""
    api.status, api.answer = status, answer.encode()
    code, out, err = run(capsys, "key", "revoke", "7", "--config", config)
    assert (code, out) == (1, "")
    assert err.startswith("tracker: ")
    assert err.count("\n") == 1
    assert words in err
    assert "Token1" not in err


@pytest.mark.parametrize("command", ["stats", "key rotate 7", "key list", "whitelist list"])
@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'"x"'])
def test_an_answer_of_another_service_is_refused(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], command: str, answer: bytes
) -> None:
    """The client refuses an answer with status 200 that does not have the API's form."""
    api.answer = answer
    code, out, err = run(capsys, "--config", config, *command.split())
    assert (code, out) == (1, "")
    assert "is not a tracker's API" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["key"],
        ["key", "add", "--key", "short"],
        ["key", "add", "--owner", "x" * 201],
        ["key", "add", "--label", ""],
        ["key", "add", "--seconds", "-1"],
        ["key", "add", "--seconds", "1", "--permanent"],
        ["key", "revoke", "../" + "a" * 29],
        ["key", "revoke", KEY, "--reason", "two\nlines"],
        ["key", "revoke", "0"],
        ["key", "rotate", "9.9"],
        ["key", "list", "--state", "odd"],
        ["whitelist", "add"],
        ["stats", "--token", "a", "--token-label", "b"],
    ],
    ids=" ".join,
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Wrong arguments give exit code 2 and no request."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err
