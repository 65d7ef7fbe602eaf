"""`tracker torrent` sends these requests and prints these lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.tracker.cli.api_server import HASHES, Api, run
from tracker.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = {
    "info_hash": HASHES[0], "seeders": 1, "completed": 0, "leechers": 2, "label": None, "size": 9,
    "size_at_least": True, "site_id": 7, "uploader": None, "added": None, "tags": ["a", "b"],
}  # fmt: skip
LINES = (
    f"info_hash {HASHES[0]}\nseeders 1\ncompleted 0\nleechers 2\nlabel -\nsize at least 9\n"
    "site_id 7\nuploader -\nadded -\ntags a, b\n"
)


def test_one(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`describe` sends the given facts with the reason; `show` prints a line for each."""
    path = f"/api/v2/torrents/{HASHES[0]}"
    api.answers[f"GET {path}"] = api.answers[f"PUT {path}/facts"] = SHOWN
    facts = "--size 9 --site-id 7 --tag a --tag b --added 2027-01-31T23:59:59Z --reason new"
    describe = run(capsys, "torrent", "describe", "--config", config, HASHES[0], *facts.split())
    assert describe == (0, LINES, "")
    sent = api.requests[-1]
    assert json.loads(sent.body) == {
        "size": 9, "site_id": 7, "tags": ["a", "b"], "added": "2027-01-31T23:59:59Z",
    }  # fmt: skip
    assert sent.headers["x-reason"] == "new"
    assert run(capsys, "torrent", "show", "--config", config, HASHES[0]) == (0, LINES, "")
    code, out, _ = run(capsys, "torrent", "show", "--config", config, HASHES[0], "--json")
    assert (code, json.loads(out)) == (0, SHOWN)


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [("Debian 13", "label=Debian+13", 1), ("abAB", "search=abAB", 1), ("two", "label=two", 2),
     ("none", "label=none", 0), ("abab", "search=abab", 0)],
)  # fmt: skip
def test_by_name(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], text: str, query: str, found: int
) -> None:
    """A label, or the beginning of the info hash, stands for a torrent if it is the only one."""
    api.answers[f"GET /api/v2/torrents?label={text}&limit=200"] = {"torrents": [], "next": None}
    rows = [SHOWN, {**SHOWN, "info_hash": HASHES[1]}]
    if text == "abAB":
        found, rows = 2, [rows[1], rows[0]]  # only one of them begins so
    answer = {"torrents": rows[:found], "next": None}
    api.answers[f"GET /api/v2/torrents?{query}&limit=200"] = answer
    api.answers[f"GET /api/v2/torrents/{HASHES[0]}"] = SHOWN
    code, out, err = run(capsys, "torrent", "show", "--config", config, text)
    if text in ("Debian 13", "abAB"):
        assert (code, out) == (0, LINES)
    else:
        assert (code, "2 torrents are called two" in err, "no torrent has" in err) == (
            1, found == 2, found == 0,
        )  # fmt: skip


def test_list(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Order, search and filters go to the API; the rows are cut off at the limit."""
    path = "GET /api/v2/swarms?max_seeders=0&min_leechers=1&search=x&sort=-size&limit=200"
    api.answers[path] = {"swarms": [SHOWN, SHOWN], "next": "x"}
    where = [
        "--where",
        "max_seeders=0",
        "--where",
        "min_leechers=1",
        "--search",
        "x",
        "--sort",
        "size",
        "--down",
        "--limit",
        "1",
    ]
    command = ("torrent", "list", "--config", config, "--present", *where)
    row = f"{HASHES[0]}\t-\t1\t2\t0\t9\t-\n"
    assert run(capsys, *command) == (0, row, "")
    assert json.loads(run(capsys, *command, "--json")[1]) == SHOWN
    with pytest.raises(SystemExit):
        main(["torrent", "list", "--where", "size"])
    assert "--where: 'size': expected NAME=VALUE" in capsys.readouterr().err


def test_many(api: Api, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`import` sends a file in requests that the API takes; a line that is no JSON is named."""
    api.answers["POST /api/v2/torrents"] = {"changed": 3, "unchanged": 1}
    torrents = [{"info_hash": f"{number:040x}", "label": "x" * 200} for number in range(400)]
    file = tmp_path / "torrents.jsonl"
    file.write_text("\n\n".join(json.dumps(one) for one in torrents))
    code, out, _ = run(capsys, "torrent", "import", "--config", config, str(file))
    assert (code, out) == (0, f"changed {3 * len(api.requests)}, unchanged {len(api.requests)}\n")
    assert max(len(one.body) for one in api.requests) < 64 * 1024
    assert [each for one in api.requests for each in json.loads(one.body)["torrents"]] == torrents
    file.write_text("{}\nlabel,size\n")
    code, _, err = run(capsys, "torrent", "import", "--config", config, str(file))
    assert (code, "torrents.jsonl, line 2: expected one JSON object in each line" in err) == (
        1,
        True,
    )
    assert run(capsys, "torrent", "import", "--config", config, str(tmp_path / "none"))[0] == 1


def test_forget(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for one in HASHES:
        api.answers[f"DELETE /api/v2/torrents/{one}/facts"] = None
    done = run(capsys, "torrent", "forget", "--config", config, *HASHES)
    assert done == (0, "".join(f"forgot {one}\n" for one in HASHES), "")
