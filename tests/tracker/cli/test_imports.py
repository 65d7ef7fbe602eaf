"""Tests that a command imports what it needs, because imports are most of what a command takes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Runs a command, and prints at its end which of these are loaded.
SCRIPT = """\
import sys
from tracker.__main__ import main
try:
    main()
finally:
    names = {"attrs", "cattrs", "cryptography", "eventlog", "quart", "tracker.cli.ledger", "trio"}
    print(*sorted(names & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        ("--version", ""),
        ("key list --help", "attrs cattrs eventlog"),
        ("ledger --help", "attrs cattrs cryptography eventlog tracker.cli.ledger"),
    ],
)
def test_a_command_imports_what_it_needs(words: str, loaded: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == loaded


# Takes in the arguments of all commands, which is all that `--help` and the parsing of each need.
ALL = """\
import sys
from tracker.cli import root_parser
from tracker.cli.tree import walk
print(len(list(walk(root_parser()))))
heavy = {"asyncio", "h11", "hypercorn", "multiprocessing", "prometheus_client", "psycopg", "pyarrow", "pymysql"}
heavy |= {"quart", "rich", "shtab", "sqlite3", "trio", "werkzeug"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_no_command_imports_a_server_before_it_is_needed() -> None:
    """A command starts in 0.3 s: what takes long is imported where it is used."""
    done = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, check=True)
    number, heavy = done.stdout.splitlines()
    assert (int(number) > 60, heavy) == (True, "")
