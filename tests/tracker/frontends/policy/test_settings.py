"""The log holds the rules as settings."""

from __future__ import annotations

from tests.support import HandTime, MemoryLog, Rig, append_json, replayed
from tracker.domain.events.admin import SettingsChanged
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings


def test_policy_comes_back_from_the_log() -> None:
    """The log holds the rules with their lists. A log from before the rules has none."""
    policy = Policy(clients_denied=("-XX", "-YY"), refused_ports=("25", "1-3"), max_peers=5)
    rig = Rig.with_settings(policy=policy)
    assert replayed(rig.log.frames()).settings.policy == policy
    old = Settings().as_data()
    del old["policy"]
    assert Settings.from_data(old) == Settings()
    assert Settings.from_data({"policy": {"max_peers": 3, "from later": 1}}).policy.max_peers == 3


def test_old_logs_need_no_new_settings() -> None:
    """A start without rules over a log from before the rules appends no settings."""
    log, time = MemoryLog(), HandTime()
    rig = Rig(log, time)
    data = Settings().as_data()
    del data["policy"]
    append_json(rig.service, SettingsChanged.number, {"settings": data})
    seq = rig.state.seq
    rig.service.change_settings(Settings())
    assert rig.state.seq == seq
