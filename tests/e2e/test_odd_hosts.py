"""Runs the scripts and the tracker on odd hosts: folders with blanks, an interpreter that has gone,
a host without IPv6, another container, hardly any file descriptors.

Each test needs a namespace or a program of its own, so scripts/test --hosts runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.isolation import own_network
from tests.e2e.process import (
    COMMAND,
    DEADLINE,
    HEALTH_STARTED,
    Lines,
    Listeners,
    Tracker,
    clean_environment,
    free_ports,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Result = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.hosts

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 300.0
"""Seconds that an installation may take, downloads included."""
VERSION = "swarmlog 0.1.0 (pure Python)\n"
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a namespace of its own")


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> Result:
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=INSTALL_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the checkout in a folder with blanks, without .venv."""
    folder = tmp_path_factory.mktemp("a host") / "with  blanks"
    ignored = shutil.ignore_patterns(
        ".*", "*.so", "compiled.json", "__pycache__", "storage", "tests", "tracker.toml"
    )
    shutil.copytree(ROOT, folder, ignore=ignored)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """A folder with files that are called like modules of Python's library."""
    for name in sys.stdlib_module_names:
        (tmp_path / f"{name}.py").write_text('raise SystemExit("a trap")\n')
    return tmp_path


def test_scripts_in_any_folder_called_in_any_way(checkout: Path, traps: Path) -> None:
    """`scripts/run` installs and runs from a folder with blanks, through a link, by any shell, from
    a folder full of traps. It makes `.venv` anew after its Python changed.

    It brings the user's own configuration along, and leaves it alone afterwards.
    """
    script, own = checkout / "scripts" / "run", checkout / "tracker.toml"
    (traps / "link").symlink_to(script)
    pure = {"SWARMLOG_PURE": "1", "PYTHON": sys.executable, "CDPATH": "/"}
    # Two at a time, and with what other software sets for its own Python.
    spoilt = {
        "PYTHONHOME": "/nowhere", "PYTHONPATH": str(traps), "PIP_TARGET": str(traps / "target"), "PIP_USER": "1"
    }  # fmt: skip
    twice = "sh link --version & one=$!; sh link --version && wait $one"
    done = run(["sh", "-c", twice], traps, **pure, **spoilt)
    assert (done.returncode, done.stdout) == (0, VERSION * 2), done.stderr
    assert done.stderr.count("Installing") == 1
    assert not (traps / "target").exists()
    assert own.read_text() == (ROOT / "tracker" / "config" / "default.toml").read_text()
    own.write_text("mine")
    for command in (["./link"], ["bash", script], ["sh", "scripts/run"], ["sh", "run"]):
        folder = {"scripts/run": checkout, "run": script.parent}.get(str(command[-1]), traps)
        done = run([*command, "--version"], folder, **pure)
        assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, ""), command
    assert own.read_text() == "mine"
    assert not (traps / ".venv").exists()
    # The interpreter is another one than before, which cannot see what is installed, or has gone.
    (packages,) = (checkout / ".venv" / "lib").glob("python3.*")
    for spoil in (
        lambda: packages.rename(packages.with_name("python3.1")),
        (checkout / ".venv" / "bin" / "python").unlink,
    ):
        spoil()
        done = run([script, "--version"], traps, **pure, PIP_NO_INDEX="1")  # fails, and soon
        assert f"Making {checkout}/.venv with Python 3." in done.stderr
        assert (packages / "site-packages" / "pip").is_dir()


@NEEDS_ROOT
def test_a_checkout_that_cannot_be_written(checkout: Path, tmp_path: Path) -> None:
    """The script says that it cannot write, and does not blame Python."""
    place = tmp_path / "place"
    place.mkdir()
    mount = 'mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && exec sh "$2/scripts/run" --version'
    shutil.rmtree(checkout / ".venv", ignore_errors=True)
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", checkout, place]
    done = run(command, tmp_path, PYTHON=sys.executable)
    assert done.returncode == 1
    assert f"This user cannot write in {place}, where .venv has to be" in done.stderr
    assert "cannot make virtual environments" not in done.stderr


@NEEDS_ROOT
def test_a_host_without_ipv6(tmp_path: Path) -> None:
    """Listeners on `[::]` serve IPv4, and the health check and the commands say so."""
    api, health = free_ports(2)
    listeners = Listeners(("[::]:0",), ("[::]:0",), f"[::]:{api}", f"[::]:{health}")
    with own_network() as alone, closing(Tracker(tmp_path, listeners)) as tracker:
        assert alone
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        tracker.start()
        done = run([*COMMAND, "health"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["Ok"] * 3
        done = run([*COMMAND, "key", "list"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


@NEEDS_ROOT
def test_a_log_in_use_by_another_container(new_tracker: Callable[..., Tracker]) -> None:
    """The number of a process counts in its own container only, and the message says so."""
    tracker = new_tracker().start()
    command = ["unshare", "--pid", "--fork", "--mount-proc", *COMMAND]
    done = run(command, tracker.folder)
    assert done.returncode == 1
    assert f"(process {tracker.pid} of another container or machine" in done.stderr


@pytest.mark.parametrize("files", [12, 30])
def test_hardly_any_file_descriptors(tmp_path: Path, files: int) -> None:
    """The tracker serves, or says in one line why it does not."""
    limit = ["prlimit", f"--nofile={files}:{files}"]
    process = subprocess.Popen(
        [*limit, *COMMAND],
        cwd=Tracker(tmp_path).folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    lines = Lines(process.stdout)
    said = lines.until(
        lambda some: next(
            (one for one in some if HEALTH_STARTED in one or one.startswith("tracker: ")), None
        )
    )
    if HEALTH_STARTED in said:
        process.terminate()
    code = process.wait(DEADLINE)
    assert not any("Traceback" in one for one in lines.all())
    if HEALTH_STARTED not in said:
        assert (code, said) == (1, "tracker: [Errno 24] Too many open files")
