"""`tracker replay --against`: sends recorded announces to a test instance, and prints what it
answers otherwise.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio
from attrs import asdict

from tracker.cli import trust
from tracker.cli.moment_options import replayed
from tracker.cli.output import CANNOT, CannotError, count, note, say, say_json
from tracker.cli.rerun import bounds, whole_or_none
from tracker.frontends.addresses import is_local
from tracker.offline.against import Against
from tracker.offline.asking import NoAnswerError, asking
from tracker.store.session import first_failure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from tracker.history.deciding import Difference
    from tracker.offline.asking import Asking


def print_against(options: argparse.Namespace) -> int:
    to = _instance(options)
    keys = _keys(options.keys) if options.keys else {}
    with replayed(options) as log:
        first, end = bounds(log, options)
        whole = end - first
        run = Against(
            log, first, end, to, keys, options.speed or 1.0,
            partial(_print, stop=lambda: log.report(whole, whole), as_json=options.json),
            lambda done: log.report(min(done, whole), whole),
        )  # fmt: skip
        print_all = whole_or_none(partial(_run, run, first, as_json=options.json))
        code = trust.listed(print_all, log.folder, log.keys, as_json=options.json)
    return CANNOT if run.different else code


def _instance(options: argparse.Namespace) -> Asking:
    """Returns the instance to ask. Raises `CannotError` for one that might be in use."""
    try:
        to = asking(options.against)
    except ValueError as error:
        raise CannotError(str(error)) from None
    if not (options.yes or is_local(ip_address(to.host).packed)):
        raise CannotError(
            f"{to.host} is neither this machine nor in a private network: announces there would list members' addresses "
            "in its swarms. Give --yes if it is a test instance"
        )
    return to


def _keys(path: Path) -> dict[bytes, bytes]:
    """Reads keys, one a line. Raises `CannotError`."""
    try:
        return {sha256(key).digest(): key for key in path.read_bytes().split()}
    except OSError as error:
        raise CannotError(f"cannot read {path}: {error.strerror or error}") from None


def _run(run: Against, first: int, *, as_json: bool) -> None:
    try:
        with first_failure(Exception, KeyboardInterrupt):
            trio.run(run.run)
    except NoAnswerError as error:
        raise CannotError(str(error)) from None
    if as_json:
        summary = {
            "type": "summary", "first": first, "last": run.end - 1, "sent": run.sent,
            "differing": run.different, "not_sent": dict(run.not_sent),
        }  # fmt: skip
        say_json(summary)
        return
    say(
        f"events {first} to {run.end - 1}: {count(run.sent, 'announce')} sent, {run.sent - run.different} answered as then, "
        f"{run.different} otherwise, {run.not_sent.total()} not sent"
    )
    for why, number in run.not_sent.items():
        note(f"{count(number, 'announce')} not sent, because {why}")


def _print(seq: int, found: list[Difference], *, stop: Callable[[], None], as_json: bool) -> None:

    stop()  # the progress bar, so that it is not in the way
    if as_json:
        say_json({"seq": seq, "differences": [asdict(each) for each in found]})
        return
    said = "; ".join(f"{each.what}: recorded {each.recorded}, now {each.now}" for each in found)
    say(f"{seq}  {said}")
