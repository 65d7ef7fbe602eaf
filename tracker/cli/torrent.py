"""`tracker torrent`: shows torrents and says facts about them through the running API."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventlog import parse_json
from tracker.cli.api_client import Client
from tracker.cli.api_options import (
    TORRENT,
    add_change,
    add_client,
    client,
    do_each,
    hashes_of,
    line,
    naming,
    number,
    say_json,
)
from tracker.cli.lists import add_query, say_rows
from tracker.cli.options import add_many
from tracker.cli.output import CannotError, say
from tracker.cli.standing import add_standing, moment, say_standing
from tracker.cli.tables import (
    BYTES,
    HASH,
    NUMBER,
    TIME,
    WORD,
    Column,
    add_list,
    by_name,
    say_facts,
    say_list,
)
from tracker.cli.time_options import past

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_COLUMNS = (
    Column("info_hash", HASH), Column("label"), Column("seeders", NUMBER), Column("leechers", NUMBER),
    Column("completed", NUMBER), Column("size", BYTES), Column("added", TIME),
)  # fmt: skip
_MEMBERS = (
    Column("account", NUMBER), Column("owner"), Column("uploaded", BYTES), Column("downloaded", BYTES),
    Column("snatched", NUMBER), Column("last_seen", TIME), Column("completed_at", TIME),
    Column("seeding_seconds", NUMBER),
)  # fmt: skip
_PEERS = (
    Column("account", NUMBER), Column("owner"), Column("role", WORD), Column("percent", NUMBER, heading="%"),
    Column("upload_rate", BYTES, heading="up/s"), Column("download_rate", BYTES, heading="down/s"),
    Column("overdue_seconds", NUMBER, heading="late s"), Column("client"),
    Column("uploaded", BYTES), Column("downloaded", BYTES), Column("last_announce", TIME),
    Column("due", TIME), Column("pseudonym", HASH),
)  # fmt: skip
_AT_ONCE = 40_000  # bytes of torrents in one request, because the API takes 64 KiB


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="print a torrent's counts and facts")
    show.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    add_client(show, show_torrent)
    listing = commands.add_parser("list", help="list torrents that the tracker knows")
    listing.add_argument("--present", action="store_true", help="only those with peers")
    add_query(listing, list_torrents)
    members = commands.add_parser("members", help="list what each account did in a torrent")
    members.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    members.add_argument(
        "--snatched", action="store_true", help="only who completed it, the last one seen first"
    )
    add_query(members, list_members, searched=False)
    peers = commands.add_parser(
        "peers", help="list who is in a torrent's swarm, how fast, how late"
    )
    peers.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    add_list(peers)
    add_client(peers, list_peers)
    put = commands.add_parser("describe", help="say these facts, in place of all said before")
    add_many(put, "torrents", "TORRENT", line, f"{TORRENT}; all get the same facts")
    put.add_argument("--label", type=line, help="its name for people")
    put.add_argument("--size", metavar="BYTES", type=number, help="bytes of its files")
    put.add_argument("--site-id", metavar="N", type=number, help="the site's number of it")
    put.add_argument("--uploader", type=line, help="the site's name of who uploaded it")
    put.add_argument("--added", metavar="TIME", type=past, help="when the site took it in")
    put.add_argument("--tag", dest="tags", action="append", type=line, help="may be repeated")
    add_change(put, describe_torrent)
    many = commands.add_parser("import", help="say facts about many torrents")
    many.add_argument(
        "file", metavar="FILE", type=Path,
        help="a JSON object with info_hash and facts in each line; - = standard input",
    )  # fmt: skip
    add_change(many, import_torrents)
    forget = commands.add_parser("forget", help="take back all facts about torrents")
    add_many(forget, "torrents", "TORRENT", line, TORRENT)
    add_change(forget, forget_torrents)
    ban = commands.add_parser("blacklist", help="refuse torrents in all modes, or no longer")
    add_many(ban, "torrents", "TORRENT", line, TORRENT)
    how = ban.add_mutually_exclusive_group()
    how.add_argument("--public", action="store_true", help="clients get the reason")
    how.add_argument("--lift", action="store_true", help="take them off the blacklist")
    add_change(ban, blacklist_torrents, reason_needed=True)
    banned = commands.add_parser("blacklisted", help="list torrents that are refused in all modes")
    add_standing(banned, list_blacklist)


def show_torrent(options: argparse.Namespace) -> None:
    api = client(options)
    _say(options, api.torrent(api.torrent_of(options.torrent)))


def list_torrents(options: argparse.Namespace) -> None:
    say_rows(options, "swarms" if options.present else "torrents", _COLUMNS)


def list_members(options: argparse.Namespace) -> None:
    path = f"torrents/{client(options).torrent_of(options.torrent)}/accounts"
    filters: dict[str, str | None] = {}
    if options.snatched:
        filters["min_snatched"] = "1"
        filters["sort"] = "-last_seen" if options.sort is None else None
    say_rows(options, "accounts", _MEMBERS, filters, path)


def list_peers(options: argparse.Namespace) -> None:
    api = client(options)
    path = f"swarms/{api.torrent_of(options.torrent)}"
    say_list(options, _PEERS, api.listed("peers", {}, path), by_name(_PEERS))


def describe_torrent(options: argparse.Namespace) -> None:
    facts = {
        "label": options.label,
        "size": options.size,
        "site_id": options.site_id,
        "uploader": options.uploader,
        "added": options.added,
        "tags": options.tags,
    }
    api = client(options)
    for one in options.torrents:
        with naming(one):
            torrent = api.describe_torrent(api.torrent_of(one), facts)
        _say(options, torrent)


def blacklist_torrents(options: argparse.Namespace) -> None:
    api = client(options)
    for name in options.torrents:
        with naming(name):
            info_hash = api.torrent_of(name)
            done = api.unban(info_hash) if options.lift else api.ban(info_hash, options.public)
        if options.json:
            say_json({"info_hash": info_hash, **done})
        else:
            say(str(done["seq"]))


def list_blacklist(options: argparse.Namespace) -> None:
    rows = client(options).blacklist(moment(options))
    say_standing(options, [Column("info_hash", HASH), Column("label")], rows)


def import_torrents(options: argparse.Namespace) -> None:
    api = client(options)
    total = {"changed": 0, "unchanged": 0}
    for first, torrents in _batches(options.file):
        with naming(f"{options.file}, the lines from {first} on"):
            done = api.describe_torrents(torrents)
        for name in total:
            total[name] += int(done[name])
    if options.json:
        say_json(total)
    else:
        say(f"changed {total['changed']}, unchanged {total['unchanged']}")


def forget_torrents(options: argparse.Namespace) -> None:
    do_each(options, hashes_of(options), "forgot", Client.forget_torrent)


def _batches(path: Path) -> Iterator[tuple[int, list[object]]]:
    """Yields the objects of a file in requests, each with the number of its first line.

    Raises `CannotError` for a line that is no JSON.
    """
    first, size, torrents = 1, 0, list[object]()
    try:
        stdin = str(path) == "-"
        with nullcontext(sys.stdin.buffer) if stdin else path.open("rb") as file:
            for at, text in enumerate(file, 1):
                if torrents and size + len(text) > _AT_ONCE:
                    yield first, torrents
                    first, size, torrents = at, 0, []
                if text.strip():
                    torrents.append(_object(path, at, text))
                    size += len(text)
    except OSError as error:
        raise CannotError(f"{path}: {error.strerror}") from None
    if torrents:
        yield first, torrents


def _object(path: Path, at: int, text: bytes) -> object:
    try:
        return parse_json(text)
    except ValueError:
        raise CannotError(
            f"{path}, line {at}: expected one JSON object in each line; the lines before were taken"
        ) from None


def _say(options: argparse.Namespace, torrent: dict[str, Any]) -> None:
    if options.json:
        say_json(torrent)
        return
    shown = {name: None if value == "" else value for name, value in torrent.items()}
    if shown.pop("size_at_least", False):
        shown["size"] = f"at least {torrent['size']}"
    say_facts(options, shown)
