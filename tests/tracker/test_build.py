"""The compiled build and the check that it was made from the present sources."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tracker import build

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_one_build() -> None:
    """All hot modules are compiled, or none is, and the version says which."""
    suffixes = {
        Path(importlib.import_module(f"tracker.{name.replace('/', '.')}").__file__ or "").suffix
        for name in build.MODULES
    }
    assert suffixes == ({".so"} if build.build() == "compiled" else {".py"})
    told = subprocess.run(
        [sys.executable, "-m", "tracker", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip().endswith(f"({build.build()})")


def test_the_build_is_current() -> None:
    """The compiled build was made from the present sources."""
    assert build.stale() is None


def test_compiled_code_takes_no_pointer_from_outside() -> None:
    """Only compiled code can call what takes a pointer, because a pointer does not say how long a
    name is, and names of another length would be read beyond their end."""
    pages = [path.read_text() for path in (ROOT / "tracker").rglob("*.pxd")]
    declared = [found for page in pages for found in re.findall(r"cpdef [^()]*\([^()]*\)", page)]
    assert len(declared) > 100
    assert [each for each in declared if "char *" in each] == []


def test_a_stale_build_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build of other sources is reported; a pure one has no such problem."""
    monkeypatch.setattr(build, "RECORD", tmp_path / "compiled.json")
    monkeypatch.setattr(build, "_extensions", lambda: True)
    problem = build.stale()
    assert problem is not None
    assert "scripts/run" in problem
    build.RECORD.write_text(json.dumps({"sources": build.digest()}))
    assert build.stale() is None
    build.RECORD.write_text(json.dumps({"sources": "of another day"}))
    assert build.stale() == problem
    monkeypatch.setattr(build, "_extensions", lambda: False)
    assert build.stale() is None


def test_scripts_see_every_source() -> None:
    """scripts/run installs anew when a source of a compiled module changes."""
    # `cat` is to print the names of the files instead of their content.
    script = f'. {ROOT}/scripts/_venv && cat() {{ echo "$@"; }} && hot_sources'
    watched = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sources = {f"tracker/{name}.py" for name in build.MODULES}
    sources |= {str(path.relative_to(ROOT)) for path in (ROOT / "tracker").rglob("*.pxd")}
    assert sources <= set(watched.stdout.split())
