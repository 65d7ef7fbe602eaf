"""Mounts a small file system for one test: a tmpfs in the mount namespace of an idle process."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && while read -r command; do eval "$command" && echo done; done'


class Mount:
    """A mounted file system. `path` leads there from outside as long as the process lives."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self._process = process
        self._place = place
        self.path = Path(f"/proc/{process.pid}/root{place}")

    def fill(self, *, leaving: int) -> None:
        """Takes all space but `leaving` bytes."""
        space = os.statvfs(self.path)
        with suppress(OSError), (self.path / "ballast").open("ab", buffering=0) as file:
            file.write(bytes(max(0, space.f_bavail * space.f_frsize - leaving)))
            while not leaving:
                file.write(b"\0")  # takes the space that others freed meanwhile

    def empty(self) -> None:
        (self.path / "ballast").unlink()

    def make_read_only(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"mount -o remount,ro {self._place}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def mounted(place: Path, size: int) -> Iterator[Mount | str]:
    """Mounts a file system of `size` bytes, or yields the reason why it cannot, as one line."""
    place.mkdir()
    private = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    command = ["unshare", *private, "sh", "-c", _MOUNT, "sh", str(size), str(place)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            yield (
                Mount(process, place) if said == "mounted\n" else f"no mounts here: {said.strip()}"
            )
        finally:
            process.kill()
            process.wait(DEADLINE)
