"""Fuzzes every parser and every file reader: `scripts/test --fuzz` (docs/changing.md)."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.fuzz import asked, files, given, wire
from tests.fuzz.engine import bounded, hunt
from tests.fuzz.found import FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fuzz.target import Target

SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
MORE = int(os.environ.get("FUZZ_INPUTS", "0"))
"""Inputs after those seconds."""
CORPUS = os.environ.get("FUZZ_CORPUS")
"""A folder for the inputs that were kept, which a run with `FUZZ_SECONDS=0` begins with."""
SEED = os.environ.get("FUZZ_SEED", "1")
TARGETS = {one.__name__: one for part in (wire, files, given, asked) for one in part.TARGETS}


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Callable[[str], Target]]:
    with ExitStack() as closing:
        yield lambda name: TARGETS[name](tmp_path, closing)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_hunt(
    prepared: Callable[[str], Target],
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """No input raises another error than a refusal, takes seconds, or fills the memory."""
    target = prepared(name)
    chance, seeds = Random(f"{name} {SEED}"), target.seeds
    corpus = Path(CORPUS, name) if CORPUS else None
    if corpus and not SECONDS:
        seeds += map(bytes.fromhex, corpus.read_text().split())
    result = hunt(target.run, seeds, target.words.split(b"~"), chance, SECONDS, MORE)
    if corpus and SECONDS:
        corpus.write_text("\n".join(map(bytes.hex, result.kept)))
    with capfd.disabled():  # so that a run tells what it was, also when nothing is found
        sys.stderr.write(f"\n{name}: {result.inputs} inputs, {len(result.kept)} kept, seed {SEED}")
        if MORE:
            sys.stderr.write(f", {1000 * result.slowest:.1f} ms for {result.slow[:200]!r}")
    report = [f"{what}\n    ({name!r}, {data!r})," for what, data in result.found.values()]
    assert not report, f"rows for tests/fuzz/found.py (seed {SEED}):\n" + "\n".join(report)


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_found(prepared: Callable[[str], Target], name: str, data: bytes) -> None:
    """What went wrong once goes well."""
    target = prepared(name)
    with bounded():
        target.run(data)
