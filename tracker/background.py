"""What the processes beside the tracker have in common."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NICE = 10


def step_back() -> None:
    """The tracker comes first: for the processor, and when memory runs out."""
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
