"""What several fakes know: the time, and the longest durations and keys of the tracker."""

from __future__ import annotations

NOW_US = 1_680_006_300_058_085
LONGEST_S = 250_000_000_000
RANDOM_KEY = "2cjvmxYTzG1ESiJBSAn5dxNornXB5CeD"
