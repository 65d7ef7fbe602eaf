"""Inputs that went wrong once, by target: they are tried in every run of the suite."""

from __future__ import annotations

_ENDLESS = b"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"

FOUND = (
    ("serve_and_verify", b"{}\x00\x107"),  # a seal of a later format
    ("addresses", b"::%e"),  # a zone
    ("times_typed", b"9999-12-31T23:59:59-23:59"),  # in the year 10000
    ("lists", b"key,d\x1ca"),  # a control character in the name of a column
    ("helpers", b"9"),  # JSON that is no report
    ("helpers", b'{"snapshot": 5}'),
    ("helpers", b'{"request_id": "a", "reason": "x", "days": [1e999, 1]}\n'),
    ("answers", b'\0{"keys": [{}], "next": 5}'),
    ("answers", b'\0{"factors": [{"factor": 1}], "keys": [{"account": 1}], "next": 5}'),
    ("answers", (b"\0" + b"[" * 10_000)),
    ("database", b"CREATE VIEW keys AS %b SELECT x key, x valid_until FROM n" % _ENDLESS),
    # A record, and a byte after it.
    ("records", b'\2\1\1\x0e\0\0\0\2\0\1\0\5\0\0\0\0\0\0\0{"reason":"x"}\0\0\0'),
    # A client whose name is no text.
    ("records", b"\6\1\1" + bytes(24) + b"\xff" + bytes(39)),
    ("moments", b"9" * 5000),
    ("other_reader", b"\x09"),
    # A key with zeros after it.
    ("other_reader", b"\0\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\0\x10"),
)
