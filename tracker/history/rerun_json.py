"""Tells re-runs of a part of the log as JSON values, equal for the command line and the API."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import asdict, define, field

from tracker.history import event_json
from tracker.history.deciding import ALIKE
from tracker.history.rerun import MOST_DIFFERENCES
from tracker.history.what_if import BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker.history.rerun import Outcome, Rerun
    from tracker.history.what_if import Gain, Served, WhatIf

DIFFERS, UNDECIDED = "differs", "not decided"
OF_REQUEST = ("info_hash", "key_ref", "event", "uploaded", "downloaded", "left", "rule", "reason", "slice")  # fmt: skip


@define
class Check:
    """Counts the outcomes of a re-run, and tells them."""

    rerun: Rerun
    first: int = field(init=False)
    found: Counter[str] = field(init=False, factory=Counter)  # by verdict
    not_decided: Counter[str] = field(init=False, factory=Counter)  # by reason

    def __attrs_post_init__(self) -> None:
        self.first = self.rerun.seq

    def outcomes(self) -> Iterator[tuple[Outcome, str]]:
        """Yields each outcome with its verdict. Raises what reading and applying raise."""
        for outcome in self.rerun.outcomes():
            verdict = DIFFERS if outcome.differences else UNDECIDED if outcome.undecided else ALIKE
            self.found[verdict] += 1
            if outcome.undecided:
                self.not_decided[outcome.undecided] += 1
            yield outcome, verdict

    def summary(self) -> dict[str, Any]:
        return {
            "first": self.first, "last": self.rerun.end - 1, "as_recorded": self.found[ALIKE],
            "differing": self.found[DIFFERS], "not_decided": dict(self.not_decided),
            "brought_about": self.rerun.brought_about, "inputs": self.rerun.inputs,
            "whole": self.found[DIFFERS] < MOST_DIFFERENCES,
        }  # fmt: skip


def outcome_json(outcome: Outcome, verdict: str) -> dict[str, Any]:
    """Tells an outcome, without addresses."""
    (event,) = event_json.narrate(outcome.frame)
    return {
        **{name: event[name] for name in ("seq", "time", "type")},
        **{name: event[name] for name in OF_REQUEST if event.get(name) is not None},
        "outcome": verdict,
        "why": outcome.undecided or None,
        "differences": [asdict(each) for each in outcome.differences],
    }


def what_if_json(run: WhatIf) -> dict[str, Any]:
    """Tells a replay by other settings, which is complete."""
    total, most = run.gains()
    owners = {account: owner for owner, account in run.recorded.access.owners.items()}
    return {
        "first": run.seq,
        "last": run.end - 1,
        "settings": {
            "recorded": run.changes.shown_in(run.recorded.settings),
            "now": run.changes.shown_in(run.other.settings),
        },
        "announces": run.announces,
        "refused": dict(run.refused.most_common()),
        "recorded": _load(run.then),
        "now": _load(run.now),
        "credit": {"recorded": _named(run.credited), "change": _of_gain(total)},
        "accounts": [
            {"account": each.account, "owner": owners.get(each.account), **_of_gain(each)}
            for each in most
        ],
        "not_recorded": dict(run.not_recorded.most_common()),
        "left_out": run.left_out,
    }


def _load(served: Served) -> dict[str, int]:
    return {
        name: round(value) if isinstance(value, float) else value
        for name, value in asdict(served).items()
    }


def _named(sums: Mapping[str, int]) -> dict[str, Any]:
    seconds = sums["seeding_us"] / 1_000_000
    return {name: sums[name] for name in BYTES} | {"seeding_seconds": seconds}


def _of_gain(gain: Gain) -> dict[str, Any]:
    return _named(gain._asdict())
