"""Tests changes of whitelist and keys: every row of the contract's tables, and the actor."""

from __future__ import annotations

import json
import uuid

import pytest

from api.v1.shapes import expiry_time
from tests.api.asking import JSON, KEY_JSON, TEXT, ask, rejected
from tests.api.fakes import LONGEST_S, RANDOM_KEY
from tracker.ports import Actor, LogUnavailableError, NewKey

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
KEY = "Xc1L4PbQJSFGlrgSRZl8wxSFAuMa21z7"
OK = (200, JSON, '{"status":"ok"}')

BOTH = pytest.mark.parametrize("prefix", ["/api/v1", "/api"])


@BOTH
async def test_whitelist(app, commands, prefix):
    """Adding and removing answer ok, also the second time."""
    for _ in range(2):
        assert tuple(await ask(app, "POST", f"{prefix}/whitelist/{HASH.upper()}")) == OK
    assert commands.whitelist == {bytes.fromhex(HASH)}
    for _ in range(2):
        assert tuple(await ask(app, "DELETE", f"{prefix}/whitelist/{HASH}")) == OK
    assert commands.whitelist == set()


@BOTH
@pytest.mark.parametrize("collection", ["whitelist", "keys"])
async def test_reload(app, prefix, collection):
    """Reloading answers ok, because there is nothing to reload."""
    assert tuple(await ask(app, "GET", f"{prefix}/{collection}/reload")) == OK


GENERATED = {
    "/api/v1": f'{{"key":"{RANDOM_KEY}","valid_until":1680009900,'
    '"expiry_time":"2023-03-28 13:25:00.058085 UTC"}',
    "/api": f'{{"key":"{RANDOM_KEY}","valid_until":1680009900}}',
}


@BOTH
async def test_generate_key(app, prefix):
    """The index calls this endpoint: `valid_until` is whole seconds and never null."""
    answer = await ask(app, "POST", f"{prefix}/key/3600")
    assert tuple(answer) == (200, KEY_JSON, GENERATED[prefix])


@BOTH
@pytest.mark.parametrize("value", ["-1", "text", "1.5", "1_0", "18446744073709551616", "9" * 5000])
async def test_generate_key_with_an_invalid_duration(app, prefix, value):
    """A duration that is not an unsigned number of 64 bits is refused, and the text repeats it."""
    answer = await ask(app, "POST", f"{prefix}/key/{value}")
    assert tuple(answer) == (400, TEXT, f"Invalid URL: Cannot parse `{value}` to a `u64`")


@pytest.mark.parametrize("value", ["", "%20"])
async def test_generate_key_with_a_blank_duration(app, value):
    """An empty or blank duration is an unknown path."""
    assert tuple(await ask(app, "POST", f"/api/v1/key/{value}")) == (404, None, "")


@BOTH
async def test_generate_key_with_too_long_a_duration(app, prefix):
    """A duration that ends after the last date is refused."""
    answer = await ask(app, "POST", f"{prefix}/key/18446744073709551615")
    reason = 'Invalid URL: invalid auth key duration: "18446744073709551615"'
    assert tuple(answer) == (400, TEXT, reason)


def form(key: object = None, seconds: object = None) -> bytes:
    return json.dumps({"key": key, "seconds_valid": seconds}).encode()


async def post_keys(app, body: bytes, content_type: str = "application/json"):
    return await ask(app, "POST", "/api/v1/keys", body=body, content_type=content_type)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize(
    ("key", "seconds", "body"),
    [
        (None, 3600, GENERATED["/api/v1"]),
        (KEY, 3600, GENERATED["/api/v1"].replace(RANDOM_KEY, KEY)),
        (None, None, f'{{"key":"{RANDOM_KEY}","valid_until":null,"expiry_time":null}}'),
        (KEY, None, f'{{"key":"{KEY}","valid_until":null,"expiry_time":null}}'),
    ],
)
async def test_add_key(app, key, seconds, body, content_type):
    """A key is given or random, for a time or permanent."""
    answer = await post_keys(app, form(key, seconds), content_type)
    assert tuple(answer) == (200, KEY_JSON, body)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "Invalid key length. Key must be have 32 chars"),
        (KEY[:-1], "Invalid key length. Key must be have 32 chars"),
        (KEY + "0", "Invalid key length. Key must be have 32 chars"),
        ("-" * 32, "Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)"),
        ("é" * 16, "Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)"),
    ],
)
async def test_add_malformed_key(app, commands, key, problem):
    """A malformed key is refused with a text that ends in any place of the reference's source."""
    answer = await post_keys(app, form(key, 60))
    assert (answer.status, answer.content_type) == (400, TEXT)
    assert answer.body.startswith(f'Invalid URL: invalid auth key: string "{key}", {problem}, ')
    assert commands.actors == []


async def test_add_key_with_too_long_a_duration(app):
    """A given key is refused if its duration ends after the last date."""
    answer = await post_keys(app, form(KEY, LONGEST_S + 1))
    reason = f'Invalid URL: invalid auth key duration: "{LONGEST_S + 1}"'
    assert tuple(answer) == (400, TEXT, reason)


SHAPE = "Failed to deserialize the JSON body into the target type: "


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            b'{"key":null,"seconds_valid":"-1"}',
            'seconds_valid: invalid type: string "-1", expected u64 at line 1 column 32',
        ),
        (
            b'{"key":null,"seconds_valid":-1}',
            "seconds_valid: invalid value: integer `-1`, expected u64 at line 1 column 30",
        ),
        (
            b'{"key":null,\n"seconds_valid":1.5}',
            "seconds_valid: invalid type: floating point `1.5`, expected u64 at line 2 column 19",
        ),
        (
            b'{"key":null,"seconds_valid":1e3}',
            "seconds_valid: invalid type: floating point `1000.0`, expected u64 at line 1 column 31",
        ),
        (
            b'{"key":null,"seconds_valid":-0}',
            "seconds_valid: invalid type: floating point `-0.0`, expected u64 at line 1 column 30",
        ),
        (
            b'{"key":null,"seconds_valid":18446744073709551616}',
            "seconds_valid: invalid type: floating point `18446744073709552000.0`, expected u64 at line 1 column 48",
        ),
        (
            b'{"key":null,"seconds_valid":-9223372036854775809}',
            "seconds_valid: invalid type: floating point `-9223372036854776000.0`, expected u64 at line 1 column 48",
        ),
        (
            b'{"key":null,"seconds_valid":1e-7}',
            "seconds_valid: invalid type: floating point `0.0000001`, expected u64 at line 1 column 32",
        ),
        (
            b'{"key":null,"seconds_valid":"\\u0007\\"\xd1\x91"}',
            'seconds_valid: invalid type: string "\\u{7}\\"ё", expected u64 at line 1 column 40',
        ),
        (
            b'{"key":null,"seconds_valid":true}',
            "seconds_valid: invalid type: boolean `true`, expected u64 at line 1 column 32",
        ),
        (
            b'{"key":7,"seconds_valid":1}',
            "key: invalid type: integer `7`, expected a string at line 1 column 8",
        ),
        (b'{"key":null}', "missing field `seconds_valid` at line 1 column 12"),
        (b'{ "seconds_valid" : 1 }', "missing field `key` at line 1 column 23"),
        (b"{}", "missing field `key` at line 1 column 2"),
        (b'{"key":null,"key":null}', "duplicate field `key` at line 1 column 22"),
    ],
)
async def test_add_key_with_a_wrong_member(app, body, reason):
    """The status is 422; the text names the member and the place where it ends."""
    assert tuple(await post_keys(app, body)) == (422, TEXT, SHAPE + reason)


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"', b"18446744073709551616"])
async def test_add_key_with_another_document(app, body):
    """A JSON body that is not an object is refused."""
    answer = await post_keys(app, body)
    assert (answer.status, answer.content_type) == (422, TEXT)
    assert answer.body.startswith(f"{SHAPE}invalid type: ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"key":null,}',
        b"\xff\xfe",
        b'{"key":NaN,"seconds_valid":1}',
        b'{"seconds_valid":' + b"9" * 5000 + b"}",
        b'{"key":null,"seconds_valid":' + b"9" * 400 + b"}",
        b'{"key":null,"seconds_valid":1e400}',
        b"[" * 60_000,
        b'{"key":' * 8_000,
    ],
)
async def test_add_key_with_invalid_json(app, body):
    """A body that is not JSON gives status 400."""
    answer = await post_keys(app, body)
    assert (answer.status, answer.content_type) == (400, TEXT)
    assert answer.body.startswith("Failed to parse the request body as JSON: ")


async def test_add_key_with_half_a_surrogate(app):
    """A key with half a surrogate is refused with an answer in valid UTF-8."""
    answer = await post_keys(app, b'{"key":"\\ud800","seconds_valid":1}')
    assert (answer.status, answer.content_type) == (400, TEXT)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_add_key_with_another_content_type(app, content_type):
    """Other content types than JSON are refused."""
    answer = await post_keys(app, form(KEY, 60), content_type)
    reason = "Expected request with `Content-Type: application/json`"
    assert tuple(answer) == (415, TEXT, reason)


async def test_unknown_members_are_ignored(app):
    """Unknown members are ignored with any value."""
    body = b' { "x" : {"key":[1,{}]} , "seconds_valid":null , "key" : null , "y":"}" } '
    assert (await post_keys(app, body)).status == 200


async def test_duplicate_key(app):
    """Clients recognise a duplicate key by this text of the reference."""
    await post_keys(app, form(KEY, 60))
    answer = await post_keys(app, form(KEY, 60))
    assert (answer.status, answer.content_type) == (500, TEXT)
    assert answer.body.startswith(
        'Unhandled rejection: Err { reason: "failed to generate key: '
        "The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key, "
    )


@BOTH
async def test_delete_key(app, commands, prefix):
    """An existing key is deleted."""
    commands.add(NewKey(KEY))
    assert tuple(await ask(app, "DELETE", f"{prefix}/key/{KEY}")) == OK
    assert commands.keys == set()


async def test_delete_unknown_key(app):
    """Version 1 gives the reason, in the reference's words."""
    answer = await ask(app, "DELETE", f"/api/v1/key/{KEY}")
    assert (answer.status, answer.content_type) == (500, TEXT)
    assert answer.body.startswith(
        'Unhandled rejection: Err { reason: "failed to delete key: '
        "Failed to remove record from Sqlite3 database, error-code: 0, "
    )


async def test_delete_unknown_key_of_the_old_api(app):
    """The un-prefixed API gives no reason."""
    answer = await ask(app, "DELETE", f"/api/key/{KEY}")
    assert tuple(answer) == rejected("failed to delete key")


@BOTH
@pytest.mark.parametrize(
    "value", ["0", "-1", KEY[:-1], KEY + "0", KEY + "00", "%20" * 32, "%C3%A9" * 32, "a%2D" * 16]
)
async def test_delete_malformed_key(app, prefix, value):
    """A malformed key is refused, and the text repeats the decoded value."""
    shown = value.replace("%20", " ").replace("%C3%A9", "é").replace("%2D", "-")
    answer = await ask(app, "DELETE", f"{prefix}/key/{value}")
    assert tuple(answer) == (400, TEXT, f'Invalid auth key id param "{shown}"')


FAILURES = [
    ("POST", f"/whitelist/{HASH}", "failed to whitelist torrent"),
    ("DELETE", f"/whitelist/{HASH}", "failed to remove torrent from whitelist"),
    ("POST", "/key/60", "failed to generate key"),
    ("DELETE", f"/key/{KEY}", "failed to delete key"),
]


@pytest.mark.parametrize(("method", "path", "failure"), FAILURES)
async def test_log_unavailable(app, commands, method, path, failure):
    """Version 1 gives the log's own error text, escaped as by a debug print."""
    commands.failure = LogUnavailableError('disk "full"\n\x07')
    answer = await ask(app, method, f"/api/v1{path}")
    assert (answer.status, answer.content_type) == (500, TEXT)
    expected = rf'Unhandled rejection: Err {{ reason: "{failure}: disk \"full\"\n\u{{7}}, '
    assert answer.body.startswith(expected)


@pytest.mark.parametrize(("method", "path", "failure"), FAILURES)
async def test_log_unavailable_in_the_old_api(app, commands, method, path, failure):
    """The un-prefixed API has fixed texts."""
    commands.failure = LogUnavailableError("disk full")
    assert tuple(await ask(app, method, f"/api{path}")) == rejected(failure)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (1_680_009_900_058_000, "2023-03-28 13:25:00.058 UTC"),
        (1_680_009_900_000_001, "2023-03-28 13:25:00.000001 UTC"),
        (253_402_300_799_999_999, "9999-12-31 23:59:59.999999 UTC"),
        (-62_135_596_800_000_000, "0001-01-01 00:00:00 UTC"),
    ],
)
def test_expiry_time(micros, text):
    """The fraction of an expiry time has six digits, three, or none."""
    assert expiry_time(micros) == text


async def test_actor(app, commands):
    """A change records the token's label, the request id and the reason."""
    await ask(
        app,
        "POST",
        f"/api/v1/whitelist/{HASH}",
        token="",
        authorization="Bearer пароль ключ",
        x_request_id="req-1",
        x_reason=" надо",
    )
    (by,) = commands.actors
    assert by == Actor("ops", by.address, "req-1", "надо")


async def test_actor_without_headers(app, commands):
    """Without headers the request id is a new one, and the reason is empty."""
    answer = await ask(app, "POST", "/api/key/60")
    (by,) = commands.actors
    assert (by.token, by.reason, by.request_id) == ("admin", "", answer.headers["x-request-id"])
    assert uuid.UUID(by.request_id).version == 4


@pytest.mark.parametrize("reason", ["le voilà", "Århus Å", "отменён для всех", "СПОР", "надо…"])
async def test_reason_in_any_language(app, commands, reason):
    """A reason is recorded up to its last letter, without the blanks around it."""
    sent = f" \t{reason} "
    await ask(app, "POST", "/api/v1/key/60", x_reason=sent)
    assert [by.reason for by in commands.actors] == [reason]


UNFIT = "X-Reason has to be printable text in one line, at most 500 characters"


@pytest.mark.parametrize("reason", ["a\u009b31mb", "a\tb", "a\u202eb"])
async def test_unprintable_reason(app, commands, reason):
    """A reason that would command a terminal, or turn a line around, is refused."""
    answer = await ask(app, "POST", "/api/v1/key/60", x_reason=reason)
    assert tuple(answer) == (400, TEXT, UNFIT)
    assert commands.actors == []


async def test_long_reason(app, commands):
    """A long reason is refused and not cut, because the log keeps it for ever. Letters count."""
    answer = await ask(app, "POST", "/api/v1/key/60", x_reason="ж" * 501)
    assert tuple(answer) == (400, TEXT, UNFIT)
    assert commands.actors == []
    await ask(app, "POST", "/api/v1/key/60", x_reason="ж" * 500)
    assert [by.reason for by in commands.actors] == ["ж" * 500]
