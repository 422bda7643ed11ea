from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.processes import is_running
from tests.support.servers import binary_of

# SIGINT may be ignored in whoever started the tests, and then in all their children.
COMMAND = """
import signal, sys
from pathlib import Path
from rqueue.demo import run_demo
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(run_demo(Path(sys.argv[1]), lease=1.0))
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


class Finished(NamedTuple):
    """A demo that ended by itself: what it wrote."""

    told: str
    story: str


@pytest.fixture(scope="module")
def finished(tree: Path) -> Finished:
    with demo(tree) as running:
        told, story = running.communicate(timeout=60)
    assert running.returncode == 0, told + story
    return Finished(told, story)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "tree"
    (root / "tests").mkdir(parents=True)
    for number in range(60):
        folder = root / "tests" if number % 3 == 0 else root
        body = f"import os\nfrom json import loads\n\ndef f{number}():\n    return {number}\n"
        (folder / f"module{number}.py").write_text(body)
    (root / "__init__.py").write_text("class A: ...\n" * 9)
    (root / "broken.py").write_text("def (\n")
    return root


@contextmanager
def demo(tree: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", COMMAND, str(tree)]
    environment = {
        **os.environ,
        "RQUEUE_VALKEY_SERVER": str(binary_of("valkey9")),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "COLUMNS": "100",
    }
    running = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def until_started(running: subprocess.Popen[str]) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("started"):
            return
    pytest.fail("the demo did not start")


def children(pid: int) -> dict[int, str]:
    """The direct children of a process, with their command lines."""
    found: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
    return found


def test_a_small_tree_adds_up_although_a_worker_was_killed(
    finished: Finished,
) -> None:
    told, story = finished

    assert "62 files: 310 lines, 60 functions, 9 classes; 1 unparsable" in told
    assert re.search(r"json +60 *\n", told)
    assert re.search(r"enqueued = succeeded \+ dead +122 = 121 \+ 1 +✓", told)
    assert re.search(r"every file has its index +62 results for 62 files +✓", told)
    held = re.search(r"kill -9 \d+: worker demo-[12] died with (\d+) jobs", story)
    assert held
    assert int(held[1]) > 0
    assert re.search(rf"jobs were recovered +{held[1]} held, {held[1]} recovered +✓", told)
    assert re.search(rf"{held[1]} jobs? of the killed worker ran again [\d.]+ to [\d.]+ s", told)
    assert "It adds up: 122 jobs, one worker killed, nothing lost" in told
    assert "✗" not in told
    assert "rqueue demo:" not in story


@needs_proc
def test_ctrl_c_leaves_no_process_and_no_file(tree: Path) -> None:
    with demo(tree) as running:
        until_started(running)
        started = children(running.pid)
        home = next(
            Path(p) for text in started.values() for p in re.findall(r"unix://(\S+?)\?", text)
        )
        running.send_signal(signal.SIGINT)
        told, story = running.communicate(timeout=30)

    assert running.returncode == 130, told + story
    assert "rqueue demo: stopped" in story
    assert len(started) >= 4
    assert not any(is_running(pid) for pid in started)
    assert not home.parent.exists()


@needs_proc
def test_a_process_that_dies_by_itself_is_reported(tree: Path) -> None:
    with demo(tree) as running:
        until_started(running)
        scheduler = next(p for p, text in children(running.pid).items() if "scheduler" in text)
        os.kill(scheduler, signal.SIGKILL)
        told, story = running.communicate(timeout=30)

    assert running.returncode == 1, told + story
    assert f"demo-scheduler (pid {scheduler}) ended by SIGKILL" in story


@needs_proc
def test_its_processes_end_with_it_even_if_it_is_killed(tree: Path) -> None:
    with demo(tree) as running:
        until_started(running)
        watched = [os.pidfd_open(pid) for pid in children(running.pid)]
        running.kill()
        running.communicate(timeout=30)

    for process in watched:
        ended = select.select([process], [], [], 15)[0]
        os.close(process)
        assert ended
