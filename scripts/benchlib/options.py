"""Reads the command line of scripts/bench, and refuses what makes no sense."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchlib.load import Load
from benchlib.memorybench import SIZES
from benchlib.rivals import RIVALS

OURS = "tracker"
SERVERS = (OURS, *RIVALS)
IPV6_PEERS = 60_000  # loopback has one IPv6 address, and its ports tell the peers apart
MOST_IPV6_PEERS = 64_000

ABOUT = """\
Measures the tracker under load, and beside it every other tracker whose binary is on the PATH: {rivals}.

  udp, http   announces (1 % scrapes) from 250 addresses, each answer checked. The servers take turns.
  log         what the event log costs, without load from outside
  api         what listing all torrents and writing cost announces
  memory      what a peer takes in memory, in public and private mode, without load from outside
  audit       what the follower and questions about the past cost on a private site's log of --events
  lists       how long staff waits for each list of a site with 20,000 members and 5 million book rows
  clicks      how long announces take while twenty people click through the console
  pages       how long each page of the console takes on a log of --events, or on one with --log
  flood       how long the health check and administrators wait while UDP and HTTP are flooded together
"""
END = """\
The server has one core and the load generator another. A rate is a lower bound where the generator's core was
full and the server's was not: "the generator is the limit". Exit status: 0 measured; 1 a server failed or gave
wrong answers; 2 nothing can be measured here. docs/performance.md explains the figures.
"""
ALONE = (
    "log",
    "api",
    "memory",
    "flood",
    "audit",
    "lists",
    "clicks",
    "pages",
)  # they measure our tracker alone
HTTP_ONLY = ("keep_alive", "tls", "resume")


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests a second: a number, or a share of the highest rate found."""

    rate: float = 0.0
    share: float = 0.0

    def of(self, highest: float) -> float:
        return self.share * highest or self.rate

    def __str__(self) -> str:
        return f"{self.share:.0%} of that" if self.share else f"{self.rate:,.0f}/s"


def parse(arguments: list[str], page: str) -> argparse.Namespace:
    """Returns the options, with `load` among them for udp and http.

    Ends the process if they are wrong.
    """
    parser = _parser(page)
    options = parser.parse_args(arguments)
    _check(parser, options)
    _fill_in(options)
    _check_numbers(parser, options)
    return options


def _parser(page: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=ABOUT.format(rivals=", ".join(RIVALS)),
        epilog=END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=("udp", "http", *ALONE))
    load = parser.add_argument_group("the load of udp and http")
    load.add_argument("--new", action="store_true", help="first announces in place of known peers")
    load.add_argument(
        "--ipv6", action="store_true", help="over IPv6, from ::1, the only such address"
    )
    load.add_argument(
        "--private",
        action="store_true",
        help="private mode, a key for each account; beside public mode",
    )
    load.add_argument(
        "--accounts", type=int, default=1000, metavar="N", help="of private mode (1000)"
    )
    load.add_argument("--keep-alive", action="store_true", help="http: connections are kept")
    load.add_argument("--tls", action="store_true", help="http: https, with a P-256 certificate")
    load.add_argument(
        "--resume",
        action="store_true",
        help="http: each connection resumes the TLS session before it",
    )
    load.add_argument(
        "--rate",
        type=_pace,
        metavar="R",
        help="udp: then also R requests a second by the clock, or a share such as 80%% of the highest rate of that turn",
    )
    load.add_argument(
        "--reconnect",
        type=float,
        default=60.0,
        metavar="S",
        help="udp: seconds that a connection id is used (60); 0: one for each request",
    )
    load.add_argument(
        "--in-flight",
        type=_levels,
        metavar="N[,N]",
        help="requests that are open at any time (udp 256, http 64, api 16; flood always 256 and 64)",
    )
    load.add_argument(
        "--receivers",
        type=int,
        default=1,
        metavar="N",
        help="udp: our tracker receives and sends with N threads, on all cores but the generator's; beside one without (1)",
    )
    people = parser.add_argument_group("the swarms")
    people.add_argument(
        "--torrents", type=int, help="(10,000; with --new 100,000; with --ipv6 3,000)"
    )
    people.add_argument(
        "--peers",
        type=int,
        help="(200,000; log 1,000,000; with --new 2,000,000; with --ipv6 60,000)",
    )
    people.add_argument("--addresses", type=int, help="of the peers (250; with --ipv6 1)")
    people.add_argument("--numwant", type=int, default=50, help="peers wanted in an answer (50)")
    people.add_argument("--seed", type=int, default=1, help="other numbers make other peers (1)")
    how = parser.add_argument_group("how to measure")
    how.add_argument(
        "--only",
        type=_servers,
        metavar="NAME[,NAME]",
        help=f"these servers, of {', '.join(SERVERS)}",
    )
    how.add_argument(
        "--rounds", type=int, default=3, help="turns of each server (3; at least 5 for a claim)"
    )
    how.add_argument("--seconds", type=float, default=5.0, help="of each timed phase (5)")
    how.add_argument(
        "--events",
        type=int,
        help="log, audit, pages: events in it (log 3,000,000; else 10,000,000)",
    )
    how.add_argument(
        "--log",
        type=Path,
        metavar="FOLDER",
        help="pages: the log and secrets of an earlier run, to which the tracker writes",
    )
    how.add_argument(
        "--after", type=int, default=500_000, help="log: events after the snapshot (500,000)"
    )
    how.add_argument(
        "--sizes",
        type=_sizes,
        default=SIZES,
        metavar="N[,N]",
        help="memory: numbers of peers (10000,100000,1000000,5000000)",
    )
    how.add_argument(
        "--tmp", default=tempfile.gettempdir(), metavar="FOLDER", help="where the event log goes"
    )
    how.add_argument(
        "--write", action="store_true", help=f"the results into {page}, in place of the same load's"
    )
    return parser


def _levels(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= 65535 for part in parts):
        raise argparse.ArgumentTypeError("1 to 65535 requests can be open")
    return [int(part) for part in parts]


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= 100 for part in parts):
        raise argparse.ArgumentTypeError("a size is a number of peers, 100 or more")
    return tuple(map(int, parts))


def _pace(text: str) -> Pace:
    try:
        number = float(text.rstrip("%"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number and no share such as 80%"
        ) from None
    if text.endswith("%") and 0 < number <= 200:
        return Pace(share=number / 100)
    if text.endswith("%") or not 1 <= number <= 1e6:
        raise argparse.ArgumentTypeError("a share is 1% to 200%, a number 1 to 1000000 a second")
    return Pace(rate=number)


def _servers(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in SERVERS:
            known = ", ".join(SERVERS)
            raise argparse.ArgumentTypeError(f"there is no server {name!r}; there are {known}")
    return names


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    flags = ("new", "ipv6", *HTTP_ONLY)
    for name in flags if options.what in ALONE else HTTP_ONLY if options.what == "udp" else ():
        if getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} is not for {options.what}")
    if options.rate and options.what != "udp":
        parser.error("--rate is for udp")
    if options.receivers != 1 and options.what != "udp":
        parser.error("--receivers is for udp")
    if options.resume and (not options.tls or options.keep_alive):
        parser.error(
            "--resume is for --tls without --keep-alive, because it is about new connections"
        )
    if options.ipv6 and options.new:
        parser.error(
            "--ipv6 has only 64,000 peers, which are too few for --new: use one of the two"
        )
    if options.ipv6 and options.addresses not in (None, 1):
        parser.error("--ipv6 has one address, because loopback has only ::1")
    if options.only and options.what in ALONE:
        parser.error(f"--only is not for {options.what}, which measures our tracker alone")


def _fill_in(options: argparse.Namespace) -> None:
    """Sets what was not given, because it depends on the load."""
    torrents, peers, addresses = 10_000, 200_000, 250
    if options.new:
        torrents, peers = 100_000, 2_000_000
    if options.what == "log":
        peers = 1_000_000
    if options.what == "clicks":
        torrents, peers = 2_000, 20_000
    if options.events is None:
        options.events = 3_000_000 if options.what == "log" else 10_000_000
    if options.ipv6:
        torrents, peers, addresses = 3_000, IPV6_PEERS, 1
    options.torrents = torrents if options.torrents is None else options.torrents
    options.peers = peers if options.peers is None else options.peers
    options.addresses = addresses if options.addresses is None else options.addresses
    options.in_flight = options.in_flight or [{"udp": 256, "api": 16}.get(options.what, 64)]
    options.load = None
    if options.what in ("udp", "http"):
        options.load = Load(
            options.what,
            *(options.new, options.ipv6, options.private),
            *(options.keep_alive, options.tls, options.resume, options.receivers),
        )


def _check_numbers(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for name in ("torrents", "addresses", "accounts", "rounds", "events", "after", "receivers"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is at least 1")
    if options.seconds <= 0:
        parser.error("--seconds is more than 0")
    if options.what != "log" and options.peers < max(options.torrents, options.addresses):
        parser.error("there are at least as many --peers as --torrents and as --addresses")
    if options.ipv6 and options.peers > MOST_IPV6_PEERS:
        parser.error(f"--ipv6 has at most {MOST_IPV6_PEERS:,} --peers, one for each port of ::1")
