"""Lists fit a terminal, are exact elsewhere, and are JSON when asked for."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.cli import tables
from tracker.cli.tables import BYTES, HASH, NUMBER, TIME, Column, by_name, in_units, say_list

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = (
    Column("account", NUMBER), Column("info_hash", HASH), Column("uploaded", BYTES),
    Column("state"), Column("since", TIME), Column("owner"), Column("label", absent=""),
)  # fmt: skip
ROWS = [
    {
        "account": 7, "info_hash": "9c38422263e30bff212b30c369d26f9a02136622", "uploaded": 10_737_418_240,
        "state": "revoked", "since": "2026-11-30T15:21:45.383584Z", "owner": "anna", "label": None,
    },
    {
        "account": 12, "info_hash": "ab" * 20, "uploaded": 5, "state": "valid", "since": None,
        "owner": "a name with\ta tab, which is longer than its column", "label": "x",
    },
]  # fmt: skip


@pytest.fixture
def shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """`shown(width, **options)` returns what a terminal of that width shows; 0 = no terminal."""

    def print_it(width: int, **options: object) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(tables, "on_terminal", lambda: bool(width))
        given = Namespace(**{"json": False, "bytes": False, "wide": False, **options})
        say_list(given, COLUMNS, ROWS, by_name(COLUMNS), summary=lambda: "2 rows")
        output = capsys.readouterr()
        return [*output.out.splitlines(), *output.err.splitlines()]

    return print_it


def test_a_terminal_shows_a_table_that_fits(
    shown: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = shown(80)
    assert lines == [
        "account  info_hash   uploaded  state    since                owner         label",
        "      7  9c38422263  10.0 GiB  revoked  2026-11-30 15:21:45  anna",
        "     12  ababababab       5 B  valid    -                    a name with…  x",
        "2 rows",
    ]
    assert max(map(len, lines)) <= 80
    narrow = shown(40)
    assert narrow[0] == "account  info_hash   uploaded  state"
    assert narrow[-1].startswith("note: since, owner, label: not shown")
    wide = shown(40, wide=True, bytes=True)
    assert "9c38422263e30bff212b30c369d26f9a02136622  10737418240  revoked" in wide[1]
    assert wide[2].endswith("a name with\\ta tab, which is longer than its column  x")


def test_a_terminal_gets_colours_unless_it_asks_for_none(
    shown: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    heading, revoked, valid, _ = shown(80)
    assert (heading.startswith("\x1b[1maccount"), revoked.startswith("\x1b[2m")) == (True, True)
    assert "\x1b" not in valid
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in "".join(shown(80))
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in "".join(shown(0))


def test_elsewhere_each_row_is_a_line_with_exact_values(shown: Callable[..., list[str]]) -> None:
    assert shown(0) == [
        "7\t9c38422263e30bff212b30c369d26f9a02136622\t10737418240\trevoked\t2026-11-30T15:21:45.383584Z\tanna\t",
        f"12\t{'ab' * 20}\t5\tvalid\t-\ta name with\\ta tab, which is longer than its column\tx",
    ]
    for width in (0, 80):
        assert [json.loads(line) for line in shown(width, json=True)] == ROWS


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (1536, "1.50 KiB"), (-1536, "-1.50 KiB"),
     (10 << 30, "10.0 GiB"), (999 << 20, "999 MiB"), (1023 << 20, "1.00 GiB"), (2**63, "8.00 EiB"),
     (2**80, "1048576 EiB")],
)  # fmt: skip
def test_units(count: int, text: str) -> None:
    assert in_units(count) == text


@given(st.integers(0, 2**64))
def test_units_are_as_near_as_three_digits_can_be(count: int) -> None:
    number, unit = in_units(count).split(" ")
    factor = 1024 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB").index(unit)
    assert float(number) * factor == pytest.approx(count, rel=0.006)
    assert float(number) < 1000
