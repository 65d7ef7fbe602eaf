"""Settings that staff changes decide from their event on; what cannot be is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Announce, MemoryLog, Rig, endpoint4, hash_of, replayed
from tracker import ports
from tracker.domain import origins, refusals
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.service.commands import ServiceCommands

BY = ports.Actor("anna", "192.0.2.1", "r1", "as voted")


def commands(rig: Rig) -> ServiceCommands:
    return ServiceCommands(rig.service, rig.log, b"s" * 32)


async def test_an_announce_after_the_event() -> None:
    """It is decided by the new settings; the event has author and reason."""
    rig = Rig.with_settings()
    first, second = (Announce(hash_of(1), endpoint4(number)) for number in (1, 2))
    assert rig.announce(first)[0] > 0
    made = await commands(rig).change_settings({"policy.max_peers_per_torrent": 1}, BY)
    assert made.differences == (ports.SettingDifference("policy.max_peers_per_torrent", 0, 1),)
    assert rig.announce(second) == [refusals.SWARM_FULL]
    event = next(one for one in rig.events() if one["seq"] == made.seq)
    assert (event["by"]["token"], event["by"]["reason"]) == ("anna", "as voted")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "no setting is given"),
        ({"core.private": False}, "core.private cannot change while the tracker runs"),
        ({"policy.max_peer": 1}, "policy.max_peer is no key that can be set here. These work: "),
        ({"core.announce_policy.interval": 0}, "must be a whole number of seconds"),
        ({"policy.clients_denied": "-XX"}, "policy.clients_denied"),
        ({"policy.remember_days": 8}, "at most event_log.shred_days, which is 7"),
        ({"event_log.keep_days": 3}, "no key that can be set here"),
    ],
)
async def test_refusals(values: dict[str, Any], text: str) -> None:
    """The text says what was wrong, and nothing is appended."""
    rig = Rig.with_settings()
    rig.service.shred_days = 7
    before = rig.state.seq
    for dry_run in (False, True):
        with pytest.raises(ports.InvalidSettingError, match=text.replace(".", r"\.")):
            await commands(rig).change_settings(values, BY, dry_run=dry_run)
    assert rig.state.seq == before


async def test_a_reason_is_needed() -> None:
    """But not for a preview."""
    rig, nameless = Rig.with_settings(), ports.Actor("anna", "", "")
    with pytest.raises(ports.InvalidSettingError, match="reason"):
        await commands(rig).change_settings({"policy.max_peers": 1}, nameless)
    made = await commands(rig).change_settings({"policy.max_peers": 1}, nameless, dry_run=True)
    assert made.seq is None


async def test_many_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, but not those of which a value is in force; a replay agrees."""
    monkeypatch.setattr(origins, "MOST_CHANGES", 3)
    rig = Rig.with_settings()
    for number in range(1, 6):
        await commands(rig).change_settings({"policy.max_peers": number}, BY)
    assert [one.values for one in rig.state.origins.changes[1:]] == [
        {"policy.max_peers": 4}, {"policy.max_peers": 5},
    ]  # fmt: skip
    assert len(rig.state.origins.in_force()) == len(origins.named(rig.state.settings))
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_a_log_without_changes_by_staff_has_its_former_digest() -> None:
    """Whatever the files said."""
    rig = Rig(MemoryLog())
    for settings in (Settings(), Settings(interval=7), Settings(policy=Policy(max_peers=3))):
        rig.service.start_with(settings)
    assert rig.state.origins.digested(rig.state.settings) == []
    assert len(rig.state.origins.changes) == 3
