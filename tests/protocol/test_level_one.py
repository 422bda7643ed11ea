"""Level 1 and 2 by hand: raw words on a socket, built from the document alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import msgspec
import pytest

from rqueue import App, Conflict, JobState
from tests.protocol.document import DOCS
from tests.protocol.resp import Resp

LUA = DOCS.parent / "rqueue" / "store" / "lua"
ENVELOPE = b'{"task":"send_email","args":["a@b.c"],"kwargs":{"subject":"hi"}}'
CONTENT = ["send_email", ["a@b.c", "hi"], {}, "normal", 0, None, -1, ""]
DIGEST = blake2b(
    msgspec.msgpack.encode(CONTENT), digest_size=8, key=b"mail", person=b"rqueue-content"
).digest()

WorkOff = Callable[[], Awaitable[bool]]


class Producer:
    """Somebody's client of the queue ``mail``."""

    def __init__(self, redis: Resp, namespace: str) -> None:
        self._redis = redis
        self.namespace = namespace
        self.base = f"{namespace}:{{mail}}:"
        self._scripts = {name: self._load(name) for name in ("enqueue", "await")}

    def _load(self, name: str) -> bytes:
        text = (LUA / "_shared.lua").read_bytes() + (LUA / f"{name}.lua").read_bytes()
        return self._redis.ask("SCRIPT", "LOAD", text)

    def enqueue(
        self,
        job_id: str,
        envelope: bytes = ENVELOPE,
        digest: bytes = DIGEST,
        *,
        due: str = "",
        unique: str = "",
    ) -> Any:
        record = f"{self.base}job:{job_id}"
        keys = [self.base + "meta", self.base + "schedule"]
        keys += [f"{self.base}stream:{one}" for one in ("critical", "high", "normal", "low")]
        keys += [f"{self.base}stream:{one}" for one in ("released", "suspect", "last")]
        keys += [record, f"{self.base}unique:{unique}" if unique else record]
        words = ["", self.base + "wake", job_id, envelope, digest, "normal", due, unique, ""]
        (answer,) = self._redis.ask("EVALSHA", self._scripts["enqueue"], 11, *keys, *words)
        return answer

    def ending(self, job_id: str, channel: str = "") -> Any:
        keys = (f"{self.base}job:{job_id}", self.base + "waiters")
        return self._redis.ask("EVALSHA", self._scripts["await"], 2, *keys, "", job_id, channel)

    def record(self, job_id: str) -> dict[bytes, bytes]:
        flat = self._redis.ask("HGETALL", f"{self.base}job:{job_id}")
        return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.fixture
def producer(stranger: Resp, namespace: str) -> Producer:
    return Producer(stranger, namespace)


async def test_a_job_is_enqueued_run_and_read(producer: Producer, work_off: WorkOff) -> None:
    assert producer.enqueue("order-7") == [b"accepted"]
    assert producer.record("order-7")[b"s"] == b"queued"

    assert await work_off()

    state, result, reason, error = producer.ending("order-7")
    assert (state, reason, error) == (b"succeeded", b"", b"")
    assert msgspec.msgpack.decode(result) == "a@b.c: hi"
    record = producer.record("order-7")
    assert (record[b"s"], record[b"k"]) == (b"succeeded", b"send_email")
    assert b"a" not in record  # one attempt
    assert record[b"r"] == result


def test_a_queue_that_is_full_takes_no_more(producer: Producer, app: App) -> None:
    app.inspector_sync.limit("mail", waiting=1, scheduled=1)

    assert producer.enqueue("order-7") == [b"accepted"]
    assert producer.enqueue("order-8") == [b"capped", b"waiting", b"1"]
    assert producer.enqueue("order-8", due="+60000") == [b"accepted"]
    assert producer.enqueue("order-9", due="+60000") == [b"capped", b"scheduled", b"1"]


def test_an_id_enqueues_once(producer: Producer) -> None:
    assert producer.enqueue("order-7") == [b"accepted"]
    assert producer.enqueue("order-7") == [b"duplicate"]
    assert producer.enqueue("order-7", digest=b"other") == [b"conflict"]


async def test_the_same_call_from_python_is_the_same_job(producer: Producer, app: App) -> None:
    task = app.tasks.get("send_email").options(job_id="order-7")
    assert producer.enqueue("order-7") == [b"accepted"]

    assert (await task.enqueue("a@b.c", subject="hi")).status == "duplicate"
    with pytest.raises(Conflict):
        await task.enqueue("a@b.c")


async def test_a_uuid_is_written_short(producer: Producer, app: App, work_off: WorkOff) -> None:
    producer.enqueue("~AZp_PFshfD6dTwEjRWeJqw")
    await work_off()

    job = app.job("019a7f3c-5b21-7c3e-9d4f-0123456789ab", queue="mail")

    assert await job.result() == "a@b.c: hi"


async def test_a_delay_is_kept_by_the_clock_of_redis(producer: Producer, app: App) -> None:
    assert producer.enqueue("order-7", due="+60000") == [b"accepted"]
    assert producer.enqueue("order-8", due="1000") == [b"accepted"]

    later = await app.job("order-7", queue="mail").info()
    assert later.state == JobState.SCHEDULED
    assert later.due_at is not None
    assert later.created_at is not None
    assert (later.due_at - later.created_at).total_seconds() == 60
    assert producer.record("order-8")[b"s"] == b"queued"


async def test_a_unique_key_is_held_until_the_end(producer: Producer, work_off: WorkOff) -> None:
    envelope = ENVELOPE[:-1] + b',"unique":"user:7"}'

    assert producer.enqueue("order-7", envelope, unique="user:7") == [b"accepted"]
    assert producer.enqueue("order-8", envelope, unique="user:7") == [b"locked", b"order-7"]
    await work_off()

    assert producer.enqueue("order-8", envelope, unique="user:7") == [b"accepted"]


async def test_an_end_is_told_to_who_waits(producer: Producer, url: str, work_off: WorkOff) -> None:
    channel = f"{producer.namespace}:client:me"
    producer.enqueue("order-7")

    with Resp(url) as ear:
        ear.ask("SUBSCRIBE", channel)
        assert producer.ending("order-7", channel) == [b"queued"]
        await work_off()
        assert ear.read() == [b"message", channel.encode(), b"order-7"]

    assert producer.ending("order-7")[0] == b"succeeded"
    assert producer.ending("order-9") == [b"missing"]


@pytest.mark.parametrize("hostile", [b"", b"\xc1", b'{"task":7}', b'{"task":"send_email","v":2}'])
async def test_what_is_no_envelope_is_dead_with_its_bytes(
    hostile: bytes, producer: Producer, work_off: WorkOff
) -> None:
    producer.enqueue("order-7", hostile)
    producer.enqueue("order-8")

    assert await work_off()

    record = producer.record("order-7")
    assert (record[b"s"], record[b"y"], record[b"m"]) == (b"dead", b"decode", hostile)
    assert b"a" not in record
    assert producer.ending("order-8")[0] == b"succeeded"


async def test_arguments_that_do_not_fit_are_dead(producer: Producer, work_off: WorkOff) -> None:
    producer.enqueue("order-7", b'{"task":"send_email","args":[7]}')

    assert await work_off()

    record = producer.record("order-7")
    assert (record[b"s"], record[b"y"]) == (b"dead", b"arguments")
    assert msgspec.msgpack.decode(record[b"!1"])["message"].endswith("at `to`")


@pytest.mark.parametrize(
    "envelope",
    [
        b'{"task":"send_email","args":["a@b.c"]}',
        b'{"task":"send_email","kwargs":{"to":"a@b.c"}}',
        b"\x82\xa4task\xaasend_email\xa4args\x91\xa5a@b.c",
        b"\x82\xa4task\xaasend_email\xa6kwargs\x81\xa2to\xa5a@b.c",
    ],
)
async def test_what_is_left_out_of_an_envelope_has_its_default(
    envelope: bytes, producer: Producer, work_off: WorkOff
) -> None:
    producer.enqueue("order-7", envelope)

    assert await work_off()

    assert producer.record("order-7")[b"s"] == b"succeeded"
