"""The errors with which replay rejects a log."""

from __future__ import annotations


class CodecError(ValueError):
    """The bytes of a record do not fit its kind and schema."""


class UnknownEventError(CodecError):
    """A newer version wrote this kind, type or schema, and this version does not know it."""


class ReplayError(Exception):
    """The log holds an event that cannot have happened in the state before it."""
