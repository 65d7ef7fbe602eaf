"""Runs BitTorrent clients from Debian, each as a process that shares one torrent.

They know no peers but the tracker's: the DHT, local discovery and port mapping are off, and the
torrents are private.
"""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from tests.e2e.process import DEADLINE, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.swarm import Content


@frozen
class Job:
    """A client's task. A file to seed is in `files` already."""

    torrent: Path
    files: Path
    work: Path  # the client's own folder and home
    host: str
    port: int


class Program:
    """A client. `leave` lets it send `stopped`; `close` kills it."""

    command: ClassVar[str]
    package: ClassVar[str]
    peer_id: ClassVar[bytes]  # the first bytes of its peer ids
    dials_loopback: ClassVar[bool] = True  # true if it connects to peers in 127.0.0.0/8
    parts_over: ClassVar[tuple[str, ...]] = (
        "http",
        "udp",
    )  # protocols over which it sends `stopped` at its end
    completes: ClassVar[bool] = True  # true if it sends `completed`

    def __init__(self, content: Content, files: Path, host: str, port: int) -> None:
        work = files.parent / f"{files.name}.{self.command}"
        work.mkdir()
        files.mkdir(exist_ok=True)
        job = Job(work / "shared.torrent", files, work, host, port)
        job.torrent.write_bytes(content.metainfo)
        self._output = work / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [self.command, *self.arguments(job)],
                cwd=work,
                env={**clean_environment(), "HOME": str(work), "TERM": "dumb"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @classmethod
    def arguments(cls, job: Job) -> list[str]:
        """Returns the command line's arguments. It may write files into the job's work folder."""
        raise NotImplementedError

    def leave(self) -> None:
        """Ends the client as a user does, and waits for the end."""
        self._process.send_signal(signal.SIGINT)
        self.wait()

    def wait(self) -> int:
        """Waits for its end; returns the exit code."""
        try:
            return self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} goes on:\n{self.output}") from None

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._output.read_text(errors="replace")


class Aria2(Program):
    """Seeds without end. It uses UDP trackers only with its DHT on, which has no nodes here."""

    command = "aria2c"
    package = "aria2"
    peer_id = b"A2-"
    seeds: ClassVar[tuple[str, ...]] = ("--seed-ratio=0.0",)

    @classmethod
    def arguments(cls, job: Job) -> list[str]:
        udp = b"udp://" in job.torrent.read_bytes()
        return [
            "--no-conf=true",
            f"--enable-dht={str(udp).lower()}",
            f"--dht-file-path={job.work}/dht.dat",
            f"--dht-listen-port={job.port}",
            "--enable-dht6=false",
            "--disable-ipv6=true",
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--file-allocation=none",
            "--summary-interval=0",
            "--check-integrity=true",
            f"--interface={job.host}",
            f"--listen-port={job.port}",
            f"--dir={job.files}",
            *cls.seeds,
            str(job.torrent),
        ]


class HastyAria2(Aria2):
    """Ends as soon as it has the file, and sends `stopped` but no `completed`."""

    completes = False
    seeds = ("--seed-time=0",)


class Rtorrent(Program):
    """Does not check the complete file again, because `completed` would come an interval later."""

    command = "rtorrent"
    package = "rtorrent"
    peer_id = b"-lt"

    @classmethod
    def arguments(cls, job: Job) -> list[str]:
        session = job.work / "session"
        session.mkdir()
        settings = job.work / "settings.rc"
        settings.write_text(
            f"""\
system.daemon.set = true
network.bind_address.set = {job.host}
network.port_range.set = {job.port}-{job.port}
dht.mode.set = disable
protocol.pex.set = no
pieces.hash.on_completion.set = no
trackers.use_udp.set = yes
session.path.set = {session}
directory.default.set = {job.files}
schedule2 = start,0,0,"load.start_verbose={job.torrent}"
"""
        )
        return ["-n", "-o", f"import={settings}"]


class Transmission(Program):
    """The command line client. It dials no loopback peers, so the others dial it."""

    command = "transmission-cli"
    package = "transmission-cli"
    peer_id = b"-TR3"
    dials_loopback = False
    parts_over = ("udp",)

    @classmethod
    def arguments(cls, job: Job) -> list[str]:
        settings = {
            "bind-address-ipv4": job.host,
            "bind-address-ipv6": "::1",
            "dht-enabled": False,
            "lpd-enabled": False,
            "pex-enabled": False,
            "port-forwarding-enabled": False,
            "rpc-enabled": False,
            "utp-enabled": False,
        }
        (job.work / "settings.json").write_text(json.dumps(settings))
        return [
            "--no-portmap",
            f"--config-dir={job.work}",
            f"--port={job.port}",
            f"--download-dir={job.files}",
            str(job.torrent),
        ]


PROGRAMS: dict[str, type[Program]] = {one.command: one for one in (Aria2, Rtorrent, Transmission)}
