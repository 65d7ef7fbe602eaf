"""Runs the console: pages for staff, made from what the API says.

    python -m tracker.process.console_process --socket FD --api URL --name NAME
        [--trust CERTIFICATE] [--cert FILE --key FILE]

The tracker starts it (`console.py`) with a bound socket. It ends when its standard input ends, and
the kernel kills it when the tracker is gone. What it says on its output goes into the text log.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys

import trio

from api.console.app import MOST_SENT, create_app
from api.console.guard import EVERY
from api.console.link import Link, Place
from api.console.screens import SCREENS
from api.console.work import Crew
from api.serve import Settings, serve
from tracker.frontends.listeners import PatientListener
from tracker.frontends.tls import Certificate, TlsError
from tracker.workers import lifetime

IDLE_SECONDS = 30.0
"""Seconds for which a browser's connection waits for the next request."""


def main() -> None:
    lifetime.end_with_parent()
    lifetime.step_back()
    lifetime.end_with_input()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tracker ends it
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    options = _options()
    try:
        place = Place.of(options.api, options.trust or None)
        certificate = Certificate(options.cert, options.key) if options.cert else None
    except (OSError, TlsError) as error:
        sys.exit(f"a certificate cannot be read: {error}")
    trio.run(_serve, options, place, certificate)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="console", allow_abbrev=False)
    parser.add_argument("--socket", type=int, required=True)
    for name in ("api", "name"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("trust", "cert", "key"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args()


async def _serve(
    options: argparse.Namespace, place: Place, certificate: Certificate | None
) -> None:
    listener = PatientListener(socket.socket(fileno=options.socket))
    crew = Crew()
    app = create_app(Link(place), options.name, SCREENS, crew)
    tls = certificate.context if certificate else None
    settings = Settings(idle_timeout=IDLE_SECONDS, max_body=MOST_SENT, every=EVERY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crew.run)
        if certificate is not None:
            nursery.start_soon(_reload_at_hangup, certificate)
        await serve(app, [listener], trio.Event(), ssl_context=tls, settings=settings)


async def _reload_at_hangup(certificate: Certificate) -> None:
    """Reads the certificate again at each SIGHUP; the tracker says in its log whether it could."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            try:
                certificate.reload()
            except TlsError as error:
                logging.getLogger("tracker").warning("the certificate in force stays: %s", error)


if __name__ == "__main__":
    main()
