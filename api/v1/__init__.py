"""The REST API, version 1 (`/api/v1/…`), for existing clients and the index of Torrust."""
