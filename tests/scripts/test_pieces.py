"""A call stands in its record in pieces, and no step of a job's life loses or leaves one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rqueue.store.calls import queues
from rqueue.store.calls.info import job_info
from rqueue.store.keys import Field
from rqueue.store.pieces import FIELDS, PIECE_BYTES, call_of, pieces_of
from tests.support.bench import Bench, ending, new_job
from tests.support.queue_state import NOW

SIZES = (0, 1, 63, 64, 65, 127, 128, 129, 511, 512, 513, 3000)
CALLS = [bytes(n * 31 % 251 for n in range(size)) for size in SIZES]
calls = pytest.mark.parametrize("call", CALLS, ids=map(str, SIZES))

Step = Callable[[Bench, bytes], None]


def delayed(queue: Bench, call: bytes) -> None:
    queue.enqueue(new_job("j1", envelope=call, due="+5000"))


def retried(queue: Bench, call: bytes) -> None:
    queue.finish(ending(queue.taken(new_job("j1", envelope=call)), "retry", ms=5000))


def parked(queue: Bench, call: bytes) -> None:
    queue.finish(ending(queue.taken(new_job("j1", envelope=call)), "park", ms=5000, detail="9"))


def pushed_back(queue: Bench, call: bytes) -> None:
    queue.enqueue(new_job("j1", envelope=call))
    assert queue.reschedule("j1", "+5000") == "rescheduled"


def buried(queue: Bench, call: bytes) -> None:
    queue.finish(ending(queue.taken(new_job("j1", envelope=call)), "bury", detail="failed"))


def crashed(queue: Bench, call: bytes) -> None:
    queue.taken(new_job("j1", envelope=call, max_crashes=1))
    queue.fence("w1")
    assert queue.reap() == ["dead"]


WAITING = [delayed, retried, parked, pushed_back]
DEAD = [buried, crashed]


def pieces(queue: Bench) -> dict[str, bytes]:
    """What of a call stands in the record."""
    found: Any = queue.client.hgetall(queue.keys.job("j1"))
    told = {name.decode(): value for name, value in found.items()}
    return {name: told[name] for name in FIELDS if name in told}


def in_stream(queue: Bench) -> list[bytes]:
    return [job.envelope for job in queue.fetch("w2")]


@calls
@pytest.mark.parametrize("step", [*WAITING, *DEAD], ids=lambda step: step.__name__)
def test_a_call_waits_in_pieces_that_are_small_or_in_one(
    queue: Bench, step: Step, call: bytes
) -> None:
    step(queue, call)

    found = pieces(queue)
    assert list(found.items()) == list(zip(*[iter(pieces_of(call))] * 2, strict=True))
    assert call_of(found) == call
    assert len(found) == 1 or max(map(len, found.values())) <= PIECE_BYTES
    info = queue.run(job_info(queue.keys, "j1"))
    assert info is not None
    assert info.envelope == call


@calls
@pytest.mark.parametrize("step", WAITING, ids=lambda step: step.__name__)
def test_a_call_that_is_due_goes_whole_to_its_stream_and_leaves_no_piece(
    queue: Bench, step: Step, call: bytes
) -> None:
    step(queue, call)
    queue.register("w2")

    assert queue.promote("j1", now=NOW + 5000) == ["promoted"]

    assert (in_stream(queue), pieces(queue)) == ([call], {})


@calls
def test_a_call_that_is_pulled_forward_goes_whole_to_its_stream(queue: Bench, call: bytes) -> None:
    delayed(queue, call)
    queue.register("w2")

    assert queue.reschedule("j1", "+0") == "queued"

    assert (in_stream(queue), pieces(queue)) == ([call], {})


@calls
@pytest.mark.parametrize("step", DEAD, ids=lambda step: step.__name__)
def test_a_call_has_a_new_life_whole_and_leaves_no_piece(
    queue: Bench, step: Step, call: bytes
) -> None:
    step(queue, call)
    queue.register("w2")

    assert queue.run(queues.requeue(queue.keys, ["j1"])) == ["requeued"]

    assert (in_stream(queue), pieces(queue)) == ([call], {})


@calls
@pytest.mark.parametrize("step", WAITING, ids=lambda step: step.__name__)
def test_a_cancelled_job_keeps_no_piece_of_its_call(queue: Bench, step: Step, call: bytes) -> None:
    step(queue, call)

    assert queue.cancel("j1") == "cancelled"

    assert pieces(queue) == {}


def test_a_call_of_an_older_record_is_read_whole(queue: Bench) -> None:
    delayed(queue, b"call")
    queue.register("w2")
    queue.note("j1", Field.ENVELOPE, b"x" * 300)

    assert queue.promote("j1", now=NOW + 5000) == ["promoted"]

    assert in_stream(queue) == [b"x" * 300]


@pytest.mark.parametrize("step", [*WAITING, *DEAD], ids=lambda step: step.__name__)
def test_a_record_with_a_usual_call_stays_a_small_list(queue: Bench, step: Step) -> None:
    step(queue, b"x" * 160)

    assert queue.client.object("encoding", queue.keys.job("j1")) in (b"listpack", b"ziplist")


@given(call=st.binary(max_size=1200))
def test_pieces_put_together_are_the_call(call: bytes) -> None:
    words = list(pieces_of(call))
    record: Any = dict(zip(words[::2], words[1::2], strict=True))

    assert call_of(record) == call
    assert len(record) == 1 or max(map(len, record.values())) <= PIECE_BYTES
