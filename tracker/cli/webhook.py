"""`tracker webhook`: lists the webhooks, and sends events once more, through the running API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import add_change, add_client, client, say_done, say_json
from tracker.cli.output import count, say

if TYPE_CHECKING:
    import argparse

_COLUMNS = "{:<20}  {:>12}  {:>10}  {:>5}  {}"


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_client(commands.add_parser("list", help="list them, and how far each is"), list_hooks)
    replay = commands.add_parser("replay", help="send everything from an event on once more")
    replay.add_argument("name", metavar="NAME")
    replay.add_argument("seq", metavar="SEQ", type=int, help="the first event")
    add_change(replay, replay_hook)
    retry = commands.add_parser("retry", help="send the dead letters once more")
    retry.add_argument("name", metavar="NAME")
    add_change(retry, retry_hook)


def list_hooks(options: argparse.Namespace) -> None:
    found = client(options).webhooks()
    if options.json:
        for one in found:
            say_json(one)
        return
    say(_COLUMNS.format("name", "seq", "behind", "dead", "state"))
    for one in found:
        failing = f"fails since {one['failing_since']}: {one['error']}"
        say(
            _COLUMNS.format(
                one["name"], one["seq"], one["behind"], len(one["dead_letters"]) + one["dropped"],
                failing if one["failing_since"] else "delivers",
            )
        )  # fmt: skip
        for dead in one["dead_letters"]:
            say(f"  events {dead['first']} to {dead['last']}: {dead['why']} ({dead['time']})")


def replay_hook(options: argparse.Namespace) -> None:
    client(options).replay_webhook(options.name, options.seq)
    say_done(options, "replays", f"{options.name} from event {options.seq}")


def retry_hook(options: argparse.Namespace) -> None:
    number = client(options).retry_webhook(options.name)
    say_done(options, "retries", f"{count(number, 'dead letter')} of {options.name}")
