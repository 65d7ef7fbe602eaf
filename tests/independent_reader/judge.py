"""Judges downloads by the rule of hit and run, as docs/hit-and-run.md says, from what `tracker
events` prints. It shares no code with the tracker, and solves by trying times, not by sums of what
is left. A crash, whose outage begins before the last events, is not looked at."""

import json
import sys
from collections import defaultdict
from functools import partial
from itertools import chain, pairwise
from typing import Any

from tests.independent_reader.count_credit import log_time, tell

HOUR, FAR = 3_600_000_000, 10**17
STAFF = "hit_and_run_pardoned", "hit_and_run_voided", "account_merged", "account_split"


def merged(spans: Any) -> list[tuple[int, int]]:
    whole: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if whole and begin <= whole[-1][1]:
            begin, end = whole[-1][0], max(end, whole.pop()[1])
        whole.append((begin, end))
    return [span for span in whole if span[0] < span[1]]


def covered(spans: Any, begin: int, end: int) -> int:
    return sum(max(0, min(b, end) - max(a, begin)) for a, b in spans)


def ran(stands: Any, begin: int, us: int, now: int) -> bool:
    return bool(now - begin - covered(stands, begin, now) >= us)


def first(reached: Any, low: int, high: int) -> int:
    """The first time at which something that stays true is true; beyond `high`: it is not yet."""
    if not reached(high):
        return FAR
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle + 1, high)
    return high


def switched(events: Any, on: Any, off: Any) -> list[tuple[int, int]]:
    spans, since = [], None
    for one in events:
        if on(one) and since is None:
            since = log_time(one)
        elif off(one) and since is not None:
            spans.append((since, log_time(one)))
            since = None
    return [*spans, (since, FAR)] if since is not None else spans


def judge(told: Any) -> list[tuple[int, str, str, int]]:
    """The transitions: account, info hash, state and log time, those of a download in order."""
    events = list(told)
    _, moves, listed, outages = tell(events)
    opened = next((one for one in events if one["type"] == "hit_and_run_rule_set"), None)
    if opened is None:
        return []
    now, began = log_time(events[-1]), log_time(opened)
    of: Any = defaultdict(list)
    for move in moves:
        of[move[1]].append(move)
    rules = [one for one in events if one["type"].startswith("hit_and_run_rule")]
    seeds: Any = defaultdict(list)
    for name, spans in listed.items():
        seeds[name[1]] += spans["seeding"]
    begins = {}
    for name, own in of.items():
        some = [move for move in own if move[4] and move[0]["seq"] > opened["seq"]]
        begins |= {name: some[0]} if some else {}
    found = []
    for name, begin in begins.items():
        account, info_hash = name
        immune = switched(
            [e for e in events if e["type"] == "immunity_changed" and e["account"] == account],
            lambda e: e["immune"], lambda e: not e["immune"],
        )  # fmt: skip
        of_torrent = [
            e for e in events if e.get("info_hash") == info_hash and e["seq"] > begin[0]["seq"]
        ]
        delisted = switched(
            of_torrent,
            lambda e: e["type"] == "torrent_delisted", lambda e: e["type"] == "torrent_whitelisted",
        )  # fmt: skip
        delisted += switched(
            of_torrent,
            lambda e: e["type"] == "torrent_blacklisted",
            lambda e: e["type"] == "torrent_unblacklisted",
        )
        start = min(each[2] for other, each in begins.items() if other[1] == info_hash)
        sown = merged([(start, start), *seeds[info_hash]])
        gaps = [(a, b) for (_, a), (b, _) in pairwise([(0, start), *sown, (FAR, FAR)])]
        dry = [(max(a, start) + 24 * HOUR, b) for a, b in gaps if b > max(a, start) + 24 * HOUR]
        plain = merged([*immune, *delisted, *((a, b) for a, _, b in outages if b > began)])
        here = merged(chain(*listed[name].values()))
        sown = [
            merged((max(a, begin[2]), b) for a, b in spans if b > begin[2])
            for spans in (
                listed[name]["seeding"],
                listed[name]["seeding"] + listed[name]["partial"],
            )
        ]
        one = Download(name, plain, merged([*plain, *dry]), here, sown, found)
        staff = [e for e in events if e["type"] in STAFF]
        own = [move for move in of[name] if move[0]["seq"] >= begin[0]["seq"]]
        for move in sorted(
            [*own, *((e, name, log_time(e)) for e in staff)], key=lambda m: m[0]["seq"]
        ):
            if move[0]["seq"] < begin[0]["seq"]:
                continue
            one.until(move[2])
            if len(move) == 3:
                one.decided(move[0], move[2])
            else:
                rule = next((r for r in reversed(rules) if r["seq"] < move[0]["seq"]), {})
                free = any(a <= move[2] < b for a, b in immune)
                one.announced(move, {} if free else rule.get("rule") or {}, size(events, move))
        one.until(now)
    return found


def size(events: Any, move: Any) -> int:
    said = [e for e in events if e["type"] == "torrent_described" and e["info_hash"] == move[1][1]]
    found = next((e.get("size", 0) for e in reversed(said) if e["seq"] < move[0]["seq"]), 0)
    return found or max(
        e["left"] or 0
        for e in events
        if e["seq"] <= move[0]["seq"]
        and e["type"] == "announced"
        and e["info_hash"] == move[1][1]
        and e["event"] != "stopped"
    )


class Download:
    def __init__(self, name: Any, plain: Any, dry: Any, here: Any, sown: Any, found: Any) -> None:
        self.name, self.plain, self.dry, self.here = name, plain, dry, here
        self.by_rule, self.found, self.state, self.since = sown, found, "", 0
        self.up = self.down = self.counted = self.liable = self.violated = self.seen = 0
        self.rule: Any = None
        self.met = self.left = False

    def to(self, state: str, when: int) -> None:
        self.state, self.since = state, when
        self.found.append((*self.name, state, when))

    @property
    def sown(self) -> Any:
        return self.by_rule[self.rule["partial_counts"]]

    def need(self) -> int:
        rows = [seconds for least, seconds in self.rule["seed_by_size"] if self.size >= least]
        return int([self.rule["seed_seconds"], *rows][-1] * 10**6)

    def absent(self, now: int) -> int:
        """Since when the account was away just before now; 0 = it was there."""
        if any(begin < now <= end for begin, end in self.here):
            return 0
        return max([self.seen, *(end for _, end in self.here if end < now)])

    def until(self, now: int, absent: int | None = None) -> None:
        """What time alone does, up to now."""
        absent = self.absent(now) if absent is None else absent
        while self.rule and self.state in ("liable", "at_risk", "satisfied", "violated"):
            stands = self.dry if self.left else self.plain
            options = []
            if not self.met:
                options.append(
                    (first(lambda t: covered(self.sown, 0, t) >= self.need(), 0, now), 0)
                )
            if self.state in ("liable", "at_risk"):
                waits = [("grace_absent", absent, 1, "violated")]
                if self.rule["window"] is not None:
                    waits = [("window", self.liable, 1, "violated")]
                if self.state == "liable":
                    waits.append(("warn_absent", absent, 2, "at_risk"))
                for wait, begin, order, _ in waits:
                    us = self.rule[wait] * 10**6

                    if begin:
                        when = first(partial(ran, stands, begin, us), begin, now)
                        options.append((max(when, self.since), order))
            when, what = min(options, default=(FAR, 0))
            if when > now:
                return
            if what == 0:
                self.met, before = True, self.state
                if before != "satisfied":
                    self.to("cured" if before == "violated" else "satisfied", max(when, self.since))
            else:
                self.to("violated" if what == 1 else "at_risk", when)
                self.violated = when if what == 1 else self.violated

    def announced(self, move: Any, rule: Any, size: int) -> None:
        event, _, now, up, down, credited, _ = move
        self.up, self.down, self.left = self.up + up, self.down + down, event["left"] != 0
        self.counted += down if credited else 0
        self.seen = now
        if self.state == "at_risk":
            self.to("liable", now)
        if not self.state and rule and size:
            enough = self.counted if rule["freeleech_exempts"] else self.down
            if enough * 1000 >= size * rule["buffer_permille"]:
                self.rule, self.size, self.liable = rule, size, now
                self.to("liable", now)
                self.until(now, absent=0)
        if self.rule and not self.met and self.rule["ratio_permille"] is not None:
            kept = self.up * 1000 >= self.down * self.rule["ratio_permille"]
            changes = {
                (True, "liable"): "satisfied", (True, "at_risk"): "satisfied", (True, "violated"): "cured",
                (False, "satisfied"): "liable",
            }  # fmt: skip
            if state := changes.get((kept, self.state)):
                self.to(state, now)

    def decided(self, event: Any, now: int) -> None:
        """By staff. Dates are log times here."""
        account, info_hash = self.name
        if event["type"].startswith("account_"):
            self.moved(event, now)
            return
        if (
            event.get("account", account) != account
            or event.get("info_hash", info_hash) != info_hash
        ):
            return
        if event["type"] == "hit_and_run_voided":
            if self.state not in ("cured", "pardoned", "void"):
                self.to("void", now)
        elif self.state == "violated" and (
            event.get("from_us", 0) <= self.violated < event.get("until_us", FAR)
        ):
            self.to("pardoned", now)

    def moved(self, event: Any, now: int) -> None:
        """By a merge or a split: one account loses peers, the other one gets them."""
        account, final = self.name[0], self.state in ("cured", "pardoned", "void")
        if account == event["account"] and event["type"] == "account_merged" and not final:
            self.to("void", now)
        came = any(begin == now for begin, _ in self.here)
        if account == event["to"] and self.state == "at_risk" and came:
            self.to("liable", now)


if __name__ == "__main__":
    sys.stdout.writelines(f"{one}\n" for one in judge(map(json.loads, sys.stdin)))
