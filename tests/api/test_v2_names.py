"""Tests that names stand for numbers wherever version 2 takes an account or a torrent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from api.ports import Ports
from api.v2.endpoints import version_2
from tests.api.asking import ask, problem
from tests.api.conftest import running
from tests.api.fakes import (
    FakeChanges,
    FakeCommands,
    FakeConsumers,
    FakeGauges,
    FakeLog,
    FakeModel,
    FakePast,
    FakeReruns,
    FakeWebhooks,
)
from tracker.ports import Account, NewKey, TorrentFacts

if TYPE_CHECKING:
    from api.endpoint import Endpoint

HASH = bytes([1] * 20)  # blacklisted, as account 7 has sanctions, limits and cases
NUMBERS = {
    "account": 7,
    "into": 7,
    "info_hash": HASH.hex(),
    "info_hashes": [HASH.hex()],
    "torrents": [{"info_hash": HASH.hex()}],
}
NAMES = {
    "account": "owner:anna",
    "into": "owner:anna",
    "info_hash": "label:Debian 13: a, b",
    "info_hashes": ["label:Debian 13: a, b"],
    "torrents": [{"info_hash": "label:Debian 13: a, b"}],
}
OTHERS = {"detector": "impossible_rate", "table": "stays"}
API = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def ports() -> Ports:
    """Makes a tracker that knows the account 7 of anna and a torrent with a label."""
    commands, log = FakeCommands(whitelist={HASH}), FakeLog()
    commands.accounts[7] = Account(7, *[0] * 7, None, None, owner="anna")
    commands.facts[HASH] = TorrentFacts(label="Debian 13: a, b")
    commands.facts[bytes(20)] = commands.facts[bytes([9] * 20)] = TorrentFacts(label="twice")
    commands.add(NewKey("A" * 32, owner="anna"))
    live = FakeModel(commands=commands)
    return Ports(
        announce_urls=(), live=live, past=FakePast(model=live), reruns=FakeReruns(), events=log,
        ledgers=log, gauges=FakeGauges(), commands=commands, webhooks=FakeWebhooks(),
        changes=FakeChanges(), consumers=FakeConsumers(),
    )  # fmt: skip


def members(one: Endpoint) -> set[str]:
    """Returns what of `NUMBERS` an endpoint takes."""
    in_body = (one.body or {}).get("properties", {})
    return NUMBERS.keys() & {
        *re.findall(r"{(\w+)}", one.path), *(each.name for each in one.query), *in_body
    }  # fmt: skip


ENDPOINTS = [
    one for one in version_2(ports(), {}, []) if members(one) and "/stream" not in one.path
]


def body(one: Endpoint, given: dict[str, Any]) -> bytes:
    """Returns the body of the endpoint's curl line in the docs, with these members."""
    if not one.body:
        return b""
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(one.path))
    found = re.search(rf"-X {one.method} .*?(?:-d '([^']*)')? \"http://[^/]*{path}\"", API)
    document = json.loads((found and found[1]) or "{}")
    known = {name: given[name] for name in given.keys() & one.body["properties"].keys()}
    return json.dumps(document | known).encode()


async def said(one: Endpoint, given: dict[str, Any]) -> tuple[object, ...]:
    app = running(ports())
    path = one.path.format(
        **OTHERS, **{name: quote(str(value), "") for name, value in given.items()}
    )
    query = {each.name: given[each.name] for each in one.query if each.name in given}
    query |= {each.name: 5 for each in one.query if each.required}
    answer = await ask(
        app, one.method, f"{path}?{urlencode(query)}", body=body(one, given),
        X_Reason="a test", Content_Type="application/json",
        token="" if one.method != "GET" else "token=MyAccessToken",
        Authorization="Bearer MyAccessToken",
    )  # fmt: skip
    return answer.status, answer.body


@pytest.mark.parametrize("one", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_names_mean_numbers(one: Endpoint) -> None:
    """The answer to names is that to numbers, and neither is a refusal."""
    status, text = await said(one, NUMBERS)
    assert (200 <= status < 300, text) == (True, text)
    assert await said(one, NAMES) == (status, text)


def test_every_endpoint_is_there() -> None:
    """The table has those that take an account or a torrent in the path, the query, or the body."""
    found = {f"{one.method} {one.path}".replace("/api/v2", "") for one in ENDPOINTS}
    assert found >= {"PUT /accounts/{account}/limits", "GET /cases", "POST /freeleech"}
    assert found >= {"POST /whitelist", "POST /hit-and-run/voids", "GET /diff", "POST /torrents"}


@pytest.mark.parametrize(
    ("target", "form", "status", "detail"),
    [
        ("/accounts/owner:7", None, 404, "no account has the owner 7"),
        ("/keys?account=owner:otto", None, 404, "no account has the owner otto"),
        ("/torrents/label:", None, 404, "no torrent has the label "),
        ("/events?info_hash=label:twice", None, 409, "several torrents have the label twice"),
        ("/factors", {"account": "owner:otto"}, 404, "no account has the owner otto"),
        (
            "/factors",
            {"account": "anna"},
            422,
            "account: expected the number of an account, or `owner:`",
        ),
        ("/factors", {"info_hash": "anna"}, 422, "info_hash: expected 40 hexadecimal digits, or"),
        ("/whitelist", {"info_hashes": ["label:x"]}, 404, "no torrent has the label x"),
        ("/torrents", {"torrents": [{"info_hash": "label:twice"}]}, 409, "several torrents"),
    ],
)
async def test_refused(target: str, form: object, status: int, detail: str) -> None:
    """A name of nobody, or of several, is refused, and so is a name without its prefix."""
    app = running(ports())
    answer = await ask(
        app, "POST" if form else "GET", f"/api/v2{target}", token="",
        body=json.dumps(form).encode() if form else b"", Content_Type="application/json",
        Authorization="Bearer MyAccessToken",
    )  # fmt: skip
    assert (answer.status, problem(answer)["detail"][: len(detail)]) == (status, detail)
