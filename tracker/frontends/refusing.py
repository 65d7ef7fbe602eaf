"""Refuses a request in the same way for every protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import refusals

if TYPE_CHECKING:
    from tracker.service.service import Service


def refuse(
    service: Service, refusal: int, info_hash: bytes, key: bytes | None, peer_id: bytes
) -> str:
    """Counts a refusal, logs it when the key was once issued, and returns the text for the client.

    `key` is what the client sent, if that is what was refused. `peer_id` has 20 bytes, or none for
    a scrape. Call it between `begin` and `end`.
    """
    service.refused(refusal, peer_id)
    if key:
        service.refused_key(key, refusal, info_hash)
    barred = refusal in refusals.BARRING
    reason = service.barred_for if barred else ""
    return refusals.text_of(refusal, info_hash, service.settings.policy.contact, reason)
