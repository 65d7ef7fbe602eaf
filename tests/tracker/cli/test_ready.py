"""`tracker list` and `tracker torrent members` ask for these lists, and print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tracker.cli.api_server import HASHES, Api, run

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDED = {
    "info_hash": HASHES[0], "label": "x", "unseeded_since": "then", "owner": "anna", "account": 7,
    "leechers": 2, "added": None, "first_seeded": "once",
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["dead", "--days", "7", "--limit", "1"], "dead?days=7&limit=200"),
        (["unseeded", "--sort", "added", "--down"], "unseeded?sort=-added&limit=200"),
        (["seeded-late", "--where", "max_added=x"], "seeded-late?max_added=x&limit=200"),
    ],
)
def test_lists(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], path: str
) -> None:
    api.answers[f"GET /api/v2/lists/{path}"] = {"torrents": [SEEDED], "next": None}
    row = f"{HASHES[0]}\tx\tthen\tanna\t7\t2\t-\tonce\n"
    assert run(capsys, "--config", config, "list", *arguments) == (0, row, "")


def test_swarms(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = "GET /api/v2/lists/few-seeders?search=deb&seeders=2&limit=200"
    api.answers[path] = {"torrents": [{**SEEDED, "seeders": 1, "size": 5}], "next": None}
    command = ("--config", config, "list", "few-seeders", "--seeders", "2", "--search", "deb")
    assert run(capsys, *command) == (0, f"{HASHES[0]}\tx\t1\t2\t-\t5\t-\n", "")


def test_unregistered(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The pages of a long log follow each other; a member without an owner has a number."""
    members = [
        {"account": 1, "owner": "anna", "times": 3},
        {"account": 2, "owner": None, "times": 1},
    ]
    row = {"info_hash": HASHES[0], "label": None, "times": 4, "members": members}
    path = "GET /api/v2/lists/unregistered?days=3"
    api.answers = {
        path: {"torrents": [], "next": 9},
        f"{path}&after=9": {"torrents": [row], "next": None},
    }
    line = f"{HASHES[0]}\t-\t4\tanna (3), 2 (1)\n"
    assert run(capsys, "--config", config, "list", "unregistered", "--days", "3") == (0, line, "")


def test_members(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who completed a torrent comes by when he was seen last, unless another order is asked for."""
    path = f"GET /api/v2/torrents/{HASHES[0]}/accounts?"
    row = {"account": 7, "owner": "anna", "uploaded": 1, "downloaded": 2, "snatched": 1,
           "last_seen": "then", "completed_at": "once", "seeding_seconds": 5}  # fmt: skip
    for query in (
        "min_snatched=1&sort=-last_seen",
        "min_snatched=1&sort=uploaded",
        "sort=uploaded",
    ):
        api.answers[f"{path}{query}&limit=200"] = {"accounts": [row], "next": None}
    line = "7\tanna\t1\t2\t1\tthen\tonce\t5\n"
    for more in (["--snatched"], ["--snatched", "--sort", "uploaded"], ["--sort", "uploaded"]):
        done = run(capsys, "--config", config, "torrent", "members", HASHES[0], *more)
        assert done == (0, line, "")
