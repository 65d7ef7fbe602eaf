"""`tracker verify`: checks that the log is whole and that replay accepts all of it.

Reads beside a running tracker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventlog import LogError
from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, failing_if_interrupted
from tracker.cli.options import log_and_secrets
from tracker.cli.output import LOG_DAMAGED, count, progress, say, say_json
from tracker.history.state_summary import digest
from tracker.offline.verify import Verification
from tracker.store.address_keys import Keyring
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from eventlog import Finding


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check every segment, frame and record of the log, and that replay accepts them all. Every "
        "finding names file, byte and event. Exit code 0: nothing is wrong; 3: something is; 4: nothing is that can be "
        "seen without the secrets."
    )
    add_log_and_json(parser, "one JSON object a finding or note, the summary last")
    parser.set_defaults(run=verify)


def verify(options: argparse.Namespace) -> int:
    folder, secrets = log_and_secrets(options)
    keys = Keyring(secrets) if secrets else None
    verification = Verification(folder, keys)
    verification.noted_in = secrets
    findings = 0
    with failing_if_interrupted(), progress("Checking the log") as report:
        for one in verification.findings(report):
            findings += one.damage
            if options.json:
                say_json(_json(folder, one))
            else:
                say(_text(folder, one))
    known = _known(folder, keys)
    summary = _summary(verification, findings, known)
    if options.json:
        say_json(summary)
    else:
        say(_sentence(summary))
    ended = trust.end(known)
    return LOG_DAMAGED if findings else ended


def _known(folder: Path, keys: Keyring | None) -> str:
    """Says what is known of the tags; where a header cannot be read, they could not be checked."""
    try:
        return trust.of(folder, keys)
    except (LogError, OSError):
        return trust.NOT_CHECKED


def _place(folder: Path, one: Finding) -> str:
    inside = one.path.is_relative_to(folder)
    return str(one.path.relative_to(folder) if inside else one.path)


def _text(folder: Path, one: Finding) -> str:
    mark = "DAMAGE" if one.damage else "note"
    where = f"{_place(folder, one)}, byte {one.offset}, event {one.seq}"
    return f"{mark}: {where}: {one.what}\n    {one.advice}"


def _json(folder: Path, one: Finding) -> dict[str, Any]:
    return {
        "type": "damage" if one.damage else "note",
        "file": _place(folder, one),
        "offset": one.offset,
        "seq": one.seq,
        "what": one.what,
        "advice": one.advice,
    }


def _summary(verification: Verification, findings: int, known: str) -> dict[str, Any]:
    log, state = verification.log, verification.state
    told = log.history_digest()
    return {
        "type": "summary",
        "findings": findings,
        "segments": log.segments,
        "sealed": log.sealed,
        "first_seq": log.first_seq,
        "frames": log.frames,
        "bytes": log.bytes,
        "snapshots": verification.snapshots,
        "next_seq": log.next_seq,
        "durable_seq": log.durable_seq,
        "replayed_seq": state.seq,
        "time": rfc3339(state.dates.of(state.time_us)) if state.seq else None,
        "digest": digest(state) if verification.replayed else None,
        "history": told[0].hex() if told else None,
        "history_seq": told[1] if told else None,
        "trust": known,
    }


def _sentence(summary: dict[str, Any]) -> str:
    findings = summary["findings"]
    seen = {
        trust.CHECKED: "whole",
        trust.NO_TAGS: f"whole, with {trust.NO_TAGS}",
        trust.NOT_CHECKED: f"without damage that can be seen ({trust.NOT_CHECKED})",
    }[summary["trust"]]
    verdict = f"damaged: {count(findings, 'finding')}" if findings else seen
    walked = f"{count(summary['segments'], 'segment')}, {count(summary['frames'], 'frame')}, "
    walked += f"{count(summary['snapshots'], 'snapshot')}, {count(summary['sealed'], 'seal')}"
    if summary["first_seq"]:
        walked += f", from event {summary['first_seq']} on"
    return (
        f"The log is {verdict}. {walked}, {summary['bytes']} bytes; next event {summary['next_seq']}, "
        f"durable to {summary['durable_seq']}, replayed to {summary['replayed_seq']}; "
        f"digest {summary['digest'] or 'none'}; history digest {_history(summary)}"
    )


def _history(summary: dict[str, Any]) -> str:
    return (
        f"{summary['history']} before event {summary['history_seq']}"
        if summary["history"]
        else "none"
    )
