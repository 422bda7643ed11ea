"""An embedded server lives exactly as long as the process that started it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from rqueue.embedded import EmbeddedServer, EmbeddedServerError
from tests.embedded.parents import parent
from tests.support.processes import is_running
from tests.support.waiting import PATIENCE_S, within

START_AND_STAY = """
server = EmbeddedServer.start()
report(server)
wait_to_be_ended()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_ended_by_a_signal_leaves_nothing(ending: signal.Signals) -> None:
    with parent(START_AND_STAY) as (process, seen):
        process.send_signal(ending)
        process.wait()

        assert within(PATIENCE_S, seen.nothing_left)


@pytest.mark.parametrize(
    "ending", ["", "raise SystemExit(3)", "raise ValueError", "os._exit(0)", "os.abort()"]
)
def test_a_parent_that_ends_by_itself_without_stop_leaves_nothing(ending: str) -> None:
    silence = "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"

    with parent(f"server = EmbeddedServer.start()\nreport(server)\n{silence}{ending}") as (
        process,
        seen,
    ):
        process.wait()

        assert within(PATIENCE_S, seen.nothing_left)


def test_a_parent_that_becomes_another_program_leaves_nothing() -> None:
    program = "server = EmbeddedServer.start()\nreport(server)\nos.execlp('sleep', 'sleep', '60')"

    with parent(program) as (process, seen):
        assert within(PATIENCE_S, seen.nothing_left)
        assert process.poll() is None


def test_a_killed_parent_leaves_nothing_even_if_a_forked_child_of_it_lives_on() -> None:
    program = """
server = EmbeddedServer.start()
child = os.fork()
if child == 0:
    wait_to_be_ended()
report(server, child=child)
wait_to_be_ended()
"""
    with parent(program) as (process, seen):
        try:
            process.kill()
            process.wait()

            assert within(PATIENCE_S, seen.nothing_left)
            assert is_running(seen.more["child"])
        finally:
            os.kill(seen.more["child"], signal.SIGKILL)


def test_a_forked_child_that_exits_does_not_end_the_server() -> None:
    program = """
with EmbeddedServer() as server:
    if os.fork() == 0:
        sys.exit(0)
    status = os.wait()[1]
    report(server, status=status)
    server.restart()
    report(server)
"""
    with parent(program) as (process, seen):
        assert seen.more["status"] == 0
        assert process.wait() == 0
        assert within(PATIENCE_S, seen.nothing_left)


def test_a_forked_child_may_not_end_the_server() -> None:
    program = """
from rqueue.embedded import EmbeddedServerError
with EmbeddedServer() as server:
    if os.fork() == 0:
        try:
            server.kill()
        except EmbeddedServerError as error:
            os._exit("only the process" not in str(error))
        os._exit(1)
    report(server, status=os.wait()[1])
"""
    with parent(program) as (_, seen):
        assert seen.more["status"] == 0


def test_the_terminals_ctrl_c_reaches_the_parent_alone() -> None:
    with EmbeddedServer() as server:
        assert os.getsid(server.pid) != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_a_killed_guardian_takes_the_server_with_it() -> None:
    server = EmbeddedServer.start()
    assert server._leash is not None

    os.kill(server._leash._process.pid, signal.SIGKILL)

    assert within(PATIENCE_S, lambda: not is_running(server.pid))
    with pytest.raises(EmbeddedServerError, match="guardian"):
        server.restart()
    server.stop()
    assert not server.directory.exists()


def test_a_guardian_that_is_told_to_end_leaves_nothing() -> None:
    server = EmbeddedServer.start()
    assert server._leash is not None

    os.kill(server._leash._process.pid, signal.SIGTERM)

    assert within(PATIENCE_S, lambda: not is_running(server.pid) and not server.directory.exists())
    server.stop()


def test_a_server_that_nobody_holds_any_more_ends() -> None:
    server = EmbeddedServer.start()
    pid, home = server.pid, server.directory

    del server
    gc.collect()

    assert not is_running(pid)
    assert not home.exists()


def test_stop_ends_a_frozen_server_too(tmp_path: Path) -> None:
    server = EmbeddedServer.start(data_dir=tmp_path)
    os.kill(server.pid, signal.SIGSTOP)

    server.stop()

    assert not is_running(server.pid)
    assert not server.directory.exists()


def test_stop_may_be_called_twice_and_the_server_started_again() -> None:
    server = EmbeddedServer.start()
    first = server.pid

    server.stop()
    server.stop()

    with pytest.raises(EmbeddedServerError, match="not started"):
        server.restart()
    with server:
        assert server.pid != first
        assert is_running(server.pid)
