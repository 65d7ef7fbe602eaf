"""`tracker hit-and-run`: the rule, what is judged, and what staff does about it.

It uses the running tracker's API.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from tracker.cli.api_options import (
    TORRENT,
    add_change,
    add_client,
    client,
    line,
    named,
    naming,
    say_json,
)
from tracker.cli.options import add_many
from tracker.cli.output import note, say
from tracker.cli.tables import HASH, NUMBER, TIME, Column, add_list, by_name, say_list
from tracker.cli.time_options import at, length, past, when
from tracker.ports import JUDGED_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COLUMNS = (
    Column("account", NUMBER), Column("owner"), Column("info_hash", HASH), Column("state"), Column("since", TIME),
    Column("seed_seconds_left", NUMBER, heading="to seed s"),
    Column("seconds_left", NUMBER, heading="left s"), Column("violated_at", TIME), Column("label"),
)  # fmt: skip
_NONE = (
    "nothing is judged of what was asked for. What is new shows after ten seconds or so; a copy of the log "
    "needs its book and the secrets (--secrets)"
)


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_client(commands.add_parser("rule", help="print the rule in force"), show_rule)
    put = commands.add_parser("set", help="judge by a rule from now on; print the event's number")
    put.add_argument("--buffer", type=_figure, help="share of the size that makes liable")
    put.add_argument(
        "--seed", metavar="TIME", type=length, help="how long to seed: 72h, 3d or seconds"
    )
    put.add_argument(
        "--seed-from", metavar="SIZE:TIME", type=_by_size, action="append",
        help="how long from this size in bytes on; may be given more than once",
    )  # fmt: skip
    put.add_argument(
        "--ratio", type=_ratio, help="uploaded by downloaded; `none`: only time counts"
    )
    put.add_argument("--warn-absent", metavar="TIME", type=length, help="absence that puts at risk")
    put.add_argument("--grace-absent", metavar="TIME", type=length, help="absence that violates")
    put.add_argument("--window", metavar="TIME", type=length, help="time since liability, instead")
    put.add_argument("--freeleech-exempts", action="store_true", default=None)
    put.add_argument("--partial-counts", action="store_true", default=None)
    add_change(put, set_rule, reason_needed=True)
    add_change(
        commands.add_parser("end", help="judge no new downloads"), end_rule, reason_needed=True
    )
    listing = commands.add_parser("list", help="list downloads, of one account or of all")
    listing.add_argument("account", nargs="?", type=line, help="its number or owner")
    listing.add_argument(
        "--state", metavar="STATES", type=_states, help="only these, with commas between them"
    )
    listing.add_argument(
        "--violated-from", metavar="TIME", type=past,
        help="only those whose latest violation was then or later; not with --at",
    )  # fmt: skip
    listing.add_argument(
        "--torrent", metavar="TORRENT", type=line, help=f"only of this one: {TORRENT}"
    )
    listing.add_argument(
        "--at", metavar="SEQ|TIME", type=at, help="as it was after that event, or at that time"
    )
    add_list(listing)
    add_client(listing, list_downloads)
    show = commands.add_parser("show", help="print all that became of a download")
    show.add_argument("account", type=line, help="its number or owner")
    show.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    add_client(show, show_download)
    pardon = commands.add_parser("pardon", help="pardon violations; name at least one of these")
    pardon.add_argument("--account", type=line, help="of this account alone: its number or owner")
    pardon.add_argument(
        "--torrent", metavar="TORRENT", type=line, help=f"of this torrent alone: {TORRENT}"
    )
    pardon.add_argument(
        "--from", dest="begin", metavar="TIME", type=when, help="violated from then on"
    )
    pardon.add_argument("--until", metavar="TIME", type=when, help="violated before")
    pardon.add_argument("--preview", action="store_true", help="only list what would be pardoned")
    add_list(pardon)
    add_change(pardon, pardon_violations, reason_needed=True)
    void = commands.add_parser("void", help="do not judge a torrent's downloads that have begun")
    void.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    void.add_argument("--account", type=line, help="of this account alone: its number or owner")
    add_change(void, void_downloads, reason_needed=True)
    immune = commands.add_parser("immune", help="do not judge accounts, or judge them again")
    add_many(immune, "accounts", "ACCOUNT", line, "numbers or owners")
    how = immune.add_mutually_exclusive_group()
    how.add_argument("--from", dest="begin", metavar="TIME", type=when, help="at once unless said")
    how.add_argument("--end", action="store_true", help="judge them again")
    add_change(immune, change_immunity, reason_needed=True)


def show_rule(options: argparse.Namespace) -> None:
    rule = client(options).hit_and_run_rule()
    if options.json:
        say_json({"rule": rule})
    elif rule is None:
        say("no rule is in force; what was set shows after ten seconds or so")
    else:
        _facts(rule)


def set_rule(options: argparse.Namespace) -> None:
    rows = sorted(options.seed_from or (), key=lambda row: row["size"])
    form = {
        "buffer": options.buffer, "seed_seconds": options.seed, "seed_by_size": rows or None,
        "warn_absent": options.warn_absent, "grace_absent": options.grace_absent,
        "window": options.window, "freeleech_exempts": options.freeleech_exempts,
        "partial_counts": options.partial_counts,
    }  # fmt: skip
    given = {name: value for name, value in form.items() if value is not None}
    if options.ratio is not None:
        given["ratio"] = options.ratio or None
    _done(options, client(options).set_hit_and_run_rule(given))


def end_rule(options: argparse.Namespace) -> None:
    _done(options, client(options).end_hit_and_run_rule())


def list_downloads(options: argparse.Namespace) -> None:
    api = client(options)
    whose = named(api, options)
    filters = {
        "state": options.state, "info_hash": whose.get("info_hash"), "at": options.at,
        "violated_from": options.violated_from,
    }  # fmt: skip
    given = {name: str(value) for name, value in filters.items() if value is not None}
    _list(options, api.judged(whose.get("account"), given))


def show_download(options: argparse.Namespace) -> None:
    api = client(options)
    found = api.judged_history(api.account_of(options.account), api.torrent_of(options.torrent))
    if options.json:
        say_json(found)
        return
    if not found["history"]:
        say(_NONE)
    for each in found["history"]:
        position = each["position"]
        say(f"{each['time']}  {each['state']:<9}  {position['seq']}.{position['n']}")
    _facts((found["download"] or {}).get("facts") or {})


def pardon_violations(options: argparse.Namespace) -> None:
    api = client(options)
    form = {
        **named(api, options), "from": options.begin, "until": options.until,
        "preview": options.preview or None,
    }  # fmt: skip
    answer = api.pardon({name: value for name, value in form.items() if value is not None})
    if options.preview:
        _list(options, answer["downloads"])
    else:
        _done(options, answer)


def void_downloads(options: argparse.Namespace) -> None:
    api = client(options)
    _done(options, api.void(named(api, options)))


def change_immunity(options: argparse.Namespace) -> None:
    api = client(options)
    for who in options.accounts:
        with naming(who):
            account = api.account_of(who)
            answer = (
                api.end_immunity(account)
                if options.end
                else api.make_immune(account, options.begin)
            )
        _done(options, answer)


def _done(options: argparse.Namespace, answer: dict[str, Any]) -> None:
    if options.json:
        say_json({"seq": answer["seq"]})
    else:
        say(str(answer["seq"]))


def _facts(members: dict[str, Any]) -> None:
    for name, value in members.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        say(f"{name} {'-' if value is None else shown}")


def _list(options: argparse.Namespace, downloads: Iterable[dict[str, Any]]) -> None:
    number, row = 0, by_name(_COLUMNS)

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal number
        for number, one in enumerate(downloads, 1):  # noqa: B007  # used after the loop
            yield {**(one["facts"] or {}), **one}

    say_list(options, _COLUMNS, counted(), row)
    if not number and not options.json:
        note(f"note: {_NONE}")


# Types of arguments.


def _figure(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number such as 0.1")
    return float(text)


def _ratio(text: str) -> float:
    """An argument's type: a ratio; 0 = `none`."""
    return 0.0 if text == "none" else _figure(text)


def _by_size(text: str) -> dict[str, int]:
    size, _, time = text.partition(":")
    if not re.fullmatch(r"[0-9]{1,18}", size):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size and a time, as 5000000000:5d")
    return {"size": int(size), "seconds": length(time)}


def _states(text: str) -> str:
    if not set(text.split(",")) <= set(JUDGED_STATES):
        raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(JUDGED_STATES)}")
    return text
