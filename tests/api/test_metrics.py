"""Tests metrics: the bytes of both formats, and the tokens that may read them."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.auth import Tokens
from tests.api.asking import JSON, TEXT, ask, rejected

URL = "/api/v1/metrics"

STATS = """\
torrents 1
seeders 2
completed 3
leechers 4
tcp4_connections_handled 5
tcp4_announces_handled 6
tcp4_scrapes_handled 7
tcp6_connections_handled 8
tcp6_announces_handled 9
tcp6_scrapes_handled 10
udp_requests_aborted 101
udp_requests_banned 102
udp_banned_ips_total 103
udp_avg_connect_processing_time_ns 104
udp_avg_announce_processing_time_ns 105
udp_avg_scrape_processing_time_ns 106
udp4_requests 107
udp4_connections_handled 11
udp4_announces_handled 12
udp4_scrapes_handled 13
udp4_responses 108
udp4_errors_handled 109
udp6_requests 110
udp6_connections_handled 14
udp6_announces_handled 15
udp6_scrapes_handled 16
udp6_responses 111
udp6_errors_handled 112"""

TEXT_FORMAT = """\
# HELP asked_total How often.
# TYPE asked_total counter
asked_total{a="x\\"\\n",kind="one"} 3.0
asked_total 1.099511627776e+12
# HELP here_total How many.
# TYPE here_total gauge
here_total 0.5
# HELP never Nothing yet.
# TYPE never gauge
"""


async def test_stats_lines(app):
    """Counters come in the development line's order, without comments or a final newline."""
    assert tuple(await ask(app, "GET", "/api/v1/stats?format=prometheus")) == (200, TEXT, STATS)


@pytest.mark.parametrize("query", ["", "?format=json"])
async def test_stats_as_json(app, query):
    """JSON has the same counters in the same order, those that newer clients require included."""
    answer = await ask(app, "GET", f"/api/v1/stats{query}")
    assert (answer.status, answer.content_type) == (200, JSON)
    members = [f"{name} {value}" for name, value in json.loads(answer.body).items()]
    assert members == STATS.splitlines()


@pytest.mark.parametrize("query", ["", "?format=json", "?format="])
async def test_json(app, query):
    """A metric has kind, name, help and a list of samples, which may be empty."""
    answer = await ask(app, "GET", URL + query)
    assert (answer.status, answer.content_type) == (200, JSON)
    moment = r'"recorded_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"'
    text = re.sub(moment, '"recorded_at":""', answer.body)
    labels = [{"name": "a", "value": 'x"\n'}, {"name": "kind", "value": "one"}]
    metrics = [
        ("counter", "asked_total", "How often.", [(3, labels), (2**40, [])]),
        ("gauge", "here_total", "How many.", [(0.5, [])]),
        ("gauge", "never", "Nothing yet.", []),
    ]
    assert json.loads(text) == {
        "metrics": [
            {
                "kind": kind,
                "name": name,
                "help": about,
                "samples": [
                    {"value": value, "recorded_at": "", "labels": named} for value, named in samples
                ],
            }
            for kind, name, about, samples in metrics
        ]
    }


async def test_text_format(app):
    """Names stay as they are, labels are escaped, and a reader of the format gets the values."""
    answer = await ask(app, "GET", f"{URL}?format=prometheus")
    assert (answer.status, answer.content_type) == (200, TEXT)
    assert answer.body == TEXT_FORMAT
    samples = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(answer.body)
        for sample in family.samples
    ]
    assert samples == [
        ("asked_total", {"a": 'x"\n', "kind": "one"}, 3),
        ("asked_total", {}, 2**40),
        ("here_total", {}, 0.5),
    ]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("format=xml", "unknown variant `xml`, expected `json` or `prometheus`"),
        ("format=JSON", "unknown variant `JSON`, expected `json` or `prometheus`"),
        ("format=json&format=json", "duplicate field `format`"),
    ],
)
@pytest.mark.parametrize("path", [URL, "/api/v1/stats"])
async def test_wrong_format(app, path, query, reason):
    """An unknown format is a bad query."""
    text = f"Failed to deserialize query string: {reason}"
    assert tuple(await ask(app, "GET", f"{path}?{query}")) == (400, TEXT, text)


async def test_tokens(ports):
    """Metrics need a token; one that may only read suffices."""
    app = create_app(ports, Tokens({"watch": "W"}, {"watch": "read"}))
    assert tuple(await ask(app, "GET", URL, token="")) == rejected("unauthorized")
    assert tuple(await ask(app, "GET", URL, token="token=")) == rejected("token not valid")
    assert (await ask(app, "GET", URL, token="token=W")).status == 200
    assert (await ask(app, "GET", URL, token="", Authorization="Bearer W")).status == 200


async def test_methods(app):
    """Metrics can only be read."""
    answer = await ask(app, "POST", URL)
    assert (answer.status, answer.headers["allow"]) == (405, "GET,HEAD")
    assert (await ask(app, "HEAD", URL)).status == 200
