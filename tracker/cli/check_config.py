"""`tracker check-config`: checks the configuration, prints it, and estimates the log's size.

On success the output is TOML: the effective configuration, and the rest in comments. Starts
nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventlog import LogError, check_folder
from tracker.cli import toml
from tracker.cli.options import add_config
from tracker.cli.output import CANNOT, fail, note, progress, say
from tracker.config import ConfigError, effective, load
from tracker.domain.events.codec import CodecError
from tracker.domain.events.errors import ReplayError
from tracker.frontends.tls import Certificate, TlsError
from tracker.ports import NoMomentError
from tracker.store.moments import ForwardReplay, span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tracker.config import Config, EventLog


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Name every problem of the configuration; or print it as it is in force (secrets "
        "masked), with warnings and the estimated size of the log, as TOML."
    )
    add_config(parser)
    parser.set_defaults(run=check)


def check(options: argparse.Namespace) -> int:
    try:
        loaded = load(options.config)
    except ConfigError as error:
        for warning in error.warnings:
            note(f"warning: {warning}")
        return fail(CANNOT, str(error))
    from tracker.frontends import listeners  # imports trio and the servers

    heard = list(listeners.check(loaded.config))
    problems = [*_bad_certificates(loaded.config), *_bad_folders(loaded.config.event_log)]
    problems += [text for sure, text in heard if sure]
    if problems:
        return fail(CANNOT, "\n".join(problems))
    _comment(loaded.source)
    for text in (text for sure, text in heard if not sure):
        _comment(f"note: {text} (now, and for this user)")
    for warning in loaded.warnings:
        _comment(f"warning: {warning}")
    for line in toml.lines(effective(loaded.config)):
        say(line)
    say("")
    for line in _sizes(loaded.config):
        _comment(line)
    for line in _unlike_log(loaded.config):
        _comment(line)
    return 0


def _unlike_log(config: Config) -> Iterator[str]:
    """Describes the settings that the log has in force and the file has not."""
    folder = Path(config.event_log.path)
    try:
        if not folder.is_dir() or span(folder) is None:
            return
        with progress("Replaying the log") as report:
            state = ForwardReplay(folder, report).at(None)
    except (LogError, CodecError, ReplayError, NoMomentError, OSError, MemoryError) as error:
        yield f"note: the log could not be read for the settings in force: {error}"
        return
    from tracker.process.settings import settings_of, unlike_file

    found = list(unlike_file(state, settings_of(config)))
    if found:
        yield ""
        yield "Settings in force that differ from this file (`tracker settings` shows and changes them):"
    yield from found


def _bad_certificates(config: Config) -> Iterator[str]:
    """Describes the pairs of certificate and key that a start would refuse."""
    listeners = {f"http_trackers[{i}]": one.tls for i, one in enumerate(config.http_trackers)}
    listeners["http_api"] = config.http_api.tls if config.http_api else None
    listeners["console"] = config.console.tls if config.console else None
    for place, files in listeners.items():
        try:
            if files:
                Certificate(files.ssl_cert_path, files.ssl_key_path)
        except TlsError as error:
            yield f"{place}: no TLS with these files: {error}"


def _bad_folders(config: EventLog) -> Iterator[str]:
    """Describes what stands where a start would make the folders of the log and its secrets."""
    for path, prefix in (
        (config.path, f"the event log in {config.path} cannot be used: "),
        (config.secrets_path, ""),
    ):
        try:
            check_folder(Path(path))
        except OSError as error:
            yield f"{prefix}{error}"


def _comment(text: str) -> None:
    say("# " + " ".join(text.splitlines()))


def _sizes(config: Config) -> Iterator[str]:
    from tracker.cli.log_size import PEERS, estimate, retained  # imports trio, for one constant

    keep = config.event_log
    yield "Estimated size of the log, announces only:"
    for peers in PEERS:
        interval = config.core.announce_policy.interval
        made = estimate(peers, interval, keep.linger_ms)
        yield str(made)
        yield f"    of it are kept: {retained(made, keep.keep_days, keep.keep_bytes)}"
