"""Bad envelopes and arguments, by name: refused at once with one kind of error.

The same ones attack a running worker in ``tests/faults/test_hostile.py``.
"""

from __future__ import annotations

import tracemalloc
from time import thread_time
from typing import Any

import msgspec
import pytest
from msgspec.msgpack import Ext

from rqueue.codec import decode_error
from rqueue.config import MAX_PAYLOAD, StoreConfig
from rqueue.envelope import open_envelope
from rqueue.errors import CodecError, InvalidArguments
from rqueue.events import Observers
from rqueue.job import Delivery
from rqueue.outcome import Bury
from rqueue.registry import TaskRegistry
from rqueue.signature import Signature
from rqueue.worker.executor import Executor
from rqueue.worker.prepared import Refused
from rqueue.worker.runners import Runners
from tests.faults.hostile import ARGUMENTS, DECODE, TOO_LARGE, UNTYPED

FITTING_BUT_FOR_THE_POLICY = "a wrong policy"


async def work(ms: int, note: str = "") -> int:
    return ms + len(note)


async def take(data: Any) -> Any:
    return data


SIGNATURES = {"work": Signature(work), "take": Signature(take)}


@pytest.mark.parametrize("name", DECODE)
def test_an_envelope_that_is_none_is_refused_at_once(name: str) -> None:
    began = thread_time()

    with pytest.raises(CodecError):
        open_envelope(DECODE[name], MAX_PAYLOAD)

    assert thread_time() - began < 1


@pytest.mark.parametrize("name", DECODE)
def test_a_worker_has_an_ending_for_an_envelope_that_is_none(name: str) -> None:
    executor = Executor(TaskRegistry(), [], Runners(1, 1), Observers(), StoreConfig(url="unix://"))
    delivery = Delivery(
        queue="q", lane="high", entry_id="1-0", job_id="x", envelope=DECODE[name], worker="w"
    )

    refused = executor.prepare(delivery)

    assert isinstance(refused, Refused)
    assert isinstance(refused.outcome, Bury)
    error = decode_error(refused.outcome.error)
    assert (refused.outcome.reason, refused.outcome.attempted) == ("decode", False)
    assert (error.attempt, error.type, error.worker) == (1, "CodecError", "w")


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {FITTING_BUT_FOR_THE_POLICY}))
def test_arguments_that_do_not_fit_are_refused_at_once(name: str) -> None:
    opened = open_envelope(ARGUMENTS[name], MAX_PAYLOAD)
    args, kwargs = opened.envelope.args, opened.envelope.kwargs
    began = thread_time()

    with pytest.raises(CodecError, match="arguments do not fit"):
        SIGNATURES[opened.envelope.task].decode(args, kwargs, is_json=opened.is_json)

    assert thread_time() - began < 1


@pytest.mark.parametrize("kind", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_producers_and_workers_draw_the_line_at_the_same_depth(kind: Any) -> None:
    data: Any = 0
    for _ in range(64):
        data = kind(data)
    assert SIGNATURES["take"].decode(*SIGNATURES["take"].encode((data,), {})) == ((data,), {})

    with pytest.raises(InvalidArguments, match="nested deeper than 64 levels"):
        SIGNATURES["take"].encode((kind(data),), {})
    with pytest.raises(CodecError, match="nested deeper than 64 levels"):
        SIGNATURES["take"].decode(msgspec.msgpack.encode([kind(data)]), b"\x80")


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_larger_than_may_be_sent_is_not_opened(name: str) -> None:
    data = TOO_LARGE[name]

    with pytest.raises(CodecError, match=rf"of {len(data):,} bytes; at most 262,144 are read"):
        open_envelope(data, MAX_PAYLOAD)


@pytest.mark.parametrize("name", UNTYPED)
def test_what_may_be_sent_takes_64_times_its_bytes_at_the_most(name: str) -> None:
    opened = open_envelope(UNTYPED[name], MAX_PAYLOAD)
    args, kwargs = opened.envelope.args, opened.envelope.kwargs
    tracemalloc.start()
    try:
        SIGNATURES["take"].decode(args, kwargs, is_json=opened.is_json)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 80 * MAX_PAYLOAD


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b"\x91\x81\x01\x02", {1: 2}),
        (b"\x91\x81\xc0\x02", {None: 2}),
        (b"\x91\xd4\x2a\x00", Ext(42, b"\0")),
    ],
    ids=["an integer for a key", "nil for a key", "an extension"],
)
def test_a_task_without_annotations_gets_all_that_is_msgpack(data: bytes, read: Any) -> None:
    assert Signature(take).decode(data, b"\x80") == ((read,), {})


@pytest.mark.parametrize(
    "data",
    [
        b"\x91\xa2\xff\xfe",
        b"\x91\x81\xa2\xff\xfe\x00",
        b"\x91\xc7\x0c\xff" + 12 * b"\xff",
        b"\x91" * 200 + b"\x00",
    ],
    ids=repr,
)
def test_what_a_task_without_annotations_cannot_get_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="arguments do not fit"):
        Signature(take).decode(data, b"\x80")


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    data = b"\x82\xa4task\xa1a\xa4task\xa1b"

    assert open_envelope(data).envelope.task == "b"
    assert open_envelope(b'{"task": "a", "task": "b"}').envelope.task == "b"
