"""The errors with which replay rejects a log."""

from __future__ import annotations


class CodecError(ValueError):
    """A record does not read as its kind and schema say."""


class UnknownEventError(CodecError):
    """A newer version wrote this kind, type or schema, and this version does not know it."""


class ReplayError(Exception):
    """The log holds an event that cannot have happened in the state before it."""
