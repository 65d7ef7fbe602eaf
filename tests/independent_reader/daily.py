"""Makes daily series by docs/audit.md, without completed downloads, from what `tracker events` and
`tracker stays` print. It shares no code with the tracker. Rules 2 must hold from the first settings
on, and the stays must be all of the log. By account or info hash, and day since 1970: bytes up and
down, both credited, microseconds of seeding, and the most seeders and leechers."""

from collections import defaultdict
from typing import Any

from tests.independent_reader.count_credit import DAY, log_time, tell, union

STAYS_ON = "moved", "family_ended", "next_day", None


def series(told: Any, stays: Any) -> dict[tuple[Any, int], list[int]]:
    events = list(told)
    _, moves, listed, _ = tell(events)
    moved = {move[0]["seq"]: move for move in moves}
    found: Any = defaultdict(lambda: [0] * 7)
    counted: Any = defaultdict(int)
    swarms: Any = defaultdict(dict)  # by torrent: whether each peer seeds, by number of the peer
    peers: dict[int, int] = {}  # the peer of each announce: the number of its first one
    gone = defaultdict(list)
    for stay in stays:
        if stay["why"] not in STAYS_ON:
            gone[stay["left_seq"]].append(stay)

    def look(torrent: str, day: int) -> None:
        roles = list(swarms[torrent].values())
        for at, count in ((5, roles.count(True)), (6, roles.count(False))):
            found[torrent, day][at] = max(found[torrent, day][at], count)

    def count(name: tuple[int, str], day: int, now: int, *gains: int) -> None:
        spans = listed[name]["seeding"]
        until_now = union([(begin, min(end, now)) for begin, end in spans])
        gained = *gains, until_now - counted[name]
        counted[name] = until_now
        for whose in name:
            for at, gain in enumerate(gained, 5 - len(gained)):
                found[whose, day][at] += gain

    for one in events:
        now, day = log_time(one), log_time(one, "time") // DAY
        if one["seq"] in moved:
            _, name, _, up, down, credited_down, credited_up = moved[one["seq"]]
            swarm = swarms[name[1]]
            look(name[1], day)
            peer = peers.get(one["prev_seq"], -1)
            peer = peers[one["seq"]] = peer if peer in swarm else one["seq"]
            if one["event"] == "stopped":
                swarm.pop(peer, None)
            else:
                swarm[peer] = one["left"] == 0
            look(name[1], day)
            count(name, day, now, up, down, credited_up, credited_down)
        for stay in gone[one["seq"]]:
            swarm, peer = swarms[stay["info_hash"]], peers[stay["seq"]]
            if peer in swarm and peer != peers.get(one["seq"]):  # else it is there again
                look(stay["info_hash"], day)
                del swarm[peer]
                count((stay["account"], stay["info_hash"]), day, now)
        if one["type"] == "credit_corrected":
            row = found[one["account"], day]
            row[2:4] = row[2] + one["uploaded"], row[3] + one["downloaded"]
    return {name: row for name, row in found.items() if any(row)}
