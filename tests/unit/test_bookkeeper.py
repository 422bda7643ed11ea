"""What the bookkeeper books: what is new, in pieces, each under its number until confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.codec import encode_error
from rqueue.config import Buckets, StoreConfig
from rqueue.envelope import Envelope
from rqueue.errors import CodecError, StoreFull
from rqueue.history import read
from rqueue.job import AttemptError, Delivery
from rqueue.outcome import Bury, Complete, DeadReason, Outcome
from rqueue.protection import Protection
from rqueue.worker.bookkeeper import EVERY_S, Bookkeeper
from rqueue.worker.recorder import MOST_FAILURES, Recorder
from rqueue.worker.settling import Ran
from rqueue.worker.unsettled import Ending

READY_MS = 1_700_000_000_000
ERROR = encode_error(AttemptError(attempt=1, type="ValueError", message=" x" * 500 + "\nmore"))


class Redis:
    """Takes bookings, or not."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.problem: Exception | None = None
        self.said = "booked"

    async def run(self, flow: Any) -> str:
        call = next(flow)
        number, tasks, *rest = call.args[3:]
        counts = dict(zip(rest[: 2 * tasks : 2], rest[1 : 2 * tasks : 2], strict=True))
        told = {task: read(text.encode()) for task, text in counts.items()}
        self.sent.append((number, told, rest[2 * tasks :]))
        flow.close()
        if self.problem is not None:
            raise self.problem
        return self.said


@pytest.fixture
def redis() -> Redis:
    return Redis()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Buckets(), lambda _: True)


@pytest.fixture
def keeper(redis: Redis, recorder: Recorder) -> Bookkeeper:
    return make(redis, recorder)


def make(redis: Redis, recorder: Recorder, peers: int = 1) -> Bookkeeper:
    return Bookkeeper(redis, StoreConfig(url="redis://x"), recorder, lambda: peers)  # type: ignore[arg-type]


def settle(recorder: Recorder, task: str = "t", outcome: Outcome | None = None) -> None:
    job = Delivery(
        queue="q", lane="normal", entry_id=f"{READY_MS}-3", job_id="j", envelope=b"", worker="w"
    )
    ran = Ran(delivery=job, envelope=Envelope(task=task), begun_ms=READY_MS)
    ending: Any = Ending(None, ran, outcome or Complete(result=b""), 0.5)  # type: ignore[arg-type]
    recorder.settled(ending, "recorded")


ONE = {"s": 1, "u": 500_000, "r27": 1, "w0": 1}


async def test_only_what_is_new_is_booked(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis
) -> None:
    assert await keeper.run_once() == EVERY_S
    settle(recorder)
    settle(recorder, "u")
    await keeper.run_once()
    settle(recorder, "u")
    await keeper.run_once()
    await keeper.run_once()

    assert redis.sent == [(1, {"t": ONE, "u": ONE}, []), (2, {"u": ONE}, [])]


async def test_what_is_not_confirmed_is_sent_again_as_it_was(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.problem = StoreFull()
    for _ in range(3):
        settle(recorder)
        await keeper.run_once()
    redis.problem = None
    await keeper.run_once()
    await keeper.run_once()

    two = {"s": 2, "u": 1_000_000, "r27": 2, "w0": 2}
    assert redis.sent == [(1, {"t": ONE}, [])] * 4 + [(2, {"t": two}, [])]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the history has to wait, and misses nothing: queue=q: ")


@pytest.mark.parametrize(("peers", "pause_s"), [(100, 10.0), (250, 25.0), (5000, 60.0)])
async def test_the_more_workers_book_the_rarer_each_does(
    recorder: Recorder, redis: Redis, peers: int, pause_s: float
) -> None:
    assert await make(redis, recorder, peers).run_once() == pause_s


async def test_a_failure_that_cannot_be_sealed_leaves_the_counts(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Protection, "protect", unsealable)
    settle(recorder, outcome=Bury(reason=DeadReason.FAILED, error=ERROR))
    await keeper.run_once()
    await keeper.run_once()

    ((number, told, failures),) = redis.sent
    assert (number, told["t"]["d"], failures) == (1, 1, [])


def unsealable(*_: Any) -> bytes:
    raise CodecError("no key")


async def test_at_the_end_all_is_booked_also_what_came_after_one_that_was_open(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis
) -> None:
    redis.problem = StoreFull()
    settle(recorder)
    await keeper.run_once()
    redis.problem = None
    settle(recorder)
    await keeper.end(1.0)

    assert redis.sent == [(1, {"t": ONE}, [])] * 2 + [(2, {"t": ONE}, [])]


async def test_one_that_found_no_minute_is_not_overtaken(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis
) -> None:
    redis.said = "elsewhen"
    for number in range(11):  # more than go at once
        settle(recorder, f"t{number}")
    await keeper.run_once()
    redis.said = "booked"
    await keeper.run_once()

    assert [number for number, _, _ in redis.sent] == [1, 1, 2]


async def test_it_says_at_the_end_what_is_missing(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    redis.problem = StoreFull()
    settle(recorder)
    await keeper.end(1.0)

    assert caplog.messages[0].startswith("the history misses what this worker counted last: ")


async def test_many_tasks_go_in_several_trips(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis
) -> None:
    for n in range(25):
        settle(recorder, f"t{n}", Bury(reason=DeadReason.FAIL, error=ERROR))
    await keeper.run_once()

    assert [(number, len(told), len(lines)) for number, told, lines in redis.sent] == [
        (1, 10, 25), (2, 10, 0), (3, 5, 0),
    ]  # fmt: skip


async def test_of_many_failures_the_latest_are_kept_and_short(
    keeper: Bookkeeper, recorder: Recorder, redis: Redis
) -> None:
    for _ in range(3 * MOST_FAILURES):
        settle(recorder, outcome=Bury(reason=DeadReason.FAIL, error=ERROR))
    await keeper.run_once()

    ((_, told, lines),) = redis.sent
    assert (told["t"]["f"], told["t"]["d"]) == (300, 300)
    assert len(lines) == MOST_FAILURES
    assert max(map(len, lines)) < 300
