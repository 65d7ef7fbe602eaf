"""A computer whose clock was never set believes that it is 1970-01-01, which is day 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog import Reader
from tests.days import Site, address_of, endpoints
from tests.eventlog.logs import places, segments
from tests.support import HandTime, events_in, keys_of
from tracker.domain.events import DAY_US
from tracker.offline.verify import Verification
from tracker.store import snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.store.address_keys import Keyring


def told(site: Site, keys: Keyring | None) -> set[str | None]:
    """Returns the addresses of all announces, as a reader tells them."""
    every = events_in(Reader(site.log, to_end=True, keys=keys).frames())
    return {each["address"] for each in every if each["type"] == "announced"}


def test_addresses_of_day_0(tmp_path: Path) -> None:
    """They are encrypted, and right for whoever has the key: after a kill and another start, and in
    a snapshot."""
    site = Site(tmp_path, HandTime(wall=DAY_US // 2))
    site.live(1, leave=False)
    newest = segments(site.log)[-1]
    data = newest.read_bytes()
    newest.write_bytes(data[: places(data)[-1].offset + 50])  # a kill during the last write
    state = site.live(1, leave=False)
    keys = keys_of(site.secrets)
    assert keys.days() == [0]
    known = {address_of(each) for each in endpoints(0)}
    assert told(site, keys) == known
    assert told(site, None) == {None}
    assert site.traces() == []
    assert not site.replayed().hidden_peers()
    assert snapshots.write(site.log, state, keys) is not None
    began, _ = snapshots.start(site.log, keys, to_end=True)
    assert began.seq == state.seq
    assert began.digest() == state.digest() == site.replayed().digest()
    found = Verification(site.log, keys).findings(lambda _done, _total: None)
    assert [one.what for one in found if one.damage] == []
