"""Provides a fake tracker, and the application over it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from attrs import fields

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from tests.api.fakes import (
    FakeChanges,
    FakeCommands,
    FakeConsumers,
    FakeGauges,
    FakeLog,
    FakeModel,
    FakePast,
    FakeReruns,
    FakeWebhooks,
)

if TYPE_CHECKING:
    from quart_trio import QuartTrio

ANNOUNCE_URL = "http://127.0.0.1:7070/announce"
TOKENS = {"admin": "MyAccessToken", "ops": "пароль ключ", "moderator": "moderator"}


@pytest.fixture
def live(commands: FakeCommands) -> FakeModel:
    return FakeModel(commands=commands)


@pytest.fixture
def past() -> FakePast:
    return FakePast()


@pytest.fixture
def reruns() -> FakeReruns:
    return FakeReruns()


@pytest.fixture
def commands() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def ports(
    live: FakeModel, past: FakePast, log: FakeLog, commands: FakeCommands, reruns: FakeReruns
) -> Ports:
    return Ports(
        announce_urls=(ANNOUNCE_URL,),
        live=live,
        past=past,
        reruns=reruns,
        events=log,
        ledgers=log,
        gauges=FakeGauges(),
        commands=commands,
        webhooks=FakeWebhooks(),
        changes=FakeChanges(),
        consumers=FakeConsumers(),
    )


class Stand:
    """Leads to a fake of the running test."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_running[0], self._name), name)


_running: list[Ports] = []


@cache
def shared_app() -> QuartTrio:
    """Makes the application of all tests, because making one takes as long as twenty requests."""
    stands: dict[str, Any] = {one.name: Stand(one.name) for one in fields(Ports)}
    stands["announce_urls"] = (ANNOUNCE_URL,)
    ports = Ports(**stands)
    tokens = Tokens(
        TOKENS, addresses={"moderator": False}, issued=lambda found: ports.live.token_of_hash(found)
    )
    return create_app(ports, tokens)


def running(ports: Ports) -> QuartTrio:
    """Returns the application over these fakes."""
    _running[:] = [ports]
    return shared_app()


@pytest.fixture
def app(ports: Ports) -> QuartTrio:
    return running(ports)
