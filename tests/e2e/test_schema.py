"""Tests the running API against its description with valid and invalid requests.

Every status, media type and body must be described; in version 2, status 500 never is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.process import clean_environment

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

PROGRAM = str(Path(sys.executable).with_name("schemathesis"))
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"
SECONDS = 300  # seconds until it is stopped; it needs about twenty
EXAMPLES = 5  # random examples of each operation, beside those at each parameter's bounds


@pytest.mark.schema
@pytest.mark.parametrize(
    ("which", "checks"),
    [("--include-path-regex", f"{CHECKS},not_a_server_error"), ("--exclude-path-regex", CHECKS)],
    ids=["v2", "older"],
)
def test_description(tracker: Tracker, which: str, checks: str) -> None:
    """All operations conform except the streams, which never end."""
    url = f"http://127.0.0.1:{tracker.api[1]}/api/v2/openapi.json"
    command = [PROGRAM, "run", url, "--header", "Authorization: Bearer MyAccessToken"]
    command += ["--checks", checks, "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES)]
    command += ["--seed", "1", "--no-color", which, "^/api/v2/"]
    for stream in ("events", "hit-and-run/transitions"):
        command += ["--exclude-path", f"/api/v2/{stream}/stream"]
    done = subprocess.run(
        command, cwd=tracker.folder, env=clean_environment(), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert tracker.stop() == 0
