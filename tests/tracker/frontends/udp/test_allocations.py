"""On the compiled build an announce makes no object, from the received datagram to its reply."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from struct import Struct

import pytest

from tests.support import Rig
from tracker import build
from tracker.frontends.udp.handler import DatagramHandler
from tracker.frontends.udp.mmsg import MESSAGE
from tracker.frontends.udp.recvmmsg import SLOT, Batch
from tracker.wire.connection_id import ConnectionIds

ROOT = Path(__file__).parents[4]
COUNTER = """
#include <stddef.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
static long count;
long allocations(void) { return count; }
void *malloc(size_t size) { count++; return __libc_malloc(size); }
void *calloc(size_t one, size_t size) { count++; return __libc_calloc(one, size); }
"""
"""Counts what Python allocates under PYTHONMALLOC=malloc. It leaves out `realloc`, by which frames
and tables grow now and then, because that makes no object."""
REQUEST = Struct(">QI4s20s20sqqqIIIiH")
ADDRESSES = [bytes([10, 0, 0, number]) for number in range(1, 65)]


class Front:
    """A handler, and a batch that nobody received."""

    def __init__(self, private: bool) -> None:
        rig = Rig.with_settings(private=private)
        self.options = b""
        if private:
            path = b"/announce/" + rig.issue(1, "anna")
            self.options = bytes([2, len(path)]) + path
        self.ids = ConnectionIds(b"k")
        self.handler = DatagramHandler(rig.service, self.ids, 0)
        self.batch = Batch(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), local_addresses=False)

    def allocations(self, count: int, port: int, left: int) -> int:
        """Announces `count` peers, and returns how often memory was allocated meanwhile."""
        self.handler.begin()
        for slot in range(count):
            address = ADDRESSES[slot]
            connection_id = int.from_bytes(self.ids.issue(address), "big")
            request = REQUEST.pack(
                connection_id, 1, b"tran", bytes([slot % 7]) * 20, b"-XX0001-%06d%06d" % (port, slot),
                0, left, 0, 0, 0, 0, 50, port,
            ) + self.options  # fmt: skip
            self.batch.data[slot * SLOT : slot * SLOT + len(request)] = request
            self.batch.names[slot * 32 + 4 : slot * 32 + 8] = address
            end = (slot + 1) * MESSAGE.size
            self.batch.heads[end - 8 : end - 4] = len(request).to_bytes(4, sys.byteorder)
        read = ctypes.CDLL(None).allocations
        read.restype = ctypes.c_long
        read()
        before: int = read()
        self.handler.answer_all(self.batch, count)
        after: int = read()
        self.handler.end()
        return after - before


def main() -> None:
    """Writes, for known peers and for new ones, what 64 announces allocate more than 4: in a public
    mode, and in a private one.
    """
    for private in (False, True):
        front = Front(private)
        front.allocations(64, 1, 0)
        for ports in ((1, 1), (2, 3)):
            few, many = (front.allocations(n, p, 0) for n, p in zip((4, 64), ports, strict=True))
            sys.stdout.write(f"{many - few}\n")


@pytest.mark.skipif(build.build() != "compiled", reason="the pure build makes objects")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_an_announce_allocates_nothing(tmp_path: Path) -> None:
    """64 announces allocate as often as 4."""
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", __name__], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}, timeout=60,
    )  # fmt: skip
    assert ran.stdout.split() == ["0"] * 4


if __name__ == "__main__":
    main()
