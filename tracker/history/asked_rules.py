"""Asks the rules of the site about an announce, one by one: what each says, and by which settings.

`Rules` with a single setting says what that setting says, so each answer is the announce path's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from tracker.domain import events, refusals
from tracker.domain.hidden_peers import NO_PORT
from tracker.domain.limits import HANDED_DAY, HANDED_HOUR, LOCATIONS, SLOTS, STARTED
from tracker.domain.policy import Policy
from tracker.domain.rules import Rules
from tracker.domain.sanctions import HIDDEN, LEECH_OFF
from tracker.history import pictures
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.sanctions import ClientRule, Sanction
    from tracker.domain.state import State
    from tracker.history.recorded import Recorded
    from tracker.service.announce import Announcing, Holder

_OF_ALL = ("clients_denied", "clients_allowed", "refused_ports")
_OF_NEW = ("max_torrents", "max_peers_per_torrent", "max_peers")
_REFUSING = {
    refusals.CLIENT_REFUSED: _OF_ALL[:2],
    refusals.PORT_REFUSED: _OF_ALL[2:],
    refusals.TORRENTS_FULL: _OF_NEW[:1],
    refusals.SWARM_FULL: _OF_NEW[1:2],
    refusals.PEERS_FULL: _OF_NEW[2:],
}
_LIMITS = {
    "peers_per_account": (LOCATIONS, refusals.ACCOUNT_FULL),
    "leeching_slots": (SLOTS, refusals.SLOTS_FULL),
    "started_per_day": (STARTED, refusals.STARTED_FULL),
}
"""The limits of an account by the keys of the policy."""
_BUDGETS = {"handed_per_hour": HANDED_HOUR, "handed_per_day": HANDED_DAY}
_NO_PEER_ID = bytes(20)

PASSED = "passed"
EARLY = "too early: the reply lists no peers"
NO_PEERS = "leech off: the reply lists no peers, and no reply lists this peer"
NOT_SHOWN = "hidden: no reply lists this peer"
GAVE_WAY = f"{PASSED}: an older peer of the account at this address gave way"
COMPLETE = "without effect here, because nothing is left"

Answer = dict[str, Any]


def answers(
    state: State, path: Announcing, one: Recorded, torrent: int, peer: int, evicted: int
) -> Iterator[Answer]:
    """Yields what each rule that the settings have in force said to an announce.

    `state`: before the announce. `peer` announces, 0 = a new one; `evicted` had its address.
    """
    settings = state.settings
    if settings.private:
        yield key(state, path, state.access.hash_of(one.key_ref) or b"", one.time_us)
    if settings.policy.requests_per_minute:
        limit = {"requests_per_minute": settings.policy.requests_per_minute}
        yield _answer("requests_per_minute", f"{PASSED}; no event says how many came before", limit)
    if state.barring:
        yield from barred(state, one.info_hash, one.address)
        if state.sanctions.refused:
            yield _client(state, one)
    if settings.listed:
        yield whitelist(path, one.info_hash)
    account = state.access.account_of[one.key_ref] if settings.private else 0
    yield from _of_site(_OF_ALL, state, one, torrent, peer, evicted)
    yield from limits(state, one, torrent, peer, evicted, account)
    yield from _of_site(_OF_NEW, state, one, torrent, peer, evicted)
    if settings.policy.enforce_interval_min:
        said = EARLY if early(state, one, peer) else PASSED
        shown = {"enforce_interval_min": True, "interval_min": settings.interval_min}
        yield _answer("interval_min", said, shown)
    yield from sanctions(state, one, account)
    yield from _budgets(state, account)


def _of_site(
    names: tuple[str, ...], state: State, one: Recorded, torrent: int, peer: int, evicted: int
) -> Iterator[Answer]:
    policy = state.settings.policy
    for name in names:
        if getattr(policy, name):
            said = _site(state, name, one, torrent, peer, evicted)
            yield _answer(name, said, {name: _shown(getattr(policy, name))})


def limits(
    state: State, one: Recorded, torrent: int, peer: int, evicted: int, account: int
) -> Iterator[Answer]:
    """Yields what each limit of the account said."""
    decided = 0
    if one.address is not None and one.event != events.STOPPED and state.limits.active:
        decided = state.limits.decides(
            state.swarms, torrent, peer, account, one.info_hash, one.address + one.port, one.v6,
            one.left == 0, evicted, one.time_us,
        )  # fmt: skip
    for name, (word, refusal) in _LIMITS.items():
        if not account or not state.limits.of(account, word):
            continue
        if one.event == events.STOPPED:
            said = "not asked: `stopped` is never refused"
        elif word != LOCATIONS and one.left == 0:
            said = COMPLETE
        elif peer and (word != SLOTS or not state.swarms.seeds(peer)):
            said = "not asked: the peer is in the swarm already"
        elif decided == refusal:
            said = f"refused: {refusals.NAMES[refusal]}"
        else:
            said = GAVE_WAY if decided > 0 and word != STARTED else PASSED
        yield _answer(name, said, _limit(state, account, name, word))


def _budgets(state: State, account: int) -> Iterator[Answer]:
    """Yields what is left of each budget of peers. None is ever a refusal."""
    budgets = state.limits.budgets
    for name, word in _BUDGETS.items():
        most = state.limits.of(account, word) if account else 0
        if most:
            column = budgets.handed_hour if word == HANDED_HOUR else budgets.handed_today
            left = max(0, most - budgets.used(column, account))
            said = (
                f"{PASSED}: {left} peers are left" if left else "used up: the reply lists no peers"
            )
            yield _answer(name, said, _limit(state, account, name, word))


def _limit(state: State, account: int, name: str, word: int) -> dict[str, Any]:
    own = state.limits.accounts.get(account)
    shown: dict[str, Any] = {name: state.limits.of(account, word)}
    return shown if own is None else {**shown, "limits_set": own.seq}


def sanctions(state: State, one: Recorded, account: int) -> Iterator[Answer]:
    """Yields what the sanctions of the account mean for the announce."""
    if (sanction := state.sanctions.accounts.get((account, LEECH_OFF))) is not None:
        said = NO_PEERS if state.gets_none(account, one.left) else COMPLETE
        yield _answer("leech_off", said, _sanction(sanction))
    if (sanction := state.sanctions.accounts.get((account, HIDDEN))) is not None:
        yield _answer("hidden", NOT_SHOWN, _sanction(sanction))


def _sanction(one: Sanction | None) -> dict[str, Any]:
    if one is None:
        return {}
    until = None if one.until_us is None else rfc3339(one.until_us)
    return {"seq": one.seq, "since": rfc3339(one.since_us), "until": until, "reason": one.reason}


def none(state: State, one: Recorded) -> str:
    """Returns why the reply to an announce lists no peers; "" = no rule forbids it.

    `state`: before the announce.
    """
    if state.settings.policy.enforce_interval_min:
        torrent = state.swarms.lookup(one.info_hash)
        if early(state, one, pictures.peer_of(state, torrent, one.prev_seq)):
            return EARLY
    account = state.access.account_of[one.key_ref]
    return NO_PEERS if one.event != events.STOPPED and state.gets_none(account, one.left) else ""


def _site(state: State, name: str, one: Recorded, torrent: int, peer: int, evicted: int) -> str:
    if one.event == events.STOPPED:
        return "not asked: `stopped` is never refused"
    if name in _OF_NEW and peer:
        return "not asked: the peer is in the swarm already"
    if name in _OF_NEW and evicted:
        return "not asked: the peer takes the place of another one"
    if name == "refused_ports" and not one.port:
        return f"{PASSED}; the port cannot be read"
    peer_id = one.peer_id.ljust(20, b"\0")
    return _said(_alone(state, name), state, torrent, peer, one.port or NO_PORT, peer_id, one.event, evicted)  # fmt: skip


def _said(rules: Rules, state: State, *request: Any) -> str:
    refusal = rules.refuses(state.swarms, *request)
    return f"refused: {refusals.NAMES[refusal]}" if refusal else PASSED


def _alone(state: State, name: str) -> Rules:
    """Returns rules with one setting of those in force."""
    policy = evolve(Policy(), **{name: getattr(state.settings.policy, name)})
    return Rules(policy, state.settings.interval_min)


def early(state: State, one: Recorded, peer: int) -> bool:
    """Tells whether an announce came sooner than allowed.

    An address that cannot be read counts as the peer's own.
    """
    directory = state.swarms.v6 if one.v6 else state.swarms.v4
    endpoint = directory.endpoint(peer)
    if one.address is not None and not endpoint.endswith(NO_PORT):
        endpoint = one.address + one.port
    return bool(endpoint) and _alone(state, "enforce_interval_min").comes_early(
        state.swarms, peer, endpoint, one.v6, one.event, one.time_us
    )


def key(state: State, path: Announcing, digest: bytes, time_us: int) -> Answer:
    """Returns what was said to a key, by its SHA-256."""
    settings = state.settings
    shown = {"private": settings.private, "check_keys_expiration": settings.check_keys_expiration}
    held = path.held(digest)
    if isinstance(held, int):
        return _answer("key", f"refused: {refusals.NAMES[held]}", shown)
    if held.ends_us < time_us:
        return _answer("key", f"refused: {refusals.NAMES[refusals.KEY_EXPIRED]}", shown)
    return _answer("key", f"{PASSED}: key {held.key_ref} is in force{_until(held)}", shown)


def _until(held: Holder) -> str:
    return "" if held.valid_until_us is None else f" until {rfc3339(held.valid_until_us)}"


def whitelist(path: Announcing, info_hash: bytes) -> Answer:
    listed = path.whitelisted(info_hash)
    said = PASSED if listed else f"refused: {refusals.NAMES[refusals.NOT_WHITELISTED]}"
    return _answer("whitelist", said, {"listed": True})


def barred(
    state: State, info_hash: bytes, address: bytes | None, refusal: int = 0
) -> Iterator[Answer]:
    """Yields what blocks and the blacklist say; `address` None = it cannot be read.

    `refusal`: what an event says, 0 = nothing.
    """
    sanctions = state.sanctions
    if refusal == refusals.NETWORK_BLOCKED:
        yield _answer("blocks", f"refused: {refusals.NAMES[refusal]}", {})
    elif sanctions.networks.sanctions:
        block = sanctions.networks.find(address) if address else None
        said = f"{PASSED}{'' if address else '; the address cannot be read'}"
        yield _answer("blocks", "refused: network_blocked" if block else said, _sanction(block))
    if sanctions.blacklist:
        banned = sanctions.blacklist.get(info_hash)
        said = "refused: torrent_blacklisted" if banned else PASSED
        yield _answer("blacklist", said, _sanction(banned))


def _client(state: State, one: Recorded) -> Answer:
    """Returns what the rules about clients say. The beginning of a peer_id can always be read."""
    if one.event == events.STOPPED:
        return _answer("client_rules", "not asked: `stopped` is never refused", {})
    rule = state.sanctions.refusing(one.peer_id)
    said = f"refused: {refusals.NAMES[refusals.CLIENT_RULED_OUT]}" if rule else PASSED
    return _answer("client_rules", said, _client_rule(rule))


def _client_rule(rule: ClientRule | None) -> dict[str, Any]:
    if rule is None:
        return {}
    return {"rule": rule.number, "versions": rule.text(), **_sanction(rule.sanction)}


def behind(
    state: State, path: Announcing, refusal: int, key_ref: int, info_hash: bytes, time_us: int
) -> Iterator[Answer]:
    """Yields what the rule behind a refusal says, asked again: without what no event says of the
    request.
    """
    settings = state.settings
    yield key(state, path, state.access.hash_of(key_ref) or b"", time_us)
    if state.barring:
        yield from barred(state, info_hash, None, refusal)
    if refusal == refusals.CLIENT_RULED_OUT:
        said = "refused; the event does not hold the peer_id"
        yield _answer("client_rules", said, {})
    if settings.listed:
        yield whitelist(path, info_hash)
    if refusal == refusals.RATE_EXCEEDED:
        limit = {"requests_per_minute": settings.policy.requests_per_minute}
        yield _answer("requests_per_minute", "refused; no event says how many came before", limit)
    account = state.access.account_of[key_ref]
    for name, (word, number) in _LIMITS.items():
        if refusal == number:
            said = f"refused: {refusals.NAMES[refusal]}"
            yield _answer(name, said, _limit(state, account, name, word))
    for name in _REFUSING.get(refusal, ()):
        value = getattr(settings.policy, name)
        if not value:
            continue
        if name in _OF_ALL:
            said = "refused; the event does not hold the peer_id and the port"
        else:
            torrent = state.swarms.lookup(info_hash)
            alone = _alone(state, name)
            said = _said(alone, state, torrent, 0, NO_PORT, _NO_PEER_ID, events.NONE, 0)
        yield _answer(name, said, {name: _shown(value)})


def _answer(name: str, said: str, settings: dict[str, Any]) -> Answer:
    return {"rule": name, "answer": said, "settings": settings}


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
