"""`tracker stats`: prints the counters of the running tracker, or its metrics, from its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import add_client, client, say_json
from tracker.cli.output import say

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics", action="store_true", help="all that Prometheus is told, instead"
    )
    add_client(parser, print_stats)


def print_stats(options: argparse.Namespace) -> None:
    if options.metrics:
        _print_metrics(options)
        return
    stats = client(options).stats()
    if options.json:
        say_json(stats)
        return
    for name, value in stats.items():
        say(f"{name} {value}")


def _print_metrics(options: argparse.Namespace) -> None:
    for metric in client(options).metrics():
        if options.json:
            say_json(metric)
            continue
        for sample in metric["samples"]:
            labels = " ".join(f"{one['name']}={one['value']}" for one in sample["labels"])
            say(f"{metric['name']} {sample['value']} {labels}".rstrip())
