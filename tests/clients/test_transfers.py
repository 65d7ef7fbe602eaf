"""Tests transfers between clients from Debian: the file, the log and the accounts."""

from __future__ import annotations

from contextlib import closing
from itertools import dropwhile
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import SIZE
from tests.clients.programs import PROGRAMS, HastyAria2, Program
from tests.e2e.clients import api
from tests.e2e.process import Follower, free_ports
from tests.e2e.swarm import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorrent import settings_pack

    from tests.clients.conftest import Site
    from tests.e2e.process import Event, Tracker
    from tests.e2e.swarm import Content

pytestmark = pytest.mark.clients

OURS, THEIRS = "127.0.0.1", "127.0.0.2"  # addresses of the two clients; libtorrent has the first
OVER_TCP: settings_pack = {"enable_outgoing_utp": False}  # for clients that do not answer uTP
WAYS = [
    pytest.param("http", True, id="http-keyed"),
    pytest.param("udp", False, id="udp"),  # none of these clients sends a key over UDP
    pytest.param("http", False, id="http"),
]
every_program = pytest.mark.parametrize("command", PROGRAMS)


class Announces:
    """The announces in the log as they come."""

    def __init__(self, tracker: Tracker) -> None:
        self._follower = Follower(tracker, "--type", "announced")

    def close(self) -> None:
        self._follower.close()

    def until(self, address: str, event: str, uploaded: int = 0) -> list[Event]:
        """Returns all announces, once the client at `address` has sent this event."""
        return self._follower.until(
            lambda events: any(
                (one["address"], one["event"]) == (address, event) and one["uploaded"] >= uploaded
                for one in events
            )
        )


def run(program: type[Program], torrent: Content, files: Path, host: str = THEIRS) -> Program:
    return program(torrent, files, host, free_ports(1)[0])


def of(address: str, events: list[Event]) -> list[Event]:
    """Returns one address's announces from `started` on, because Transmission may begin with
    `stopped`.
    """
    mine = [one for one in events if one["address"] == address]
    return list(dropwhile(lambda one: one["event"] == "stopped", mine))


def check(mine: list[Event], program: type[Program], protocol: str, *kinds: str) -> None:
    """Checks one client's announces: one peer, one chain, these events, and `stopped` if it sends
    that.
    """
    heard = [one["event"] for one in mine if one["event"] != "none"]
    if protocol in program.parts_over or heard[-1] == "stopped":
        kinds = (*kinds, "stopped")
    assert heard == list(kinds)
    assert [one["prev_seq"] for one in mine] == [None, *(one["seq"] for one in mine[:-1])]
    assert len({(one["peer_id"], one["port"]) for one in mine}) == 1
    assert bytes.fromhex(mine[0]["peer_id"]).startswith(program.peer_id)


def check_ledger(site: Site, seed: int, leech: int, uploaded: int) -> None:
    """Checks both accounts after a transfer.

    `uploaded` is the seed's own total, which in some clients includes the headers of pieces.
    """
    assert uploaded >= SIZE
    assert site.ledger(seed) == {"uploaded": uploaded, "downloaded": 0}
    assert site.ledger(leech) == {"uploaded": 0, "downloaded": SIZE}


@every_program
@pytest.mark.parametrize(("protocol", "keyed"), WAYS)
def test_download(
    find_program: Callable[[str], type[Program]],
    new_site: Callable[..., Site],
    tmp_path: Path,
    command: str,
    protocol: str,
    keyed: bool,
) -> None:
    """The client gets the file from libtorrent; its key's account has the file's size."""
    _download(find_program(command), new_site(protocol, keyed=keyed), tmp_path, protocol, keyed)


def test_download_without_completed(
    find_program: Callable[[str], type[Program]], new_site: Callable[..., Site], tmp_path: Path
) -> None:
    """An aria2 that does not seed sends no `completed`, but its account has the file."""
    find_program(HastyAria2.command)
    _download(HastyAria2, new_site("http", keyed=True), tmp_path, "http", keyed=True)


def _download(program: type[Program], site: Site, folder: Path, protocol: str, keyed: bool) -> None:
    have, want = site.ours.put_into(folder / "have"), folder / "want"
    parts = protocol in program.parts_over
    with (
        closing(Announces(site.tracker)) as log,
        closing(Client(site.ours, have, settings=OVER_TCP)) as seed,
    ):
        seed.wait_announced()
        with closing(run(program, site.theirs, want)) as leech:
            log.until(THEIRS, "started")
            if not program.dials_loopback:
                seed.reannounce()
            if program.completes:
                log.until(THEIRS, "completed")
                assert api(site.tracker, "/api/v1/stats")["completed"] == 1
                leech.leave()
            else:
                assert leech.wait() == 0
            if parts:
                log.until(THEIRS, "stopped")
            seed.leave()
            events = log.until(OURS, "stopped")
    assert site.ours.found_in(want)
    assert {one["protocol"] for one in events} == {protocol}
    kinds = ("started", "completed") if program.completes else ("started",)
    check(of(THEIRS, events), program, protocol, *kinds)
    if keyed:
        check_ledger(site, 1, 2, SIZE)


@every_program
@pytest.mark.parametrize(("protocol", "keyed"), WAYS[:2])
def test_seed(
    find_program: Callable[[str], type[Program]],
    new_site: Callable[..., Site],
    tmp_path: Path,
    command: str,
    protocol: str,
    keyed: bool,
) -> None:
    """libtorrent gets the file from the client; its key's account has the client's own total."""
    program, site = find_program(command), new_site(protocol, keyed=keyed)
    have, want = site.theirs.put_into(tmp_path / "have"), tmp_path / "want"
    parts = protocol in program.parts_over
    with closing(Announces(site.tracker)) as log, closing(run(program, site.theirs, have)) as seed:
        log.until(THEIRS, "started")
        with closing(Client(site.ours, want, settings=OVER_TCP)) as leech:
            leech.wait_complete()
            leech.wait_announced(2)
            leech.leave()
            log.until(OURS, "stopped")
            if parts:
                seed.leave()
                events = log.until(THEIRS, "stopped")
            else:
                events = log.until(
                    THEIRS, "none", SIZE
                )  # because each client sends `stopped` when it likes
        assert site.ours.found_in(want)
    assert {one["protocol"] for one in events} == {protocol}
    mine = of(THEIRS, events)
    check(mine, program, protocol, "started")
    if keyed:
        check_ledger(site, 2, 1, mine[-1]["uploaded"])


@pytest.mark.parametrize(
    ("seeding", "leeching"),
    [
        ("aria2c", "aria2c"),
        ("aria2c", "rtorrent"),
        ("rtorrent", "rtorrent"),
        ("transmission-cli", "rtorrent"),
    ],
)
def test_among_themselves(
    find_program: Callable[[str], type[Program]],
    new_site: Callable[..., Site],
    tmp_path: Path,
    seeding: str,
    leeching: str,
) -> None:
    """Two of these clients exchange the file by their keys; each account has it once."""
    giver, taker, site = find_program(seeding), find_program(leeching), new_site("http", keyed=True)
    have, want = site.ours.put_into(tmp_path / "have"), tmp_path / "want"
    with (
        closing(Announces(site.tracker)) as log,
        closing(run(giver, site.ours, have, OURS)) as seed,
    ):
        log.until(OURS, "started")
        with closing(run(taker, site.theirs, want)) as leech:
            log.until(THEIRS, "completed")
            leech.leave()
            log.until(THEIRS, "stopped")
            if "http" in giver.parts_over:
                seed.leave()
                events = log.until(OURS, "stopped")
            else:
                events = log.until(OURS, "none", SIZE)
    assert site.ours.found_in(want)
    check_ledger(site, 1, 2, of(OURS, events)[-1]["uploaded"])


@every_program
def test_revoked_key(
    find_program: Callable[[str], type[Program]],
    new_site: Callable[..., Site],
    tmp_path: Path,
    command: str,
) -> None:
    """A client with a revoked key is refused, and the log has the key's number."""
    program, site = find_program(command), new_site("http", keyed=True)
    api(site.tracker, f"/api/v1/key/{site.keys[1]}", "DELETE")
    with (
        closing(Follower(site.tracker, "--type", "announce_refused")) as log,
        closing(run(program, site.theirs, tmp_path / "want")),
    ):
        refused = log.until(bool)[0]
    assert (refused["reason"], refused["key_ref"]) == ("key_revoked", 2)
    assert site.ledger(2) == {"uploaded": 0, "downloaded": 0}
