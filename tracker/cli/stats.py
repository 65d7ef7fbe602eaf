"""`tracker stats`: prints the counters of the running tracker, or its metrics, from its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import add_client, client, say_json
from tracker.cli.output import CannotError, say
from tracker.cli.tables import say_facts

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics", action="store_true", help="all that Prometheus is told, instead"
    )
    add_client(parser, print_stats)


def print_stats(options: argparse.Namespace) -> None:
    if options.metrics and options.log:
        raise CannotError("only a running tracker has --metrics; a log has the counters")
    if options.metrics:
        _print_metrics(options)
        return
    say_facts(options, client(options).stats())


def _print_metrics(options: argparse.Namespace) -> None:
    for metric in client(options).metrics():
        if options.json:
            say_json(metric)
            continue
        for sample in metric["samples"]:
            labels = " ".join(f"{one['name']}={one['value']}" for one in sample["labels"])
            say(f"{metric['name']} {sample['value']} {labels}".rstrip())
