"""Inputs that went wrong once, by target: they are tried in every run of the suite."""

from __future__ import annotations

FOUND: tuple[tuple[str, str], ...] = ()
