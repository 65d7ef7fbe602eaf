"""Tests the REST API row by row, as software for the reference uses and compares it.

Statuses, content types and bodies are exact. A text that ends with a place in the reference's
source is compared up to that place.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import ask, torrent
from tests.e2e.process import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = "application/json"
KEY_JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
OK = (200, JSON, '{"status":"ok"}')
TOKEN = "token=MyAccessToken"
HASH = torrent(0xC0).hex()
KEY = "Xc1L4PbQJSFGlrgSRZl8wxSFAuMa21z7"
FORM = '{"key":null,"seconds_valid":60}'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path_factory.mktemp("contract"))
    try:
        yield tracker.start()
    finally:
        tracker.close()


def rejected(reason: str) -> tuple[int, str, str]:
    return 500, TEXT, f'Unhandled rejection: Err {{ reason: "{reason}" }}'


def bad(reason: str) -> tuple[int, str, str]:
    return 400, TEXT, reason


def bad_hash(value: str) -> tuple[int, str, str]:
    return bad(
        f'Invalid URL: invalid infohash param: string "{value}", expected a 40 character long string'
    )


UNAUTHORIZED, NOT_VALID = rejected("unauthorized"), rejected("token not valid")
NOTHING = (404, None, "")
DIGIT = bad("Failed to deserialize query string: invalid digit found in string")

EXACT = [
    # Access tokens.
    ("GET", "/stats", UNAUTHORIZED),
    ("GET", "/stats?token=", NOT_VALID),
    ("GET", "/stats?token=wrong", NOT_VALID),
    ("GET", "/stats?token=myaccesstoken", NOT_VALID),
    (
        "GET",
        f"/stats?{TOKEN}&{TOKEN}",
        bad("Failed to deserialize query string: duplicate field `token`"),
    ),
    ("GET", "/nothing", UNAUTHORIZED),
    ("GET", f"/nothing?{TOKEN}", NOTHING),
    ("GET", f"/stats/?{TOKEN}", NOTHING),
    # Torrents.
    ("GET", f"/torrent/{HASH}?{TOKEN}", (200, JSON, '"torrent not known"')),
    ("GET", f"/torrent/0?{TOKEN}", bad_hash("0")),
    ("GET", f"/torrent/%20?{TOKEN}", NOTHING),
    ("GET", f"/torrent/?{TOKEN}", NOTHING),
    ("GET", f"/torrent/%FF%FE?{TOKEN}", bad_hash("\ufffd\ufffd")),
    ("GET", f"/torrents?{TOKEN}", (200, JSON, "[]")),
    ("GET", f"/torrents?{TOKEN}&offset=&limit=", (200, JSON, "[]")),
    ("GET", f"/torrents?{TOKEN}&offset=%20", DIGIT),
    ("GET", f"/torrents?{TOKEN}&offset=-1", DIGIT),
    ("GET", f"/torrents?{TOKEN}&limit=1.1", DIGIT),
    ("GET", f"/torrents?{TOKEN}&limit=text", DIGIT),
    (
        "GET",
        f"/torrents?{TOKEN}&limit=1&limit=2",
        bad("Failed to deserialize query string: duplicate field `limit`"),
    ),
    ("GET", f"/torrents?{TOKEN}&info_hash={HASH}&info_hash=x", bad_hash("x")),
    ("GET", f"/torrents?{TOKEN}&info_hash={HASH}", (200, JSON, "[]")),
    # The whitelist, in any mode. Repeated changes succeed.
    ("POST", f"/whitelist/{HASH}?{TOKEN}", OK),
    ("POST", f"/whitelist/{HASH.upper()}?{TOKEN}", OK),
    ("DELETE", f"/whitelist/{HASH}?{TOKEN}", OK),
    ("DELETE", f"/whitelist/{HASH}?{TOKEN}", OK),
    ("GET", f"/whitelist/reload?{TOKEN}", OK),
    ("POST", f"/whitelist/INVALID?{TOKEN}", bad_hash("INVALID")),
    ("DELETE", f"/whitelist/{HASH}0?{TOKEN}", bad_hash(f"{HASH}0")),
    ("POST", f"/whitelist/?{TOKEN}", NOTHING),
    ("DELETE", f"/whitelist/%20?{TOKEN}", NOTHING),
    ("GET", f"/whitelist/{HASH}?{TOKEN}", (405, None, "")),
    # Keys.
    ("GET", f"/keys/reload?{TOKEN}", OK),
    ("POST", f"/key/-1?{TOKEN}", bad("Invalid URL: Cannot parse `-1` to a `u64`")),
    ("POST", f"/key/text?{TOKEN}", bad("Invalid URL: Cannot parse `text` to a `u64`")),
    (
        "POST",
        f"/key/18446744073709551615?{TOKEN}",
        bad('Invalid URL: invalid auth key duration: "18446744073709551615"'),
    ),
    ("POST", f"/key/?{TOKEN}", NOTHING),
    ("POST", f"/key/%20?{TOKEN}", NOTHING),
    ("DELETE", f"/key/0?{TOKEN}", bad('Invalid auth key id param "0"')),
    ("DELETE", f"/key/{KEY}0?{TOKEN}", bad(f'Invalid auth key id param "{KEY}0"')),
    (
        "DELETE",
        f"/key/{'%20' * 32}?{TOKEN}",
        bad(f'Invalid auth key id param "{" " * 32}"'),
    ),
]


@pytest.mark.parametrize("prefix", ["/api/v1", "/api"])
@pytest.mark.parametrize(("method", "target", "compared"), EXACT)
def test_row(
    api: Tracker, prefix: str, method: str, target: str, compared: tuple[int, str | None, str]
) -> None:
    """Status, content type and body are exact, in version 1 and on the older paths."""
    assert ask(api, method, prefix + target, token="").compared == compared


SHAPE = "Failed to deserialize the JSON body into the target type: "

FORMS = [
    (FORM.encode(), "text/plain", 415, "Expected request with `Content-Type: application/json`"),
    (b"{", JSON, 400, "Failed to parse the request body as JSON: "),
    (b"\xff", JSON, 400, "Failed to parse the request body as JSON: "),
    (
        b'{"key":null,"seconds_valid":"-1"}',
        JSON,
        422,
        f'{SHAPE}seconds_valid: invalid type: string "-1", expected u64 at line 1 column 32',
    ),
    (b'{"key":null}', JSON, 422, f"{SHAPE}missing field `seconds_valid` at line 1 column 12"),
    (
        b'{"key":"short","seconds_valid":1}',
        JSON,
        400,
        'Invalid URL: invalid auth key: string "short", Invalid key length. Key must be have 32 chars, ',
    ),
    (
        b'{"key":"' + b"-" * 32 + b'","seconds_valid":1}',
        JSON,
        400,
        (
            f'Invalid URL: invalid auth key: string "{"-" * 32}", Invalid chars for key. '
            "Key can only alphanumeric chars (0-9, a-z, A-Z), "
        ),
    ),
    (
        f'{{"key":"{KEY}","seconds_valid":18446744073709551615}}'.encode(),
        JSON,
        400,
        'Invalid URL: invalid auth key duration: "18446744073709551615"',
    ),
    (b"x" * 70_000, JSON, 413, "Failed to buffer the request body: length limit exceeded"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "text"), FORMS)
def test_forms(api: Tracker, body: bytes, content_type: str, status: int, text: str) -> None:
    """Each bad form of `POST /api/v1/keys` gets its own status and text."""
    answer = ask(api, "POST", f"/api/v1/keys?{TOKEN}", body, content_type=content_type, token="")
    assert (answer.status, answer.content_type) == (status, TEXT)
    assert answer.body.startswith(text)


def test_keys(api: Tracker) -> None:
    """Keys are issued in each way, refused as duplicates, revoked, and then unknown."""
    expiry = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.(\d{3}|\d{6}))? UTC"
    issued = rf'{{"key":"([0-9A-Za-z]{{32}})","valid_until":\d+,"expiry_time":"{expiry}"}}'
    answer = ask(api, "POST", f"/api/v1/key/60?{TOKEN}", token="")
    assert (answer.status, answer.content_type) == (200, KEY_JSON)
    assert re.fullmatch(issued, answer.body)
    answer = ask(api, "POST", f"/api/v1/keys?{TOKEN}", FORM, content_type=JSON, token="")
    assert re.fullmatch(issued, answer.body)
    older = ask(api, "POST", f"/api/key/60?{TOKEN}", token="")
    assert re.fullmatch(r'{"key":"[0-9A-Za-z]{32}","valid_until":\d+}', older.body)
    form = f'{{"key":"{KEY}","seconds_valid":null}}'
    answer = ask(api, "POST", f"/api/v1/keys?{TOKEN}", form, content_type=JSON, token="")
    assert answer.compared == (
        200,
        KEY_JSON,
        f'{{"key":"{KEY}","valid_until":null,"expiry_time":null}}',
    )
    again = ask(api, "POST", f"/api/v1/keys?{TOKEN}", form, content_type=JSON, token="")
    unique = (
        'Unhandled rejection: Err { reason: "failed to generate key: '
        "The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key, "
    )
    assert ((again.status, again.content_type), again.body.startswith(unique)) == (
        (500, TEXT),
        True,
    )
    assert ask(api, "DELETE", f"/api/v1/key/{KEY}?{TOKEN}", token="").compared == OK
    gone = ask(api, "DELETE", f"/api/v1/key/{KEY}?{TOKEN}", token="")
    unknown = (
        'Unhandled rejection: Err { reason: "failed to delete key: '
        "Failed to remove record from Sqlite3 database, error-code: 0, "
    )
    assert ((gone.status, gone.content_type), gone.body.startswith(unknown)) == ((500, TEXT), True)
    assert ask(api, "DELETE", f"/api/key/{KEY}?{TOKEN}", token="").compared == rejected(
        "failed to delete key"
    )


def test_headers(api: Tracker) -> None:
    """Answers have the reference's headers and no `server`; the request id is the client's or a
    UUID.
    """
    answer = ask(api, "GET", f"/api/v1/stats?{TOKEN}", x_request_id="abc-1", token="")
    assert set(answer.headers) == {"content-type", "content-length", "date", "x-request-id"}
    assert answer.headers["x-request-id"] == "abc-1"
    made_up = ask(api, "GET", "/api/health_check", token="").headers["x-request-id"]
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made_up
    )
    assert ask(api, "GET", "/api/health_check", token="").compared == (200, JSON, '{"status":"Ok"}')
    head = ask(api, "HEAD", f"/api/v1/stats?{TOKEN}", token="")
    assert (head.status, head.body, int(head.headers["content-length"]) > 2) == (200, "", True)


def test_stats(api: Tracker) -> None:
    """Counters come in the reference's order; the Prometheus form has a line for each."""
    stats = ask(api, "GET", f"/api/v1/stats?{TOKEN}", token="")
    names = list(json.loads(stats.body))
    assert names[:8] == [
        "torrents", "seeders", "completed", "leechers", "tcp4_connections_handled",
        "tcp4_announces_handled", "tcp4_scrapes_handled", "tcp6_connections_handled",
    ]  # fmt: skip
    assert (
        list(json.loads(ask(api, "GET", f"/api/stats?{TOKEN}", token="").body))[:10] == names[:10]
    )
    lines = ask(api, "GET", f"/api/v1/stats?{TOKEN}&format=prometheus", token="")
    assert (lines.status, lines.content_type) == (200, TEXT)
    in_lines = [line.split(" ")[0] for line in lines.body.split("\n")]
    assert in_lines[:10] == names[:10]
    assert in_lines == names
    assert len(names) == 28
    unknown = ask(api, "GET", f"/api/v1/stats?{TOKEN}&format=xml", token="")
    assert unknown.compared == bad(
        "Failed to deserialize query string: unknown variant `xml`, expected `json` or `prometheus`"
    )
