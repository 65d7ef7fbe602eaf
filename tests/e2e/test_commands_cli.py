"""Tests the administrator's commands: those that use a running tracker's API, and imports."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import announce, api, ask, torrent
from tests.e2e.process import Tracker, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EVERYWHERE = "0.0.0.0"  # noqa: S104  # one start, on a free port
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
TORRENT = torrent(0xAB)
HASH = TORRENT.hex()


@pytest.fixture
def known(new_tracker: Callable[..., Tracker]) -> Tracker:
    """A running tracker whose configuration names the API's port, so that commands find it."""
    return new_tracker(lasting_listeners()).start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """The same for all tests that do not depend on each other's changes."""
    with closing(Tracker(tmp_path_factory.mktemp("shared"), lasting_listeners())) as tracker:
        yield tracker.start()


def accepted(tracker: Tracker, *arguments: str) -> str:
    """Returns the output of a command that must succeed."""
    done = tracker.command(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(tracker: Tracker, *arguments: str) -> str:
    """Returns the one line of a command that must fail."""
    done = tracker.command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("host", "more", "shown"),
    [
        ("127.0.0.1", "", ["http://127.0.0.1:{}/announce/KEY"]),
        (EVERYWHERE, "", []),
        (EVERYWHERE, 'net.external_ip = "203.0.113.7"', ["http://203.0.113.7:{}/announce/KEY"]),
        ("[::]", 'net.external_ip = "2001:db8::7"', ["http://[2001:db8::7]:{}/announce/KEY"]),
        (EVERYWHERE, "https://t.example/a/", ["https://t.example/a/announce/KEY"]),
        ("127.0.0.1", "https://t.example/announce", ["https://t.example/announce/KEY"]),
    ],
)
def test_announce_urls(
    host: str, more: str, shown: list[str], new_tracker: Callable[..., Tracker]
) -> None:
    """A new key comes with the URL that its member announces to, if the configuration tells it."""
    extra = "" if more.startswith("https:") else more
    tracker = new_tracker(attrs.evolve(lasting_listeners(), http=(f"{host}:0",)), extra)
    if more != extra:
        bind = f'bind_address = "{host}:0"'
        text = tracker.config.read_text()
        tracker.config.write_text(text.replace(bind, f'{bind}\npublic_url = "{more}"', 1))
    tracker.start()
    done = tracker.command("key", "add", "--key", KEY, "--announce-url")
    lines = [url.format(tracker.http[0][1]).replace("KEY", KEY) for url in shown]
    assert done.stdout.splitlines() == (lines or [KEY])
    assert ("set public_url" in done.stderr) is not bool(lines)


def test_keys(known: Tracker) -> None:
    """Keys are issued, rotated and revoked. The log has each change with its reason, but no key."""
    key = accepted(known, "key", "add", "--seconds", "60").strip()
    assert len(key) == 32
    given = ("--key", KEY, "--owner", "anna", "--label", "für zuhause")
    issued = json.loads(accepted(known, "key", "add", *given, "--json"))
    assert (issued["key"], issued["valid_until"]) == (KEY, None)
    assert "exists already" in refused(known, "key", "add", "--key", KEY)
    second = accepted(known, "key", "rotate", KEY).strip()
    third = accepted(known, "key", "rotate", "3").strip()
    assert len({KEY, second, third}) == 3
    assert accepted(known, "key", "list", "--owner", "anna", "--state", "valid") == (
        "4\tvalid\tpermanent\t2\tanna\tfür zuhause\n"
    )
    states = [json.loads(line) for line in accepted(known, "key", "list", "--json").splitlines()]
    assert [(one["key_ref"], one["state"], one["account"]) for one in states] == [
        (1, "valid", 1),
        (2, "revoked", 2),
        (3, "revoked", 2),
        (4, "valid", 2),
    ]
    assert accepted(known, "key", "revoke", third, "--reason", "left us") == f"revoked {third}\n"
    assert "never issued, or is revoked" in refused(known, "key", "revoke", KEY)
    assert "that key is revoked" in refused(known, "key", "revoke", "4")
    assert "there is no such key" in refused(known, "key", "rotate", "5")
    events = known.events("--type", "key_issued", "--type", "key_rotated", "--type", "key_revoked")
    assert [one["type"] for one in events] == [
        "key_issued", "key_issued", "key_rotated", "key_rotated", "key_revoked",
    ]  # fmt: skip
    assert (events[-1]["by"]["reason"], events[-1]["by"]["token"]) == ("left us", "admin")
    assert KEY not in str(events)
    assert not any(each in str(events) for each in (key, second, third))


def test_whitelist(shared: Tracker) -> None:
    """Torrents are added and removed, several at once. A command without effect is no event."""
    other = torrent(0xCD).hex()
    lines = accepted(shared, "whitelist", "add", HASH.upper(), other, HASH).splitlines()
    assert lines == [f"whitelisted {one}" for one in (HASH, other, HASH)]
    assert accepted(shared, "whitelist", "list") == f"{HASH}\t-\n{other}\t-\n"
    assert accepted(shared, "whitelist", "remove", HASH) == f"delisted {HASH}\n"
    assert "is not on the whitelist" in refused(shared, "whitelist", "remove", HASH)
    events = shared.events("--type", "torrent_whitelisted", "--type", "torrent_delisted")
    assert [(one["type"], one["info_hash"]) for one in events] == [
        ("torrent_whitelisted", HASH),
        ("torrent_whitelisted", other),
        ("torrent_delisted", HASH),
    ]


def test_credit(shared: Tracker) -> None:
    """A factor is set and ended, and totals are corrected; the log has both with their reasons."""
    accepted(shared, "key", "add", "--owner", "carl")
    options = ("--account", "carl", "--upload", "200", "--reason", "kind")
    number = accepted(shared, "factor", "set", *options).strip()
    (listed,) = accepted(shared, "factor", "list").splitlines()
    assert listed.split("\t")[:2] == [number, "1"]
    assert accepted(shared, "factor", "end", number) == f"ended {number}\n"
    (put,) = shared.events("--type", "credit_factor_set")
    for seq in ("0", "1"):  # the start and its settings, which credit nobody
        wrong = ("--uploaded", "5", "--corrects", seq, "--reason", "lost")
        assert f"event {seq}" in refused(shared, "account", "correct", "carl", *wrong)
    options = (
        "--uploaded",
        "5",
        "--corrects",
        str(put["seq"]),
        "--reason",
        "lost",
        "--idempotency-key",
        "one",
    )
    assert len({accepted(shared, "account", "correct", "carl", *options) for _ in range(2)}) == 1
    assert "credited_uploaded 5\n" in accepted(shared, "account", "show", "carl")
    events = shared.events("--type", "credit_factor_set", "--type", "credit_corrected")
    assert [one["by"]["reason"] for one in events] == ["kind", "lost"]


def test_torrents(shared: Tracker) -> None:
    """Facts are said by the command and over the API alike, and each saying is an event with its
    author and reason. Until a size is said, the largest `left` counts.
    """
    hashes = [torrent(number).hex() for number in (0xC1, 0xC2, 0xC3)]
    assert "knows nothing" in refused(shared, "torrent", "show", hashes[0])
    for left in (70, 900, 30):
        announce(shared.http[0], torrent(0xC1), 1, 6001, left=left)
    show = accepted(shared, "torrent", "show", hashes[0])
    assert ("leechers 1\n" in show, "size at least 900\n" in show) == (True, True)
    said = ("--label", "für zuhause", "--size", "1000", "--tag", "a", "--tag", "b c")
    shown = json.loads(
        accepted(shared, "torrent", "describe", hashes[0], *said, "--reason", "new", "--json")
    )
    assert (shown["size"], shown["size_at_least"], shown["tags"]) == (1000, False, ["a", "b c"])
    path = f"/api/v2/torrents/{hashes[0]}"
    assert api(shared, path) == shown
    accepted(shared, "whitelist", "add", hashes[0])
    assert f"{hashes[0]}\tfür zuhause\n" in accepted(shared, "whitelist", "list")
    labels = {hashes[0]: "für zuhause"}
    assert ask(shared, "GET", "/api/v2/whitelist").json["labels"] == labels
    lines = [{"info_hash": each, "size": 5, "added": "2027-01-01T00:00:00Z"} for each in hashes]
    file = shared.folder / "torrents.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    for changed in (3, 0):
        done = accepted(shared, "torrent", "import", str(file), "--reason", "nightly")
        assert done == f"changed {changed}, unchanged {3 - changed}\n"
    accepted(shared, "torrent", "forget", *hashes[1:])
    assert "nothing is said" in refused(shared, "torrent", "forget", hashes[1])
    events = shared.events("--type", "torrent_described")
    assert [one["by"].get("reason") for one in events] == ["new", *["nightly"] * 3, None, None]
    assert {one["by"]["token"] for one in events} == {"admin"}
    first = api(shared, f"{path}?at={events[0]['seq']}")
    assert first == shown
    assert api(shared, f"{path}?at={events[0]['seq'] - 1}")["size_at_least"] is True


def test_stats(shared: Tracker) -> None:
    """`tracker stats` prints the API's numbers in the API's order."""
    announce(shared.http[0], TORRENT, 1, 1)
    expected = api(shared, "/api/v1/stats")
    assert expected["seeders"] == 1
    assert json.loads(accepted(shared, "stats", "--json")) == expected
    lines = accepted(shared, "stats").splitlines()
    assert lines == [f"{name} {value}" for name, value in expected.items()]


def test_a_wrong_token_and_a_stopped_tracker(known: Tracker) -> None:
    """A command fails with one line when the token is wrong, and when no tracker runs."""
    assert "refused the access token" in refused(known, "stats", "--token", "wrong")
    assert known.stop() == 0
    for command in (["stats"], ["key", "add"], ["whitelist", "add", HASH]):
        assert "is the tracker running?" in refused(known, *command)
    assert known.events()[-1]["type"] == "tracker_stopped"


def test_over_tls(new_tracker: Callable[..., Tracker]) -> None:
    """The commands use TLS when the API does, and trust its own certificate."""
    tracker = new_tracker(lasting_listeners())
    files = make("tracker").write(tracker.folder)
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\ntls_config = {files}\n"))
    tracker.start()
    assert len(accepted(tracker, "key", "add").strip()) == 32


def torrust_database(folder: Path) -> str:
    path = folder / "torrust.db"
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript(
            "CREATE TABLE whitelist (id INTEGER PRIMARY KEY, info_hash TEXT UNIQUE);"
            "CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT UNIQUE, valid_until INTEGER);"
            "CREATE TABLE torrents (id INTEGER PRIMARY KEY, info_hash TEXT UNIQUE, completed INTEGER);"
        )
        made.execute("INSERT INTO whitelist VALUES (1, ?)", (HASH,))
        made.execute("INSERT INTO keys VALUES (1, ?, NULL)", (KEY,))
        made.execute("INSERT INTO torrents VALUES (1, ?, 41)", (HASH,))
    return str(path)


def test_import(new_tracker: Callable[..., Tracker]) -> None:
    """A start serves imported data; a repeat adds nothing; a running tracker prevents imports."""
    tracker = new_tracker(lasting_listeners())
    file = torrust_database(tracker.folder)
    planned = accepted(tracker, "import", "torrust-sqlite", "--dry-run", file).splitlines()
    assert len(planned) == 4
    assert not (tracker.folder / "log").exists()
    summary = "1 key, 1 torrent whitelisted, 1 completed count; 0 already there"
    assert planned[-1] == f"would import {summary}"
    assert accepted(tracker, "import", "torrust-sqlite", file) == f"{summary}\n"
    tracker.start()
    announce(tracker.http[0], TORRENT, 1, 1)
    assert api(tracker, f"/api/v1/torrent/{HASH}")["completed"] == 41
    assert "exists already" in refused(tracker, "key", "add", "--key", KEY)
    assert "is in use by another process" in refused(tracker, "import", "torrust-sqlite", file)
    assert tracker.stop() == 0
    again = accepted(tracker, "import", "torrust-sqlite", file)
    assert again == "0 keys, 0 torrents whitelisted, 0 completed counts; 3 already there\n"
    tracker.restart()
    assert api(tracker, "/api/v1/stats")["seeders"] == 1


def test_import_keys(new_tracker: Callable[..., Tracker]) -> None:
    """Imported keys can be revoked through the API like any other."""
    tracker = new_tracker(lasting_listeners())
    file = tracker.folder / "keys.csv"
    file.write_text(f"key,owner\n{KEY},alice\n")
    accepted(tracker, "import", "keys", str(file))
    tracker.start()
    assert accepted(tracker, "key", "revoke", KEY) == f"revoked {KEY}\n"
    issued, revoked = tracker.events("--type", "key_issued", "--type", "key_revoked")
    assert (issued["owner"], issued["account"]) == ("alice", issued["key_ref"])
    assert issued["by"]["reason"] == "keys.csv"
    assert revoked["key_ref"] == issued["key_ref"]


def test_check_config(new_tracker: Callable[..., Tracker]) -> None:
    """A usable configuration is printed without tokens, and no file is made."""
    tracker = new_tracker()
    before = set(tracker.folder.iterdir())
    text = accepted(tracker, "check-config")
    assert 'admin = "***"' in text
    assert "MyAccessToken" not in text
    assert text.count(" a day\n") == 3
    assert set(tracker.folder.iterdir()) == before
