"""Checks the rule of each announce by docs/credit.md alone, in the output of `tracker events`.

So no byte counts twice, because each announce is continued once at most. None is lost, because each
new session has a reason that the page names. Accounting rules 2 must hold from the first settings
on. It shares no code with the tracker.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import define

from tests.independent_reader.count_credit import AWAKE, MOVES, listed_until, log_time

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY = 86_400_000_000


@define
class Last:
    """The last announce of a peer. `ended`: why no other may go on from it."""

    seq: int
    seen: int
    key_ref: int
    info_hash: str
    uploaded: int
    downloaded: int
    evicted: bool = False
    ended: str = ""

    @property
    def rank(self) -> tuple[bool, int]:
        """Of two with one name a merge keeps the greater: the newer, unless it has ended."""
        return not self.ended, self.seq


class Rules:
    """`take` one event after the other. `found` counts the rules, and the reasons for `first`."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._last: defaultdict[int, dict[tuple[str, str], Last]] = defaultdict(dict)  # by account
        self._account: dict[int, int] = {}  # by key_ref
        self._settings: dict[str, Any] = {}
        self._policies: list[
            tuple[int, dict[str, Any]]
        ] = []  # and the events that put them in force
        self._timeouts: list[tuple[int, int]] = []
        self._outages: list[tuple[int, int, int]] = []
        self._ticked = self._awake = 0
        self._shredded: set[str] = set()

    def take(self, events: Iterable[dict[str, Any]]) -> None:
        for one in events:
            kind, now = one["type"], log_time(one)
            if kind == "announced":
                if one["key_ref"]:
                    self._announced(one, now)
            else:
                self._other(kind, one, now)
            if kind in ("tick", "tracker_stopped"):
                self._ticked = now
            if self._ticked == now or kind in AWAKE:
                self._awake = now

    def _other(self, kind: str, one: dict[str, Any], now: int) -> None:
        if kind == "settings_changed":
            settings, before = one["settings"], self._settings
            if before and settings["private"] != before["private"]:
                self._end("the mode")
            self._settings, self._ticked = settings, self._ticked or now
            self._policies.append((one["seq"], settings["policy"]))
            self._timeouts.append((now, settings["max_peer_timeout"] * 10**6))
        elif kind in ("key_issued", "key_rotated"):
            self._account[one["key_ref"]] = one["account"]
            for last in self._last[one["account"]].values():
                if last.key_ref == one.get("old_key_ref"):
                    last.key_ref = one["key_ref"]
        elif kind in MOVES:
            self._move(one)
        elif kind == "key_revoked":
            self._end("its key", key_ref=one["key_ref"])
        elif kind == "owner_keys_revoked":
            for key_ref in one["key_refs"]:
                self._end("its key", key_ref=key_ref)
        elif kind == "torrent_blacklisted" or (
            kind == "torrent_delisted" and self._settings["listed"]
        ):
            self._end("its torrent", info_hash=one["info_hash"])
        elif kind == "addresses_lost":
            self._end("lost addresses")
        elif kind == "addresses_shredded":
            self._shredded.update(one["days"])
        elif kind == "evicted":
            for peers in self._last.values():
                for last in peers.values():
                    last.evicted |= last.seq == one["last_seq"]
        elif kind in ("tracker_started", "clock_stepped") and self._timeouts:
            begin = now - one.get("forward_us", now - self._ticked)
            if begin < now:
                self._outages.append((begin, max(begin, min(self._awake, now)), now))
                self._ticked = now

    def _move(self, one: dict[str, Any]) -> None:
        """Gives the peers of keys to another account; `dropped`: those that both have."""
        dropped = one.get("dropped", ())
        for last in (*self._last[one["account"]].values(), *self._last[one["to"]].values()):
            if last.seq in dropped:
                last.ended = last.ended or "a merge"
        keys = {key for key, account in self._account.items() if account == one["account"]}
        keys &= set(one.get("key_refs", keys))
        self._account.update(dict.fromkeys(keys, one["to"]))
        ours, theirs = self._last[one["account"]], self._last[one["to"]]
        for name in [name for name, last in ours.items() if last.key_ref in keys]:
            last = ours.pop(name)
            if name not in theirs or theirs[name].rank < last.rank:
                theirs[name] = last

    def _end(self, why: str, **which: object) -> None:
        for peers in self._last.values():
            for last in peers.values():
                if all(getattr(last, name) == value for name, value in which.items()):
                    last.ended = last.ended or why

    def _announced(self, one: dict[str, Any], now: int) -> None:
        account, rule = self._account[one["key_ref"]], one["rule"]
        peers, name = self._last[account], (one["info_hash"], one["peer_id"])
        last = peers.get(name)
        self.found[rule] += 1
        if rule == "first":
            assert one["prev_seq"] is None, one
            if last is not None:
                self.found[self._why_lost(last, peers, now, one)] += 1
        else:
            assert last is not None, one
            assert (one["prev_seq"], last.ended) == (last.seq, ""), (one, last)
            lower = one["uploaded"] < last.uploaded or one["downloaded"] < last.downloaded
            lower = lower and one["event"] != "stopped"
            if rule == "restarted" and not lower:
                self.found[self._why_lost(last, peers, now, one)] += 1
            else:
                self._check(one, last, now, lower)
        if one["event"] == "stopped":
            if last is not None:
                last.ended = last.ended or "stopped"
        else:
            peers[name] = Last(
                one["seq"], now, one["key_ref"], name[0], one["uploaded"], one["downloaded"]
            )

    def _check(self, one: dict[str, Any], last: Last, now: int, lower: bool) -> None:
        """Checks the rule of an announce that goes on from another."""
        assert (one["rule"] == "restarted") == lower, (one, last)
        over = self._over(last, now)
        if one["rule"] != "restarted" and over:  # 0: this very moment is its last
            assert (one["rule"] == "continued") == (over < 0), (one, last)
        if over > 0 and not lower:
            policy = self._settings["policy"]
            assert now - last.seen < policy["remember_days"] * DAY, (one, last)
            assert self._day(last) not in self._shredded, (one, last)

    def _over(self, last: Last, now: int) -> int:
        """Returns for how many us a peer has not been listed; negative = it is."""
        if last.evicted:
            return now - last.seen + 1
        if now - last.seen < min(timeout for _, timeout in self._timeouts):
            return -1
        return now - listed_until(last.seen, self._timeouts, self._outages)

    def _why_lost(
        self, last: Last, peers: dict[tuple[str, str], Last], now: int, one: dict[str, Any]
    ) -> str:
        """Returns the reason why an announce did not go on from this one; fails without one."""
        if last.ended:
            return last.ended
        assert self._over(last, now) >= 0, (one, last)
        if self._day(last) in self._shredded:
            return "shredded"
        in_force = [policy for _, policy in self._since(last.seq)]
        if now - last.seen >= min(policy["remember_days"] for policy in in_force) * DAY:
            return "age"
        newer = sum(other.seq > last.seq for other in peers.values())
        caps = [policy["bases_per_account"] or len(peers) + 1 for policy in in_force]
        assert newer >= min(caps), (one, last)
        return "cap"

    def _since(self, seq: int) -> list[tuple[int, dict[str, Any]]]:
        """Returns the policies that were in force since an event."""
        later = [each for each in self._policies if each[0] > seq]
        return [*self._policies[: len(self._policies) - len(later)][-1:], *later]

    def _day(self, last: Last) -> str:
        return f"{datetime.fromtimestamp(last.seen // 10**6, UTC):%Y-%m-%d}"


def check(events: Iterable[dict[str, Any]]) -> Counter[str]:
    """Checks all events; returns how often each rule and each reason for a lost base was there."""
    rules = Rules()
    rules.take(events)
    return rules.found
