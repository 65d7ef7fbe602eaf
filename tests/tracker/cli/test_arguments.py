"""What a command takes: lists from files, parts of the log, and errors that name what is wrong."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

import pytest

from tests.tracker.cli.api_server import HASHES, KEY, Api, run
from tracker.cli import _Parser, main
from tracker.cli.options import address
from tracker.cli.output import CannotError
from tracker.cli.time_options import add_moments, add_part, at, date, length, part_of
from tracker.ports import LogPart, Moment
from tracker.times import parse

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = "2027-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("command", "what"),
    [("whitelist add", "whitelisted"), ("whitelist remove", "delisted")],
)  # fmt: skip
def test_lists_from_standard_input_and_files(
    api: Api,
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    what: str,
) -> None:
    """`-` and `@FILE` stand for the values in them, in their place, without blank lines."""
    file = tmp_path / "hashes"
    file.write_text(f"\n{HASHES[1].upper()}  \n\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{HASHES[0]}\r\n{HASHES[1]}\n"))
    wanted = [HASHES[0], HASHES[1], "11" * 20, HASHES[1]]
    done = run(capsys, *command.split(), "--config", config, "-", "11" * 20, f"@{file}")
    assert done == (0, "".join(f"{what} {one}\n" for one in wanted), "")
    assert [wanted[0] in api.requests[0].path, len(api.requests)] == [True, 4]


def test_many_keys_are_revoked(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal says which one it was, and repeats no key."""
    monkeypatch.setattr("sys.stdin", io.StringIO("7\n8\n"))
    assert run(capsys, "key", "revoke", "--config", config, "-") == (
        0,
        "revoked 7\nrevoked 8\n",
        "",
    )
    api.answer = b'{"keys":[],"next":null}'
    code, out, err = run(capsys, "key", "revoke", "--config", config, "9", KEY)
    assert (code, out) == (1, "revoked 9\n")
    assert err == "tracker: key 2 of 2: that key was never issued, or is revoked already\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("block lift @{folder}/bad", "block lift: error: argument NETWORK: {folder}/bad, line 3: expected a network"),
        ("whitelist add @{folder}/none", "error: argument TORRENT: cannot read {folder}/none: No such file"),
        ("whitelist remove @{folder}/odd", "cannot read {folder}/odd: it is no text in UTF-8"),
        ("key add --seconds soon", "tracker key add: error: argument --seconds: 'soon': expected a time such as"),
        ("shred --before soon", "tracker shred: error: argument --before: 'soon': expected a date such as"),
        ("swarm x --at 5..9", "argument --at: '5..9': expected one moment, and not an interval"),
        ("factor set --upload 200%", "tracker factor set: error: argument --upload: '200%': expected a percentage"),
        ("events --from someday", "tracker events: error: argument --from: 'someday': expected a sequence number"),
        ("events --at 17", "tracker events: error: argument --at: '17': expected an interval"),
        ("stays --at 1..someday", "tracker stays: error: argument --at: '1..someday': expected a sequence"),
        ("diff 1 2 3", "tracker diff: error: argument A..B: '1 2 3': expected two moments"),
        ("diff 5..", "tracker diff: error: argument A..B: '5..': expected two moments"),
        ("hit-and-run set --seed soon --reason x", "argument --seed: 'soon': expected a time such as 72h"),
        ("evnets", "tracker: error: argument COMMAND: there is no command 'evnets': did you mean events?"),
        ("whitelist ad x", "tracker whitelist: error: argument COMMAND: there is no command 'ad': did you mean add?"),
        ("key xyzzy", "there is no command 'xyzzy': see tracker key --help"),
    ],
)  # fmt: skip
def test_an_error_names_the_command_and_the_value(
    arguments: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_text("192.0.2.7\n\nzz\n")
    (tmp_path / "odd").write_bytes(b"\xff")
    with pytest.raises(SystemExit, match="2"):
        main(arguments.format(folder=tmp_path).split())
    assert said.format(folder=tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["key add --key", "key revoke", "key rotate", "key list --token"]
)
def test_an_error_repeats_no_secret(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "not-a key\x07"
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), secret])
    assert "not-a" not in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], LogPart()),
        (["--from", "5", "--to", "9"], LogPart(first=5, last=9)),
        (["--at", "5..9"], LogPart(first=5, last=9)),
        (["--at", "5.."], LogPart(first=5)),
        (["--at", "..9"], LogPart(last=9)),
        (["--at", f"{JANUARY}..now"], LogPart(from_us=parse(JANUARY))),
        (["--at", f"5..{JANUARY}"], LogPart(first=5, to_us=parse(JANUARY))),
    ],
)
def test_parts_of_the_log(arguments: list[str], part: LogPart) -> None:
    parser = ArgumentParser()
    add_part(parser, "", "")
    assert part_of(parser.parse_args(arguments)) == part


def test_a_part_that_begins_now() -> None:
    """It has nothing of what is there, and a part that ends before it begins is an error."""
    parser = ArgumentParser()
    add_part(parser, "", "")
    part = part_of(parser.parse_args(["--from", "now"]))
    assert part.from_us is not None
    assert part.from_us > parse("2026-01-01T00:00:00Z")
    for arguments in (["--at", "9..5"], ["--from", "now", "--to", "2026-01-01"]):
        with pytest.raises(CannotError, match="--to is before --from"):
            part_of(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "found"), [("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::0", "2001:db8::")]
)
def test_addresses_are_as_the_log_writes_them(text: str, found: str) -> None:
    assert address(text) == found


def test_a_moment_for_the_api() -> None:
    assert [at("7"), at(JANUARY), at("now")] == ["7", "2027-01-01T00:00:00.000000Z", None]


def moments(*arguments: str, needed: bool = True) -> Namespace:
    parser = _Parser()
    parser.add_argument("--check", action="store_true")
    add_moments(parser, "", needed=needed)
    return parser.parse_args(arguments)


def test_two_moments_may_be_an_interval() -> None:
    for arguments in (["3", "-0s"], ["3..-0s"], ["--check", "3..-0s"], ["3", "-0s", "--check"]):
        read = moments(*arguments)
        assert read.first == Moment(seq=3)
        assert read.last.time_us is not None
    assert moments("now", "3").first == Moment()
    read = moments("--check", needed=False)
    assert (read.first, read.last) == (None, None)
    with pytest.raises(SystemExit):
        moments()


def test_a_moment_or_an_interval() -> None:
    parser = ArgumentParser()
    add_part(parser, "", "", at="then")
    read = parser.parse_args(["--at", "7"])
    assert (read.at, read.first, read.last) == (Moment(seq=7), None, None)
    read = parser.parse_args(["--at", "7..8"])
    assert (read.at, read.first, read.last) == (None, Moment(seq=7), Moment(seq=8))


@pytest.mark.parametrize(
    ("text", "days"),
    [("2026-11-21", 20_778), ("2026-11-21 23:59", 20_778), ("1970-01-02", 1), ("now", None),
     ("yesterday", -1), ("today", 0), ("90 days ago", -90)],
)  # fmt: skip
def test_days(text: str, days: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates are counted since 1970; those relative to today follow the clock."""
    today = 20_833
    monkeypatch.setattr("time.time_ns", lambda: (today * 86_400 + 7200) * 10**9)
    relative = {None: today, -1: today - 1, 0: today, -90: today - 90}
    assert date(text) == relative.get(days, days)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("72h", 259_200), ("1d12h", 129_600)])
def test_lengths(text: str, seconds: int) -> None:
    assert length(text) == seconds
