"""What webhooks can be told that is no event of the log, but made from events."""

from __future__ import annotations

HIT_AND_RUN = "hit_and_run"
"""A download came into another state (docs/hit-and-run.md): by an announce, a tick or staff."""

DERIVED_TYPES = (HIT_AND_RUN,)
