"""Compares the state at two moments; each change is a JSON object with a `type`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.service.members import as_json
from tracker.service.read_model import label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracker.domain.accounts import Totals
    from tracker.history.state_summary import Picture
    from tracker.service.members import Member

    Change = dict[str, Any]

_TOTALS = ("uploaded", "downloaded", "sessions", "snatched")


def differences(
    before: Picture, after: Picture, show: Callable[[Member], dict[str, Any]] = as_json
) -> Iterator[Change]:
    """Lists counts, settings, whitelist, facts, keys, torrents, accounts, then the peers of one
    swarm, of which `show` makes JSON values.
    """
    yield from _values("count", _counts(before), _counts(after))
    yield from _values("setting", before.summary["settings"], after.summary["settings"])
    yield from _hashes("whitelisted", after, after.whitelist - before.whitelist)
    yield from _hashes("delisted", before, before.whitelist - after.whitelist)
    yield from _facts(before.facts, after.facts)
    yield from _keys("key_issued", after, before)
    yield from _keys("key_revoked", before, after)
    yield from _torrents("torrent_appeared", after, before)
    yield from _torrents("torrent_gone", before, after)
    yield from _accounts(before, after)
    yield from _members("peer_joined", after.members, before.members, show)
    yield from _members("peer_left", before.members, after.members, show)


def _counts(one: Picture) -> dict[str, Any]:
    summary = dict(one.summary)
    for name in ("settings", "seq", "time"):
        del summary[name]
    for group in ("announces", "counters"):
        summary |= {f"{group}.{name}": count for name, count in summary.pop(group).items()}
    return summary


def _values(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for name in {**before, **after}:
        # A counter that the log does not hold yet counts as 0.
        was, now = before.get(name, 0), after.get(name, 0)
        if was != now:
            yield {"type": kind, "name": name, "before": was, "after": now}


def _torrent(kind: str, at: Picture, info_hash: bytes) -> Change:
    return {"type": kind, "info_hash": info_hash.hex(), "label": label_of(at.facts, info_hash)}


def _hashes(kind: str, at: Picture, hashes: frozenset[bytes]) -> Iterator[Change]:
    return (_torrent(kind, at, info_hash) for info_hash in sorted(hashes))


def _facts(before: dict[bytes, str], after: dict[bytes, str]) -> Iterator[Change]:
    for info_hash in sorted(before.keys() | after.keys()):
        was, now = (json.loads(one.get(info_hash, "{}")) for one in (before, after))
        if was != now:
            change = {"type": "described", "info_hash": info_hash.hex()}
            yield {**change, "before": was or None, "after": now or None}


def _keys(kind: str, has: Picture, lacks: Picture) -> Iterator[Change]:
    for key_ref in sorted(has.keys.keys() - lacks.keys.keys()):
        key = has.keys[key_ref]
        body = {"key_ref": key_ref, "account": key.account, "owner": key.owner, "label": key.label}
        yield {"type": kind, **body}


def _torrents(kind: str, has: Picture, lacks: Picture) -> Iterator[Change]:
    for info_hash in sorted(has.torrents.keys() - lacks.torrents.keys()):
        seeders, completed, leechers = has.torrents[info_hash]
        counts = {"seeders": seeders, "completed": completed, "leechers": leechers}
        yield {**_torrent(kind, has, info_hash), **counts}


def _accounts(before: Picture, after: Picture) -> Iterator[Change]:
    """Lists by how much each account's totals grew; back in time they shrink."""
    for account in sorted(before.totals.keys() | after.totals.keys()):
        was, now = before.totals.get(account), after.totals.get(account)
        grown = {name: getattr(now, name, 0) - getattr(was, name, 0) for name in _TOTALS}
        for name in ("seeding", "partial_seeding"):
            grown[f"{name}_seconds"] = _seconds(now, name) - _seconds(was, name)
        if any(grown.values()):
            owner = after.owners.get(account) or before.owners.get(account)
            yield {"type": "account", "account": account, "owner": owner, **grown}


def _seconds(totals: Totals | None, name: str) -> int:
    if totals is None:
        return 0
    return (totals.seeding_us if name == "seeding" else totals.partial_us) // 1_000_000


def _members(
    kind: str, has: list[Member], lacks: list[Member], show: Callable[[Member], dict[str, Any]]
) -> Iterator[Change]:
    there = {member.identity for member in lacks}
    for member in has:
        if member.identity not in there:
            yield {"type": kind, **show(member)}
