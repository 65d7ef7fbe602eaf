"""Every operation of every version, one row each: what it takes and what it answers."""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from api.openapi import shapes
from api.openapi.shapes import NUMBER, SEQ, Schema

JSON: Final = "application/json"
KEY_JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
PROBLEM: Final = "application/problem+json"

Answers = dict[int, dict[str, Schema]]
"""Schemas by media type by status; no media type = an empty body."""


@frozen(kw_only=True)
class Query:
    """A parameter of the query or, in `Operation.headers`, a header."""

    name: str
    schema: Schema
    says: str = ""
    needed: bool = False


@frozen(kw_only=True)
class Operation:
    method: str
    path: str
    says: str
    answers: Answers
    query: tuple[Query, ...] = ()
    headers: tuple[Query, ...] = ()
    body: Schema | None = None
    body_needed: bool = True
    open: bool = False  # needs no token


PATHS: Final[dict[str, Schema]] = {
    "info_hash": shapes.HASH,
    "key": shapes.KEY_TEXT,
    "seconds": {**shapes.WHOLE, "maximum": 10**9},
    "key_ref": NUMBER,
    "account": NUMBER,
    "factor": NUMBER,
}

# What any operation may answer: in the words of the contract, or with a problem document.
_CONTRACT: Final[Answers] = {
    **{status: {TEXT: shapes.STRING} for status in (400, 410, 413, 415, 422, 500, 503)},
    **{status: {} for status in (404, 405, 408)},
}
_PROBLEMS: Final[Answers] = {
    status: {PROBLEM: shapes.PROBLEM}
    for status in (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 503)
}


def _old(
    method: str,
    path: str,
    says: str,
    answer: Schema,
    *query: Query,
    media: str = JSON,
    more: dict[str, Schema] | None = None,
    body: Schema | None = None,
) -> Operation:
    answers: Answers = {200: {media: answer, **(more or {})}, **_CONTRACT}
    return Operation(
        method=method, path=path, says=says, answers=answers, query=query, headers=_headers(method, path),
        body=body,
    )  # fmt: skip


_REASON = Query(
    name="X-Reason",
    schema={"type": "string", "maxLength": 500, "pattern": "^[ -~]*$"},
    says="why; recorded with the change",
)
_REPEATABLE = Query(
    name="Idempotency-Key",
    schema={"type": "string", "maxLength": 128, "pattern": "^[!-~]+$"},
    says="a repetition with the same one gets the same answer",
)
_RESUMED = Query(name="Last-Event-ID", schema=SEQ, says="the last event that the client has")


def _headers(method: str, path: str) -> tuple[Query, ...]:
    """What a change may say of itself, and a stream of where it goes on."""
    if path.endswith("/events/stream"):
        return (_RESUMED,)
    if method == "GET":
        return ()
    if path.endswith("/corrections"):
        return (evolve(_REASON, needed=True), _REPEATABLE)
    issues = method == "POST" and path.endswith(("/keys", "/key/{seconds}", "/rotate", "/import"))
    return (_REASON, _REPEATABLE) if issues else (_REASON,)


def _new(
    method: str,
    path: str,
    says: str,
    answers: Answers,
    *query: Query,
    body: Schema | None = None,
    body_needed: bool = True,
) -> Operation:
    return Operation(
        method=method, path=f"/api/v2{path}", says=says, answers={**_PROBLEMS, **answers},
        query=query, headers=_headers(method, path), body=body, body_needed=body_needed,
    )  # fmt: skip


def _told(schema: Schema, status: int = 200) -> Answers:
    return {status: {JSON: schema}}


_AT = Query(
    name="at",
    schema={"anyOf": [shapes.TIME, SEQ]},
    says="as it was after that seq, or at that time",
)
_FORMAT = Query(name="format", schema={"enum": ["json", "prometheus"]})
_U32 = {**shapes.WHOLE, "maximum": 2**32 - 1}
_LISTING = (
    Query(name="offset", schema=_U32, says="torrents to skip"),
    Query(name="limit", schema=_U32, says="4000 unless it is said"),
    Query(name="info_hash", schema=shapes.array(shapes.HASH, 50), says="these alone"),
)
_LIMIT = Query(name="limit", schema={"type": "integer", "minimum": 1, "maximum": 1000})
_AFTER = Query(name="after", schema=_U32, says="the `next` of the page before")
_AFTER_SEQ = Query(name="after", schema=SEQ, says="the `next` of the page before")
_PART = tuple(
    Query(name=name, schema={"anyOf": [shapes.TIME, SEQ]}, says="a time or a seq, included")
    for name in ("from", "to")
)
_FILTERS = (
    Query(name="type", schema=shapes.array(shapes.STRING), says="any of these types"),
    Query(name="info_hash", schema=shapes.HASH),
    Query(name="key_ref", schema=_U32),
    Query(name="account", schema=_U32),
)


def _shared(prefix: str, peer: Schema, issued: Schema) -> list[Operation]:
    """What version 1 and the older paths have in common."""
    ok = shapes.OK
    return [
        _old("GET", f"{prefix}/stats", "Counters.", shapes.STATS, _FORMAT, _AT, more={TEXT: shapes.STRING}),
        _old("GET", f"{prefix}/torrents", "Torrents by info hash.", shapes.array(shapes.SUMMARY), *_LISTING, _AT),
        _old("GET", f"{prefix}/torrent/{{info_hash}}", "A torrent with its peers.", shapes.torrent(peer), _AT),
        _old("POST", f"{prefix}/whitelist/{{info_hash}}", "Whitelist a torrent.", ok),
        _old("DELETE", f"{prefix}/whitelist/{{info_hash}}", "Take a torrent off the whitelist.", ok),
        _old("GET", f"{prefix}/whitelist/reload", "Does nothing: the log is the store.", ok),
        _old("POST", f"{prefix}/key/{{seconds}}", "Issue a random key.", issued, media=KEY_JSON),
        _old("DELETE", f"{prefix}/key/{{key}}", "Revoke a key.", ok),
        _old("GET", f"{prefix}/keys/reload", "Does nothing: the log is the store.", ok),
    ]  # fmt: skip


V1: Final = [
    *_shared("/api/v1", shapes.PEER, shapes.ISSUED),
    _old("GET", "/api/v1/metrics", "All metrics.", shapes.METRICS, _FORMAT, more={TEXT: shapes.STRING}),
    _old(
        "POST", "/api/v1/keys", "Add a key, or issue a random one.", shapes.ISSUED, media=KEY_JSON,
        body=shapes.ADD_KEY,
    ),
]  # fmt: skip
LEGACY: Final = _shared("/api", shapes.OLD_PEER, shapes.OLD_ISSUED)

_NONE: Final[Answers] = {204: {}}
_KEYS: Final = [
    _new(
        "GET", "/keys", "Tracker keys by `key_ref`, revoked ones too.",
        _told(shapes.page("keys", shapes.KEY, NUMBER)), _AFTER, _LIMIT,
        Query(name="owner", schema=shapes.STRING),
        Query(name="state", schema={"enum": ["valid", "expired", "revoked"]}),
        Query(name="key_hash", schema={"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}), _AT,
    ),
    _new("POST", "/keys", "Issue a key.", _told(shapes.NEW_KEY, 201), body=shapes.NEW_KEY_FORM, body_needed=False),
    _new(
        "POST", "/keys/import", "Take keys over: all or none.",
        _told(shapes.record(key_refs=shapes.array(NUMBER)), 201),
        body=shapes.form(("keys",), keys=shapes.array({**shapes.NEW_KEY_FORM, "required": ["key"]}, 200)),
    ),
    _new("GET", "/keys/{key_ref}", "A key.", _told(shapes.KEY), _AT),
    _new(
        "PATCH", "/keys/{key_ref}", "Label a key.", _told(shapes.KEY),
        body=shapes.form(("label",), label=shapes.nullable(shapes.NAME)),
    ),
    _new("DELETE", "/keys/{key_ref}", "Revoke a key.", _NONE),
    _new("POST", "/keys/{key_ref}/rotate", "Replace a key; the account stays.", _told(shapes.NEW_KEY, 201), body=shapes.form(), body_needed=False),
]  # fmt: skip
_LISTED: Final = shapes.record(info_hash=shapes.HASH)
_WHITELIST: Final = [
    _new(
        "GET", "/whitelist", "Whitelisted torrents, ascending.",
        _told(shapes.page("whitelist", shapes.HASH, shapes.HASH)),
        Query(name="after", schema=shapes.HASH), _LIMIT, _AT,
    ),
    _new(
        "POST", "/whitelist", "Whitelist many.",
        _told(shapes.record(added=shapes.WHOLE, present=shapes.WHOLE)),
        body=shapes.form(("info_hashes",), info_hashes=shapes.array(shapes.HASH, 1000)),
    ),
    _new("GET", "/whitelist/{info_hash}", "Whether a torrent is on it.", _told(_LISTED), _AT),
    _new("PUT", "/whitelist/{info_hash}", "Whitelist a torrent.", {**_told(_LISTED), **_told(_LISTED, 201)}),
    _new("DELETE", "/whitelist/{info_hash}", "Take a torrent off it.", _NONE),
]  # fmt: skip
_CREDIT: Final = [
    _new("GET", "/factors", "Credit factors in force and to come.", _told(shapes.page("factors", shapes.FACTOR, NUMBER)), _AFTER, _LIMIT, _AT),
    _new("POST", "/factors", "Set a credit factor.", _told(shapes.FACTOR, 201), body=shapes.FACTOR_FORM),
    _new("GET", "/factors/{factor}", "A credit factor.", _told(shapes.FACTOR), _AT),
    _new("DELETE", "/factors/{factor}", "End a credit factor.", _NONE),
    _new("GET", "/accounts/{account}", "An account's totals.", _told(shapes.ACCOUNT), _AT),
    _new("GET", "/accounts/{account}/torrents", "An account's peers in all swarms now.", _told(shapes.record(torrents=shapes.array(shapes.PRESENT))), _AT),
    _new(
        "POST", "/accounts/{account}/corrections", "Correct an account's credited totals; needs `X-Reason`.",
        _told(shapes.record(seq=SEQ, account=shapes.ACCOUNT), 201), body=shapes.CORRECTION_FORM,
    ),
    _new(
        "GET", "/accounts/{account}/ledger", "What an account's totals are made of.",
        _told(shapes.record(**shapes.page("entries", shapes.ANYTHING, SEQ)["properties"], totals=shapes.nullable(shapes.ANYTHING))),
        _AFTER_SEQ, _LIMIT, Query(name="info_hash", schema=shapes.HASH), _AT,
    ),
    _new(
        "GET", "/accounts/{account}/totals", "An account's sums by torrent.",
        _told(shapes.sums("info_hash", shapes.nullable(shapes.HASH), shapes.HASH)),
        Query(name="after", schema=shapes.HASH), _LIMIT, _AT,
    ),
    _new(
        "GET", "/torrents/{info_hash}/totals", "A torrent's sums by account.",
        _told(shapes.sums("account", NUMBER, NUMBER)), _AFTER, _LIMIT, _AT,
    ),
]  # fmt: skip
_LOG: Final = [
    _new(
        "GET", "/events", "Durable events, ascending.",
        _told(shapes.record(**shapes.page("events", shapes.EVENT, SEQ)["properties"], end=SEQ)),
        _AFTER_SEQ, _LIMIT, *_PART, *_FILTERS, _AT,
    ),
    _new(
        "GET", "/events/stream", "Events as they become durable, server-sent.",
        {200: {"text/event-stream": shapes.STRING}},
        Query(name="after", schema=SEQ, says="as the header `Last-Event-ID`"), *_FILTERS,
    ),
    _new("GET", "/rejections", "Refused requests by reason.", _told(shapes.record(reasons={"type": "object", "additionalProperties": shapes.WHOLE})), _AT),
    _new("GET", "/rejections/clients", "Refused requests by client and reason.", _told(shapes.record(clients=shapes.array(shapes.REFUSED))), _AT),
    _new(
        "GET", "/rejections/keys", "Refusals of known keys.",
        _told(shapes.record(**shapes.page("keys", shapes.REJECTED, SEQ)["properties"], end=SEQ)),
        _AFTER_SEQ, *_PART, *_FILTERS[2:], _AT,
    ),
    _new("GET", "/settings", "The settings in force.", _told(shapes.record(seq=shapes.nullable(SEQ), settings=shapes.ANYTHING)), _AT),
]  # fmt: skip
_ABOUT: Final = [
    _new("GET", "/openapi.json", "This description.", _told(shapes.ANYTHING)),
    _new("GET", "/docs", "This description as a page.", {200: {"text/html; charset=utf-8": shapes.STRING}}),
]  # fmt: skip
_HEALTH: Final = [
    Operation(
        method="GET", path="/api/health_check", says="Whether the API answers.", open=True,
        answers={**_told(shapes.HEALTHY), 405: {}},
    )
]  # fmt: skip

OPERATIONS: Final = [*V1, *LEGACY, *_KEYS, *_WHITELIST, *_CREDIT, *_LOG, *_ABOUT, *_HEALTH]
