"""Every command has one shape of `--json`, and those that read say the same of a copied log."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import closing, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce_target, get, torrent
from tests.e2e.process import Tracker, lasting_listeners
from tracker.cli import main, root_parser
from tracker.cli.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = torrent(0xAB).hex()
OTHER = torrent(0xCD).hex()
WHY = "--reason", "a test"
LIST, ONE = "a list", "one thing"

SHAPES = {
    # each command with `--json`: arguments, and whether it prints a line for each of many things
    "key add": (["--owner", "anna", "--key", "A" * 32], ONE),
    "key rotate": (["A" * 32], ONE),
    "key show": (["2"], ONE),
    "key list": ([], LIST),
    "whitelist add": ([HASH, OTHER], LIST),
    "whitelist list": ([], LIST),
    "torrent describe": ([HASH, OTHER, "--size", "900", "--tag", "a"], LIST),
    "torrent import": (["{torrents}"], ONE),
    "torrent show": ([HASH], ONE),
    "torrent list": ([], LIST),
    "torrent members": ([HASH], LIST),
    "torrent peers": ([HASH], LIST),
    "list no-seeder": ([], LIST),
    "list one-seeder": ([], LIST),
    "list few-seeders": ([], LIST),
    "list unseeded": ([], LIST),
    "list dead": ([], LIST),
    "list seeded-late": ([], LIST),
    "list unregistered": ([], LIST),
    "torrent forget": ([OTHER], LIST),
    "factor set": (["--download", "0"], ONE),
    "factor list": ([], LIST),
    "account group": (["anna", "--name", "staff"], LIST),
    "freeleech give": (["anna", HASH, "--max-bytes", "900"], ONE),
    "freeleech list": ([], LIST),
    "account leech-off": (["anna", *WHY], LIST),
    "account hide": (["anna", *WHY], LIST),
    "account sanctions": ([], LIST),
    "account limit": (["anna", "--slots", "3", *WHY], LIST),
    "account limits": ([], LIST),
    "torrent blacklist": ([OTHER, *WHY], LIST),
    "torrent blacklisted": ([], LIST),
    "block add": (["192.0.2.0/24", "198.51.100.7", *WHY], LIST),
    "block list": ([], LIST),
    "block lift": (["192.0.2.0/24", *WHY], LIST),
    "account correct": (["anna", "--uploaded", "5", "--corrects", "{announce}", *WHY], ONE),
    "account show": (["anna"], ONE),
    "account list": ([], LIST),
    "hit-and-run set": (["--seed", "3d", *WHY], ONE),
    "hit-and-run rule": ([], ONE),
    "hit-and-run list": ([], LIST),
    "hit-and-run show": (["anna", HASH], ONE),
    "hit-and-run pardon": (["--account", "anna", *WHY], ONE),
    "hit-and-run void": ([HASH, *WHY], ONE),
    "hit-and-run immune": (["anna", *WHY], LIST),
    "cases list": ([], LIST),
    "cases detectors": ([], LIST),
    "settings set": (["policy.max_peers=9", *WHY], ONE),
    "settings show": ([], LIST),
    "settings history": ([], LIST),
    "client refuse": (["qB", *WHY], ONE),
    "client preview": (["qB"], ONE),
    "client list": ([], LIST),
    "client end": (["1", *WHY], LIST),
    "token add": (["mona", "--scope", "read", *WHY], ONE),
    "token list": ([], LIST),
    "token own": ([], ONE),
    "token revoke": (["mona", *WHY], LIST),
    "stats": ([], ONE),
    "webhook list": ([], LIST),
    "events": (["--limit", "9"], LIST),
    "verify": ([], LIST),
    "replay": ([], ONE),
    "what-if": (["--set", "policy.max_peers=1", "0", "now"], ONE),
    "swarm": ([HASH], LIST),
    "stays": ([], LIST),
    "outages": ([], LIST),
    "diff": (["1..7"], LIST),
    "ledger": (["anna"], LIST),
    "explain": (["{announce}"], ONE),
    "handed": (["127.0.0.1"], LIST),
    "received": (["anna"], LIST),
    "factor end": (["1"], LIST),
    "freeleech withdraw": (["1"], LIST),
    "hit-and-run end": ([*WHY], ONE),
    "whitelist remove": ([HASH], LIST),
    "key revoke": (["2"], LIST),
    "key revoke-owner": (["anna"], LIST),
    "shred": (["--before", "2026-01-01"], ONE),
    "change-server-key": ([], ONE),
}
ELSEWHERE = {
    "webhook replay", "webhook retry",  # which need a receiver: test_webhooks.py
    "account merge", "account split",  # which need two accounts: test_account_moves.py
    "series",  # which needs a book: tests/tracker/cli/test_series.py
    *(f"cases {what}" for what in ("show", "take", "wait", "close", "harmless", "note")),  # test_cases.py
}  # fmt: skip
"""Commands that other tests try."""
STOPPED = {"change-server-key"}
UNLIKE = {"torrent peers", "stats", "cases detectors", "hit-and-run rule", "account show"}
"""What a running tracker says a moment later than a copy, or has more of."""


def with_option(name: str) -> set[str]:
    """Returns the commands that have an option, without the word `tracker`."""
    return {
        entry.words.removeprefix("tracker ")
        for entry in walk(root_parser())
        if name in entry.parser._option_string_actions
    }


READING = sorted(with_option("--log") & with_option("--url") & SHAPES.keys() - UNLIKE)
"""Commands that ask the API, and that read a copied log in its place."""


def test_every_command_is_here() -> None:
    """A new command with `--json` needs a row in `SHAPES`."""
    assert with_option("--json") == SHAPES.keys() | ELSEWHERE
    assert with_option("--json") >= with_option("--log") - {"export"}
    reading = {words for words in with_option("--url") if not words.endswith(("export",))}
    changing = with_option("--reason")
    assert reading - changing - with_option("--log") == {
        "webhook list", "token list", "token own",
    }  # fmt: skip


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Tracker, Path, dict[str, str]]]:
    """A stopped tracker, a copy of its log and secrets, and what each command printed before."""
    folder = tmp_path_factory.mktemp("site")
    with closing(Tracker(folder / "tracker", lasting_listeners())) as tracker:
        tracker.switch_on("private")
        tracker.start()
        torrents = tracker.folder / "torrents.jsonl"
        torrents.write_text(json.dumps({"info_hash": OTHER, "size": 7}))
        said: dict[str, str] = {}
        for words, (arguments, _) in SHAPES.items():
            if words == "account correct":
                announce_as(tracker, json.loads(said["key rotate"])["key"])
            if words not in STOPPED:
                said[words] = printed(tracker, words, *arguments)
            if words == "received":
                for again in READING:
                    said[again] = printed(tracker, again, *SHAPES[again][0])
                for part in ("log", "secrets"):
                    no_socket = shutil.ignore_patterns("*.sock")
                    shutil.copytree(tracker.folder / part, folder / part, ignore=no_socket)
        assert tracker.stop() == 0
        for words in STOPPED:
            said[words] = printed(tracker, words, *SHAPES[words][0])
        yield tracker, folder, said


def announce_as(tracker: Tracker, key: str) -> None:
    for number in (1, 2):
        target = announce_target(bytes.fromhex(HASH), number, 6000 + number, left=9)
        assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")
    tracker.events_until(lambda found: sum(one["type"] == "announced" for one in found) == 2)


def printed(tracker: Tracker, words: str, *arguments: str) -> str:
    """Runs a command with `--json`."""
    torrents = str(tracker.folder / "torrents.jsonl")
    filled = [one.replace("{torrents}", torrents) for one in arguments]
    filled = [announced(tracker) if one == "{announce}" else one for one in filled]
    return here(words, "--config", str(tracker.config), *filled)


def here(words: str, *arguments: str, code: int = 0) -> str:
    """Runs a command with `--json` in this process, because 45 others would take long."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        ended = main([*words.split(), *arguments, "--json"])
    assert ended == code, (words, err.getvalue())
    return out.getvalue()


def announced(tracker: Tracker) -> str:
    return str(next(one["seq"] for one in tracker.events() if one["type"] == "announced"))


@pytest.mark.parametrize("words", SHAPES)
def test_json_has_one_shape(words: str, told: tuple[Tracker, Path, dict[str, str]]) -> None:
    """A list is an object in each line, one thing is one object in one line, without blanks."""
    text, lines = told[2][words], told[2][words].splitlines()
    found = [json.loads(line) for line in lines]
    assert text == "" or text.endswith("\n")
    assert all(isinstance(each, dict) for each in found)
    assert [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in found] == lines
    if SHAPES[words][1] == ONE:
        assert len(found) == 1


def test_a_swarm_of_a_copied_log(told: tuple[Tracker, Path, dict[str, str]]) -> None:
    """A copy tells who was in a swarm, with their addresses for whoever has the secrets."""
    _, folder, _ = told
    copy = "--log", str(folder / "log")
    without = here("torrent peers", HASH, *copy, code=4)
    shown = here("torrent peers", HASH, *copy, "--secrets", str(folder / "secrets"))
    hidden = dict.fromkeys(("address", "pseudonym", "peer_id", "overdue_seconds"))
    pairs = list(zip(*(map(json.loads, one.splitlines()) for one in (without, shown)), strict=True))
    assert pairs
    for less, more in pairs:
        assert more["address"].startswith("127.0.0.1:")
        assert (less["address"], less["pseudonym"]) == (None, None)
        assert {**less, **hidden} == {**more, **hidden}
    assert "anna" in {more["owner"] for _, more in pairs}


@pytest.mark.parametrize("words", READING)
def test_a_copied_log_says_the_same(words: str, told: tuple[Tracker, Path, dict[str, str]]) -> None:
    """What the API of the running tracker says, a command reads in a copy of its log."""
    _, folder, said = told
    log, secrets = str(folder / "log"), str(folder / "secrets")
    copied = here(words, *SHAPES[words][0], "--log", log, "--secrets", secrets)
    assert copied == here(words, *SHAPES[words][0], "--log", log, code=4)  # without the secrets
    assert copied == said[words]
