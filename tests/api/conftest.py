"""Fixtures: a fake tracker, and the application over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from tests.api.fakes import FakeCommands, FakeGauges, FakeLog, FakeModel

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TOKENS = {"admin": "MyAccessToken", "ops": "пароль ключ"}


@pytest.fixture
def live(commands: FakeCommands) -> FakeModel:
    return FakeModel(commands=commands)


@pytest.fixture
def commands() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def app(live: FakeModel, commands: FakeCommands, log: FakeLog) -> QuartTrio:
    return create_app(Ports(live, commands, log, log, FakeGauges()), Tokens(TOKENS))
