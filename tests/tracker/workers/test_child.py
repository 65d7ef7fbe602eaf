"""Child processes end with the tracker, however the tracker or the child ends.
`upkeep/test_follower.py` has the tests of the follower.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.tracker.logged import write_log
from tracker.workers import child
from tracker.workers.child import Child

DEADLINE = 60.0

PARENT = """
import sys
from pathlib import Path
import trio
from tests.support import StillLog
from tracker.workers.child import Child, python
from tracker.ledger.client import LogLedgers
from tracker.history.past import PastReads
from tracker.ports import Moment, ReadModel

async def past(log):
    reads = PastReads(StillLog(log), log / "secrets", helpers=1)
    await reads.ask(Moment(seq=0), ReadModel.stats)
    return reads._helpers[0]._process

async def ledger(log):
    reads = LogLedgers(StillLog(log), log / "secrets")
    await reads.account_totals(1, None, None, 5)
    return reads._helper._process

PRUNING = '''
import sys, time
from tracker.upkeep import pruning

def make(log, *_):
    (log / "at work").touch()
    time.sleep(600)

pruning.make = make
pruning.main(sys.argv[1:])
'''

async def pruning(log):
    child = Child([sys.executable, "-c", PRUNING, str(log), "7", str(log / "secrets")])
    while not (log / "at work").exists():
        await trio.sleep(0.01)
    return child

async def main():
    child = await globals()[sys.argv[1]](Path(sys.argv[2]))
    print(child.pid, flush=True)
    await trio.sleep_forever()

trio.run(main)
"""


@pytest.mark.parametrize("name", ["past", "ledger", "pruning"])
def test_a_stopped_child_does_not_outlive_the_tracker(tmp_path: Path, name: str) -> None:
    """A stopped process cannot see its input end when the tracker is killed, so the kernel kills
    it."""
    log = tmp_path / "log"
    write_log(log)
    command = [sys.executable, "-c", PARENT, name, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        ended = os.pidfd_open(process_id)
        os.kill(process_id, signal.SIGSTOP)
        parent.kill()
    assert select.select([ended], [], [], DEADLINE)[0]
    os.close(ended)


def test_a_child_that_starts_too_late() -> None:
    """A process that starts after the tracker has gone ends by itself, at once."""
    script = "from tracker.workers import lifetime; lifetime.end_with_parent(); print('goes on')"
    for alive in (True, False):
        read, write = os.pipe()
        if not alive:
            os.close(write)
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdin=read,
            capture_output=True,
            check=True,
            timeout=DEADLINE,
        )
        assert done.stdout == (b"goes on\n" if alive else b"")
        os.close(read)
        if alive:
            os.close(write)


async def test_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ended, was cancelled or had to be killed leaves no process and no descriptor."""
    monkeypatch.setattr(child, "_END_SECONDS", 0.1)
    before = os.listdir("/proc/self/fd")
    with trio.fail_after(DEADLINE):
        done = await child.run([sys.executable, "-c", "import sys; print(1); sys.exit('two')"])
        assert done == (1, b"1\ntwo\n")
        for script in ("input()", "import time; time.sleep(600)"):
            one = Child([sys.executable, "-c", f"print('h', flush=True); {script}"])
            assert (await one.output.receive_some(99)).startswith(b"h")
            assert await one.end()
            with pytest.raises(ProcessLookupError):
                os.kill(one.pid, 0)
        with trio.CancelScope() as scope:
            scope.cancel()
            await child.run([sys.executable, "-c", "input()"])
    assert os.listdir("/proc/self/fd") == before


def test_no_process_leaves_a_core_dump() -> None:
    """A core dump would hold keys, so the kernel makes none of the tracker and of its helpers."""
    asked = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    for script in (
        "from tracker.workers import lifetime; lifetime.step_back()",
        "import sys; from tracker.__main__ import main; sys.argv = ['', 'config', '--default']; main()",
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{script}; {asked}"],
            capture_output=True,
            check=True,
            timeout=DEADLINE,
        )
        assert done.stdout.endswith(b"0\n")


def test_helpers_import_nothing_from_the_working_folder() -> None:
    """Every process beside the tracker is started by `child.python`, which says so to Python."""
    assert child.python("tracker.x", "a")[1:] == ["-P", "-m", "tracker.x", "a"]
    for path in Path(child.__file__).parents[1].rglob("*.py"):
        assert path.samefile(child.__file__) or "[sys.executable" not in path.read_text(), path
