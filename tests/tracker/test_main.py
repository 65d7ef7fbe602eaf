"""`tracker` before it reads its arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tracker
from tracker.__main__ import leave_working_folder

if TYPE_CHECKING:
    import pytest


def test_nothing_is_imported_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken off the path however it came there, unless the tracker is in it."""
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/lib"])
    for given, kept in ((":/lib", "/lib"), (f"lib:{tmp_path}:.", "lib"), (".", "")):
        monkeypatch.setenv("PYTHONPATH", given)
        monkeypatch.chdir(tmp_path)
        leave_working_folder()
        assert (os.environ["PYTHONPATH"], sys.path) == (kept, ["/lib"])
    monkeypatch.setattr(sys, "path", ["", "/lib"])
    monkeypatch.chdir(Path(tracker.__file__).parent.parent)
    leave_working_folder()
    assert sys.path == ["", "/lib"]
