"""Tests Keys, Whitelist and Many at once over a fake API: search, previews, and what is sent."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from api.console.api import DownError, ProblemError
from api.console.bulk import MOST
from tests.api.console.fakes import CREW, TOKENS, Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, WHEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
        "/api/v2/keys?sort=-key_ref&search=anna&state=valid&limit=100",
        "/api/v2/torrents?whitelisted=true&sort=info_hash&search=debian&limit=100",
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


async def test_a_form_that_is_too_large_is_refused() -> None:
    browser = Browser(FakeApi())
    await browser.sign_in()
    answer = await browser.ask("POST", "/bulk", {"what": "import", "text": "k" * (1 << 20)})
    assert answer.status_code == 413
    assert b"1 MiB at most: send a long list in parts" in await answer.get_data(as_text=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("k\n" * (MOST + 1), b"at most 20000 at once"),
        ("k\n" + "k " * 70_000, b"Line 2 has 139999 characters, at most 4000"),
    ],
)
async def test_a_long_list_is_refused(text: str, said: bytes) -> None:
    browser = Browser(FakeApi())
    await browser.sign_in()
    answer = await browser.ask("POST", "/bulk", {"what": "import", "text": text})
    assert answer.status_code == 422
    assert said in await answer.get_data(as_text=False)


@asynccontextmanager
async def working(api: FakeApi) -> AsyncIterator[Browser]:
    """Signs in at a console whose long changes run."""
    browser = Browser(api)
    await browser.sign_in()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(CREW.run)
        yield browser
        nursery.cancel_scope.cancel()


async def begin(browser: Browser, what: str, lines: str, once: str = "k1") -> str:
    """Sends a list; returns where the page of it is."""
    form = {"reason": " ticket\r\n7 ", "lines": lines, "back": "/bulk", "once": once}
    answer = await browser.ask("POST", f"/bulk/{what}", form)
    assert answer.status_code == 303
    return answer.headers["location"]


async def over(browser: Browser, path: str) -> dict[str, Any]:
    await trio.testing.wait_all_tasks_blocked()
    found: dict[str, Any] = json.loads(await browser.text(f"{path}.json"))
    return found


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
    """Of what is gone already, the rest is done. A form that is sent twice begins one list."""
    api = FakeApi({"/api/v2/keys/import": {"key_refs": [9]},
                   f"/api/v2/whitelist/{HASH}": GONE, "/api/v2/keys/7": GONE})  # fmt: skip
    async with working(api) as browser:
        path = await begin(browser, what, lines)
        assert (await over(browser, path))["ends"] == "done"
        assert await begin(browser, what, lines) == path
        assert (await over(browser, path))["tried"] == len(lines.splitlines())
    changes = [one for one in api.asked if one[0] != "GET"]
    assert [one[:3] for one in changes] == [(*one, "ticket 7") for one in asked]
    assert api.sent == sent


async def test_lines_that_fail_are_named_and_the_rest_is_done() -> None:
    """A step of many lines is tried again line by line; a tracker that is gone ends the list."""
    refused = ProblemError(422, "Unprocessable Content", HOSTILE)
    api = FakeApi({"/api/v2/whitelist": refused})
    async with working(api) as browser:
        path = await begin(browser, "whitelist", f"{HASH}\n{OTHER}")
        found = await over(browser, path)
        assert (found["tried"], found["failed"], found["ends"]) == (2, 2, "done")
        assert [one["state"] for one in found["lines"]] == [HOSTILE] * 2
        assert api.sent == [{"info_hashes": [HASH, OTHER]}, {"info_hashes": [HASH]},
                            {"info_hashes": [OTHER]}]  # fmt: skip
        assert "<script>alert" not in await browser.text(path)
        assert HASH in await browser.text(f"{path}.csv")
        api.answers["/api/v2/whitelist"] = DownError("connection refused", 0)
        gone = await over(browser, await begin(browser, "whitelist", HASH, "k2"))
        assert "does not answer" in gone["ends"]
        assert gone["lines"][0]["state"] == "not done"
        assert "does not answer" in await browser.text("/bulk")


async def test_a_defect_ends_one_list_and_no_other() -> None:
    api = FakeApi({"/api/v2/keys/import": KeyError("key_refs")})
    async with working(api) as browser:
        failed = await over(browser, await begin(browser, "import", "k" * 32))
        assert "an error in the console" in failed["ends"]
        assert (await over(browser, await begin(browser, "revoke", "7", "k2")))["ends"] == "done"


async def test_a_list_ends_with_a_cancel_and_with_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends between two steps. Somebody else does not see it, and two at a time are refused."""
    real, gates = FakeApi.change, [trio.Event(), trio.Event()]

    async def slow(self: FakeApi, *given: Any, **names: Any) -> Any:
        await gates[0].wait()
        return await real(self, *given, **names)

    monkeypatch.setattr(FakeApi, "change", slow)
    api = FakeApi()
    async with working(api) as browser:
        path = await begin(browser, "revoke", "7\n8\n9")
        assert (await over(browser, path))["tried"] == 0
        form = {"reason": "x", "lines": "5", "once": "k2"}
        assert (await browser.ask("POST", "/bulk/revoke", form)).status_code == 409
        other = Browser(api)
        await other.sign_in("staff")
        assert (await other.get(path)).status_code == 404
        await browser.ask("POST", f"{path}/cancel", {"back": path})
        gates[0].set()
        found = await over(browser, path)
        assert (found["tried"], found["ends"]) == (1, "cancelled")
        gates[0] = gates[1]
        await begin(browser, "revoke", "7\n8\n9", "k3")
        await browser.ask("POST", "/sign-out", {})
        gates[1].set()
        await trio.testing.wait_all_tasks_blocked()
    assert len(api.sent) == 2  # one of each list


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


async def test_a_long_preview_looks_up_each_line() -> None:
    """In the background; then its page has the form with the lines that will be done."""
    known = f"{9:040x}", f"{1050:040x}"
    api = FakeApi({f"/api/v2/whitelist/{number:040x}": GONE for number in range(1101)})
    api.answers |= {f"/api/v2/whitelist/{one}": {} for one in known}
    lines = "\n".join(f"{number:040x}" for number in (*range(1101), 4))
    async with working(api) as browser:
        answer = await browser.ask("POST", "/bulk", {"what": "whitelist", "text": lines})
        path = answer.headers["location"]
        found = await over(browser, path)
        page = await browser.text(path)
    assert (found["tried"], found["ends"], len(found["good"])) == (1102, "done", 1099)
    states = [one["state"] for one in found["lines"]]
    assert (states[9], states[1050], states[1101]) == (*["on it already"] * 2, "twice in the list")
    assert "1,099 of 1,102 lines will be done. Nothing is changed yet." in page
    assert 'action="/bulk/whitelist"' in page
    assert api.sent == []


@pytest.mark.parametrize("once", ["", "a/b", "k" * 65])
async def test_a_form_without_its_number_is_refused(once: str) -> None:
    """A list would be at no path of the console."""
    api = FakeApi()
    browser = Browser(api)
    await browser.sign_in()
    form = {"reason": "x", "lines": "5", "once": once}
    answer = await browser.ask("POST", "/bulk/revoke", form)
    assert answer.status_code == 422
    assert "The form is not complete" in await answer.get_data(as_text=True)
    assert api.sent == []
