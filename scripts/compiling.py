"""Compiles the hot modules when the project is installed: hatchling calls this for wheels and editable installs.

A wheel gets them from a folder that is gone afterwards; an editable install has them in the checkout, beside their sources, for one
Python at a time. Without a C compiler, Python's headers or a little-endian machine of 64 bits, and with SWARMLOG_PURE=1, the install is
pure Python; `tracker --version` says which it is. With SWARMLOG_COMPILED=1 an install that cannot compile fails and says why.
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
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # types come from the .pxd files, the annotations are for people and mypy
}

OPTIONS = [
    "-O2",
    "-g0",
]  # -O3, as Python's own build says, is no faster here and takes longer to compile


class Compiling(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is for the plugin's author alone
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        hot = _build_module()
        editable = version == "editable"
        if editable and _done(hot):
            return
        self._scratch = tempfile.TemporaryDirectory()  # goes with the process
        folder = Path(self._scratch.name)
        problem = _compile(folder)
        if problem is not None:
            if editable:
                _remove(hot)
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
            _put(record, hot.RECORD)  # the last: without it nobody runs the others
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            made["tracker/compiled.json"] = record
            build_data["force_include"].update({str(path): name for name, path in made.items()})


def _build_module() -> Any:
    """tracker/build.py, without importing the package."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "tracker" / "build.py")
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  # a file that is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _record(hot: Any) -> dict[str, str]:
    return {"sources": hot.digest(), "abi": sysconfig.get_config_var("SOABI")}


def _wanted() -> str | None:
    """Why not to compile, if there is a reason."""
    if os.environ.get("SWARMLOG_PURE") == "1":
        return "SWARMLOG_PURE is set"
    # The .pxd files copy numbers as they are in memory, and keep columns' 32 bits without a sign in a Py_ssize_t.
    if sys.byteorder != "little" or sys.maxsize < 2**63 - 1:
        return "this machine is not a little-endian one of 64 bits"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's headers are not installed (Debian: python3-dev)"
    if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
        return "there is no C compiler"
    return None


def _done(hot: Any) -> bool:
    """Whether the checkout has what would be compiled."""
    try:
        recorded = json.loads(hot.RECORD.read_bytes())
    except (OSError, ValueError):
        return False
    there = all((hot.ROOT / f"{name}{SUFFIX}").exists() for name in hot.MODULES)
    return _wanted() is None and recorded == _record(hot) and there


def _compile(folder: Path) -> str | None:
    """Compile into a folder; why not, if it cannot be."""
    problem = _wanted()
    if problem is not None:
        return problem
    # A process of its own: a compiler that runs out of memory is no reason not to install.
    ran = subprocess.run(
        [sys.executable, __file__, folder], cwd=ROOT, capture_output=True, text=True
    )
    if ran.returncode:
        return (ran.stderr or ran.stdout).strip()[-2000:] or f"exit code {ran.returncode}"
    return None


def _put(made: Path, path: Path) -> None:
    """At once: another install may do the same, and a process may run what was there."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    shutil.copyfile(made, temporary)
    os.replace(temporary, path)


def _remove(hot: Any) -> None:
    """All that was compiled, for whatever Python. Where that may not be, the tracker says so when it starts."""
    for path in (hot.RECORD, *hot.ROOT.rglob("*.so")):
        with suppress(OSError):
            path.unlink()


def _build(folder: str) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    with tempfile.TemporaryDirectory() as scratch:
        extensions = [
            Extension(
                f"tracker.{name.replace('/', '.')}",
                [f"tracker/{name}.py"],
                extra_compile_args=OPTIONS,
            )
            for name in _build_module().MODULES
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
