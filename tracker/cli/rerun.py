"""`tracker replay --check`: decides a part of the log again, and prints what is not as recorded."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import asdict

from tracker.cli import trust
from tracker.cli.moment_options import failing_if_interrupted, replayed
from tracker.cli.output import CANNOT, CannotError, count, note, say, say_json
from tracker.cli.time_options import part_of
from tracker.history import event_json
from tracker.history.deciding import ALIKE
from tracker.offline.rerun import MOST_DIFFERENCES, Rerun
from tracker.ports import Moment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tracker.offline.rerun import Outcome
    from tracker.store.moments import ForwardReplay

_REPORT_EVERY = 1000  # decisions
DIFFERS, UNDECIDED = "differs", "not decided"
_OF_REQUEST = ("info_hash", "key_ref", "event", "uploaded", "downloaded", "left", "rule", "reason", "slice")  # fmt: skip


def bounds(log: ForwardReplay, options: argparse.Namespace) -> tuple[int, int]:
    """Returns the first event of the part, and the event after its last.

    Raises `NoMomentError`, also for a number that the log does not hold, and `CannotError` if there
    is no event between.
    """
    for moment in (options.first, options.last):
        log.resolve(moment)
    first, end = log.bounds(part_of(options))
    if options.first == Moment():  # now
        first = log.resolve(Moment())
    if first >= end:
        raise CannotError("no event is from A to B: A has to come first")
    return first, end


def whole_or_none(work: Callable[[], None]) -> Callable[[], None]:
    """Makes an interrupt an error, because a comparison that was cut short found nothing to rely
    on. For `trust.listed`, which takes a list that was cut short for a list.
    """

    def checked() -> None:
        with failing_if_interrupted():
            work()

    return checked


def print_check(options: argparse.Namespace) -> int:
    with replayed(options) as log:
        first, end = bounds(log, options)
        rerun, found = Rerun(log, first, end), Counter[str]()
        print_all = whole_or_none(partial(_print, log, rerun, found, options))
        code = trust.listed(print_all, log.folder, log.keys, as_json=options.json)
    return CANNOT if found[DIFFERS] else code


def _print(log: ForwardReplay, rerun: Rerun, found: Counter[str], options: argparse.Namespace) -> None:  # fmt: skip
    first, undecided = rerun.seq, Counter[str]()
    whole = rerun.end - first
    for number, outcome in enumerate(rerun.outcomes()):
        verdict = DIFFERS if outcome.differences else UNDECIDED if outcome.undecided else ALIKE
        found[verdict] += 1
        if outcome.undecided:
            undecided[outcome.undecided] += 1
        if not options.trace and number % _REPORT_EVERY == 0:
            log.report(min(outcome.frame.header.base_seq - first, whole - 1), whole)
        if options.trace or outcome.differences:
            log.report(whole, whole)  # so that the bar is not in the way
            shown = _shown(outcome, verdict)
            if options.json:
                say_json(shown)
            else:
                say(_line(shown))
    log.report(whole, whole)
    summary = {
        "type": "summary", "first": first, "last": rerun.end - 1, "as_recorded": found[ALIKE],
        "differing": found[DIFFERS], "not_decided": dict(undecided), "brought_about": rerun.brought_about,
        "inputs": rerun.inputs, "whole": found[DIFFERS] < MOST_DIFFERENCES,
    }  # fmt: skip
    if options.json:
        say_json(summary)
        return
    say(
        f"events {first} to {rerun.end - 1}: {count(found.total(), 'decision')}, {found[ALIKE]} as recorded, "
        f"{found[DIFFERS]} different, {found[UNDECIDED]} not decided; besides {count(rerun.brought_about, 'event')} "
        f"that announces brought about, and {rerun.inputs} taken as input"
    )
    for why, number in undecided.items():
        note(f"{count(number, 'event')} not decided, because {why}")
    if found[DIFFERS] >= MOST_DIFFERENCES:
        note(f"The check ended after {MOST_DIFFERENCES} differences")


def _shown(outcome: Outcome, verdict: str) -> dict[str, Any]:
    (event,) = event_json.narrate(outcome.frame)
    return {
        **{name: event[name] for name in ("seq", "time", "type")},
        **{name: event[name] for name in _OF_REQUEST if event.get(name) is not None},
        "outcome": verdict,
        "why": outcome.undecided or None,
        "differences": [asdict(each) for each in outcome.differences],
    }


def _line(shown: dict[str, Any]) -> str:
    request = (f"{name} {shown[name]}" for name in _OF_REQUEST if name in shown)
    said = [f"{each['what']}: recorded {each['recorded']}, now {each['now']}" for each in shown["differences"]]  # fmt: skip
    why = f" ({shown['why']})" if shown["why"] else ""
    head = "  ".join([str(shown["seq"]), shown["time"], shown["type"], *request])
    return f"{head}  {shown['outcome']}{why}{': ' + '; '.join(said) if said else ''}"
