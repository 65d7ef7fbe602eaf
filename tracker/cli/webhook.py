"""`tracker webhook`: lists the webhooks, and sends events once more, through the running API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.cli.api_options import add_change, add_client, client, say_done
from tracker.cli.output import count, note
from tracker.cli.tables import NUMBER, TIME, Column, add_list, say_list

if TYPE_CHECKING:
    import argparse

_COLUMNS = (
    Column("name"), Column("seq", NUMBER), Column("behind", NUMBER), Column("dead", NUMBER),
    Column("state"), Column("failing_since", TIME), Column("error"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list them, and how far each is")
    add_list(listing)
    add_client(listing, list_hooks, of_log=False)
    replay = commands.add_parser("replay", help="send everything from an event on once more")
    replay.add_argument("name", metavar="NAME")
    replay.add_argument("seq", metavar="SEQ", type=int, help="the first event")
    add_change(replay, replay_hook)
    retry = commands.add_parser("retry", help="send the dead letters once more")
    retry.add_argument("name", metavar="NAME")
    add_change(retry, retry_hook)


def list_hooks(options: argparse.Namespace) -> None:
    found = client(options).webhooks()
    say_list(options, _COLUMNS, found, _row)
    for one in found:
        for dead in one["dead_letters"]:
            note(
                f"{one['name']}: events {dead['first']} to {dead['last']} are dead letters: {dead['why']} ({dead['time']})"
            )


def _row(one: dict[str, Any]) -> list[object]:
    failing = one["failing_since"]
    return [
        one["name"], one["seq"], one["behind"], len(one["dead_letters"]) + one["dropped"],
        "fails" if failing else "delivers", failing, one["error"] if failing else None,
    ]  # fmt: skip


def replay_hook(options: argparse.Namespace) -> None:
    client(options).replay_webhook(options.name, options.seq)
    say_done(options, "replays", f"{options.name} from event {options.seq}")


def retry_hook(options: argparse.Namespace) -> None:
    number = client(options).retry_webhook(options.name)
    say_done(options, "retries", f"{count(number, 'dead letter')} of {options.name}")
