"""Explains an announce: what was asked, who asked, what the rules said, what changed, and what the
reply was.

The state before the announce is replayed. Then the announce path decides the recorded request anew
(`deciding.py`). Where that gives what was recorded, the state has gone on as it did then. Elsewhere
(an earlier version decided otherwise, or an address cannot be read) the record itself is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field

from tracker.domain import events
from tracker.domain.clients import shown_text
from tracker.history import asked_rules, event_json, pictures, replies
from tracker.history.counting import Counting
from tracker.history.deciding import ALIKE, Decision, decide, deciding
from tracker.history.recorded import BROUGHT_ABOUT, Recorded, Refused, read
from tracker.service.read_model import label_of
from tracker.service.refused_keys import INTERVAL_SECONDS
from tracker.store import frames, server_secret, tag_keys
from tracker.store.address_keys import day_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventlog import Frame
    from tracker.domain.bases import Base
    from tracker.domain.state import State
    from tracker.store.moments import ForwardReplay

NO_SECRETS = "without the secrets (--secrets) neither addresses nor the choice of peers are known"
NO_SERVER_KEY = "the server.key of that time is not among the secrets, so the choice of peers is not known"  # fmt: skip
_OF_REQUEST = (
    "protocol", "address", "port", "listener", "info_hash", "peer_id", "event", "uploaded",
    "downloaded", "left", "numwant", "compact", "client_key_hash",
)  # fmt: skip
_OF_EVENT = ("seq", "time", "log_time", "type")
_WITHOUT = {
    asked_rules.EARLY: "it came too early",
    asked_rules.NO_PEERS: "leech off: the account gets no peers while something is left",
}
_REFUSED = "a refused announce gets no peers, and its event holds no address"


class Source(Protocol):
    """Replays a log once: `ForwardReplay`."""

    def before(self, seq: int, back: int) -> tuple[State, list[Frame]]: ...

    def again(self) -> Source: ...


def explain(log: ForwardReplay, seq: int) -> dict[str, Any]:
    """Explains event `seq` of a log that was not replayed yet, as JSON values.

    Raises `NoAnnounceError` for an event that is no announce, `NoMomentError` for one that the log
    does not hold, and what reading the log does.
    """
    if log.keys is None:
        return explained(log, seq, None, NO_SECRETS)
    secret = tag_keys.secret_at(log.folder, seq, log.keys.tags)
    return explained(log, seq, secret and server_secret.selection_key(secret), NO_SERVER_KEY)


def explained(log: Source, seq: int, secret: bytes | None, without: str = "") -> dict[str, Any]:
    """Does it with the secret of the draws; None = it is not known, and `without` says why."""
    state, one = _before(log, seq)
    if isinstance(one, Refused):
        return _refused(state, one)
    made = Explanation(state, one, secret, without)
    if one.address is None:
        none = asked_rules.none(state, one)
        decision = Decision(none, "not possible, because the address cannot be read")
    else:
        decision = decide(state, one)
        if not decision.differs:
            return made.told(decision)
        state, _ = _before(log.again(), seq)
        made = Explanation(state, one, secret, without)
        if state.hidden_peers():
            why = "not possible, because addresses of other peers cannot be read"
            decision = Decision(decision.none, why)
    for frame in one.frames:
        frames.apply(state, frame)
    return made.told(decision)


def _before(log: Source, seq: int) -> tuple[State, Recorded | Refused]:
    """Returns event `seq` and the state before the events that it brought about."""
    state, found = log.before(seq, BROUGHT_ABOUT)
    before, one = read(found, seq)
    for frame in before:
        frames.apply(state, frame)
    return state, one


@define
class Explanation:
    """An announce, on the state before the events that it brought about.

    `told` is called when the state has gone on with it.
    """

    state: State
    one: Recorded
    secret: bytes | None  # for draws; None = it is not known
    without: str  # why it is not known
    account: int = field(init=False)
    peer: int = field(init=False)  # 0 = a new one
    base: Base | None = field(init=False)  # from which a new one went on
    budget: int = field(init=False)  # how many peers the reply may list
    shown: dict[str, Any] = field(init=False)
    counting: Counting = field(init=False)

    def __attrs_post_init__(self) -> None:
        state, one = self.state, self.one
        torrent = state.swarms.lookup(one.info_hash)
        self.account = state.access.account_of[one.key_ref]
        self.budget = replies.budget_of(state, one.key_ref)
        self.peer = pictures.peer_of(state, torrent, one.prev_seq)
        self.base = self._base()
        evicted = self._evicted()
        path, _ = deciding(state, one.time_us)
        (event,) = event_json.narrate(one.frames[-1])
        self.shown = {
            **{name: event[name] for name in _OF_EVENT if name in event},
            "request": {name: event[name] for name in _OF_REQUEST}
            | {"label": label_of(state.facts, one.info_hash), "client": self._client()},
            "peer": self._who(evicted),
            "settings_seq": state.settings_seq if state.settings_seq >= 0 else None,
            "rules": list(
                asked_rules.answers(
                    state, path, one, torrent, self.peer, self._in_place(torrent, evicted)
                )
            ),
            "before": self._picture(self.peer, self.base),
        }
        self.counting = Counting(state, one, self.account, self.peer, self.base)

    def _evicted(self) -> int:
        """Returns the peer that had to leave for this announce, 0 = none."""
        record = self.one.evicted
        if record is None:
            return 0
        torrent = self.state.swarms.lookup(record.info_hash)
        return pictures.peer_of(self.state, torrent, record.last_seq)

    def _in_place(self, torrent: int, evicted: int) -> int:
        """Returns the peer that left if it had the very address and port of this announce, else
        0: then it gave way by a limit.
        """
        one = self.one
        if not evicted or one.address is None:
            return evicted
        there = self.state.swarms.find(torrent, one.address + one.port) if torrent else 0
        return evicted if there == evicted else 0

    def _base(self) -> Base | None:
        one, bases = self.one, self.state.bases
        if self.peer or not self.account or not one.prev_seq:
            return None
        number = bases.by_seq(self.account, one.prev_seq)
        return bases.base(number) if number else None

    def _client(self) -> dict[str, Any] | None:
        pairs, number = self.state.clients.pairs, self.one.client
        named = self.one.named
        if named is not None:
            pair = named.prefix, named.agent
        elif 0 < number <= len(pairs):
            pair = pairs[number - 1]
        else:
            return None
        prefix, agent = map(shown_text, pair)
        return {"client": number, "peer_id_prefix": prefix or None, "user_agent": agent or None}

    def _who(self, evicted: int) -> dict[str, Any]:
        one, account = self.one, self.account
        owners = {number: owner for owner, number in self.state.access.owners.items()}
        return {
            "known_by": "account and peer_id" if account else "address and port",
            "account": account or None,
            "owner": owners.get(account),
            "key_ref": one.key_ref or None,
            "rule": events.RULE_NAMES.get(one.rule, one.rule),
            "why": " ".join(self._why()),
            "previous": one.prev_seq or None,
            "evicted": pictures.peer(self.state, evicted) if evicted else None,
            "brought_about": list(range(one.first_seq, one.seq)),
        }

    def _why(self) -> Iterable[str]:
        """Says why the announce continues what it continues, in sentences."""
        one, account, peer, base = self.one, self.account, self.peer, self.base
        where = "with this account and peer_id" if account else "at this address and port"
        if peer:
            yield f"A peer {where} was in the swarm: its latest announce was event {one.prev_seq}."
        elif base:
            yield f"No peer {where} was in the swarm any more, but what event {one.prev_seq} said was remembered."
        else:
            yield f"No peer {where} was in the swarm" + (", and none was remembered." if account else ".")  # fmt: skip
        if one.rule == events.RULE_RESTARTED:
            yield from self._why_restarted()
        elif one.rule == events.RULE_RESUMED and peer:
            yield "It was not listed any more, because it had been silent for too long."
        if one.evicted:
            torrent, evicted = self.state.swarms.lookup(one.info_hash), self._evicted()
            why = "had this address, so it had to leave"
            if not self._in_place(torrent, evicted):
                why = "gave way, because the account was at a limit"
            yield f"The peer of event {one.evicted.last_seq} {why}."

    def _why_restarted(self) -> Iterable[str]:
        one = self.one
        last = self.base or self.state.swarms.peer(self.peer)
        if not self.peer and not self.base:
            return
        if not last.peer_id.startswith(one.peer_id):
            yield "Another peer_id came from there, so this is a new session."
        for name, before, now in (
            ("uploaded", last.uploaded, one.uploaded),
            ("downloaded", last.downloaded, one.downloaded),
        ):
            if now < before:
                yield f"`{name}` went down from {before} to {now}, so this is a new session."
        if self.peer and self.account and not one.uploaded < last.uploaded and not one.downloaded < last.downloaded:  # fmt: skip
            yield "It was not listed any more, and that is too long ago, so this is a new session."

    def _picture(self, peer: int, base: Base | None = None) -> dict[str, Any]:
        state = self.state
        return {
            "swarm": pictures.swarm(state, self.one.info_hash),
            "peer": pictures.peer(state, peer) if peer else None,
            "remembered": pictures.base(state, base) if base else None,
            "account": pictures.account(state, self.account) if self.account else None,
        }

    def told(self, decision: Decision) -> dict[str, Any]:
        """Returns the explanation. The state has gone on with the announce."""
        state, one = self.state, self.one
        torrent = state.swarms.lookup(one.info_hash)
        peer = pictures.peer_of(state, torrent, one.seq)
        asked = replies.asked(one)
        want = replies.wanted(state.settings, asked, none=bool(decision.none), budget=self.budget)
        secret = self.secret if state.settings.choice in replies.KNOWN_CHOICES else None
        peers = None
        if secret is not None:
            found = replies.endpoints(state, secret, asked, torrent, peer, want) if want else []
            peers = [pictures.listed(state, torrent, endpoint) for endpoint in found]
        return {
            **self.shown,
            "after": self._picture(peer),
            "numbers": self.counting.numbers(state),
            "reply": {
                **_interval(state, secret, asked),
                "min_interval": None if one.udp else state.settings.interval_min,
                "seeders": state.swarms.counts(one.info_hash)[0],
                "leechers": state.swarms.counts(one.info_hash)[2],
                "wanted": want,
                "because": self._because(decision),
                "choice": state.settings.choice,
            },
            "peers": peers,
            "withheld": self._withheld(peers),
            "decided_again": decision.differs or ALIKE,
        }

    def _because(self, decision: Decision) -> str:
        """Says why the reply listed at most so many peers."""
        one, cap = self.one, self.state.settings.max_peers_per_announce
        if one.event == events.STOPPED:
            return "a client that stops gets no peers"
        if decision.none:
            return _WITHOUT[decision.none]
        if self.budget < min(cap, cap if one.flags & events.FLAG_NUMWANT_ABSENT else one.numwant):
            return "the account's budget of peers for this hour or day"
        if one.flags & events.FLAG_NUMWANT_ABSENT:
            return "the client did not say how many it wants: max_peers_per_announce"
        return "max_peers_per_announce" if one.numwant > cap else "numwant"

    def _withheld(self, peers: list[dict[str, Any]] | None) -> str | None:
        """Says what is not shown, and why; None = all is."""
        choice, day = self.state.settings.choice, self.one.day
        if self.without == NO_SECRETS:
            return NO_SECRETS
        reasons = []
        if self.secret is None:
            reasons.append(self.without)
        elif peers is None:
            reasons.append(f"this version does not know rule {choice} of the choice of peers")
        if self.one.address is None and day is not None:
            reasons.append(
                f"the address cannot be read, because the key of {day_name(day)} was shredded or is missing"
            )
        if any(each["address"] is None for each in peers or ()):
            reasons.append(
                "some addresses of the reply cannot be read, because the keys of their days were shredded or are missing"
            )
        return "; ".join(reasons) or None


def _interval(state: State, secret: bytes | None, asked: replies.Asked) -> dict[str, Any]:
    settings = state.settings
    most = settings.policy.interval_jitter
    known = secret is not None or not most
    seconds = replies.interval(settings, secret or b"", asked) if known else None
    return {
        "interval": seconds,
        "interval_setting": settings.interval,
        "interval_jitter": most,
        "jitter": None if seconds is None else seconds - settings.interval,
    }


def _refused(state: State, one: Refused) -> dict[str, Any]:
    """Explains a refusal, as far as it is an event."""
    path, _ = deciding(state, one.time_us)
    event = one.event
    account = state.access.account_of[one.key_ref]
    owners = {number: owner for owner, number in state.access.owners.items()}
    rules = asked_rules.behind(state, path, one.refusal, one.key_ref, one.info_hash, one.time_us)
    return {
        **{name: event[name] for name in _OF_EVENT if name in event},
        "refusal": event["reason"],
        "request": {
            "info_hash": event["info_hash"],
            "label": label_of(state.facts, one.info_hash or b""),
        },
        "peer": {
            "account": account or None,
            "owner": owners.get(account),
            "key_ref": one.key_ref,
            "why": f"Of refusals of this key for this reason and torrent only the first in {INTERVAL_SECONDS} seconds is an event.",
        },
        "settings_seq": state.settings_seq if state.settings_seq >= 0 else None,
        "rules": list(rules),
        "before": {
            "swarm": pictures.swarm(state, one.info_hash),
            "account": pictures.account(state, account) if account else None,
        },
        "peers": None,
        "withheld": _REFUSED,
    }
