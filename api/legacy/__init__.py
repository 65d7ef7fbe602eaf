"""The un-prefixed REST API (`/api/…`), older than version 1 and with shapes of its own."""
