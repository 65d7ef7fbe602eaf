"""Compiles the load generator, scripts/loadgen/, when its source changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "loadgen"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


class CompilerError(Exception):
    """The generator cannot be compiled; the message says what to do."""


def compile_loadgen(tls: bool) -> Path:
    """Returns the generator's binary in build/, named by its source's digest. Raises CompilerError.

    Only TLS needs OpenSSL's headers.
    """
    sources = sorted(FOLDER.glob("*.c"))
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(FOLDER.iterdir())))
    binary = ROOT / "build" / f"loadgen-{'tls-' if tls else ''}{digest.hexdigest()[:12]}"
    if binary.exists():
        return binary
    compiler = shutil.which("cc")
    if compiler is None:
        raise CompilerError("cc is required (the load generator is C): install a C compiler")
    binary.parent.mkdir(exist_ok=True)
    partial = binary.with_suffix(f".{os.getpid()}")
    libraries = ["-DWITH_TLS", "-lssl", "-lcrypto"] if tls else []
    command = [compiler, "-O2", *WARNINGS, "-o", str(partial), *map(str, sources), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = "--tls needs OpenSSL's headers, for example Debian's libssl-dev\n" if tls else ""
        raise CompilerError(f"the load generator was not compiled\n{hint}{done.stderr[-1500:]}")
    partial.rename(binary)
    return binary
