"""Names what readers of the log get that is no event of it, but made from events by the follower.

Each has the place of the event that shows it, and a number `n` there. Each family has numbers of
its own, so that none depends on whether another one is looked for.
"""

from __future__ import annotations

HIT_AND_RUN = "hit_and_run"
"""A download came into another state (docs/hit-and-run.md): by an announce, a tick or staff."""
COMPLETED = "completed"
"""A download of an account was counted as a snatch."""
FIRST_SEEDER = "first_seeder"
"""A seeder came to a torrent that had none."""
LAST_SEEDER_LEFT = "last_seeder_left"
"""The last seeder of a torrent went."""

CASE_OPENED = "case_opened"
"""What was found about an account became a case."""
CASE_EVIDENCE = "case_evidence"
"""Something more was found that belongs to a case."""
CASE_CHANGED = "case_changed"
"""A case came into another state, by staff or by what was found."""

MILESTONES = (COMPLETED, FIRST_SEEDER, LAST_SEEDER_LEFT)
"""What the book has of torrents (`milestones.py`)."""
CASES = (CASE_OPENED, CASE_EVIDENCE, CASE_CHANGED)
"""What the follower writes of cases (`detecting/case_changes.py`)."""
DERIVED_TYPES = (HIT_AND_RUN, *MILESTONES, *CASES)

FIRST_MILESTONE, FIRST_CASE, FIRST_LATE = 2**30, 2**31, 3 * 2**30
"""The first `n` of a milestone, of a change of a case, and of one that was found late; hit and run
begins with 0.
"""
MOST_N = 2**32 - 2
"""The largest `n`: in a place, all of the event."""
