"""Compiles the hot modules at an install; hatchling calls this for wheels and editable installs.

For a wheel they are made in a temporary folder. An editable install has them in the checkout beside
their sources, for one Python at a time. The install is pure Python without a C compiler, without
Python's headers, on a machine that is not little-endian with 64 bits, and with SWARMLOG_PURE=1;
`tracker --version` names the build. With SWARMLOG_COMPILED=1 an install that cannot compile fails
and says why.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # types come from the .pxd files
}

# Python's own build uses -O3, which is no faster here and takes longer to compile.
OPTIONS = ["-O2", "-g0"]
STORE = ROOT / "build" / "modules"
"""Compiled modules by what they were made from, so that an edit of one compiles one."""
WHY_PURE = ROOT / "build" / "why-pure"
"""Why the checkout is pure Python, for scripts/_venv, which shows it; absent = it is compiled."""
MOST_STORED = 300  # files, about 50 MB; those that were not used for the longest time go


class Compiling(BuildHookInterface):  # type: ignore[type-arg]  # hatchling alone uses its parameter
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        hot = _build_module()
        editable = version == "editable"
        if editable:
            WHY_PURE.unlink(missing_ok=True)
            if _done(hot):
                return
        self._scratch = tempfile.TemporaryDirectory()  # removed when the process ends
        folder = Path(self._scratch.name)
        problem = _compile(folder)
        if problem is not None:
            if editable:
                _remove(hot)
                WHY_PURE.parent.mkdir(exist_ok=True)
                WHY_PURE.write_text(f"{problem}\n")
            if os.environ.get("SWARMLOG_COMPILED") == "1":
                raise RuntimeError(f"the hot modules could not be compiled: {problem}")
            self.app.display_info(f"pure Python: {problem}")
            return
        made = {
            f"tracker/{name}{SUFFIX}": folder / f"tracker/{name}{SUFFIX}" for name in hot.MODULES
        }
        record = folder / "compiled.json"
        record.write_text(json.dumps(_record(hot)))
        if editable:
            _remove(hot)
            for name, path in made.items():
                _put(path, ROOT / name)
            _put(record, hot.RECORD)  # last, because without it the tracker refuses the others
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            made["tracker/compiled.json"] = record
            build_data["force_include"].update({str(path): name for name, path in made.items()})


def _build_module() -> Any:
    """Imports tracker/build.py without the package."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "tracker" / "build.py")
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  # the file exists
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _record(hot: Any) -> dict[str, str]:
    return {"sources": hot.digest(), "abi": sysconfig.get_config_var("SOABI")}


def _wanted() -> str | None:
    """Returns a reason not to compile; None = there is none."""
    if os.environ.get("SWARMLOG_PURE") == "1":
        return "SWARMLOG_PURE is set"
    # The .pxd files copy numbers as they lie in memory, and hold unsigned numbers of 32 bits in a
    # Py_ssize_t.
    if sys.byteorder != "little" or sys.maxsize < 2**63 - 1:
        return "this machine is not a little-endian one of 64 bits"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's headers are not installed (Debian: python3-dev)"
    if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
        return "there is no C compiler"
    return None


def _done(hot: Any) -> bool:
    """Returns whether the checkout already holds the compiled modules of these sources."""
    try:
        recorded = json.loads(hot.RECORD.read_bytes())
    except (OSError, ValueError):
        return False
    there = all((hot.ROOT / f"{name}{SUFFIX}").exists() for name in hot.MODULES)
    return _wanted() is None and recorded == _record(hot) and there


def _compile(folder: Path) -> str | None:
    """Compiles into a folder; returns the reason if it cannot."""
    problem = _wanted()
    if problem is not None:
        return problem
    # In a process of its own, because a compiler that runs out of memory must not end the install.
    ran = subprocess.run(
        [sys.executable, __file__, folder], cwd=ROOT, capture_output=True, text=True
    )
    if ran.returncode:
        return (ran.stderr or ran.stdout).strip()[-2000:] or f"exit code {ran.returncode}"
    return None


def _put(made: Path, path: Path) -> None:
    """Replaces a file at once, because another install or a process may be using the old one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    shutil.copyfile(made, temporary)
    os.replace(temporary, path)


def _remove(hot: Any) -> None:
    """Removes all compiled modules, of every Python.

    A module that cannot be removed is noticed when the tracker starts, because `build.stale`
    compares digests.
    """
    for path in (hot.RECORD, *hot.ROOT.rglob("*.so")):
        with suppress(OSError):
            path.unlink()


def _build(folder: str) -> None:
    """Makes all hot modules: those whose sources changed since they were last compiled here anew,
    the others from the store.
    """
    stored = {name: STORE / f"{_key(name)}.so" for name in _build_module().MODULES}
    missing = [name for name, path in stored.items() if not path.exists()]
    if missing:
        _cythonize(missing, folder)
    for name, path in stored.items():
        made = Path(folder, f"tracker/{name}{SUFFIX}")
        if name in missing:
            with suppress(OSError):  # the store only saves time
                path.parent.mkdir(parents=True, exist_ok=True)
                _put(made, path)
        else:
            made.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, made)
            with suppress(OSError):
                os.utime(path)
    with suppress(OSError):  # another install may remove the same
        by_age = sorted(STORE.glob("*.so"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-MOST_STORED]:
            path.unlink()


def _key(name: str) -> str:
    """Returns a digest of all that decides what a module is compiled to."""
    import Cython

    flags = [os.environ.get(name, "") for name in ("CC", "CFLAGS", "LDFLAGS")]
    digest = sha256(f"{Cython.__version__} {sys.version} {SUFFIX} {flags} {name}".encode())
    shared = sorted((ROOT / "tracker").rglob("*.pxd"))
    for path in (Path(__file__), ROOT / f"tracker/{name}.py", *shared):
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _cythonize(names: list[str], folder: str) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    with tempfile.TemporaryDirectory() as scratch:
        extensions = [
            Extension(
                f"tracker.{name.replace('/', '.')}",
                [f"tracker/{name}.py"],
                extra_compile_args=OPTIONS,
            )
            for name in names
        ]
        modules = cythonize(
            extensions, compiler_directives=DIRECTIVES, build_dir=scratch, quiet=True
        )
        build = Distribution({"name": "swarmlog", "ext_modules": modules}).get_command_obj(
            "build_ext"
        )
        build.build_lib, build.build_temp, build.parallel = folder, scratch, os.cpu_count()
        build.ensure_finalized()
        build.run()


if __name__ == "__main__":
    _build(sys.argv[1])
