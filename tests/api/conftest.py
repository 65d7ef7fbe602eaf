"""Provides a fake tracker, and the application over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from tests.api.fakes import FakeCommands, FakeGauges, FakeLog, FakeModel, FakePast

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TOKENS = {"admin": "MyAccessToken", "ops": "пароль ключ"}


@pytest.fixture
def live(commands: FakeCommands) -> FakeModel:
    return FakeModel(commands=commands)


@pytest.fixture
def past() -> FakePast:
    return FakePast()


@pytest.fixture
def commands() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def ports(live: FakeModel, past: FakePast, log: FakeLog, commands: FakeCommands) -> Ports:
    return Ports(
        live=live, past=past, events=log, ledgers=log, gauges=FakeGauges(), commands=commands
    )


@pytest.fixture
def app(ports: Ports) -> QuartTrio:
    return create_app(ports, Tokens(TOKENS))
