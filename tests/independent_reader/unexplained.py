"""Finds what members say they sent beyond what others can have received, as docs/audit.md says. It
looks at all pairs of intervals in a list of announces, and shares no code with the tracker."""

from typing import Any, NamedTuple

DAY_US = 86_400_000_000


class Told(NamedTuple):
    """An announce; or that a peer is no longer listed, though it did not stop ("silent")."""

    time_us: int
    account: int
    info_hash: bytes
    peer_id: bytes
    kind: str  # "first", "next", "stopped", "silent"
    up: int = 0
    down: int = 0
    left: int | None = 0
    left_before: int | None = None
    uploaded: int = 0
    downloaded: int = 0

    @property
    def peer(self) -> Any:
        return self.account, self.info_hash, self.peer_id


def find(
    told: list[Told], sizes: dict[bytes, int], outages: list[int]
) -> list[tuple[int, int, bool]]:
    """The unexplained windows in the order in which they are judged: the place of the announce that
    ends it, the amount, and whether it makes a case. `outages`: when they ended."""
    windows = sorted(
        (judged, end, begin)
        for end in range(len(told))
        for judged, begin in _window(told, end)
        if not any(told[begin].time_us < up_us <= told[end].time_us for up_us in outages)
    )
    used: dict[Any, int] = {}
    passed: list[int] = []
    found: list[tuple[int, int, bool]] = []
    for judged, end, begin in windows:
        size = sizes[told[end].info_hash]
        allowed = size * 5 // 100
        received = sum(
            _received(told, at, size)
            for at in range(begin + 1, judged + 1)
            if _other(told, end, at) and told[at].kind != "silent" and _begin(told, at) < end
        )
        rest = told[end].up - received * 105 // 100 - allowed
        need = -(-rest * 100 // 105)
        for last, left in _silent(told, end, judged, size):
            name = told[end].account, told[last].peer, last
            some = max(0, min(left - used.get(name, 0), need))
            used[name] = used.get(name, 0) + some
            need, received = need - some, received + some
        rest = told[end].up - received * 105 // 100 - allowed
        if 0 < rest <= _twice(told, end) and _few(told, passed, end):
            passed.append(end)
        elif rest > 0:
            found.append((end, rest, False))
            found[-1] = end, rest, _is_case(told, found, told[end].account, judged)
    return found


def _window(told: list[Told], end: int) -> list[tuple[int, int]]:
    """When the window that this announce ends is judged, and its beginning; [] = it has none."""
    one, begin = told[end], _begin(told, end)
    known = 0 <= begin < end and one.kind in ("next", "stopped")
    if not known or not one.up or not one.account:
        return []
    judged = end
    for peer in {other.peer for at, other in enumerate(told[:end]) if _other(told, end, at)}:
        last = max(at for at in range(end) if told[at].peer == peer)
        if told[last].kind in ("first", "next"):
            after = [at for at in range(end + 1, len(told)) if told[at].peer == peer]
            if not after:
                return []
            judged = max(judged, after[0])
    if _is_old(told, begin):
        begin = _begin(told, begin)
    near = told[end].time_us - told[begin].time_us <= 7 * DAY_US
    return [(judged, begin)] if near else []


def _is_old(told: list[Told], at: int) -> bool:
    """Tells whether an announce tells nothing new, as one that a later one overtook."""
    before, one = told[_begin(told, at)], told[at]
    none = _begin(told, at) in (-1, at)
    return not none and one.uploaded <= before.uploaded and one.downloaded <= before.downloaded


def _twice(told: list[Told], end: int) -> int:
    """Returns how much counts twice, if the announce before is an old one."""
    old, one = _begin(told, end), told[end]
    if not _is_old(told, old):
        return 0
    before = told[_begin(told, old)]
    if one.uploaded < before.uploaded or one.downloaded < before.downloaded:
        return 0
    return one.up - (one.uploaded - before.uploaded)


def _few(told: list[Told], passed: list[int], end: int) -> bool:
    """Tells whether a window can be passed over: fewer than three of the member in 30 days were."""
    since_us = told[end].time_us - 30 * DAY_US
    own = [at for at in passed if told[at].account == told[end].account]
    return sum(told[at].time_us > since_us for at in own) < 3


def _other(told: list[Told], end: int, at: int) -> bool:
    return told[at].info_hash == told[end].info_hash and told[at].peer != told[end].peer


def _begin(told: list[Told], at: int) -> int:
    """The place of the peer's announce before, at most seven days ago. Without one an interval that
    begins a peer is no longer than a moment; any other may have begun at any time."""
    for before in range(at - 1, -1, -1):
        same = told[before].peer == told[at].peer and told[before].kind != "silent"
        if same:
            if told[at].time_us - told[before].time_us <= 7 * DAY_US:
                return before
            break
    return at if told[at].kind == "first" else -1


def _received(told: list[Told], at: int, size: int) -> int:
    one, begin = told[at], _begin(told, at)
    before = one.left_before
    if one.kind == "first":
        before = size if begin == at else told[begin].left
    if one.left is None or before is None:
        return size
    return max(one.down, before - one.left, 0)


def _silent(told: list[Told], end: int, judged: int, size: int) -> list[tuple[int, int]]:
    """The last announces of the others who are silent when a window is judged, and their left."""
    found = []
    for peer in {other.peer for at, other in enumerate(told) if _other(told, end, at)}:
        own = [at for at in range(judged + 1) if told[at].peer == peer]
        if own and told[own[-1]].kind == "silent":
            last = own[-2]
            left = size if told[last].left is None else told[last].left
            if last < end and told[end].time_us <= told[last].time_us + 7 * DAY_US:
                found.append((last, left or 0))
    return sorted(found)


def _is_case(told: list[Told], found: list[tuple[int, int, bool]], account: int, now: int) -> bool:
    since_us = told[found[-1][0]].time_us - 30 * DAY_US
    amounts = [
        amount
        for end, amount, _ in found
        if told[end].account == account and told[end].time_us > since_us
    ]
    first_day = told[now].time_us // DAY_US - 30
    sent = sum(
        one.up
        for one in told[: now + 1]
        if one.account == account and one.time_us // DAY_US >= first_day
    )
    return len(amounts) > 3 and sum(amounts) > 20 << 30 and sum(amounts) * 20 > sent
