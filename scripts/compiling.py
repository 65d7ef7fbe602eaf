"""Compiles the hot modules when the project is installed, in place: hatchling calls this for wheels and editable installs.

Without a C compiler, Python's headers or a little-endian machine, and with SWARMLOG_PURE=1, the install is pure Python; `tracker --version`
says which it is. With SWARMLOG_COMPILED=1 an install that cannot compile fails and says why.
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
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
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
        hot = _hot()
        problem = _compile(hot)
        if problem is not None:
            _remove(hot)
            if os.environ.get("SWARMLOG_COMPILED") == "1":
                raise RuntimeError(f"the hot modules could not be compiled: {problem}")
            self.app.display_info(f"pure Python: {problem}")
        elif version != "editable":
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += ["tracker/**/*.so", "tracker/compiled.json"]


def _hot() -> Any:
    """tracker/hot.py, without importing the package."""
    spec = importlib.util.spec_from_file_location("hot", ROOT / "tracker" / "hot.py")
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  # a file that is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile(hot: Any) -> str | None:
    """Compile unless that is done; why not, if it cannot be."""
    if os.environ.get("SWARMLOG_PURE") == "1":
        return "SWARMLOG_PURE is set"
    if sys.byteorder != "little":
        return "this machine is not little-endian"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's headers are not installed (Debian: python3-dev)"
    if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
        return "there is no C compiler"
    done = {"sources": hot.digest(), "abi": sysconfig.get_config_var("SOABI")}
    if _recorded(hot) == done and all(_extension(hot, name).exists() for name in hot.MODULES):
        return None
    _remove(hot)
    # A process of its own: a compiler that runs out of memory is no reason not to install.
    ran = subprocess.run([sys.executable, __file__], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        return (ran.stderr or ran.stdout).strip()[-2000:] or f"exit code {ran.returncode}"
    hot.RECORD.write_text(json.dumps(done))
    return None


def _recorded(hot: Any) -> object:
    try:
        return json.loads(hot.RECORD.read_bytes())
    except (OSError, ValueError):
        return None


def _extension(hot: Any, name: str) -> Path:
    return Path(hot.ROOT / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}")


def _remove(hot: Any) -> None:
    """All that was compiled, for whatever Python."""
    for path in hot.ROOT.rglob("*.so"):
        path.unlink()
    hot.RECORD.unlink(missing_ok=True)


def _build() -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    with tempfile.TemporaryDirectory() as scratch:
        extensions = [
            Extension(
                f"tracker.{name.replace('/', '.')}",
                [f"tracker/{name}.py"],
                extra_compile_args=OPTIONS,
            )
            for name in _hot().MODULES
        ]
        modules = cythonize(
            extensions, compiler_directives=DIRECTIVES, build_dir=scratch, quiet=True
        )
        build = Distribution({"name": "swarmlog", "ext_modules": modules}).get_command_obj(
            "build_ext"
        )
        build.inplace, build.build_temp, build.parallel = True, scratch, os.cpu_count()
        build.ensure_finalized()
        build.run()


if __name__ == "__main__":
    _build()
