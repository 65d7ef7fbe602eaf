"""Decides an announce of the log anew, by the code of the announce path, and compares the outcome
with what was recorded.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from attrs import define, frozen

from eventlog import Pool
from tracker.domain import events, packed
from tracker.domain.clients import MOST, Clients
from tracker.domain.events import announce, codec
from tracker.domain.events.records import RECORDS
from tracker.domain.refusals import KEY_EXPIRED, NAMES
from tracker.history import asked_rules
from tracker.service.announce import EARLY, LEECH_OFF, Announcing
from tracker.service.service import Service
from tracker.store.frames import newest

if TYPE_CHECKING:
    from eventlog import Frame, OpenFrame
    from tracker.domain.state import State
    from tracker.history.recorded import Recorded
    from tracker.service.announce import Holder

ALIKE = "as recorded"
WITHOUT_PEERS = {EARLY: asked_rules.EARLY, LEECH_OFF: asked_rules.NO_PEERS}
"""What `Announcing.announce` returns for announces that get no peers, and why, in words."""

_UNUSED = bytes(32)  # a secret for draws, because nothing that the log holds is drawn
_FIELDS = (
    "time", "info_hash", "peer_id", "uploaded", "downloaded", "left", "key_ref", "prev_seq",
    "numwant", "flags", "listener", "event", "rule", "client",
)  # fmt: skip


@frozen
class Difference:
    """A field of a record whose value is another one now."""

    what: str
    recorded: object
    now: object


@frozen
class Decision:
    """What the announce path makes of the request. The state has gone on with it."""

    none: str  # why the reply lists no peers: EARLY or NO_PEERS of `asked_rules`; "" = it may
    differs: str = ""  # how it differs from what was recorded; "" = it does not
    fields: tuple[Difference, ...] = ()  # the same, field by field
    refusal: int = 0  # it is refused


class _Log:
    """Implements `tracker.service.append.Log` in memory."""

    def __init__(self, seq: int) -> None:
        self.pool = Pool(codec.RECORD_SIZES, seq)

    def has_room(self, *, reserved: bool = False) -> bool:
        del reserved
        return True

    def appended(self) -> None:
        """Nothing commits it."""

    async def wait_durable(self, seq: int) -> None:
        """Nobody waits for it."""


@define
class Clock:
    """Implements `tracker.service.append.Clock`: it stands still at the time that it was set to."""

    time_us: int = 0  # log time
    wall: int = 0  # what the wall clock shows, microseconds

    def now_us(self) -> int:
        return self.time_us

    def wall_us(self) -> int:
        return self.wall

    def earlier_us(self) -> int:
        return self.time_us

    def adjust(self) -> int:
        return 0


def deciding(state: State, time_us: int) -> tuple[Announcing, Pool]:
    """Returns the announce path over a state, at a log time; and where it logs."""
    log = _Log(state.seq)
    return Announcing(log, state, Clock(time_us, time_us), _UNUSED), log.pool


def serving(state: State, clock: Clock) -> tuple[Service, Pool]:
    """Returns the whole service over a state, and where it logs."""
    log = _Log(state.seq)
    return Service(log, state, clock, _UNUSED), log.pool


def decide(state: State, one: Recorded) -> Decision:
    """Decides an announce on the state before it, whose address is known."""
    path, pool = deciding(state, one.time_us)
    return decide_by(path, pool, state, one)


def decide_by(path: Announcing, pool: Pool, state: State, one: Recorded) -> Decision:
    """Does it by an announce path over the state, whose clock shows the time of the announce."""
    answer = request(path, state, one, held(path, state, one), agent_of(state, one))
    made = pool.take()
    if answer < 0 and answer not in WITHOUT_PEERS:
        name = NAMES[answer]
        refused = Difference("refused", None, name)
        return Decision("", f"this version refuses it: {name}", (refused,), answer)
    fields = _differences(one.frames, made)
    return Decision(WITHOUT_PEERS.get(answer, ""), _text(fields), fields)


def held(path: Announcing, state: State, one: Recorded) -> Holder | int | None:
    """Returns the key that a recorded request came with, a refusal, or None = it had none."""
    if not one.key_ref:
        return None
    key = path.held(state.access.hash_of(one.key_ref) or b"")
    if isinstance(key, int) or key.ends_us >= one.time_us:
        return key
    return KEY_EXPIRED


def request(
    path: Announcing, state: State, one: Recorded, key: Holder | int | None, agent: bytes | None
) -> int:
    """Has the announce path answer a recorded request whose address is known.

    `key`: see `held`. `agent`: see `agent_of`. Returns the torrent, a refusal or `EARLY`, as
    `Announcing.announce` does.
    """
    if isinstance(key, int):
        return key
    clients = path._client_numbers
    if agent is None:
        path._client_numbers = _full()
    state.swarms.sizing = one.frames[-1].header.schema > 1
    path.begin()
    answer = path.announce(
        one.listener, one.path, one.address or b"", one.port, one.info_hash, one.peer_id,
        one.uploaded, one.downloaded, one.left, one.event, one.numwant, one.flags, one.key_hash,
        key, agent or b"",
    )  # fmt: skip
    path.end()
    state.swarms.sizing = True
    path._client_numbers = clients
    return answer


def agent_of(state: State, one: Recorded) -> bytes | None:
    """Returns the User-Agent; None for a client without a number, which must get none.

    The tracker had used up its numbers then, or those of the account.
    """
    if one.named is not None:
        return one.named.agent
    if 0 < one.client <= len(state.clients.pairs):
        return state.clients.pairs[one.client - 1][1]
    return None


@cache
def _full() -> Clients:
    """Returns clients that take no more numbers."""
    full = Clients()
    full.pairs = [(b"", b"")] * MOST
    return full


def _differences(recorded: tuple[Frame, ...], made: list[OpenFrame]) -> tuple[Difference, ...]:
    """Compares the records byte for byte."""
    before = [_plain(one.header.kind, one.plain, one.protected) for one in map(newest, recorded)]
    after = [_plain(one.kind, one.plain, one.protected) for one in made]
    if before == after:
        return ()
    kinds = [[_name(kind) for kind, _, _ in records] for records in (before, after)]
    if kinds[0] != kinds[1]:
        return (Difference("events", *kinds),)
    found = []
    for (kind, *recorded_bytes), (_, *bytes_now) in zip(before, after, strict=True):
        if kind == events.ANNOUNCE and recorded_bytes[0] != bytes_now[0]:
            rows = (codec.PLAIN.unpack(each[0]) for each in (recorded_bytes, bytes_now))
            found += [
                Difference(name, _shown(name, a), _shown(name, b))
                for name, a, b in zip(_FIELDS, *rows, strict=True)
                if a != b
            ]
        elif recorded_bytes[0] != bytes_now[0]:
            found.append(Difference(_name(kind), recorded_bytes[0].hex(), bytes_now[0].hex()))
        if recorded_bytes[1] != bytes_now[1]:  # its bytes are not shown, because it has the address
            found.append(Difference("encrypted_part", None, None))
    return tuple(found)


def _name(kind: int) -> str:
    return "announced" if kind == events.ANNOUNCE else RECORDS[kind].name


def _text(fields: tuple[Difference, ...]) -> str:
    """Says in words how the records differ; "" = not at all."""
    if not fields:
        return ""
    if fields[0].what == "events":
        return "this version logs other events for it"
    said = (f"{each.what} {each.now} instead of {each.recorded}" for each in fields)
    return f"this version logs {', '.join(said)}"


def _shown(name: str, value: int | bytes) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if name == "rule":
        return events.RULE_NAMES.get(value, value)
    return events.EVENT_NAMES[value & 0x0F] if name == "event" else value


def _plain(
    kind: int, plain: bytes | bytearray | memoryview, protected: bytes | bytearray | memoryview
) -> tuple[int, bytes, bytes]:
    """Returns comparable bytes. Those of schema 1 name no client, which is none."""
    text = bytes(plain)
    if kind == events.ANNOUNCE and packed.client(text, 0) == announce.NOT_RECORDED:
        text = text[:-2] + bytes(2)
    return kind, text, bytes(protected)
