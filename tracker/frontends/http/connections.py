"""Limits how many HTTP connections may wait, how long, and how much they do at once, over all
listeners together.

A connection whose request has arrived before it is accepted is answered at once and never counted.
"""

from __future__ import annotations

from attrs import field, frozen

from tracker.places import Places
from tracker.turns import Turns

TURNS = 48
"""Requests and pieces of TLS handshakes in one pass of the event loop; each takes up to a
millisecond.
"""


@frozen
class ConnectionLimits:
    """The places and turns of waiting connections, and their time limits in seconds."""

    places: Places = field(factory=lambda: Places(8_192))
    request_seconds: float = 10.0  # for one request and its reply, and for an idle connection
    handshake_seconds: float = 10.0  # for a TLS handshake
    turns: Turns = field(factory=lambda: Turns(TURNS))
