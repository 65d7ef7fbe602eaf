"""Inputs that went wrong once, by target: they are tried in every run of the suite."""

from __future__ import annotations

FOUND = (
    ("addresses", "3a3a2565"),  # ::%e
    ("times_typed", "393939392d31322d33315432333a35393a35392d32333a3539"),  # in the year 10000
    ("lists", "6b65792c641c61"),  # a control character in the name of a column
    ("helpers", "39"),  # JSON that is no report
    ("helpers", b'{"snapshot": 5}'.hex()),
    ("helpers", b'{"request_id": "a", "reason": "x", "days": [1e999, 1]}\n'.hex()),
    ("answers", b'\0{"keys": [{}], "next": 5}'.hex()),
    ("answers", b'\0{"factors": [{"factor": 1}], "keys": [{"account": 1}], "next": 5}'.hex()),
    ("answers", (b"\0" + b"[" * 10_000).hex()),
    ("other_reader", "09"),
)
