"""Gives tests a running tracker, and a factory for trackers with another configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import ask
from tests.e2e.process import Listeners, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def new_tracker(tmp_path: Path) -> Iterator[Callable[..., Tracker]]:
    """`new_tracker(listeners=None, extra="")` returns a tracker in its own folder, not started."""
    made: list[Tracker] = []

    def make(listeners: Listeners | None = None, extra: str = "") -> Tracker:
        made.append(Tracker(tmp_path / f"tracker{len(made)}", listeners, extra))
        return made[-1]

    yield make
    for tracker in made:
        tracker.close()


@pytest.fixture
def tracker(new_tracker: Callable[..., Tracker]) -> Tracker:
    """A running public tracker with one listener of each kind."""
    return new_tracker().start()


@pytest.fixture(scope="module")
def private_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Tracker]]:
    """`private_site({key: owner, ...})` starts a private tracker for all tests of a module, with a
    key of each text for its owner.
    """
    tracker = Tracker(tmp_path_factory.mktemp("site"))
    tracker.switch_on("private")

    def start(owners: dict[str, str]) -> Tracker:
        tracker.start()
        for key, owner in owners.items():
            form = {"key": key, "owner": owner, "label": f"member {key[-1]}"}
            assert ask(tracker, "POST", "/api/v2/keys", form).status == 201
        return tracker

    try:
        yield start
    finally:
        tracker.close()


@pytest.fixture(scope="module")
def shared_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A public tracker for all tests of a module. Each test uses a torrent of its own."""
    # Bans are off, because tests send more wrong connection ids than an address may.
    extra = "[policy]\nmax_connection_id_errors = 0"
    tracker = Tracker(tmp_path_factory.mktemp("tracker"), extra=extra)
    try:
        yield tracker.start()
    finally:
        tracker.close()
