"""The un-prefixed REST API (`/api/…`) that came before version 1, with its own shapes."""
