"""Runs the console lines of a page of the docs, in order, as a reader would in one shell.

`python -m tests.e2e.pages docs/private-site.md` runs a page and writes the output of now into it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from tests.e2e.process import clean_environment, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 240  # until a page that hangs fails: a busy machine takes 120
PORTS = ("6969", "7070", "1212", "1313")
"""The ports of the shipped configuration, which a run replaces by free ones."""

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_MARK = "=== output of line"
_MASKS = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\b\d{4}-\d\d-\d\d\b", "DAY"),
    (r"\b[0-9A-Za-z]{32}\b", "KEY"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b\d+(\.\d+)? (s|seconds?)\b", "SECONDS"),
    (r"\bseq \d+", "seq N"),
    (r"[ \t]+", " "),  # the widths of columns
)
"""What differs from one run to the next: patterns, and the word for each."""


@frozen
class Command:
    """A command line of a page, and the lines of output below it. `...` ends them anywhere."""

    line: str
    output: tuple[str, ...]

    def agrees(self, output: list[str]) -> bool:
        """Tells whether this output says the same as the page."""
        shown, found = [masked(each) for each in self.output], [masked(each) for each in output]
        if shown[-1:] == ["..."]:
            return found[: len(shown) - 1] == shown[:-1]
        return found == shown


def masked(line: str) -> str:
    """Returns a line of output without what differs from one run to the next."""
    for pattern, word in _MASKS:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def commands(text: str) -> Iterator[Command]:
    """Yields the commands of a page: in `console` blocks, the lines after `$ `."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            lines = part.rstrip("\n").split("\n")
            rest = next(
                (at for at, line in enumerate(lines[1:], 1) if not lines[at - 1].endswith("\\")),
                len(lines),
            )
            yield Command("\n".join(lines[:rest]), tuple(lines[rest:]))


def run(text: str, folder: Path) -> list[tuple[Command, list[str]]]:
    """Runs a page in a folder, in one shell; returns each command with its lines of output.

    The `toml` blocks of the page are the configuration. A command that fails ends the run:
    `AssertionError` has the output.
    """
    found = [*commands(text)]
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    config = "\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL))
    (folder / "tracker.toml").write_text(_with_ports(config, ports))
    programs = folder / "programs"
    programs.mkdir()
    (programs / "tracker").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m tracker "$@"\n')
    (programs / "tracker").chmod(0o755)
    script = ["set -eu", f'PATH="{programs}:$PATH"']
    for number, command in enumerate(found):
        script += [f'echo "{_MARK} {number}"', _with_ports(command.line, ports)]
    script.append(f'echo "{_MARK} end"')
    said = _with_ports(_output("\n".join(script), folder), {new: old for old, new in ports.items()})
    outputs = re.split(rf"{_MARK} \w+\n", said)[1:]
    assert len(outputs) == len(found) + 1, said
    return [(each, output.splitlines()) for each, output in zip(found, outputs, strict=False)]


def _output(script: str, folder: Path) -> str:
    """Returns what a script says, and ends what it has left running."""
    process = subprocess.Popen(
        # So that a page that hangs ends even where this process was killed.
        ["timeout", "-s", "KILL", str(SECONDS), "bash", "-c", script],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=SECONDS)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"(?<=:)(\d{4,5})\b", lambda found: ports.get(found[1], found[1]), text)


def renew(page: Path) -> None:
    """Runs a page, and writes the output of now into it."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as folder:
        done = iter(run(text, Path(folder)))

    def renewed(block: re.Match[str]) -> str:
        pairs = [next(done) for _ in commands(block[0])]
        lines = [line for each, output in pairs for line in (f"$ {each.line}", *output)]
        return "\n".join(["```console", *lines, "```"])

    page.write_text(_BLOCK.sub(renewed, text))


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
