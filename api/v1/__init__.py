"""The REST API, version 1 (`/api/v1/…`): what existing Torrust clients and its index speak."""
