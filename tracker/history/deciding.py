"""Decides an announce of the log anew, by the code of the announce path, and compares the outcome
with what was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from eventlog import Pool
from tracker.domain import events, packed
from tracker.domain.clients import MOST, Clients
from tracker.domain.events import announce, codec
from tracker.domain.refusals import NAMES
from tracker.service.announce import EARLY, Announcing
from tracker.store.frames import newest

if TYPE_CHECKING:
    from eventlog import Frame, OpenFrame
    from tracker.domain.state import State
    from tracker.history.recorded import Recorded

ALIKE = "as recorded"

_UNUSED = bytes(32)  # a secret for draws, because nothing that the log holds is drawn
_FIELDS = (
    "time", "info_hash", "peer_id", "uploaded", "downloaded", "left", "key_ref", "prev_seq",
    "numwant", "flags", "listener", "event", "rule", "client",
)  # fmt: skip


@frozen
class Decision:
    """What the announce path makes of the request. The state has gone on with it."""

    early: bool  # the reply lists no peers
    differs: str  # how it differs from what was recorded; "" = it does not


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


@frozen
class _Clock:
    """Implements `tracker.service.append.Clock`: it stands still at a log time."""

    time_us: int

    def now_us(self) -> int:
        return self.time_us

    def wall_us(self) -> int:
        return self.time_us

    def earlier_us(self) -> int:
        return self.time_us

    def adjust(self) -> int:
        return 0


def deciding(state: State, time_us: int) -> tuple[Announcing, Pool]:
    """Returns the announce path over a state, at a log time; and where it logs."""
    log = _Log(state.seq)
    return Announcing(log, state, _Clock(time_us), _UNUSED), log.pool


def decide(state: State, one: Recorded) -> Decision:
    """Decides an announce on the state before it, whose address is known."""
    path, pool = deciding(state, one.time_us)
    agent = _agent(path, state, one)
    key = path.held(state.access.hash_of(one.key_ref) or b"") if one.key_ref else None
    if isinstance(key, int):
        return Decision(False, f"this version refuses it: {NAMES[key]}")
    state.swarms.sizing = one.frames[-1].header.schema > 1
    path.begin()
    answer = path.announce(
        one.listener, one.path, one.address or b"", one.port, one.info_hash, one.peer_id,
        one.uploaded, one.downloaded, one.left, one.event, one.numwant, one.flags, one.key_hash,
        key, agent,
    )  # fmt: skip
    path.end()
    state.swarms.sizing = True
    if answer < 0 and answer != EARLY:
        return Decision(False, f"this version refuses it: {NAMES[answer]}")
    return Decision(answer == EARLY, _difference(one.frames, pool.take()))


def _agent(path: Announcing, state: State, one: Recorded) -> bytes:
    """Returns the User-Agent. Sees to it that a client without a number gets none.

    The tracker had used up its numbers then, or those of the account.
    """
    if one.named is not None:
        return one.named.agent
    if 0 < one.client <= len(state.clients.pairs):
        return state.clients.pairs[one.client - 1][1]
    full = Clients()
    full.pairs = [(b"", b"")] * MOST
    path._client_numbers = full
    return b""


def _difference(recorded: tuple[Frame, ...], made: list[OpenFrame]) -> str:
    """Says how the records differ; "" = not at all."""
    before = [_plain(one.header.kind, one.plain, one.protected) for one in map(newest, recorded)]
    after = [_plain(one.kind, one.plain, one.protected) for one in made]
    if before == after:
        return ""
    if [each[0] for each in before] != [each[0] for each in after]:
        return "this version logs other events for it"
    old, new = (codec.PLAIN.unpack(each[-1][1]) for each in (before, after))
    names = [
        f"{name} {_shown(name, b)} instead of {_shown(name, a)}"
        for name, a, b in zip(_FIELDS, old, new, strict=True)
        if a != b
    ]
    return f"this version logs {', '.join(names) or 'other bytes for it'}"


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
