"""No reader of ours ends in a traceback, whatever the bytes and however right their checksums."""

from __future__ import annotations

import io
from contextlib import redirect_stdout, suppress
from random import Random
from typing import TYPE_CHECKING

import pytest

from eventlog import Frame, FrameId, Reader, first_and_last_frame, read_kept_frames
from eventlog.frame import build_header, parse_header
from tests.nonsense.forging import forge, with_state
from tests.nonsense.whole import OURS, findings, no_progress, put, refusal, whole
from tests.tracker.logged import HASH
from tracker.cli.output import say
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.announce import SCHEMA
from tracker.history import event_json
from tracker.ledger.pages import EntryPages, SumsPages
from tracker.ledger.walk import Decryption
from tracker.ports import Moment, NoMomentError
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.upkeep.clock_leaps import segment_starts
from tracker.upkeep.pruning import state_before
from tracker.upkeep.retention import segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 25
"""Forged sites for each reader and seed: about two seconds."""
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(2, 20))]


def tell(site: Path) -> None:
    """What `tracker events` does."""
    keys = Keyring(site / "secrets")
    reader = Reader(site / "log", keys=keys)
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        for frames in (read_kept_frames(site / "log", reader.first_seq, keys), reader.frames()):
            for frame in frames:
                for event in event_json.narrate(frame):
                    say(event_json.line(event))


def look_back(site: Path) -> None:
    """What `tracker replay`, `swarm` and `diff` do."""
    replay = ForwardReplay(site / "log", no_progress, Keyring(site / "secrets"))
    if replay.span is not None:
        str(replay.span)
        middle = (replay.span.first_us + replay.span.last_us) // 2
        replay.at(Moment(time_us=middle))
    replay.at(None).digest()


def account(site: Path) -> None:
    """What `tracker ledger` does, and the API with it."""
    log = site / "log"
    decrypt = Decryption(log, Keyring(site / "secrets"))
    EntryPages(log, 1, None, None, -1, decrypt).page(-1, 100)
    SumsPages(log, HASH, decrypt).page(None, 100, None)


def keep_up(site: Path) -> None:
    """What the schedules of a running tracker do."""
    segment_starts(site / "log")
    found = segments(site / "log")
    first_and_last_frame(site / "log")
    if found:
        state_before(site / "log", found[-1].first_seq, Keyring(site / "secrets"))


def start_from_snapshot(site: Path) -> None:
    """What a follower does."""
    state, reader = snapshots.start(site / "log", Keyring(site / "secrets"))
    list(reader.frames())
    state.digest()


READERS: dict[str, Callable[[Path], object]] = {
    "serve": refusal,
    "verify": findings,
    "events": tell,
    "replay": look_back,
    "ledger": account,
    "upkeep": keep_up,
    "follower": start_from_snapshot,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", READERS)
def test_forged_files(tmp_path: Path, name: str, seed: int) -> None:
    """Each reader reads a forged log, or refuses it with a sentence."""
    chance = Random(f"{name} {seed}")
    for number in range(ROUNDS):
        site = tmp_path / "site"
        put(site, forge(whole(pruned=number % 2 == 1), chance))
        with suppress(*OURS, NoMomentError):
            READERS[name](site)


def test_a_key_of_no_calendar_day(tmp_path: Path) -> None:
    """A frame whose key is of a day after the year 9999 is read, without its addresses."""
    assert (
        Keyring(tmp_path).decrypt(FrameId(bytes(16), 1, 0, 0, b""), (1 << 32) - 1, 5, b"x") is None
    )


def test_an_event_that_does_not_exist() -> None:
    """An announce of an event without a name cannot be read, and that is said."""
    plain = codec.PLAIN.pack(5, HASH, bytes(8), 0, 0, 0, 0, 0, 0, 0, 0, 0x0F, 1, 0)
    header, _ = build_header(
        events.ANNOUNCE, SCHEMA, 1, plain, b"",
        epoch=1, base_seq=7, durable_seq=0, time_us=5, boottime_ns=0, previous=bytes(16), seed=bytes(16), sign=lambda *_: bytes(16),
    )  # fmt: skip
    one = Frame(parse_header(header), memoryview(plain), memoryview(b""))
    with pytest.raises(codec.CodecError, match="event 7 or another of its frame cannot be read"):
        list(event_json.narrate(one))


def test_brackets_without_end(tmp_path: Path) -> None:
    """A snapshot whose JSON is nested too deeply is passed over; so are identity and seal told."""
    files = whole(pruned=False)
    for name in sorted(files):
        if name.endswith(".snap"):
            files = {**files, name: with_state(files, name, b"[" * 10_000)}
    put(tmp_path / "site", files)
    assert refusal(tmp_path / "site") is None
    told: list[str] = []
    keys = Keyring(tmp_path / "site/secrets")
    snapshots.start(tmp_path / "site/log", keys, refused=told.append)
    assert len(told) == 3
    assert all("nested too deeply" in one for one in told)
    for name in ("identity.json", "seal/00000000000000000012.0000000001.json"):
        put(tmp_path / "site", {**whole(pruned=False), f"log/{name}": b"[" * 10_000})
        assert "is not the" in str(refusal(tmp_path / "site"))
