"""Fixtures for tests that write and read thousands of small logs."""

from tests.eventlog.conftest import unsynced as unsynced
