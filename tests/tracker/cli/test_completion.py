"""Completion and the manual page know every command and every option."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tracker.cli import main, root_parser
from tracker.cli.tree import walk

if TYPE_CHECKING:
    from pathlib import Path

# Completes the words after the script's name, as bash does for a tab behind the last one.
TAB = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_tracker
printf '%s\\n' "${COMPREPLY[@]}"
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tracker wh", {"what-if", "whitelist"}),
        ("tracker key re", {"revoke"}),
        ("tracker key revoke --re", {"--reason"}),
        ("tracker key list --state ", {"valid", "expired", "revoked"}),
        ("tracker completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash(
    typed: str, offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "tracker"
    script.write_text(printed(capsys, "completion", "bash"))
    done = subprocess.run(
        ["bash", "-c", TAB, "bash", str(script), *typed.split(" ")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert offered <= set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = printed(capsys, "completion", shell)
    for entry in walk(root_parser()):
        for option in entry.parser._option_string_actions:
            assert option.lstrip("-") in script


def test_manual_page(capsys: pytest.CaptureFixture[str]) -> None:
    """It has each command and option, and obeys roff: no line of text is taken for a request."""
    page = printed(capsys, "man")
    assert {line.split(" ")[0] for line in page.splitlines() if line.startswith((".", "'"))} == {
        ".TH", ".SH", ".SS", ".TP", ".PP", ".B",
    }  # fmt: skip
    sections = re.split(r"(?m)^\.SS ", page.replace("\\-", "-"))
    for entry, section in zip(walk(root_parser()), sections, strict=True):
        assert section.startswith((f'"{entry.words}"\n', ".TH"))
        for option in entry.parser._option_string_actions:
            assert option in ("-h", "--help") or option in section
