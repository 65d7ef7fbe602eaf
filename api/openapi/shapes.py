"""Declares JSON Schemas of requests and responses, for the rows of `api.endpoint`."""

from __future__ import annotations

from typing import Any, Final

from tracker import ports

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
SIGNED: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-fA-F]{40}$"}
KEY_TEXT: Final[Schema] = {"type": "string", "pattern": "^[0-9A-Za-z]{32}$"}
ANY_KEY: Final[Schema] = {"type": "string", "pattern": "^[0-9A-Za-z_-]{10,64}$"}
"""A key that may come from another site."""
NUMBER: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 2**32 - 1}
SEQ: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
DATE: Final[Schema] = {"type": "string", "format": "date"}
LINE: Final = f"^{ports.LINE}$"
NAME: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": ports.MAX_NAME,
    "pattern": LINE,
}
ANYTHING: Final[Schema] = {"type": "object"}
U32: Final[Schema] = {**WHOLE, "maximum": 2**32 - 1}
CURSOR: Final[Schema] = {"anyOf": [NUMBER, STRING]}
"""The `next` of a list: the name of a row, or a value and a name."""

DETECTOR: Final[Schema] = {"type": "string", "maxLength": 64, "pattern": "^[a-z0-9_]+$"}
IN_PATHS: Final[dict[str, Schema]] = {
    "info_hash": HASH,
    "key": KEY_TEXT,
    "seconds": {**WHOLE, "maximum": 10**9},
    "key_ref": NUMBER,
    "token": NUMBER,
    "account": NUMBER,
    "detector": DETECTOR,
    "factor": NUMBER,
    "rule": NUMBER,
    "address": STRING,
    "bits": {**WHOLE, "maximum": 128},
    "name": {"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"},
    "seq": SEQ,
    "table": {"type": "string", "pattern": "^[a-z_]{1,40}$"},
}
"""The schemas of parameters in paths, by name."""
_BY_OWNER: Final[Schema] = {"type": "string", "pattern": "^owner:[^/]+$"}
NAMES: Final[dict[str, Schema]] = {
    "account": _BY_OWNER,
    "into": _BY_OWNER,
    "info_hash": {"type": "string", "pattern": "^label:[^/]+$"},
}
"""What endpoints of version 2 take in place of a number or an info hash."""


def or_name(member: str, schema: Schema) -> Schema:
    """Adds the name that may stand in place of a member; of an object, in all its members."""
    if "properties" in schema:
        inner = {name: or_name(name, each) for name, each in schema["properties"].items()}
        return {**schema, "properties": inner}
    if "items" in schema:
        return {**schema, "items": or_name(member.replace("hashes", "hash"), schema["items"])}
    return {"anyOf": [schema, NAMES[member]]} if member in NAMES else schema


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Schema, most: int | None = None) -> Schema:
    bounds = {} if most is None else {"minItems": 1, "maxItems": most}
    return {"type": "array", "items": items, **bounds}


def record(**members: Schema) -> Schema:
    """Makes the schema of an object that has all of these members, and may have others."""
    return {"type": "object", "properties": members, "required": list(members)}


def form(required: tuple[str, ...] = (), /, **members: Schema) -> Schema:
    """Makes the schema of a body with these members and no others."""
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


def pair(first: Schema, second: Schema) -> Schema:
    # Some tools do not know `prefixItems` yet, which would give each place its own schema.
    return {"type": "array", "items": {"anyOf": [first, second]}, "minItems": 2, "maxItems": 2}


OK: Final = record(status={"const": "ok"})
HEALTHY: Final = record(status={"const": "Ok"})
_FAMILIES: Final = ("tcp4", "tcp6", "udp4", "udp6")
STATS: Final = record(
    **dict.fromkeys(("torrents", "seeders", "completed", "leechers"), WHOLE),
    **{
        f"{family}_{what}_handled": WHOLE
        for family in _FAMILIES
        for what in ("connections", "announces", "scrapes")
    },
)
_UDP_COUNTERS: Final = (
    *("udp_requests_aborted", "udp_requests_banned", "udp_banned_ips_total"),
    *(f"udp_avg_{kind}_processing_time_ns" for kind in ("connect", "announce", "scrape")),
    *(
        f"{family}_{what}"
        for family in ("udp4", "udp6")
        for what in ("requests", "responses", "errors_handled")
    ),
)
STATS_WITH_UDP: Final = {
    **STATS,
    "properties": {**STATS["properties"], **dict.fromkeys(_UDP_COUNTERS, WHOLE)},
}
"""Where `at` is given, there are the members of `STATS` alone."""
METRICS: Final = record(
    metrics=array(
        record(
            kind={"enum": ["counter", "gauge"]},
            name=STRING,
            help=STRING,
            samples=array(
                record(
                    value={"type": "number"},
                    recorded_at=TIME,
                    labels=array(record(name=STRING, value=STRING)),
                )
            ),
        )
    )
)
SUMMARY: Final = record(info_hash=HASH, seeders=WHOLE, completed=WHOLE, leechers=WHOLE)
_AMOUNTS: Final = dict.fromkeys(("updated", "uploaded", "downloaded", "left"), WHOLE)
_WHO: Final = record(id=STRING, client=nullable(STRING))
PEER: Final = record(
    peer_id=_WHO, peer_addr=STRING, updated_milliseconds_ago=WHOLE, event=STRING, **_AMOUNTS
)
OLD_PEER: Final = pair(_WHO, record(ip=STRING, event=STRING, **_AMOUNTS))


def torrent(peer: Schema) -> Schema:
    """Makes the schema of a torrent with its swarm, or of the string for an unknown one."""
    known = record(**SUMMARY["properties"], peers=array(peer))
    return {"anyOf": [known, {"const": "torrent not known"}]}


ISSUED: Final = record(key=KEY_TEXT, valid_until=nullable(WHOLE), expiry_time=nullable(STRING))
OLD_ISSUED: Final = record(key=KEY_TEXT, valid_until=nullable(WHOLE))
ADD_KEY: Final = record(key=nullable(KEY_TEXT), seconds_valid=nullable({**WHOLE, "maximum": 10**9}))

# Version 2.

PROBLEM: Final = {
    "type": "object",
    "properties": {"title": STRING, "status": WHOLE, "detail": STRING},
    "required": ["title", "status"],
}
KEY: Final = record(
    key_ref=NUMBER,
    key_hash=STRING,
    state={"enum": ["valid", "expired", "revoked"]},
    account=NUMBER,
    owner=nullable(STRING),
    label=nullable(STRING),
    valid_until=nullable(TIME),
    last_used=nullable(TIME),
    account_last_seen=nullable(TIME),
)
NEW_KEY: Final = record(**KEY["properties"], key=ANY_KEY, announce_urls=array(STRING))
NEW_KEY_FORM: Final = form(
    key=nullable(ANY_KEY), seconds=nullable({**WHOLE, "maximum": 10**9}), owner=nullable(NAME),
    until=nullable(TIME), label=nullable(NAME),
)  # fmt: skip
_PERCENT: Final = {"type": "integer", "minimum": 0, "maximum": 10_000}
GROUP: Final = {**NAME, "maxLength": 100}
FACTOR: Final = record(
    factor=NUMBER,
    seq=SEQ,
    account=nullable(NUMBER),
    group=nullable(STRING),
    info_hash=nullable(HASH),
    upload_percent=nullable(_PERCENT),
    download_percent=nullable(_PERCENT),
    **{"from": TIME, "until": nullable(TIME), "label": STRING},
)
FACTOR_FORM: Final = form(
    **{"account": nullable(NUMBER), "info_hash": nullable(HASH), "from": nullable(TIME)},
    upload_percent=nullable(_PERCENT),
    download_percent=nullable(_PERCENT),
    until=nullable(TIME),
    label=nullable({**NAME, "maxLength": 100}),
    group=nullable(GROUP),
)
FREELEECH: Final = record(
    token=NUMBER, seq=SEQ, account=NUMBER, info_hash=HASH, until=nullable(TIME), max_bytes=nullable(WHOLE),
    until_completed={"type": "boolean"}, label=STRING, freed=WHOLE, given=TIME, first_used=nullable(TIME), over=nullable(TIME),
    state={"enum": ["unused", "in_use", "used_up", "completed", "withdrawn", "expired"]},
)  # fmt: skip
FREELEECH_FORM: Final = form(
    ("account", "info_hash"), account=NUMBER, info_hash=HASH, until=nullable(TIME), max_bytes=nullable(WHOLE),
    until_completed=nullable({"type": "boolean"}), label=nullable({**NAME, "maxLength": 100}),
)  # fmt: skip
_TOTALS: Final = dict.fromkeys(
    (
        "uploaded",
        "downloaded",
        "sessions",
        "snatched",
        "seeding_seconds",
        "partial_seeding_seconds",
    ),
    WHOLE,
)
ACCOUNT: Final = record(
    account=NUMBER, owner=nullable(STRING), group=nullable(STRING), ratio=nullable({"type": "number"}), credited_uploaded=SIGNED, credited_downloaded=SIGNED,
    first_seen=nullable(TIME), last_seen=nullable(TIME), merged_into=nullable(NUMBER),
    merged_at=nullable(TIME), **_TOTALS,
)  # fmt: skip
CORRECTION_FORM: Final = form(
    ("corrects",), uploaded=nullable(SIGNED), downloaded=nullable(SIGNED), corrects=SEQ
)
EVENT: Final = record(seq=SEQ, time=TIME, type=STRING)
REFUSED: Final = record(
    client=nullable(STRING), version=nullable(STRING), reason=STRING, times=WHOLE
)
_TAG: Final[Schema] = {**NAME, "maxLength": 64}
_I64: Final[Schema] = {**WHOLE, "maximum": 2**63 - 1}
_FACTS: Final[dict[str, Schema]] = {
    "label": nullable(NAME), "size": nullable(_I64), "site_id": nullable(_I64),
    "uploader": nullable(NAME), "added": nullable(TIME),
}  # fmt: skip
_TAGS: Final[Schema] = {"type": "array", "items": _TAG, "maxItems": 32}
TORRENT: Final = record(
    info_hash=HASH, seeders=WHOLE, completed=WHOLE, leechers=WHOLE, size_at_least=FLAG,
    whitelisted=FLAG, tags=_TAGS, **_FACTS,
)  # fmt: skip
FACTS_FORM: Final = form(tags=nullable(_TAGS), **_FACTS)
TORRENT_FORM: Final = form(("info_hash",), info_hash=HASH, tags=nullable(_TAGS), **_FACTS)
CLIENT: Final = record(client=NUMBER, peer_id_prefix=nullable(STRING), user_agent=nullable(STRING))
REJECTED: Final = record(key_ref=NUMBER, reason=STRING, times=WHOLE, last=TIME)
PRESENT: Final = record(
    info_hash=HASH, role={"enum": ["seeder", "leecher"]}, key_ref=NUMBER, peer_id=STRING,
    client=nullable(STRING), address=nullable(STRING), pseudonym=nullable(STRING), uploaded=WHOLE,
    downloaded=WHOLE, left=WHOLE, event=STRING, last_seen=TIME,
)  # fmt: skip


def sums(name: str, row: Schema, following: Schema) -> Schema:
    """Makes the schema of a page of a ledger's sums, one for each `name`."""
    whole = (
        "announces",
        "corrections",
        "uploaded",
        "downloaded",
        "seeding_seconds",
        "partial_seeding_seconds",
        "sessions",
        "snatched",
    )
    one = record(
        **{name: row}, **dict.fromkeys(whole, SIGNED), credited_uploaded=SIGNED, credited_downloaded=SIGNED,
        first_seen=nullable(TIME), last_seen=nullable(TIME),
    )  # fmt: skip
    return page("totals", one, following, first_seq=SEQ, seq=SIGNED)


def book(name: str, /, **named: Schema) -> Schema:
    """Makes the schema of a page of the book; `named`: the members that name a row."""
    row = record(
        **named, **dict.fromkeys(_TOTALS, SIGNED), credited_uploaded=SIGNED, credited_downloaded=SIGNED, announces=WHOLE,
        corrections=WHOLE, first_seen=nullable(TIME), last_seen=nullable(TIME),
        completed_at=nullable(TIME), client=nullable(CLIENT),
    )  # fmt: skip
    return page(name, row, CURSOR, since=SEQ, seq=SIGNED)


def page(name: str, item: Schema, following: Schema, /, **more: Schema) -> Schema:
    """Makes the schema of a page, whose `next` is the `after` of the page that follows."""
    return record(**{name: array(item), "next": nullable(following)}, **more)
