"""What commands share that ask the running tracker's API: their options, whom they ask, and how they say what came of it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from tracker.cli.api_client import ApiError, Client, endpoint_at, endpoint_of
from tracker.cli.shared import CannotError, add_config, say
from tracker.config import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.cli.api_client import Endpoint
    from tracker.config import HttpApi


def add_change(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    *,
    reason_needed: bool = False,
) -> None:
    parser.add_argument(
        "--reason", type=line, default="", required=reason_needed, help="recorded with the change"
    )
    add_client(parser, run)


def add_client(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    add_config(parser)
    parser.add_argument("--url", help="the API, instead of the configured one on this machine")
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--token", type=line, help="access token (other users of this machine may see it)"
    )
    token.add_argument(
        "--token-label", metavar="LABEL", help="take the configured token of that label"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(run=lambda options: _run(run, options))


def _run(command: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    try:
        command(options)
    except ApiError as error:
        raise CannotError(str(error)) from None
    return 0


# Whom they ask.


def client(options: argparse.Namespace) -> Client:
    """By what was given, and the configuration only for what was not. Raises `ApiError`, `ConfigError`."""
    reason = getattr(options, "reason", "")
    if options.url and options.token:
        return Client(endpoint_at(options.url), options.token, reason)
    api = load(options.config).config.http_api
    return Client(_endpoint(options, api), _token(options, api), reason)


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


def done(options: argparse.Namespace, what: str, name: str) -> None:
    if options.json:
        say_json({what: name})
    else:
        say(f"{what} {name}")


def say_json(value: object) -> None:
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def line(text: str) -> str:
    """Text that can be a header's value."""
    if not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError("expected one line of printable text")
    return text
