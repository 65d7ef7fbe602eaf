"""The REST API, version 2 (`/api/v2/…`): what the older versions lack, with ordinary HTTP manners.

Every refusal is a problem document (RFC 9457). Lists have cursors: `after` and `limit` in the
query, `next` in the body. Info hashes are lower-case hexadecimal, times RFC 3339 in UTC.
"""
