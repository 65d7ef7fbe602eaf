"""Fixtures for tests that write and read many small logs."""

from tests.eventlog.conftest import unsynced as unsynced
