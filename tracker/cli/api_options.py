"""Options, client and output of the commands that use the running tracker's API.

These commands append nothing themselves, because the running tracker is the log's only writer.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventlog import border
from tracker.cli.api_client import ApiError, Client, Endpoint, endpoint_at, endpoint_of
from tracker.cli.options import add_config, add_log, log_and_keys
from tracker.cli.options import number as number
from tracker.cli.output import CannotError, progress, say
from tracker.cli.output import say_json as say_json  # for the commands that use the API
from tracker.config import ConfigError, load
from tracker.ports import is_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tracker.config import HttpApi


TORRENT = "its info hash, the beginning of it, or its label"


def add_change(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    *,
    reason_needed: bool = False,
) -> None:
    """Adds the options of a command that changes something, and has `run` carry it out."""
    parser.add_argument(
        "--reason", type=line, default="", required=reason_needed, help="recorded with the change"
    )
    add_client(parser, run, of_log=False)


def add_client(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    *,
    of_log: bool = True,
) -> None:
    """Adds the options that `client` reads, and has `run` carry the command out.

    `of_log`: the command only reads what is in the log, so that it may read a copy (`--log`).
    """
    add_config(parser)
    if of_log:
        add_log(parser)
    add_api(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(run=lambda options: _run(run, options))


def add_api(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `client` reads beside `--config`."""
    parser.add_argument("--url", help="the API, instead of the configured one on this machine")
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--token", type=line, help="access token (other users of this machine may see it)"
    )
    token.add_argument(
        "--token-label", metavar="LABEL", help="take the configured token of that label"
    )


def _run(command: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    try:
        # What answers may be any program, and its JSON anything.
        with border(_no_api, ApiError, CannotError, ConfigError):
            command(options)
    except ApiError as error:
        raise CannotError(str(error)) from None
    if _log_of(options) is None:
        return 0
    from tracker.cli import trust  # imports the store

    return trust.end(trust.of(*log_and_keys(options)))


def _no_api(why: str) -> Exception:
    return CannotError(f"what answers is not a tracker's API: {why}")


# The client.


def client(options: argparse.Namespace) -> Client:
    """Builds the client from the options; the configuration is read only for what they lack.

    Raises `ApiError` when neither says where the API is or which token to use, `ConfigError`.
    """
    if _log_of(options) is not None:
        return _viewer(options)
    reason = getattr(options, "reason", "")
    if options.url and options.token:
        return Client(endpoint_at(options.url), options.token, reason)
    api = load(options.config).config.http_api
    return Client(_endpoint(options, api), _token(options, api), reason)


def _log_of(options: argparse.Namespace) -> Path | None:
    found: Path | None = getattr(options, "log", None)
    return found


def _viewer(options: argparse.Namespace) -> Client:
    """Makes a client that asks a log without a running tracker. Raises what replay does."""
    if options.url or options.token or options.token_label:
        raise CannotError("--log reads a folder, --url and --token are for a running tracker")
    from tracker.offline.viewer import Viewer  # imports the API

    folder, keys = log_and_keys(options)
    with progress("Replaying the log") as report:
        viewer = Viewer(folder, options.secrets, keys, report)
    # Who has the keys may see addresses; the API wants to hear why.
    return Client(Endpoint(f"log {folder}"), viewer.token, "--log" if keys else "", viewer=viewer)


def _endpoint(options: argparse.Namespace, api: HttpApi | None) -> Endpoint:
    if options.url:
        return endpoint_at(options.url)
    if api is None:
        raise ApiError("the configuration has no [http_api]: give --url and --token")
    return endpoint_of(api)


def _token(options: argparse.Namespace, api: HttpApi | None) -> str:
    if options.token:
        return str(options.token)
    tokens = api.access_tokens if api else {}
    if not tokens:
        raise ApiError("the configuration has no [http_api.access_tokens]: give --token")
    label = options.token_label or next(iter(tokens))
    if label not in tokens:
        known = ", ".join(tokens)
        raise ApiError(f"http_api.access_tokens has no label {label}; it has {known}")
    return tokens[label]


@contextmanager
def naming(item: str) -> Iterator[None]:
    """Puts the item before a refusal, because a command for several must say which one it was."""
    try:
        yield
    except ApiError as error:
        raise ApiError(f"{item}: {error}") from None


def named(api: Client, options: argparse.Namespace) -> dict[str, int | str]:
    """Returns `account` and `info_hash` of what `--account` and `--torrent` name, where they are
    given. Raises `ApiError` for a name of nothing.
    """
    found: dict[str, int | str] = {}
    if options.account is not None:
        found["account"] = api.account_of(options.account)
    if options.torrent is not None:
        found["info_hash"] = api.torrent_of(options.torrent)
    return found


def hashes_of(options: argparse.Namespace) -> list[str]:
    """Returns the info hashes of the torrents that the options name, before anything is done."""
    api, found = client(options), []
    for one in options.torrents:
        with naming(one):
            found.append(api.torrent_of(one))
    return found


# Output.


def say_done(options: argparse.Namespace, what: str, name: object) -> None:
    """Prints that something was done: `revoked 7`, or the same as JSON."""
    if options.json:
        say_json({what: name})
    else:
        say(f"{what} {name}")


def do_each(
    options: argparse.Namespace,
    things: Iterable[Any],
    done: str,
    ask: Callable[[Client, Any], None],
) -> None:
    """Asks for a change of each thing, and says that it is `done`."""
    api = client(options)
    for one in things:
        with naming(str(one)):
            ask(api, one)
        say_done(options, done, str(one))


# Types of arguments.


def line(text: str) -> str:
    """An argument's type: text that can be the value of an HTTP header."""
    if not is_line(text) or text != text.strip():
        raise argparse.ArgumentTypeError("expected one line of printable text")
    return text
