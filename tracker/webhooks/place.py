"""Keeps how far a webhook is in a small file, and the deliveries that were given up."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from attrs import asdict, define, field

from eventlog import NotAFileError, border, make_folder, parse_json, read_file, write_new
from tracker.ports import DeadLetter

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tracker")

MOST_DEAD = 1000
"""The most dead letters of a webhook. Of further ones only the number is kept."""
FOLDER = "webhooks"
"""The folder of the files, in that of the log."""


@define
class Place:
    """How far a webhook is."""

    path: Path
    log_id: str
    seq: int  # everything up to this event was delivered, or is a dead letter
    dead: list[DeadLetter] = field(factory=list)
    dropped: int = 0
    fresh: bool = False  # no file has it yet

    def save(self) -> None:
        """Writes it durably, whole or not at all. Raises `OSError`."""
        data = {
            "log_id": self.log_id, "seq": self.seq, "dead": [asdict(one) for one in self.dead],
            "dropped": self.dropped,
        }  # fmt: skip
        make_folder(self.path.parent)
        write_new(self.path, json.dumps(data).encode())
        self.fresh = False

    def bury(self, letter: DeadLetter) -> None:
        """Enters a dead letter."""
        if len(self.dead) < MOST_DEAD:
            self.dead.append(letter)
        else:
            self.dropped += 1


def load(folder: Path, name: str, log_id: str, end: int) -> Place:
    """Reads how far a webhook is. A new one begins at the end of the log: before event `end`.

    So does one whose file is of another log, of a later one, or cannot be read; the text log says
    so. Raises `OSError`.
    """
    path = folder / FOLDER / f"{name}.json"
    fresh = Place(path, log_id, end - 1, fresh=True)
    try:
        data = read_file(path)
        with border(ValueError):
            place = _place(path, parse_json(data))
    except FileNotFoundError:
        return fresh
    except (NotAFileError, ValueError) as error:
        log.warning(
            "Webhook %s begins with event %d: %s cannot be read: %s", name, end, path, error
        )
        return fresh
    if place.log_id != log_id or place.seq >= end:
        log.warning("Webhook %s begins with event %d: %s is of another log", name, end, path)
        return fresh
    return place


def _place(path: Path, found: Any) -> Place:
    """Makes a place of JSON. Raises anything for nonsense."""
    dead = [
        DeadLetter(int(one["first"]), int(one["last"]), int(one["time_us"]), str(one["why"]))
        for one in found["dead"]
    ]
    place = Place(path, str(found["log_id"]), int(found["seq"]), dead, int(found["dropped"]))
    if min([place.seq, *(one.first - 1 for one in dead)]) < -1:
        raise ValueError("it has numbers below 0")
    return place
