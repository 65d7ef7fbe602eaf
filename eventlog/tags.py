"""Authenticates frames and segment headers, with keys that are the caller's business.

A tag covers a frame's header, with the tag of the frame before in it, and both sections. So nobody
without the key can change, drop, insert or exchange frames. Readers without the keys read the log
all the same; they cannot tell whether the tags hold.
"""

from __future__ import annotations

import errno
import os
from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol

from eventlog.frame import TAG_SIZE, FrameError, tagged_part

if TYPE_CHECKING:
    from eventlog.frame import Header

NO_TAG_KEY = bytes(TAG_SIZE)
"""Key id of segments of format 1, which have no tags."""


class TagReader(Protocol):
    """Computes the tags that bytes of the log must have. Any thread may call it."""

    def tag(self, key_id: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes | None:
        """Compute the tag that `Tags.sign` made with a key; None without that key."""
        ...


class Macs(TagReader, Protocol):
    """Computes also the MACs that files beside the segments must have. Any thread may call it."""

    def mac_of(self, key_id: bytes, purpose: bytes, data: bytes) -> bytes | None:
        """Compute the MAC that `Tags.mac` made with a key; None without that key."""
        ...


class Tags(Macs, Protocol):
    """Makes tags and MACs. Any thread may call it."""

    @property
    def key_id(self) -> bytes:
        """16 bytes that name the key of new tags."""
        ...

    def sign(self, log_id: bytes, seed: bytes, *parts: Part) -> bytes:
        """Compute the tag (16 bytes) of some bytes, given in parts, with the key of new tags.

        `seed`: 16 random bytes, used for no other tag.
        """
        ...

    def mac(self, purpose: bytes, data: bytes) -> bytes:
        """Authenticate a file, given as its SHA-256, with the key of new tags. `purpose` keeps
        files of one sort from being taken for another."""
        ...


Part = bytes | bytearray | memoryview


def new_seed() -> bytes:
    try:
        return os.urandom(TAG_SIZE)
    except OSError as error:  # nothing was written: the log waits for it, as for memory
        raise OSError(errno.EAGAIN, f"no random bytes: {error}") from None


FORGED = "frame tag does not match: these are not the bytes that the tracker wrote"


def tag_holds(
    tags: TagReader, key_id: bytes, log_id: bytes, header: Header, head: bytes, payload: bytes
) -> bool | None:
    """Tell whether the tag of a frame, given as its bytes, is right; None = it has none, or its key
    is missing: opening the segment has told that."""
    if header.format == 1:
        return None
    size = header.plain_size + header.protected_size
    sections = memoryview(payload)[:size]
    expected = tags.tag(key_id, log_id, header.seed, tagged_part(head), sections)
    return None if expected is None else compare_digest(expected, header.chain)


def check_frame(
    tags: TagReader, key_id: bytes, log_id: bytes, header: Header, head: bytes, payload: bytes
) -> None:
    """Check the tag of a frame. One that `tag_holds` says nothing about passes. Raises
    `FrameError`."""
    if tag_holds(tags, key_id, log_id, header, head, payload) is False:
        raise FrameError(FORGED)
