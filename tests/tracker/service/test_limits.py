"""The command that gives accounts limits of their own: what it appends, and what it refuses."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support import Announce, Rig, endpoint4, hash_of, key_text
from tracker import ports
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads

BY = ports.Actor("ops", "192.0.2.1", "r-1", "as told")


async def test_what_is_in_force() -> None:
    """The newest limits of an account's own count whole; without any it is not listed."""
    rig = Rig.with_settings(private=True)
    rig.issue(0, "anna")
    rig.announce(Announce(hash_of(1), endpoint4(1), left=5, key=key_text(0)))
    rig.announce(Announce(hash_of(2), endpoint4(1), left=0, key=key_text(0)))
    commands = ServiceCommands(rig.service, rig.log, b"s" * 32)
    now = rig.service.date_us()
    await commands.limit(1, ports.OwnLimits(slots=7), BY)
    seq = await commands.limit(1, ports.OwnLimits(locations=3), BY)
    model = LiveReads(rig.service).now()
    expected = ports.LimitsOfAccount(
        1, "anna", 0, 1, 3, *[0] * 6, ports.OwnLimits(None, 3), seq, now, "ops", "as told"
    )
    assert model.limits_of(1) == expected
    assert list(model.own_limits(0)) == [expected]
    assert not list(model.own_limits(1))
    assert model.limits_of(2) is None
    await commands.limit(1, ports.OwnLimits(), BY)
    assert not list(model.own_limits(0))
    assert model.limits_of(1) == ports.LimitsOfAccount(
        1, "anna", 0, 1, 0, *[0] * 6, ports.OwnLimits()
    )


async def test_refusals() -> None:
    rig = Rig.with_settings(private=True)
    rig.issue(0, "anna")
    commands, own = ServiceCommands(rig.service, rig.log, b"s" * 32), ports.OwnLimits(slots=1)
    with pytest.raises(ports.UnknownAccountError):
        await commands.limit(2, own, BY)
    with pytest.raises(ports.InvalidSanctionError, match="reason"):
        await commands.limit(1, own, evolve(BY, reason=""))
    for each in (
        ports.OwnLimits(slots=1_000_001),
        ports.OwnLimits(locations=-1),
        ports.OwnLimits(started_per_day=-1),
    ):
        with pytest.raises(ports.InvalidSanctionError, match="1,000,000"):
            await commands.limit(1, each, BY)
