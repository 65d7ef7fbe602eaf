"""BitTorrent clients that Debian packages, each as a process that shares one torrent and knows no peer but the tracker's.

All are told to leave the DHT, local discovery and port mapping alone; the torrents are private ones besides.
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
    """What a client is to do. The file to seed, if any, is in `files` already."""

    torrent: Path
    files: Path
    work: Path  # the client's own folder, its home too
    host: str
    port: int


class Program:
    """A client. To be ended with `leave`, which lets it say `stopped`, or with `close`."""

    command: ClassVar[str]
    package: ClassVar[str]
    peer_id: ClassVar[bytes]  # how it begins
    dials_loopback: ClassVar[bool] = True  # whether it connects to peers in 127.0.0.0/8
    parts_over: ClassVar[tuple[str, ...]] = ("http", "udp")  # where it says `stopped` when it ends
    completes: ClassVar[bool] = True  # whether it says `completed`

    def __init__(self, content: Content, files: Path, host: str, port: int) -> None:
        work = files.parent / f"{files.name}.{self.command}"
        work.mkdir()
        files.mkdir(exist_ok=True)
        job = Job(work / "shared.torrent", files, work, host, port)
        job.torrent.write_bytes(content.metainfo)
        self._said = work / "output.txt"
        with self._said.open("wb") as output:
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
        """The command line's; may write files into the job's work folder."""
        raise NotImplementedError

    def leave(self) -> None:
        """Ask it to end as a user does, and wait until it has."""
        self._process.send_signal(signal.SIGINT)
        self.wait()

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        try:
            return self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} goes on:\n{self.said}") from None

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)

    @property
    def said(self) -> str:
        """Its output so far."""
        return self._said.read_text(errors="replace")


class Aria2(Program):
    """Seeds without end. It asks UDP trackers only when its DHT is on, which has nobody to ask here."""

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
    """Ends as soon as it has the file, with `stopped` alone."""

    completes = False
    seeds = ("--seed-time=0",)


class Rtorrent(Program):
    """Set not to check the file once more when it is complete: `completed` would come an interval later."""

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
    """The command line one. It takes no loopback addresses from trackers: the others have to dial it."""

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
