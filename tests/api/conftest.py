"""Fixtures: a fake tracker, and the application over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.auth import Tokens
from api.ports import Ports
from tests.api.fakes import FakeCommands, FakeGauges, FakeHistory, FakeJournal

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TOKENS = {"admin": "MyAccessToken", "ops": "пароль ключ"}


@pytest.fixture
def history(commands: FakeCommands) -> FakeHistory:
    return FakeHistory(commands=commands)


@pytest.fixture
def commands() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def app(history: FakeHistory, commands: FakeCommands, journal: FakeJournal) -> QuartTrio:
    return create_app(Ports(history, commands, journal, FakeGauges()), Tokens(TOKENS))
