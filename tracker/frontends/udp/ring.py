"""What a receiver's thread does, and the numbers that it and the loop tell each other.

Compiled code only: all of it is in the .pxd beside this file, because the thread runs without the
interpreter's lock.
"""

from __future__ import annotations

from typing import Any

OPEN, PROVED, SHORT, CONNECT4, CONNECT6 = range(5)
"""What the thread says of a datagram: nothing, or it is an announce with a good connection id, or
too short for any request, or a connect that it has answered, over IPv4 or IPv6."""


def __getattr__(name: str) -> Any:
    raise AttributeError(f"only compiled code has {name}")
