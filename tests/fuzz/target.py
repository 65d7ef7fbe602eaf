"""What a target is: a parser or reader, valid inputs for it, and what may come of any others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable


@frozen
class Target:
    """`run` returns for a good input, and for a bad one that is refused as it should be."""

    seeds: list[bytes]
    run: Callable[[bytes], object]
    words: bytes = b""
    """Texts that mean something to the parser, to put into inputs; `~` separates them."""
