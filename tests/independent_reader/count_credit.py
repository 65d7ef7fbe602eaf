"""Counts credit by accounting rules 2, as docs/credit.md says: `tracker events | python
count_credit.py`. It shares no code with the tracker. Rules 2 must hold from the first settings on.
By account and torrent: bytes up and down, both credited, us of seeding and of partial seeding."""

import json
import sys
from collections import defaultdict
from datetime import datetime
from typing import Any, cast

DAY, SIDES = 86_400_000_000, ("uploaded", "downloaded")
ENDS = {
    "key_revoked": "key_ref", "owner_keys_revoked": "key_ref", "torrent_delisted": "info_hash",
    "torrent_blacklisted": "info_hash", "addresses_lost": "all",
}  # fmt: skip
MOVES = "account_merged", "account_split"
AWAKE = "announced", "evicted", *MOVES, *ENDS.keys() - {"addresses_lost"}


def log_time(one: Any, name: str = "log_time") -> int:
    return round(datetime.fromisoformat(one.get(name, one["time"])).timestamp() * 10**6)


def percents(factors: Any, group: Any, account: int, info_hash: str, date: int) -> list[int]:
    found = {"upload_percent": [100], "download_percent": [100]}  # or else the best in force
    for one in factors:
        scope = one.get("account", account), one.get("info_hash", info_hash)
        if one.get("group", group) != group:
            continue
        from_us, until_us = one.get("from_us", date + 1), one.get("until_us") or date + 1
        if scope == (account, info_hash) and from_us <= date < until_us:
            for side in found.keys() & one.keys():
                found[side] += [one[side]]
    return [best(each[1:] or each) for best, each in zip((max, min), found.values(), strict=True)]


def freed(token: Any, moved: int, seen: int, one: Any, percent: int) -> int:
    """What a freeleech token frees of the bytes that an announce moved."""
    now, given, until = log_time(one), token["given"], token["until"]
    resumed = one["rule"] == "resumed"
    holds = given <= seen and now < until if resumed else seen < until
    found: int = min(moved, token["left"]) if holds and percent else 0
    token["left"] -= found
    return found


def listed_until(seen: int, timeouts: Any, outages: Any) -> int:
    ends = []
    for (since, timeout), (later, _) in zip(timeouts, [*timeouts[1:], (DAY**2, 0)], strict=True):
        if later > seen:  # in force after the announce
            end = seen + timeout
            for begin, awake, over in outages:
                end += min(over - max(begin, seen), DAY) * (over > seen and awake < end)
            ends.append(max(since, end))
    return int(min(ends))


def union(spans: Any, total: int = 0, reached: int = 0) -> int:
    for begin, end in sorted(spans):
        total, reached = total + max(0, end - max(begin, reached)), max(reached, end)
    return total


def count(events: Any) -> dict[Any, list[int]]:
    return cast("dict[Any, list[int]]", tell(events)[0])


def moved(events: Any) -> Any:
    """By account the same six sums of what merges and splits brought, less what they took."""
    names = *SIDES, "credited_uploaded", "credited_downloaded", "seeding_us", "partial_us"
    found: Any = defaultdict(lambda: [0] * 6)
    for one in (one for one in events if one["type"] in MOVES):
        for at, name in enumerate(names):
            found[one["account"]][at] -= one["moved"].get(name, 0)
            found[one["to"]][at] += one["moved"].get(name, 0)
    return found


def tell(events: Any) -> tuple[Any, Any, Any, Any]:
    """The sums; each announce with what it moved; how long each was listed; and outages."""
    moves: Any = []
    sums: Any = defaultdict(lambda: [0] * 6)
    spans: Any = defaultdict(lambda: {"seeding": [], "partial": [], "": []})
    accounts, factors, stays, settings, groups, tokens = (cast("Any", {}) for _ in range(6))
    ended, timeouts, outages, ticked, awake = cast("Any", []), [], [], 0, 0
    for one in events:
        kind, leaving, now = one["type"], [], log_time(one)
        if kind == "settings_changed":
            leaving = list(stays) * (one["settings"]["private"] != settings.get("private"))
            settings, ticked = one["settings"], ticked or now
            timeouts.append((now, settings["max_peer_timeout"] * 10**6))
        elif kind in ("key_issued", "key_rotated"):
            accounts[one["key_ref"]] = one["account"]
            for stay in (s for s in stays.values() if s["key_ref"] == one.get("old_key_ref")):
                stay["key_ref"] = one["key_ref"]
        elif (by := ENDS.get(kind)) and (kind != "torrent_delisted" or settings["listed"]):
            which = one.get("key_refs", [one.get(by)])
            leaving = [seq for seq, each in stays.items() if each.get(by) in which]
        elif kind == "evicted" and one["last_seq"] in stays:
            stays[one["last_seq"]].setdefault("end", now)
        elif kind in MOVES:
            keys = {key for key, account in accounts.items() if account == one["account"]}
            keys &= set(one.get("key_refs", keys))
            accounts.update(dict.fromkeys(keys, one["to"]))
            leaving = [seq for seq in stays if seq in one.get("dropped", ())]
            mine = [n for n in tokens if n[0] == one["account"] and kind == "account_merged"]
            for name in mine:
                token, theirs = tokens.pop(name), tokens.get((one["to"], name[1]))
                if token["until"] > now and (theirs is None or theirs["until"] <= now):
                    tokens[one["to"], name[1]] = token
            for stay in [
                s for s in stays.values() if s["key_ref"] in keys and s["seq"] not in leaving
            ]:
                ended.append({"end": now, **stay})
                stays[stay["seq"]] = {**stay, "name": (one["to"], stay["name"][1]), "begin": now}
        elif kind in ("tracker_started", "clock_stepped") and timeouts:
            outages.append((at := now - one.get("forward_us", now - ticked), max(at, awake), now))
            ticked = now if at < now else ticked
        elif kind in ("credit_factor_set", "credit_factor_ended"):
            factors[one["factor"]] = one
        elif kind == "account_grouped":
            groups[one["account"]] = one.get("group")
        elif kind == "freeleech_given":
            until = one["until_us"] + now - log_time(one, "time") if "until_us" in one else DAY**2
            ends = {"given": now, "until": until, "left": one.get("max_bytes", DAY**2)}
            tokens[one["account"], one["info_hash"]] = {**one, **ends}
        elif kind == "freeleech_withdrawn":
            tokens = {name: each for name, each in tokens.items() if each["token"] != one["token"]}
        elif kind == "announced" and one["key_ref"]:
            name = accounts[one["key_ref"]], one["info_hash"]
            group, date = groups.get(name[0]), log_time(one, "time")
            row, ends = sums[name], percents(factors.values(), group, *name, date)
            if before := stays.pop(one["prev_seq"], {}):
                ended.append({"end": now, **before})
            if one["rule"] in ("continued", "resumed"):
                moved = [max(0, one[side] - before[side]) for side in SIDES]
                choose = (min, max) if one["rule"] == "resumed" else (max, min)
                if choose[0] is min and (rate := settings["policy"]["resumed_rate"]):
                    moved[0] = min(moved[0], rate * (now - before["seen"]) // 10**6)
                applied = [choose[at](before["ends"][at], ends[at]) for at in (0, 1)]
                counts = moved[:]
                if token := tokens.get(name):
                    counts[1] -= freed(token, moved[1], before["seen"], one, applied[1])
                    if not token["left"] or (token.get("until_completed") and one["left"] == 0):
                        del tokens[name]
                credited = [counts[at] * applied[at] // 100 for at in (0, 1)]
                row[:4] = (a + b for a, b in zip(row, moved + credited, strict=False))
                moves.append((one, name, now, *moved, credited[1], credited[0]))
            else:
                moves.append((one, name, now, 0, 0, 0, 0))
            if one["event"] != "stopped":
                role = "seeding" if one["left"] == 0 else "partial" * (one["event"] == "paused")
                stays[one["seq"]] = {**one, "name": name, "seen": now, "role": role, "ends": ends}
        ended += [{"end": now, **stays.pop(seq)} for seq in leaving]
        ticked = now if kind in ("tick", "tracker_stopped") else ticked
        awake = now if ticked == now or kind in AWAKE else awake
    for stay in (*ended, *stays.values()):
        end = min(stay.get("end", now), listed_until(stay["seen"], timeouts, outages))
        begin = stay.get("begin", stay["seen"])
        if begin == stay["seen"] or begin < end:
            spans[stay["name"]][stay["role"]].append((begin, end))
    for name, of in spans.items():
        sums[name][4:] = (own := union(of["seeding"])), union(of["seeding"] + of["partial"]) - own
    return dict(sums), moves, spans, outages


if __name__ == "__main__":
    sys.stdout.writelines(f"{one}\n" for one in count(map(json.loads, sys.stdin)).items())
