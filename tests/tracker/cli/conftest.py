"""A server and a configuration that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tracker.cli.api_server import Api, serving, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api()) as one:
        yield one


@pytest.fixture
def config(api: Api, tmp_path: Path) -> str:
    """A configuration that binds to every address, so the client must use loopback."""
    return str(write_config(tmp_path, f"0.0.0.0:{api.port}"))
