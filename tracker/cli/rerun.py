"""`tracker replay --check`: decides a part of the log again, and prints what is not as recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import failing_if_interrupted, replayed
from tracker.cli.output import CANNOT, CannotError, count, note, say, say_json
from tracker.history import rerun
from tracker.history.rerun import MOST_DIFFERENCES, Rerun
from tracker.history.rerun_json import DIFFERS, OF_REQUEST, UNDECIDED, Check, outcome_json
from tracker.ports import InvalidPartError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tracker.store.moments import ForwardReplay

_REPORT_EVERY = 1000  # decisions


def bounds(log: ForwardReplay, options: argparse.Namespace) -> tuple[int, int]:
    """Returns the first event of the part from A to B, and the event after its last.

    Raises `NoMomentError`, and `CannotError` if there is no event between.
    """
    try:
        return rerun.bounds(log, options.first, options.last)
    except InvalidPartError:
        raise CannotError("no event is from A to B: A has to come first") from None


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
        check = Check(Rerun(log, *bounds(log, options)))
        print_all = whole_or_none(partial(_print, log, check, options))
        code = trust.listed(print_all, log.folder, log.keys, as_json=options.json)
    return CANNOT if check.found[DIFFERS] else code


def _print(log: ForwardReplay, check: Check, options: argparse.Namespace) -> None:
    whole = check.rerun.end - check.first
    for number, (outcome, verdict) in enumerate(check.outcomes()):
        if not options.trace and number % _REPORT_EVERY == 0:
            log.report(min(outcome.frame.header.base_seq - check.first, whole - 1), whole)
        if options.trace or outcome.differences:
            log.report(whole, whole)  # so that the bar is not in the way
            shown = outcome_json(outcome, verdict)
            if options.json:
                say_json(shown)
            else:
                say(_line(shown))
    log.report(whole, whole)
    summary = check.summary()
    if options.json:
        say_json({"type": "summary", **summary})
        return
    say(
        f"events {check.first} to {summary['last']}: {count(check.found.total(), 'decision')}, "
        f"{summary['as_recorded']} as recorded, {summary['differing']} different, "
        f"{check.found[UNDECIDED]} not decided; besides {count(summary['brought_about'], 'event')} "
        f"that announces brought about, and {summary['inputs']} taken as input"
    )
    for why, number in check.not_decided.items():
        note(f"{count(number, 'event')} not decided, because {why}")
    if not summary["whole"]:
        note(f"The check ended after {MOST_DIFFERENCES} differences")


def _line(shown: dict[str, Any]) -> str:
    request = (f"{name} {shown[name]}" for name in OF_REQUEST if name in shown)
    said = [f"{each['what']}: recorded {each['recorded']}, now {each['now']}" for each in shown["differences"]]  # fmt: skip
    why = f" ({shown['why']})" if shown["why"] else ""
    head = "  ".join([str(shown["seq"]), shown["time"], shown["type"], *request])
    return f"{head}  {shown['outcome']}{why}{': ' + '; '.join(said) if said else ''}"
