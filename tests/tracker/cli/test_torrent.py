"""`tracker torrent` sends these requests and prints these lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.tracker.cli.api_server import HASHES, Api, run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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
