"""Fuzzes every parser and every file reader: `scripts/test --fuzz` (docs/changing.md)."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.eventlog.conftest import unsynced as unsynced
from tests.fuzz import asked, files, given, wire
from tests.fuzz.engine import bounded, hunt
from tests.fuzz.found import FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fuzz.target import Target

SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
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
    unsynced: None,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """No input raises another error than a refusal, takes seconds, or fills the memory."""
    del unsynced
    target = prepared(name)
    result = hunt(
        target.run, target.seeds, target.words.split(b"~"), Random(f"{name} {SEED}"), SECONDS
    )
    with capfd.disabled():  # so that a run tells what it was, also when nothing is found
        sys.stderr.write(f"\n{name}: {result.inputs} inputs, {result.kept} kept, seed {SEED}")
    report = [f"{what}\n    ({name!r}, {data!r})," for what, data in result.found.values()]
    assert not report, f"rows for tests/fuzz/found.py (seed {SEED}):\n" + "\n".join(report)


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_found(prepared: Callable[[str], Target], unsynced: None, name: str, data: bytes) -> None:
    """What went wrong once goes well."""
    del unsynced
    target = prepared(name)
    with bounded():
        target.run(data)
