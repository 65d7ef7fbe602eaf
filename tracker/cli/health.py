"""`tracker health`: asks the running tracker's health check, for containers and monitors."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from api.health.services import local_host
from eventlog import border, parse_json
from tracker.cli.options import add_config
from tracker.cli.output import CannotError, say
from tracker.config import load

if TYPE_CHECKING:
    import argparse

    from tracker.config import Address

TIMEOUT_SECONDS = 8
"""Seconds to wait for the answer: the health check gives each of its own questions two."""
_MAX_ANSWER = 1 << 20  # the most bytes of an answer to read


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask the running tracker's health check, at its address in the configuration. "
        "Exit code 0: everything answers; 1: something does not."
    )
    add_config(parser)
    parser.set_defaults(run=ask)


def ask(options: argparse.Namespace) -> int:
    address = load(options.config).config.health_check_api.bind_address
    if not address.port:
        raise CannotError("health_check_api.bind_address names no port (0 = any free one)")
    report = _report(address)
    with border(lambda _: _no_health_check(address), CannotError):
        for one in report.get("details", ()):
            for outcome, text in one["result"].items():
                say(f"{outcome} {one['binding']}: {text}")
    if report.get("status") == "Error":
        raise CannotError("the health check says Error: see the lines that begin with Err")
    return 0


def _report(address: Address) -> dict[str, Any]:
    connection = HTTPConnection(local_host(address.host), address.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health_check")
        report = parse_json(connection.getresponse().read(_MAX_ANSWER))
    except (OSError, HTTPException, ValueError) as error:
        raise CannotError(f"the health check at {address} does not answer: {error}") from None
    finally:
        connection.close()
    if not isinstance(report, dict):
        raise _no_health_check(address)
    return report


def _no_health_check(address: Address) -> CannotError:
    return CannotError(f"what answers at {address} is no health check")
