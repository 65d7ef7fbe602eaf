"""The code writes and reads the bytes that docs/log-format.md shows."""

from __future__ import annotations

import re
from pathlib import Path

from eventlog import Reader
from eventlog.segment import file_name
from tests.golden import sample
from tests.support import events_in
from tracker.store.address_keys import Keyring

PAGE = (Path(__file__).parents[2] / "docs" / "log-format.md").read_text()
_LINE = re.compile(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  .*)?$", re.MULTILINE)


def test_the_page_shows_what_is_written() -> None:
    """The page holds the listing, line by line with the names of the fields, and the test
    vectors."""
    assert "\n".join(sample.annotated()) in PAGE
    assert "\n".join(sample.vectors()) in PAGE


def test_what_the_page_shows_is_read(tmp_path: Path) -> None:
    """The bytes of the page, put into files, form a log."""
    data = b"".join(bytes.fromhex(each) for each in _LINE.findall(PAGE))
    log, secrets = tmp_path / "log", tmp_path / "secrets"
    (log / "seg").mkdir(parents=True)
    secrets.mkdir()
    sample.put_secrets(secrets)
    (log / "seg" / file_name(0, 1)).write_bytes(data)
    (log / "identity.json").write_text(f'{{"log_id": "{sample.LOG_ID.hex()}", "format": 2}}')
    started, announced = events_in(Reader(log, keys=Keyring(secrets)).frames())
    assert started == {
        "seq": 0, "time": "2027-01-15T08:00:00.000000Z", "type": "tracker_started", "epoch": 1,
        "version": "1.0.0", "wall_us": 1_800_000_000_000_000,
    }  # fmt: skip
    assert (announced["address"], announced["port"], announced["rule"]) == (
        "127.0.0.1", 6881, "first",
    )  # fmt: skip
