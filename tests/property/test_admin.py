"""Any history of admin commands and restarts: the answers are right, and a replay agrees."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define, evolve, field
from hypothesis import strategies as st

from tests.support import (
    SECOND,
    SELECTION_KEY,
    HandTime,
    MemoryLog,
    few_or_many,
    hash_of,
    key_text,
    replayed,
    try_examples,
)
from tracker import ports
from tracker.domain import image
from tracker.domain.events import DAY_US
from tracker.domain.state import State
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads
from tracker.service.service import Service
from tracker.store import server_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECRET = b"s" * 32
LABELS = [None, None, "x"]
OWNERS = [None, None, "anna"]
HASHES = [hash_of(number) for number in (0, 1, 257, 255)]

given_keys = st.sampled_from([key_text(number).decode() for number in range(2)])
new_keys = st.builds(
    ports.NewKey,
    key=st.one_of(given_keys, given_keys, st.none()),
    seconds_valid=st.sampled_from([None, None, None, 20, 10**15]),
    owner=st.sampled_from(OWNERS),
    label=st.sampled_from(LABELS),
)
imported_keys = st.builds(ports.NewKey, key=given_keys, owner=st.sampled_from(OWNERS))
# Few lists, so that some repeat.
imports = st.one_of(
    st.just([ports.NewKey(key_text(number).decode()) for number in range(2)]),
    st.lists(imported_keys, min_size=1, max_size=3),
)
repeats = st.sampled_from(["", "once", "twice"])  # idempotency keys
refs = st.integers(1, 4)
steps = st.one_of(
    st.tuples(st.just("issue"), new_keys, repeats),
    st.tuples(st.just("issue"), new_keys, repeats),
    st.tuples(st.just("import"), imports, repeats),
    st.tuples(st.just("import"), imports, repeats),
    st.tuples(st.just("rotate"), refs, repeats),
    st.tuples(st.just("revoke"), refs),
    st.tuples(st.just("label"), refs, st.sampled_from(LABELS)),
    st.tuples(st.just("list"), st.lists(st.sampled_from(HASHES), max_size=4)),
    st.tuples(st.just("delist"), st.sampled_from(HASHES)),
    st.tuples(
        st.just("token"), st.sampled_from(["a", "b", "shred"]), st.sampled_from([None, 20, 10**15])
    ),
    st.tuples(st.just("revoke token"), st.integers(1, 3)),
    st.tuples(st.just("use token"), st.integers(1, 3)),
    st.tuples(st.just("restart")),
)


@define
class Admin:
    """Commands over a log in memory, and notes of the expected keys by number and by text."""

    log: MemoryLog = field(factory=MemoryLog)
    time: HandTime = field(factory=HandTime)
    keys: dict[int, tuple[str, ports.KeyInfo]] = field(factory=dict)
    owners: dict[str, int] = field(factory=dict)
    requests: dict[str, tuple[object, int]] = field(factory=dict)  # and their key_refs
    imports: dict[str, tuple[object, list[int]]] = field(factory=dict)  # likewise
    whitelist: set[bytes] = field(factory=set)
    tokens: dict[int, tuple[str, ports.TokenInfo]] = field(factory=dict)  # and their texts
    service: Service = field(init=False)
    commands: ServiceCommands = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.serve(State())

    def serve(self, state: State) -> None:
        clock = self.time.log_clock(state.time_us)
        self.service = Service(self.log, state, clock, SELECTION_KEY)
        self.commands = ServiceCommands(self.service, self.log, SECRET)

    def restart(self) -> None:
        state = replayed(self.log.frames())
        assert state.digest() == self.service.state.digest()
        taken = image.dump(state)
        state = image.load(taken.plain, taken.private)
        assert state.digest() == self.service.state.digest()
        self.serve(state)

    # The expected result of a command. An error is raised before anything is noted.

    def latest(self, text: str) -> ports.KeyInfo | None:
        found = [info for known, info in self.keys.values() if known == text]
        return found[-1] if found else None

    def in_force(self, key_ref: int) -> tuple[str, ports.KeyInfo]:
        if key_ref not in self.keys:
            raise ports.UnknownKeyError
        if self.keys[key_ref][1].state == "revoked":
            raise ports.RevokedKeyError
        return self.keys[key_ref]

    def repeated(self, name: str, asked: object) -> int | None:
        """Returns the key_ref that a repetition must get."""
        if name in self.imports:
            raise ports.RepeatedRequestError
        before, key_ref = self.requests.get(name, (None, 0))
        if not key_ref:
            return None
        if before != asked:
            raise ports.RepeatedRequestError
        self.in_force(key_ref)
        return key_ref

    def decide(self, new: ports.NewKey) -> None:
        latest = self.latest(new.key) if new.key else None
        if latest is not None and latest.state != "revoked":
            raise ports.DuplicateKeyError
        if new.seconds_valid == 10**15:
            raise ports.InvalidDurationError

    def note(self, text: str, new: ports.NewKey) -> None:
        before, key_ref, owner = self.latest(text), len(self.keys) + 1, new.owner
        if before is not None and owner in (None, before.owner):
            owner, account = before.owner, before.account
        else:
            account = self.owners.get(owner, key_ref) if owner else key_ref
        if owner:
            self.owners.setdefault(owner, account)
        until_us = None
        if new.seconds_valid is not None:
            until_us = self.service.now_us() + new.seconds_valid * SECOND
        info = ports.KeyInfo(
            key_ref,
            server_secret.key_hash(text),
            "valid",
            account,
            owner,
            new.label,
            until_us,
            None,
            None,
        )
        self.keys[key_ref] = text, info

    def change(self, key_ref: int, **changed: Any) -> None:
        text, info = self.keys[key_ref]
        self.keys[key_ref] = text, evolve(info, **changed)

    # Each step, made and noted.

    async def issue(self, new: ports.NewKey, name: str) -> None:
        ask = partial(self.commands.issue_key, new, by(name))
        issued, repeated = await self.asked(ask, name, ("issue", new), partial(self.decide, new))
        if issued is not None and repeated is None:
            assert new.key in (None, issued.key)
            self.note(issued.key, new)
            if name:
                self.requests[name] = ("issue", new), issued.key_ref

    async def rotate(self, key_ref: int, name: str) -> None:
        ask = partial(self.commands.rotate_key, key_ref, by(name))
        check = partial(self.in_force, key_ref)
        issued, repeated = await self.asked(ask, name, ("rotate", key_ref), check)
        if issued is not None and repeated is None:
            info = self.keys[key_ref][1]
            self.change(key_ref, state="revoked")
            new = evolve(info, key_ref=issued.key_ref, key_hash=server_secret.key_hash(issued.key))
            self.keys[issued.key_ref] = issued.key, new
            if name:
                self.requests[name] = ("rotate", key_ref), issued.key_ref

    async def asked(
        self,
        ask: Callable[[], Awaitable[ports.IssuedKey]],
        name: str,
        what: object,
        check: Callable[[], object],
    ) -> tuple[ports.IssuedKey | None, int | None]:
        """Makes a command that may be a repeat; returns its answer, or None if it must refuse."""
        repeated = None

        def expected() -> None:
            nonlocal repeated
            repeated = self.repeated(name, what) if name else None
            if repeated is None:
                check()

        issued = await self.same_error(ask, expected)
        if issued is not None and repeated is not None:
            text, info = self.keys[repeated]
            assert issued == ports.IssuedKey(text, info.valid_until_us, repeated)
        return issued, repeated

    async def same_error(
        self, ask: Callable[[], Awaitable[Any]], expected: Callable[[], object]
    ) -> Any:
        """Returns the command's answer, or None if it refused as expected and appended nothing."""
        before = self.service.state.seq
        try:
            expected()
        except ports.CommandError as error:
            with pytest.raises(type(error)):
                await ask()
            assert self.service.state.seq == before
            return None
        return await ask()

    async def bring_in(self, new: list[ports.NewKey], name: str) -> None:
        before, key_refs = self.imports.get(name, (None, []))

        def expected() -> None:
            if name in self.requests or before not in (None, new):
                raise ports.RepeatedRequestError
            for one in new if before is None else ():
                self.decide(one)
            if len({one.key for one in new}) < len(new):
                raise ports.DuplicateKeyError

        got = await self.same_error(partial(self.commands.import_keys, new, by(name)), expected)
        if got is not None and before is None:
            key_refs = [len(self.keys) + number for number in range(1, len(new) + 1)]
            for one in new:
                self.note(one.key or "", one)
            if name:
                self.imports[name] = new, key_refs
        assert got in (None, key_refs)

    async def revoke(self, key_ref: int) -> None:
        ask = partial(self.commands.revoke_key_ref, key_ref, by(""))
        if await self.same_error(self.done(ask), partial(self.in_force, key_ref)):
            self.change(key_ref, state="revoked")

    async def label(self, key_ref: int, label: str | None) -> None:
        ask = partial(self.commands.label_key, key_ref, label, by(""))
        if await self.same_error(self.done(ask), partial(self.in_force, key_ref)):
            self.change(key_ref, label=label)

    @staticmethod
    def done(ask: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[bool]]:
        async def ask_and_say_so() -> bool:
            await ask()
            return True

        return ask_and_say_so

    async def enlist(self, hashes: list[bytes]) -> None:
        new = [each for each in dict.fromkeys(hashes) if each not in self.whitelist]
        assert await self.commands.whitelist_add(hashes, by("")) == new
        self.whitelist.update(new)

    async def delist(self, info_hash: bytes) -> None:
        removed = await self.commands.whitelist_remove(info_hash, by(""))
        assert removed == (info_hash in self.whitelist)
        self.whitelist.discard(info_hash)

    def valid(self, one: ports.TokenInfo) -> bool:
        over = one.until_us is not None and one.until_us <= self.service.date_us()
        return one.revoked_us is None and not over

    async def token(self, label: str, seconds: int | None) -> None:
        def expected() -> None:
            same = any(one.label == label and self.valid(one) for _, one in self.tokens.values())
            if seconds == 10**15 or same or label == "shred":
                raise ports.InvalidTokenError

        now = self.service.date_us()
        ask = partial(self.commands.issue_token, ports.NewToken(label, "read", seconds), by(""))
        issued = await self.same_error(ask, expected)
        if issued is not None:
            until_us = None if seconds is None else now + seconds * SECOND
            assert issued.number == len(self.tokens) + 1
            info = ports.TokenInfo(issued.number, label, "read", "valid", now, until_us, None, None)
            self.tokens[issued.number] = issued.text, info

    async def revoke_token(self, number: int) -> None:
        def expected() -> None:
            if number not in self.tokens or self.tokens[number][1].revoked_us is not None:
                raise ports.UnknownTokenError

        ask = partial(self.commands.revoke_token, number, by(""))
        if await self.same_error(self.done(ask), expected):
            text, info = self.tokens[number]
            self.tokens[number] = text, evolve(info, revoked_us=self.service.date_us())

    async def use_token(self, number: int) -> None:
        """Uses a token twice on a date: the log has that once."""
        if number not in self.tokens:
            return
        text, info = self.tokens[number]
        before, now = self.service.state.seq, self.service.date_us()
        self.commands.use_token(number)
        self.commands.use_token(number)
        fresh = info.used_us is None or info.used_us // DAY_US < now // DAY_US
        assert self.service.state.seq == before + fresh
        self.tokens[number] = text, evolve(info, used_us=now if fresh else info.used_us)

    def check_tokens(self) -> None:
        model, noted = LiveReads(self.service).now(), []
        for text, info in self.tokens.values():
            state = "valid" if self.valid(info) else "expired"
            noted.append(evolve(info, state="revoked" if info.revoked_us else state))
            found = model.token_of_hash(sha256(text.encode()).digest())
            assert found == (noted[-1] if self.valid(info) else None)
        assert list(model.tokens()) == noted
        assert model.token_of_hash(bytes(32)) is None

    def check(self) -> None:
        """Checks that reads give the noted values."""
        self.check_tokens()
        model = LiveReads(self.service).now()
        now = self.service.now_us()
        told = {info.key_ref: info for info in model.keys(0)}
        noted = {}
        for text, info in self.keys.values():
            if self.latest(text) is info:
                over = info.valid_until_us is not None and info.valid_until_us < now
                state = "expired" if over and info.state == "valid" else info.state
                noted[info.key_ref] = evolve(info, state=state)
        assert told == noted
        for key_ref, (text, _) in self.keys.items():
            assert model.key(key_ref) == noted[self.latest(text).key_ref]
        assert list(model.whitelist(b"")) == sorted(self.whitelist)


def by(idempotency_key: str) -> ports.Actor:
    return ports.Actor("ops", "192.0.2.1", "r-1", idempotency_key=idempotency_key)


async def live(history: list[tuple[Any, ...]]) -> None:
    admin = Admin()
    do = {
        "issue": admin.issue,
        "import": admin.bring_in,
        "rotate": admin.rotate,
        "revoke": admin.revoke,
        "label": admin.label,
        "list": admin.enlist,
        "delist": admin.delist,
        "token": admin.token,
        "revoke token": admin.revoke_token,
        "use token": admin.use_token,
    }
    for name, *arguments in history:
        admin.time.advance(DAY_US // 2 if name == "use token" else 7 * SECOND)
        if name == "restart":
            admin.restart()
        else:
            await do[name](*arguments)
        admin.check()
    admin.restart()


@few_or_many(60, 400)
def test_commands(count: int) -> None:
    """Refusals append nothing, repetitions get the same key after restarts, and replay agrees."""
    try_examples(count, lives, history=st.lists(steps, max_size=20))


def lives(history: list[tuple[Any, ...]]) -> None:
    trio.run(live, history)
