"""Tests Keys, Whitelist and Many at once over a fake API: search, previews, and what is sent."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from api.console.api import ProblemError
from tests.api.console.fakes import TOKENS, Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, WHEN

OTHER = "0f" * 20
KEY = {"key_ref": 7, "key_hash": "aa" * 32, "state": "valid", "account": 7, "owner": HOSTILE,
       "label": HOSTILE, "valid_until": None, "last_used": WHEN}  # fmt: skip
GONE = ProblemError(404, "Not Found")


async def shown(api: FakeApi, form: dict[str, str], token: str = next(iter(TOKENS))) -> str:
    browser = Browser(api)
    await browser.sign_in(token)
    answer = await browser.ask("POST", "/bulk", form)
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True))


async def test_lists_are_searched_and_escaped() -> None:
    torrent = {"info_hash": HASH, "label": HOSTILE, "uploader": HOSTILE, "seeders": 1,
               "leechers": 2, "completed": 3}  # fmt: skip
    api = FakeApi({"/api/v2/keys": {"keys": [KEY], "next": "7"},
                   "/api/v2/torrents": {"torrents": [torrent], "next": None}})  # fmt: skip
    browser = Browser(api)
    await browser.sign_in("watch")
    for path in ("/keys?search=anna&state=valid", "/whitelist?search=debian"):
        page = await browser.text(path)
        assert "<script>alert" not in page
    assert [target for _, target, _, _ in api.asked if "search" in target] == [
        "/api/v2/keys?limit=100&sort=-key_ref&search=anna&state=valid",
        "/api/v2/torrents?whitelisted=true&limit=100&sort=info_hash&search=debian",
    ]
    assert "key_hash" not in await browser.text("/keys.json")


@pytest.mark.parametrize(
    ("what", "text", "answers", "states"),
    [
        ("whitelist", f"{HASH.upper()}\n\n{OTHER},a label\nno hash\n{OTHER}",
         {f"/api/v2/whitelist/{HASH}": {}, f"/api/v2/whitelist/{OTHER}": GONE},
         ["on it already", "will be done", "not readable: an info hash a line", "twice in the list"]),
        ("delist", f"{HASH}\n{OTHER}",
         {f"/api/v2/whitelist/{HASH}": {}, f"/api/v2/whitelist/{OTHER}": GONE},
         ["will be done", "not on it"]),
        ("revoke", "7\n8\n9",
         {"/api/v2/keys/7": KEY, "/api/v2/keys/8": KEY | {"state": "revoked"},
          "/api/v2/keys/9": GONE},
         ["will be done", "revoked already", "no such key"]),
        ("import", f"{'k' * 32},anna\n{'x' * 9},{HOSTILE}", {},
         ["will be done", "not readable: key, owner, label a line; the last two may be missing"]),
        ("revoke", "7", {"/api/v2/keys/7": ProblemError(503, "Busy", "ask again")}, ["ask again"]),
    ],
)  # fmt: skip
async def test_a_preview_changes_nothing(
    what: str, text: str, answers: dict[str, Any], states: list[str]
) -> None:
    api = FakeApi(answers)
    page = await shown(api, {"what": what, "text": text})
    assert "<script>alert" not in page
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("</tr>")[:-1]
    assert [row.rpartition("<td>")[2].partition("</td>")[0] for row in rows] == states
    assert api.sent == []


async def test_an_imported_key_that_is_known_is_named() -> None:
    api = FakeApi({"/api/v2/keys": {"keys": [KEY]}})
    page = await shown(api, {"what": "import", "text": "k" * 32})
    assert "is key 7 already" in page
    asked = f"/api/v2/keys?key_hash={sha256(b'k' * 32).hexdigest()}&limit=1"
    assert asked in [target for _, target, _, _ in api.asked]


async def test_a_long_list_is_refused() -> None:
    browser = Browser(FakeApi())
    await browser.sign_in()
    form = {"what": "import", "text": "k\n" * 201}
    answer = await browser.ask("POST", "/bulk", form)
    assert answer.status_code == 422
    assert b"at most 200 at once" in await answer.get_data(as_text=False)


@pytest.mark.parametrize(
    ("what", "lines", "asked", "sent"),
    [
        ("whitelist", f"{HASH}\r\n{OTHER}", [("POST", "/api/v2/whitelist")],
         [{"info_hashes": [HASH, OTHER]}]),
        ("delist", f"{HASH}\n{OTHER}",
         [("DELETE", f"/api/v2/whitelist/{HASH}"), ("DELETE", f"/api/v2/whitelist/{OTHER}")],
         [None, None]),
        ("revoke", "7\n8", [("DELETE", "/api/v2/keys/7"), ("DELETE", "/api/v2/keys/8")],
         [None, None]),
        ("import", f'{"k" * 32},"o, p",seat', [("POST", "/api/v2/keys/import")],
         [{"keys": [{"key": "k" * 32, "owner": "o, p", "label": "seat"}]}]),
    ],
)  # fmt: skip
async def test_a_change(what: str, lines: str, asked: list[Any], sent: list[Any]) -> None:
    """Of what is gone already, the rest is done."""
    api = FakeApi({"/api/v2/whitelist": {"added": 2, "present": 0},
                   f"/api/v2/whitelist/{HASH}": GONE, "/api/v2/keys/7": GONE})  # fmt: skip
    browser = Browser(api)
    await browser.sign_in()
    form = {"reason": "ticket 7", "lines": lines, "back": "/bulk"}
    answer = await browser.ask("POST", f"/bulk/{what}", form)
    assert answer.status_code == 303
    changes = [one for one in api.asked if one[0] != "GET"]
    assert [one[:3] for one in changes] == [(*one, "ticket 7") for one in asked]
    assert api.sent == sent


async def test_who_may() -> None:
    """A moderator imports no keys; a reader has no form. An empty list is refused."""
    text = "k" * 32
    page = await shown(FakeApi(), {"what": "import", "text": text}, "staff")
    assert 'action="/bulk/import"' not in page
    assert 'value="import"' not in page
    assert 'name="file"' not in await shown(FakeApi(), {"what": "import", "text": text}, "watch")
    browser = Browser(FakeApi())
    await browser.sign_in("staff")
    form = {"reason": "ticket 7", "lines": text}
    assert (await browser.ask("POST", "/bulk/import", form)).status_code == 403
    form = {"reason": "ticket 7", "lines": " "}
    assert (await browser.ask("POST", "/bulk/revoke", form)).status_code == 422
    assert json.loads(await browser.text("/bulk.json"))["lines"] == []
