"""Every key that a script touches is declared; here is proof that the other tests would tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rqueue.errors import StoreError
from rqueue.store import scripts
from rqueue.store.call import Call
from rqueue.store.scripts import Script
from tests.scripts.narrow import NarrowTransport
from tests.support.bench import Bench


def made_up(source: str) -> Script:
    return Script("made-up", source, "0" * 40)


def test_a_script_may_touch_what_it_declares(queue: Bench) -> None:
    script = made_up("return redis.call('SET', KEYS[1], 'x')")

    assert queue.send(Call(script, [queue.keys.meta], [], str)) == "b'OK'"


@pytest.mark.parametrize("call", ["call", "pcall"])
def test_a_script_that_touches_what_it_does_not_declare_is_found(queue: Bench, call: str) -> None:
    script = made_up(f"return redis.{call}('SET', ARGV[1], 'x')")
    narrow = queue.transport
    assert isinstance(narrow, NarrowTransport)

    with pytest.raises(StoreError):
        queue.send(Call(script, [queue.keys.meta], [queue.keys.dead], str))

    assert narrow.denied()
    queue.client.acl_log_reset()


def test_every_script_is_called_by_the_tests_of_its_name() -> None:
    folder = Path(__file__).parent
    files = {path.stem.removeprefix("test_") for path in folder.glob("test_*.py")}

    assert [one.name for one in scripts.ALL if not any(re.match(one.name, f) for f in files)] == []
