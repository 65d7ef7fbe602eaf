"""`tracker change-server-key`: replaces the server's secret; the tracker must be stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tracker.cli.api_options import line
from tracker.cli.options import add_config
from tracker.cli.output import note_recovery, progress, say, say_json
from tracker.config import load

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Put another server.key in the place of the one that vouches for the log. The old one goes to the "
        "folder retired beside it, because earlier events are checked with it. The tracker must be stopped."
    )
    add_config(parser)
    parser.add_argument("--reason", type=line, default="", help="recorded with the event")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=change_server_key)


def change_server_key(options: argparse.Namespace) -> int:
    from tracker import ports
    from tracker.offline import key_change

    config = load(options.config).config.event_log
    by = ports.Actor("change-server-key", "", str(uuid4()), options.reason)
    with progress("Replaying the log") as replaying:
        event = key_change.change(config, by, replaying, note_recovery)
    if options.json:
        say_json({"before": event.before, "after": event.after})
    else:
        retired = Path(config.secrets_path) / "retired" / f"{event.before}.key"
        say(f"server.key is another one. The one before is {retired}: keep it, and back up both")
    return 0
