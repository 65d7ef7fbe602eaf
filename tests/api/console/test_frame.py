"""Tests who gets what from the console: sessions, rights, changes, escaping, and the forms of a
page.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock
from urllib.parse import urlencode

import pytest
import trio
import trio.testing

from api.console.api import ProblemError
from api.console.link import DownError
from api.console.page import Action, Page, Screens
from api.console.sessions import LASTS_SECONDS, MOST, Sessions
from api.console.sign_in import EACH, HELD, WRONG_SECONDS
from api.console.work import Work
from tests.api.console.fakes import HOST, Browser, FakeApi

if TYPE_CHECKING:
    from quart import Response

    from api.console.api import Api
    from api.console.page import Asked, Data, Form

HOSTILE = "<script>alert(1)</script>\"'&"
ROWS = [
    {"label": HOSTILE, "bytes": -5, "owner": "=1+1"},
    {"label": "+x", "bytes": None, "owner": " @y"},
    {"label": "\ufeff\u200b=x", "bytes": 0, "owner": "＝x"},
    {"label": "a;=x", "bytes": 0, "owner": "a\n=x"},
]


async def _load(api: Api, asked: Asked) -> Data:
    await api.get("/api/v2/things/{thing}", thing=asked.get("thing"))
    return {"cases": [], "thing": asked.get("thing"), "rows": ROWS}


async def _act(api: Api, asked: Asked, form: Form) -> str:
    await api.change("PUT", "/api/v2/things/{thing}", {}, thing=asked.get("thing"))
    return f"{form.get('what')} is done"


async def _look(api: Api, asked: Asked) -> Data:
    return await _load(asked.looking(api), asked)


THINGS = Screens(
    pages=(
        Page(path="/things/{thing}", title="Thing {thing}", template="search.html", load=_load,
             tables=("rows",), command="tracker thing {thing}", call="GET /api/v2/things/{thing}"),
        Page(path="/looked", title="Looked", template="search.html", load=_look,
             looks=True),
        Page(path="/secret", title="Secret", template="search.html", load=_load, needs="full",
             menu="Secret"),
    ),
    actions=(
        Action(path="/things/{thing}/mend", act=_act, needs="moderator"),
        Action(path="/things/{thing}/end", act=_act),
    ),
)  # fmt: skip


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def browser(api: FakeApi) -> Browser:
    return Browser(api, THINGS)


NOBODY = [("GET", "/things/7"), ("GET", "/things/7.json"), ("GET", "/things/7.csv"), ("GET", "/"),
          ("GET", "/nowhere"), ("POST", "/things/7/mend"), ("POST", "/sign-out")]  # fmt: skip


@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}, {"cookie": "console=x"}])
@pytest.mark.parametrize(("method", "path"), NOBODY)
async def test_nothing_without_session(
    browser: Browser, api: FakeApi, method: str, path: str, headers: dict[str, str]
) -> None:
    """Who has no session is led to the sign-in, or gets 401, and the API is not asked."""
    answer = await browser.ask(method, path, {} if method == "POST" else None, headers=headers)
    assert answer.status_code in (303, 401)
    assert api.asked == []
    body = await answer.get_data(as_text=True)
    assert "Thing" not in body
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/sign-in?next=%2F")


async def test_wrong_token_begins_no_session(browser: Browser, autojump_clock: object) -> None:
    del autojump_clock
    answer = await browser.sign_in("wrong")
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert "does not know" in await answer.get_data(as_text=True)


SOURCES = [
    # peer and X-Forwarded-For of who guesses, the same of staff, and what staff gets meanwhile
    ("192.0.2.1", "", "192.0.2.2", "", 303),
    ("2001:db8::1", "", "2001:db8:0:1::1", "", 303),
    ("2001:db8::1", "", "2001:db8::2", "", 429),
    ("192.0.2.1", "", "192.0.2.1", "198.51.100.7", 429),  # whoever sent that is no proxy
    ("127.0.0.1", "198.51.100.7", "127.0.0.1", "x, 198.51.100.8", 303),
    ("10.0.0.1", "198.51.100.7", "10.0.0.1", "198.51.100.8, 198.51.100.7", 429),
]


@pytest.mark.parametrize(("peer", "forwarded", "staff", "staff_forwarded", "status"), SOURCES)
async def test_guesses_hold_up_their_own_network(
    browser: Browser, autojump_clock: trio.testing.MockClock, peer: str, forwarded: str,
    staff: str, staff_forwarded: str, status: int,
) -> None:  # fmt: skip
    """A network that guesses waits for its answers, and others sign in meanwhile at once."""
    got: list[int] = []

    async def guess() -> None:
        answer = await _signed_in(browser, "wrong", peer, forwarded)
        got.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(EACH + 1):
            nursery.start_soon(guess)
        await trio.testing.wait_all_tasks_blocked()
        assert got == [429]
        answer = await _signed_in(browser, "full", staff, staff_forwarded)
        assert (answer.status_code, autojump_clock.current_time()) == (status, 0.0)
    assert got == [429, *[403] * EACH]
    assert autojump_clock.current_time() == WRONG_SECONDS
    answer = await _signed_in(browser, "full", staff, staff_forwarded)
    assert answer.status_code == 303  # it ended with the last answer


async def test_guesses_of_many_networks_hold_up_nobody(
    browser: Browser, autojump_clock: trio.testing.MockClock
) -> None:
    """Only so many answers wait; the first of them goes out for one more."""
    got: list[tuple[int, float]] = []

    async def guess(number: int) -> None:
        answer = await _signed_in(browser, "wrong", f"192.0.2.{number}")
        assert answer.status_code == 403
        got.append((number, autojump_clock.current_time()))

    async with trio.open_nursery() as nursery:
        for number in range(HELD):
            nursery.start_soon(guess, number)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        nursery.start_soon(guess, HELD)
        await trio.testing.wait_all_tasks_blocked()
        assert [when for _, when in got] == [0.0]
        answer = await _signed_in(browser, "full", "198.51.100.7")
        assert (answer.status_code, autojump_clock.current_time()) == (303, 0.0)
    assert sorted(number for number, _ in got) == list(range(HELD + 1))
    assert autojump_clock.current_time() == WRONG_SECONDS


async def _signed_in(browser: Browser, token: str, peer: str, forwarded: str = "") -> Response:
    headers = {"x-forwarded-for": forwarded}
    return await browser.ask("POST", "/sign-in", {"token": token}, headers=headers, peer=peer)


async def test_cookie_holds_no_token(browser: Browser) -> None:
    answer = await browser.sign_in()
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", "console="))
    assert "full" not in cookie
    assert "Secure" not in cookie
    assert answer.headers["location"] == "/today"


async def test_cookie_is_secure_under_tls(browser: Browser) -> None:
    headers = {"x-forwarded-proto": "https"}
    answer = await browser.ask("POST", "/sign-in", {"token": "full"}, headers=headers)
    assert answer.headers["set-cookie"].startswith("__Host-console=")
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/a\n/b"]
)
async def test_sign_in_leads_nowhere_else(browser: Browser, onward: str) -> None:
    answer = await browser.ask("POST", "/sign-in", {"token": "full", "next": onward})
    assert answer.headers["location"] == "/"


async def test_sign_out_ends_the_session(browser: Browser) -> None:
    await browser.sign_in()
    await browser.text("/things/7")
    await browser.ask("POST", "/sign-out", {})
    assert (await browser.get("/things/7")).status_code == 303


async def test_session_ends_when_the_api_forgets_the_token(browser: Browser, api: FakeApi) -> None:
    await browser.sign_in()
    api.answers["/api/v2/things/7"] = ProblemError(401, "Unauthorized")
    assert (await browser.get("/things/7")).status_code == 303
    api.answers.clear()
    assert (await browser.get("/things/7")).status_code == 303


def test_sessions_end_by_time_and_number() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin("t", "l", "read", addresses=False)
    now[0] = LASTS_SECONDS - 1
    assert sessions.find(first)
    now[0] = LASTS_SECONDS
    assert sessions.find(first) is None
    late = sessions.find(sessions.begin("t", "l", "read", addresses=False))
    assert late
    late.works["k"] = Work("a list", ["1"], AsyncMock())
    now[0] += LASTS_SECONDS
    many = [sessions.begin("t", "l", "read", addresses=False) for _ in range(MOST + 1)]
    assert len(set(many)) == MOST + 1
    assert late.works["k"].cancelled
    assert sessions.find(many[0]) is None
    assert sessions.find(many[1])


FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": ""},
    {"sec-fetch-site": "", "origin": "https://evil.example"},
    {"sec-fetch-site": "", "origin": "null"},
    {"sec-fetch-site": "same-origin", "origin": f"https://{HOST}:1"},
    {"sec-fetch-site": "", "origin": "http://["},
    {"sec-fetch-site": "", "origin": f"http://evil.example#{HOST}"},
    {"sec-fetch-site": "", "origin": f"http://{HOST}@evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/things/7/mend", "/sign-in", "/sign-out"])
async def test_other_sites_change_nothing(
    browser: Browser, api: FakeApi, path: str, headers: dict[str, str]
) -> None:
    await browser.sign_in()
    form = {"reason": "x", "token": "full"}
    answer = await browser.ask("POST", path, form, headers=headers)
    assert answer.status_code == 403
    assert api.asked == []
    assert (await browser.get("/things/7")).status_code == 200  # still signed in


OWN = [
    {"sec-fetch-site": "", "origin": f"http://{HOST}"},  # of older browsers
    {"sec-fetch-site": "same-origin", "origin": "null"},  # under the policy no-referrer
    {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"},
]


@pytest.mark.parametrize("headers", OWN)
async def test_own_pages_may_change(
    browser: Browser, api: FakeApi, headers: dict[str, str]
) -> None:
    await browser.sign_in()
    answer = await browser.ask("POST", "/things/7/mend", {"reason": "x"}, headers=headers)
    assert answer.status_code == 303
    assert len(api.asked) == 1


async def test_a_link_from_elsewhere_is_followed_again(browser: Browser) -> None:
    """The strict cookie does not come with a link of another site, so the page loads once more."""
    headers = {"sec_fetch_site": "cross-site", "cookie": "other=1"}
    text = await browser.text("/things/7?a=%22%3E", **headers)
    assert 'content="0; url=/things/7?a=%22%3E"' in text


ODD = "/things/50%25%20of%20C%23%3F%20%C3%A9"


async def test_a_name_with_odd_characters_is_led_back_to(browser: Browser) -> None:
    """The sign-in and the way back from another site lead to the same page."""
    answer = await browser.get(f"{ODD}?a=1")
    assert answer.headers["location"] == f"/sign-in?{urlencode({'next': f'{ODD}?a=1'})}"
    assert f"url={ODD}" in await browser.text(ODD, sec_fetch_site="cross-site", cookie="other=1")


LOOKS = [
    ("GET", "same-origin", [""]), ("GET", "cross-site", [""]), ("HEAD", "same-origin", [""]),
    ("POST", "same-origin", ["ticket 7"]), ("POST", "cross-site", []), ("POST", "same-site", []),
]  # fmt: skip


@pytest.mark.parametrize(("method", "site", "reasons"), LOOKS)
async def test_only_a_form_of_the_page_looks(
    browser: Browser, api: FakeApi, method: str, site: str, reasons: list[str]
) -> None:
    """A reason for a look at addresses counts in the page's own form, never in a URL."""
    await browser.sign_in()
    form = {"reason": " ticket\r\n7 "} if method == "POST" else None
    path = "/looked" if form else "/looked?reason=ticket+7"
    await browser.ask(method, path, form, headers={"sec-fetch-site": site})
    assert [asked[2] for asked in api.asked] == reasons


@pytest.mark.parametrize("reason", ["", "  "])
async def test_a_change_needs_a_reason(browser: Browser, api: FakeApi, reason: str) -> None:
    await browser.sign_in()
    answer = await browser.ask("POST", "/things/7/mend", {"reason": reason})
    assert answer.status_code == 422
    assert api.asked == []


async def test_a_change_says_its_reason_once(browser: Browser, api: FakeApi) -> None:
    """The reason goes along on one line, and the page that follows says once what was done."""
    await browser.sign_in()
    form = {"reason": " why\r\n not ", "once": "k1", "what": HOSTILE, "back": "/things/8?a=1"}
    answer = await browser.ask("POST", "/things/7%2F..%2F8/mend", form)
    assert answer.status_code == 404  # a part of a path has no slash
    answer = await browser.ask("POST", "/things/7/mend", form)
    assert answer.headers["location"] == "/things/8?a=1"
    assert api.asked == [("PUT", "/api/v2/things/7", "why not", "k1")]
    await browser.ask("HEAD", "/things/8")  # which uses nothing up
    assert "is done" in await browser.text("/things/8")
    assert "is done" not in await browser.text("/things/8")


RIGHTS = [("watch", 403, 403, 403), ("staff", 403, 303, 403), ("full", 200, 303, 303)]


@pytest.mark.parametrize(("token", "secret", "mend", "end"), RIGHTS)
async def test_rights(browser: Browser, token: str, secret: int, mend: int, end: int) -> None:
    """A token gets the pages and changes of its scope, and no others in the navigation."""
    await browser.sign_in(token)
    assert (await browser.get("/secret")).status_code == secret
    assert (await browser.get("/secret.json")).status_code == secret
    for path, status in (("/things/7/mend", mend), ("/things/7/end", end)):
        answer = await browser.ask("POST", path, {"reason": "x"})
        assert answer.status_code == status
    assert ('href="/secret"' in await browser.text("/things/7")) == (secret == 200)


async def test_values_are_escaped(browser: Browser) -> None:
    await browser.sign_in()
    text = await browser.text("/things/%3Cscript%3Ealert(1)%3C%2Fscript%3E".replace("%2F", "_"))
    assert "<script>alert" not in text
    assert "&lt;full&gt;" in text


@pytest.mark.parametrize("path", ["/things/7", "/things/7.json", "/sign-in", "/static/console.js",
                                  "/nowhere", "/secret"])  # fmt: skip
async def test_every_answer_has_the_policy(browser: Browser, path: str) -> None:
    await browser.sign_in("watch")
    headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")


async def test_forms_of_a_page(browser: Browser) -> None:
    """HTML, JSON and CSV come from the same data; a fragment is the main part of the HTML."""
    await browser.sign_in()
    text = await browser.text("/things/7")
    assert "<title>Thing 7 – production</title>" in text
    assert "tracker thing 7" in text
    assert json.loads(await browser.text("/things/7.json"))["rows"] == ROWS
    part = await browser.text("/things/7", hx_request="true")
    assert "<html" not in part
    assert "<h1>" in part


async def test_csv_holds_no_formulas(browser: Browser) -> None:
    """A text that a spreadsheet would compute has an apostrophe before it; numbers have none."""
    await browser.sign_in()
    text = await browser.text("/things/7.csv")
    assert '"a;=x"' in text  # one cell, also where semicolons separate cells
    rows = list(csv.reader(io.StringIO(text)))
    assert rows == [
        ["label", "bytes", "owner"], [HOSTILE, "-5", "'=1+1"], ["'+x", "", "' @y"],
        ["'\ufeff\u200b=x", "0", "'＝x"], ["a;=x", "0", "a\n=x"],
    ]  # fmt: skip
    assert (await browser.get("/things/7.csv?table=secrets")).status_code == 400


PROBLEMS = [
    (ProblemError(403, "Forbidden", "this needs <b>more</b>"), 403, "this needs &lt;b&gt;"),
    (ProblemError(404, "Not Found", "no such thing"), 404, "no such thing"),
    (ProblemError(503, "Unavailable", "try later", "7"), 503, "try later"),
    (DownError("Connection refused", 1_800_000_000.0), 503, "2027-01-15"),
    (ValueError("a defect with <secrets>"), 500, "An error in the console"),
]


@pytest.mark.parametrize(("error", "status", "said"), PROBLEMS)
async def test_trouble_is_said(
    browser: Browser, api: FakeApi, error: Exception, status: int, said: str
) -> None:
    await browser.sign_in()
    api.answers["/api/v2/things/7"] = error
    for headers in ({}, {"hx_request": "true"}):
        answer = await browser.get("/things/7", **headers)
        assert answer.status_code == status
        text = await answer.get_data(as_text=True)
        assert said in text
        assert "secrets" not in text
        assert answer.headers.get("hx-reswap") == ("none" if headers else None)
    answer = await browser.get("/things/7.json")
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


async def test_a_tracker_that_is_down_is_tried_again(browser: Browser, api: FakeApi) -> None:
    await browser.sign_in()
    api.answers["/api/v2/things/7"] = DownError("Connection refused", 0.0)
    answer = await browser.get("/things/7")
    assert '<meta http-equiv="refresh" content="5">' in await answer.get_data(as_text=True)
    assert (await browser.get("/things/7.json")).status_code == 503
