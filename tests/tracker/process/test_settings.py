"""The settings that the log keeps follow from the configuration."""

from __future__ import annotations

import pytest

from tests.support import Rig, append_json, replayed
from tracker.config.schema import Config, Core, EventLog, Logging, Metadata
from tracker.config.schema import Policy as ConfiguredPolicy
from tracker.domain import choice, image
from tracker.domain.events.admin import SettingsChanged
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.process.settings import settings_of


@pytest.mark.parametrize(
    ("remember_days", "shred_days", "days"),
    [(7, 7, 7), (7, 1, 1), (2, 7, 2), (7, 0, 7), (0, 7, 0), (0, 0, 0)],
)
def test_bases_do_not_outlive_the_keys(remember_days: int, shred_days: int, days: int) -> None:
    """The shorter of the two counts; a `shred_days` of 0, never, does not."""
    config = Config(
        Metadata("2.0.0"),
        Logging("info"),
        Core(listed=False, private=True),
        policy=ConfiguredPolicy(remember_days=remember_days),
        event_log=EventLog(shred_days=shred_days),
    )
    assert settings_of(config).policy.remember_days == days


LATER = {
    "history_days": 3,
    "contact": "https://example.org",
    "leave_out_own_clients": True,
    "leeching_slots": 5,
    "started_per_day": 9,
    "handed_per_hour": 500,
    "handed_per_day": 5000,
}


def test_all_later_keys() -> None:
    """The test below has every key that is in no event where it has its default."""
    assert set(LATER) == Policy().left_out()


@pytest.mark.parametrize(("name", "value"), LATER.items(), ids=LATER)
def test_a_later_key(name: str, value: object) -> None:
    """With its default it is in no event, image and digest, so those of older logs stay. With
    another value it is in all of them."""
    digests = set()
    for policy in (Policy(), Policy(**{name: value}), Policy(resumed_rate=1, **{name: value})):
        rig = Rig.with_settings(policy=policy)
        data = rig.state.settings.as_data()
        assert (name in data["policy"]) == (policy != Policy())
        assert (name in str(policy.added())) == (policy != Policy() and name != "history_days")
        assert Settings.from_data(data) == rig.state.settings
        state = replayed(rig.log.frames())
        assert state.settings == rig.state.settings
        assert state.digest() == rig.state.digest()
        assert image.load(*image.dump(state)).digest() == rig.state.digest()
        digests.add(state.digest())
    assert len(digests) == 3


def test_a_start_over_an_older_log_names_the_rule_of_choice() -> None:
    """Older settings name no rule of the choice of peers, which means rule 1, and their digest
    stays. The first start of this version logs its own rule, once."""
    config = Config(Metadata("2.0.0"), Logging("info"), Core(listed=False, private=False))
    rig = Rig()
    data = settings_of(config).as_data()
    assert data.pop("choice") == choice.RULE
    append_json(rig.service, SettingsChanged.number, {"settings": data})
    assert rig.state.settings.choice == 1
    assert rig.state.settings.as_data() == data
    for _ in range(2):
        rig.service.change_settings(settings_of(config))
    state = replayed(rig.log.frames())
    assert (state.seq, state.settings.choice) == (2, choice.RULE)
    assert state.digest() == rig.state.digest()
    assert Settings.from_data(state.settings.as_data()) == state.settings
