"""Runs libtorrent sessions on loopback that find each other only by the tracker."""

from __future__ import annotations

import time
from hashlib import sha1
from itertools import count
from typing import TYPE_CHECKING

import libtorrent
from attrs import frozen

from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorrent import settings_pack

_hosts = count(1)


def unused_host() -> str:
    """Returns a loopback address for a UDP tracker that no client of this process has met.

    libtorrent keeps connection ids for a minute, for all sessions, by the tracker's address without
    its port. At a used address it would send a new tracker the old one's id.
    """
    return f"127.0.77.{next(_hosts)}"


PIECE = 16_384  # bytes
_NAME = b"payload.bin"


@frozen
class Content:
    """A private torrent of one file. Its peers come from its tracker only."""

    data: bytes
    metainfo: bytes
    info_hash: bytes

    def put_into(self, folder: Path) -> Path:
        folder.mkdir()
        (folder / _NAME.decode()).write_bytes(self.data)
        return folder

    def found_in(self, folder: Path) -> bool:
        return (folder / _NAME.decode()).read_bytes() == self.data


def content(data: bytes, announce_url: str) -> Content:
    digests = [sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE)]  # noqa: S324  # BEP 3
    pieces = b"".join(digests)
    info = b"d6:lengthi%de4:name%d:%b12:piece lengthi%de6:pieces%d:%b7:privatei1ee" % (
        len(data), len(_NAME), _NAME, PIECE, len(pieces), pieces,
    )  # fmt: skip
    url = announce_url.encode()
    metainfo = b"d8:announce%d:%b4:info%be" % (len(url), url, info)
    return Content(data, metainfo, sha1(info).digest())  # noqa: S324  # BEP 3


_SETTINGS: settings_pack = {
    "listen_interfaces": "127.0.0.1:0",
    "outgoing_interfaces": "127.0.0.1",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "announce_to_all_trackers": False,
    "stop_tracker_timeout": 5,
    "min_reconnect_time": 1,  # seconds to retry an unreachable peer; by default a minute
    "alert_mask": int(libtorrent.alert_category.error)
    | int(libtorrent.alert_category.tracker)
    | int(libtorrent.alert_category.storage)
    | int(libtorrent.alert_category.status),
}


class Client:
    """A libtorrent session with one torrent."""

    def __init__(
        self,
        torrent: Content,
        folder: Path,
        download_limit: int = -1,
        settings: settings_pack | None = None,
    ) -> None:
        """`download_limit` is bytes a second, -1 for none; `settings` override the usual ones."""
        self._session = libtorrent.session({**_SETTINGS, **(settings or {})})
        parameters = libtorrent.load_torrent_buffer(torrent.metainfo)
        parameters.save_path = str(folder)
        parameters.download_limit = download_limit
        self._alerts: list[str] = []
        self._torrent = self._session.add_torrent(parameters)

    @property
    def port(self) -> int:
        return int(self._session.listen_port())

    def wait_announced(self, times: int = 1) -> None:
        """Waits until the tracker has answered so many announces."""
        self._wait(lambda: self._seen("tracker_reply_alert") >= times)

    def leave(self) -> None:
        """Leaves the swarm. libtorrent sends `stopped` later and reports no answer to it."""
        self._session.remove_torrent(self._torrent)

    def connect(self, other: Client) -> None:
        """Connects to another client, without the tracker's help."""
        self._torrent.connect_peer(("127.0.0.1", other.port))

    def wait_downloading(self) -> None:
        self._wait(lambda: self._torrent.status().total_payload_download > 0)

    def wait_complete(self) -> None:
        """Waits until every piece is there and on disk."""
        self._wait(lambda: self.complete)
        self._torrent.flush_cache()
        self._wait(lambda: self._seen("cache_flushed_alert") > 0)

    @property
    def complete(self) -> bool:
        return bool(self._torrent.status().is_seeding)

    def unlimit(self) -> None:
        self._torrent.set_download_limit(-1)

    def reannounce(self) -> None:
        """Announces now and waits for the answer."""
        before = self._seen("tracker_reply_alert")
        self._torrent.force_reannounce(0, -1, libtorrent.reannounce_flags_t.ignore_min_interval)
        self._wait(lambda: self._seen("tracker_reply_alert") > before)

    def close(self) -> None:
        """Ends the session without `stopped`."""
        self._session.pause()
        self._session.pop_alerts()

    def _seen(self, kind: str) -> int:
        self._alerts += [f"{type(one).__name__}: {one}" for one in self._session.pop_alerts()]
        return sum(one.startswith(f"{kind}: ") for one in self._alerts)

    def _wait(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not reached():
            if time.monotonic() > end:
                self._seen("")  # collects the latest alerts
                raise AssertionError("libtorrent said only:\n" + "\n".join(self._alerts))
            self._session.wait_for_alert(100)
