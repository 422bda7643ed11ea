"""Records of jobs that ended: read as the document says, and written as they always were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from rqueue.app import App
from rqueue.codec import encode_error
from rqueue.envelope import open_envelope
from rqueue.errors import JobFailed
from rqueue.job import AttemptError, Delivery, JobState
from rqueue.outcome import Bury, Complete, DeadReason, Outcome
from rqueue.store.calls.jobs import NewJob
from rqueue.worker.settling import Ran, settlement
from tests.protocol.vectors import VECTORS, raw
from tests.support.bench import Bench

SUCCEEDED, DEAD = VECTORS["records"]


@pytest.fixture
def queue(url: str, namespace: str) -> Iterator[Bench]:
    with closing(Bench(url, namespace)) as bench:
        yield bench


@pytest.fixture
def app(url: str, namespace: str) -> Iterator[App]:
    app = App(url, namespace=namespace)
    yield app
    app.close_sync()


def put(queue: Bench, vector: dict[str, Any]) -> None:
    fields = raw(vector["fields"])
    queue.note(vector["short"], *(word for pair in fields.items() for word in pair))


def test_the_record_of_a_job_that_succeeded_is_read(queue: Bench, app: App) -> None:
    put(queue, SUCCEEDED)

    job = app.job(SUCCEEDED["id"], queue="q")
    info = job.info_sync()

    assert job.result_sync() == SUCCEEDED["result"]
    assert (info.state, info.task, info.attempts) == (JobState.SUCCEEDED, "send_email", 1)
    assert (info.worker, info.errors) == ("w1", ())
    assert info.created_at is not None
    assert info.finished_at is not None
    assert (info.finished_at - info.created_at).total_seconds() == 2


def test_the_record_of_a_dead_job_is_read(queue: Bench, app: App) -> None:
    put(queue, DEAD)

    job = app.job(DEAD["id"], queue="q")
    info = job.info_sync()

    with pytest.raises(JobFailed, match="boom"):
        job.result_sync()
    assert (info.state, info.reason, info.priority) == (JobState.DEAD, "failed", "high")
    assert info.errors == (AttemptError(**DEAD["error"]),)
    assert info.envelope == raw(DEAD["fields"])["m"]


@pytest.mark.parametrize("vector", [SUCCEEDED, DEAD], ids=["succeeded", "dead"])
def test_a_record_is_written_as_it_always_was(queue: Bench, vector: dict[str, Any]) -> None:
    job = queue.taken(
        NewJob(
            id=vector["short"],
            envelope=bytes.fromhex(vector["envelope"]),
            digest=raw(vector["fields"])["d"],
            priority=vector["priority"],
        )
    )

    assert queue.finish(settlement(ran(job), outcome(vector)), now=vector["ended"]) == ["recorded"]

    written: Any = queue.client.execute_command("HGETALL", queue.keys.job(vector["short"]))
    assert written.pop(b"e").decode() == job.entry_id
    expected = raw(vector["fields"])
    expected.pop("e")
    assert {name.decode(): value for name, value in written.items()} == expected


def ran(job: Delivery) -> Ran:
    envelope = open_envelope(job.envelope).envelope
    return Ran(delivery=job, envelope=envelope, begun_ms=1_700_000_001_000, result_ttl_s=3600.0)


def outcome(vector: dict[str, Any]) -> Outcome:
    if vector is DEAD:
        error = encode_error(AttemptError(**vector["error"]))
        return Bury(reason=DeadReason.FAILED, error=error)
    return Complete(result=msgspec.msgpack.encode(vector["result"]))
