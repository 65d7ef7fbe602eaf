"""A disk whose power can be cut: unsynced data survives in pieces of 512 bytes, or not at all.

It replaces the few system calls with which the log writes below one folder. The files there show
the page cache, so that reading needs no model; the disk's content is kept in memory. It is
pessimistic where file systems differ: any combination of unsynced names (made, renamed, removed)
and unsynced sectors may survive.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

SECTOR = 512


class PowerCut(BaseException):
    """The power is gone. It is no `Exception`, so that no handler runs on without power."""


@define(eq=False)
class File:
    """`versions` are the content on disk and after each unsynced change; sectors come from any."""

    versions: list[bytes] = field(factory=lambda: [b""])
    seen: bytes = b""  # the content that readers see

    def write(self, offset: int, data: bytes) -> None:
        self._change(
            lambda old: old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :]
        )

    def truncate(self, size: int) -> None:
        self._change(lambda old: old[:size].ljust(size, b"\0"))

    def _change(self, change: Callable[[bytes], bytes]) -> None:
        self.versions.append(change(self.versions[-1]))
        self.seen = change(self.seen)

    def sync(self) -> None:
        del self.versions[:-1]

    def forget(self, chance: random.Random) -> None:
        """Loses a failed sync's changes: the page cache takes them for written, and no disk gets
        them.
        """
        self.versions = [self.survivor(chance)]

    def survivor(self, chance: random.Random) -> bytes:
        if chance.random() < 0.3:  # all or nothing, more often than by chance
            return self.versions[chance.choice((0, -1))]
        size = len(chance.choice(self.versions))
        sectors = (
            chance.choice(self.versions)[at : at + SECTOR].ljust(SECTOR, b"\0")
            for at in range(0, size, SECTOR)
        )
        return b"".join(sectors)[:size]


@define(eq=False)
class Folder:
    """`pending` are unsynced changes from names to nodes (None: removed); a rename has two
    names."""

    names: dict[str, File | Folder] = field(factory=dict)  # as seen
    kept: dict[str, File | Folder] = field(factory=dict)  # as on disk
    pending: list[dict[str, File | Folder | None]] = field(factory=list)

    def change(self, **names: File | Folder | None) -> None:
        self.pending.append(names)
        _rename(self.names, names)

    def sync(self) -> None:
        self.kept, self.pending = dict(self.names), []

    def forget(self, chance: random.Random) -> None:
        """Loses nothing: unlike content, names are written again with the next sync."""

    def survivor(self, chance: random.Random) -> dict[str, File | Folder]:
        share = chance.choice((0.0, 0.5, 0.5, 1.0))
        names = dict(self.kept)
        for change in self.pending:
            if chance.random() < share:
                _rename(names, change)
        return names


def _rename(names: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


CALLS = ("open", "close", "pwrite", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "mkdir", "fstatvfs")  # fmt: skip
FAILING = ("open", "pwrite", "fdatasync", "fsync", "ftruncate", "rename", "mkdir", "fstatvfs")


class Disk:
    """The folder `path`. Everything in it must be written through the calls in `CALLS`.

    `cut_in` is the number of calls until the power is cut, `trouble` the share of calls that fail.
    `low` means that little space is left.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self.cut_in: int | None = None
        self.trouble = 0.0
        self.low = False
        self.dead = False
        self.watched = False  # by a check of the test, whose calls always succeed
        self.calls = 0
        self.failures = 0
        self._chance = chance
        self._root = Folder()
        self._open: dict[int, File | Folder] = {}
        self._real: dict[str, Any] = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Sends the process's calls through this disk. At the end its descriptors are closed."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                self._real[name] = getattr(os, name)
                patch.setattr(os, name, self._over(name))
            try:
                yield
            finally:
                for descriptor in list(self._open):
                    os.close(descriptor)

    def _over(self, name: str) -> Callable[..., Any]:
        model, real = getattr(self, f"_on_{name}"), self._real[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            ours = args[0] in self._open if isinstance(args[0], int) else self._is_ours(args[0])
            return model(*args, **kwargs) if ours else real(*args, **kwargs)

        return call

    def _is_ours(self, path: Any) -> bool:
        return Path(path).is_relative_to(self.path)

    def _call(self, name: str) -> None:
        """Runs before each call: the power may be gone, or the call may fail."""
        if self.watched:
            return
        if self.dead:
            raise PowerCut
        self.calls += 1
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in < 0:
                self.dead = True
        elif name in FAILING and self._chance.random() < self.trouble:
            self.failures += 1
            number = self._chance.choice((errno.EIO, errno.ENOSPC))
            raise OSError(number, os.strerror(number))

    def _done(self) -> None:
        """Runs after each call, because the power may go in the middle of one."""
        if self.dead:
            raise PowerCut

    def _place(self, path: Any) -> tuple[Folder, str]:
        *parents, name = Path(path).relative_to(self.path).parts or (".",)
        folder = self._root
        for each in parents:
            below = folder.names.get(each)
            if not isinstance(below, Folder):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            folder = below
        return folder, name

    # The calls.

    def _on_open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        self._call("open")
        folder, name = self._place(path)
        descriptor: int = self._real["open"](path, flags, mode)
        node = self._root if name == "." else folder.names.get(name)
        if node is None:
            node = File()
            folder.change(**{name: node})
        elif isinstance(node, File) and flags & os.O_TRUNC:
            node.truncate(0)
        self._open[descriptor] = node
        self._done_or_close(descriptor)
        return descriptor

    def _done_or_close(self, descriptor: int) -> None:
        if self.dead:
            os.close(descriptor)
            raise PowerCut

    def _on_close(self, descriptor: int) -> None:
        del self._open[descriptor]
        self._real["close"](descriptor)

    def _on_pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        self._call("pwrite")
        piece = bytes(data)
        if self._chance.random() < self.trouble:
            piece = piece[: self._chance.randrange(1, len(piece) + 1)]
        self._file(descriptor).write(offset, piece)
        written: int = self._real["pwrite"](descriptor, piece, offset)
        self._done()
        return written

    def _on_ftruncate(self, descriptor: int, size: int) -> None:
        self._call("ftruncate")
        self._file(descriptor).truncate(size)
        self._real["ftruncate"](descriptor, size)
        self._done()

    def _file(self, descriptor: int) -> File:
        node = self._open[descriptor]
        assert isinstance(node, File)
        return node

    def _on_fdatasync(self, descriptor: int) -> None:
        self._on_fsync(descriptor, "fdatasync")

    def _on_fsync(self, descriptor: int, name: str = "fsync") -> None:
        node = self._open[descriptor]
        try:
            self._call(name)
        except OSError:
            node.forget(self._chance)
            raise
        self._done()
        node.sync()

    def _on_rename(self, path: Any, target: Any) -> None:
        self._call("rename")
        folder, name = self._place(path)
        assert self._place(target)[0] is folder
        self._real["rename"](path, target)
        folder.change(**{name: None, Path(target).name: folder.names[name]})
        self._done()

    def _on_unlink(self, path: Any) -> None:
        self._call("unlink")
        folder, name = self._place(path)
        self._real["unlink"](path)
        folder.change(**{name: None})
        self._done()

    def _on_mkdir(self, path: Any, mode: int = 0o777) -> None:
        self._call("mkdir")
        folder, name = self._place(path)
        self._real["mkdir"](path, mode)
        folder.change(**{name: Folder()})
        self._done()

    def _on_fstatvfs(self, _descriptor: int) -> SimpleNamespace:
        self._call("fstatvfs")
        return SimpleNamespace(f_bavail=0 if self.low else 1 << 40, f_frsize=1)

    # After a cut.

    def power_up(self) -> None:
        """Puts the survivors of a cut in place. All of them are on disk then."""
        assert not self._open
        self._check(self._root, self.path)
        self._settle(self._root)
        shutil.rmtree(self.path)
        self._write(self._root, self.path)
        self.cut_in, self.dead = None, False

    def _check(self, folder: Folder, path: Path) -> None:
        """Checks that nothing was written past this disk."""
        assert sorted(folder.names) == sorted(each.name for each in path.iterdir()), path
        for name, node in folder.names.items():
            if isinstance(node, Folder):
                self._check(node, path / name)
            else:
                assert node.seen == (path / name).read_bytes(), path / name

    def _settle(self, folder: Folder) -> None:
        folder.names = folder.survivor(self._chance)
        folder.sync()
        for node in folder.names.values():
            if isinstance(node, Folder):
                self._settle(node)
            else:
                node.seen = node.survivor(self._chance)
                node.versions = [node.seen]

    def _write(self, folder: Folder, path: Path) -> None:
        path.mkdir()
        for name, node in folder.names.items():
            if isinstance(node, Folder):
                self._write(node, path / name)
            else:
                (path / name).write_bytes(node.seen)
