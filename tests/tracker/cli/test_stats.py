"""`tracker stats` prints statistics and metrics."""

from __future__ import annotations

import json

import pytest

from tests.tracker.cli.api_server import Api, run


@pytest.mark.parametrize(
    ("arguments", "out"),
    [([], "torrents 1\nseeders 2\n"), (["--json"], '{"torrents":1,"seeders":2}\n')],
)
def test_stats(
    api: Api, config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], out: str
) -> None:
    """`stats` prints a name and a number in each line, in the API's order, or the API's JSON."""
    api.answer = b'{"torrents": 1, "seeders": 2}'
    assert run(capsys, "stats", "--config", config, *arguments) == (0, out, "")
    assert api.requests[0].path == "/api/v1/stats"


METRICS = (
    b'{"metrics":[{"kind":"gauge","name":"a","help":"A.","samples":[{"value":0.5,"labels":[]}]},'
    b'{"kind":"gauge","name":"b","help":"B.","samples":[]},{"kind":"counter","name":"c_total","help":"C.",'
    b'"samples":[{"value":7,"labels":[{"name":"x","value":"1"},{"name":"y","value":"2"}]}]}]}'
)


def test_metrics(api: Api, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--metrics` prints name, value and labels in each line, or a JSON object for each metric. The
    client refuses an answer that is no list."""
    api.answer = METRICS
    out = "a 0.5\nc_total 7 x=1 y=2\n"
    assert run(capsys, "stats", "--config", config, "--metrics") == (0, out, "")
    assert api.requests[0].path == "/api/v1/metrics"
    _, out, _ = run(capsys, "stats", "--config", config, "--metrics", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == json.loads(METRICS)["metrics"]
    api.answer = b'{"metrics": 1}'
    code, _, err = run(capsys, "stats", "--config", config, "--metrics")
    assert (code, "is not a tracker's API" in err) == (1, True)
