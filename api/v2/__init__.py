"""Serves version 2 of the REST API (`/api/v2/…`), with ordinary HTTP manners.

Every refusal is a problem document (RFC 9457). Lists have cursors: `after` and `limit` in the
query, `next` in the body. Info hashes are lower-case hexadecimal, times are RFC 3339 in UTC.
"""
