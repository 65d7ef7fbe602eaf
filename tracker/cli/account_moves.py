"""`tracker account merge` and `split`: give keys and totals of an account to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.cli.api_options import add_change, client, line, number, say_json
from tracker.cli.output import say
from tracker.cli.tables import BYTES, NUMBER, Column, add_list, by_name, say_list

if TYPE_CHECKING:
    import argparse

_AMOUNTS = {
    "uploaded": "bytes of raw upload that go with them",
    "downloaded": "likewise of download",
    "credited_uploaded": "likewise of credited upload; as many as raw ones unless given",
    "credited_downloaded": "likewise",
}
_SIDES = (
    Column("account", NUMBER), Column("owner"), Column("when"), *(
        Column(name, BYTES, heading=heading) for name, heading in (
            ("uploaded", "up"), ("downloaded", "down"), ("credited_uploaded", "credited up"),
            ("credited_downloaded", "credited down"),
        )
    ),
    Column("keys", NUMBER), Column("peers", NUMBER), Column("torrents", NUMBER),
    Column("freeleech_tokens", NUMBER, heading="tokens"), Column("kept"),
)  # fmt: skip


def add_to(commands: argparse._SubParsersAction[Any]) -> None:
    """Adds both commands to those of `account`."""
    merge = commands.add_parser(
        "merge", help="give all keys and totals of an account to another; print the event's number"
    )
    merge.add_argument("account", metavar="FROM", type=line, help="number or owner")
    merge.add_argument("into", metavar="INTO", type=line, help="number or owner")
    split = commands.add_parser(
        "split", help="give some keys to a new account; print the event's number and the account"
    )
    split.add_argument("account", metavar="ACCOUNT", type=line, help="number or owner")
    split.add_argument(
        "--keys", metavar="N,M", type=_numbers, required=True, help="numbers of keys"
    )
    split.add_argument(
        "--owner", metavar="NEW", type=line, required=True, help="of the new account"
    )
    for name, text in _AMOUNTS.items():
        split.add_argument(f"--{name.replace('_', '-')}", metavar="BYTES", type=number, help=text)
    for parser, run in ((merge, merge_account), (split, split_account)):
        parser.add_argument("--preview", action="store_true", help="only tell what would be")
        add_list(parser)
        add_change(parser, run, reason_needed=True)


def _numbers(text: str) -> list[int]:
    return [number(each) for each in text.split(",")]


def merge_account(options: argparse.Namespace) -> None:
    api = client(options)
    form = {"into": api.account_of(options.into), "preview": options.preview}
    _say(options, api.merge(api.account_of(options.account), form))


def split_account(options: argparse.Namespace) -> None:
    api = client(options)
    amounts = {name: getattr(options, name) for name in _AMOUNTS}
    form = {"keys": options.keys, "owner": options.owner, "preview": options.preview} | amounts
    _say(options, api.split(api.account_of(options.account), form))


def _say(options: argparse.Namespace, told: dict[str, Any]) -> None:
    if options.json:
        say_json(told)
    elif told["preview"] is None:
        say(f"{told['seq']}\t{told['account']}")
    else:
        _say_preview(options, told["preview"])


def _say_preview(options: argparse.Namespace, preview: dict[str, Any]) -> None:
    now = [
        one["account"] | {"when": "now", "kept": _kept(one)}
        | {name: one[name] for name in ("keys", "peers", "torrents", "freeleech_tokens")}
        for one in preview["before"]
    ]  # fmt: skip
    then = [one | {"when": "then"} for one in preview["after"]]
    say_list(options, _SIDES, [*now, *then], by_name(_SIDES))
    say(
        f"{preview['keys']} keys in force and {preview['peers']} peers move; {preview['dropped']} "
        "peers end, because both accounts have them"
    )


def _kept(side: dict[str, Any]) -> str:
    """Says what an account has that moves to no other one."""
    limits = side["limits"] or {}
    states = side["hit_and_run"] or {}
    parts = [
        *([f"group {group}"] if (group := side["account"]["group"]) else []),
        *(f"{name} limit {limit}" for name, limit in limits.items() if limit is not None),
        *side["sanctions"],
        *(f"{count} downloads {state}" for state, count in states.items()),
        *(f"case {detector}" for detector in side["open_cases"] or ()),
    ]
    return ", ".join(parts) or "nothing else"
