"""F24: hostile entries beside sound ones, in the streams of a running worker process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rqueue import App
from rqueue.job import JobInfo
from tests.faults import hostile, ledger
from tests.faults.hostile import (
    ARGUMENTS,
    DECODE,
    FIELDS,
    MB,
    SOUND,
    TOKENS,
    TOO_LARGE,
    UNTYPED,
    Fields,
)
from tests.faults.stage import NAMESPACE, Stage

pytestmark = pytest.mark.fault

MUTANTS = 2000
MOST_GROWN = 256 * MB


class Street:
    """A worker process, and a stranger who writes into its streams."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.app = App(stage.url, namespace=NAMESPACE)
        self.worker = stage.start("worker", concurrency=8, with_scheduler=True).ready()
        self.pid = self.worker.process.pid
        self.before = self._memory("VmRSS")
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # the peak starts anew
        self.innocents: list[Any] = []
        self.added = 0

    def add(self, lane: str = "normal", /, **fields: Any) -> str:
        return self.add_fields({**fields}, lane)

    def add_fields(self, fields: Fields, lane: str = "normal") -> str:
        told: Any = fields
        entry: Any = self.stage.admin.xadd(self.stage.keys.stream(lane), told)
        self.added += 1
        if self.added % 10 == 0:
            self.innocents.append(self.app.remote("work").enqueue_sync(0))
        return f"{lane}-{entry.decode()}"

    def at_rest(self) -> None:
        self.stage.until(self.stage.is_empty)

    def info(self, job_id: str) -> JobInfo:
        return self.app.job(job_id).info_sync()

    def is_unharmed(self) -> None:
        """The same process goes on, small as before; its innocents ended well; nothing pends."""
        assert [job.result_sync(10) for job in self.innocents] == [0] * len(self.innocents)
        assert not self.worker.has_ended
        assert len(self.stage.history.of("ready", name=self.worker.name)) == 1
        assert self.stage.history.of("WorkerFenced") == []
        assert self._memory("VmHWM") - self.before < MOST_GROWN
        self.app.inspector_sync.discard("default")  # they are large
        self.app.close_sync()
        state = self.stage.settle()
        assert (state.lanes, state.schedule, state.cancels, state.strange) == ({}, {}, {}, {})
        log = self.worker.log.read_text(errors="replace")
        for trouble in ("was not settled", "it goes on", "never retrieved"):
            assert trouble not in log

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = [one for one in status.splitlines() if one.startswith(name + ":")]
        return int(line.split()[1]) * 1024


@pytest.fixture(params=["valkey9", "redis7"])
def street(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Street]:
    with Stage(tmp_path, request.param, ledger.seed()) as stage:
        stage.appendfsync = "no"
        stage.start_server()
        yield Street(stage)


def dead(info: JobInfo) -> tuple[str, str, int, list[str]]:
    return info.state.value, info.reason, info.attempts, [one.type for one in info.errors]


UNREADABLE = ("dead", "decode", 0, ["CodecError"])
UNFIT = ("dead", "arguments", 0, ["InvalidArguments"])
TOO_MUCH = ("dead", "too_large", 0, ["PayloadTooLarge"])


def test_an_envelope_that_is_none_ends_in_the_dead_set_with_its_bytes(street: Street) -> None:
    ids = {name: street.add(m=data) for name, data in DECODE.items()}
    unfit = {name: street.add(m=data) for name, data in ARGUMENTS.items()}
    street.at_rest()

    assert {name: dead(street.info(one)) for name, one in ids.items()} == dict.fromkeys(
        ids, UNREADABLE
    )
    assert {name: dead(street.info(one)) for name, one in unfit.items()} == dict.fromkeys(
        unfit, UNFIT
    )
    for name, data in (DECODE | ARGUMENTS).items():
        assert street.info((ids | unfit)[name]).envelope == data, name
    street.is_unharmed()


def test_what_is_too_large_is_not_decoded_and_what_is_not_stays_small(street: Street) -> None:
    large = {name: street.add(m=data) for name, data in TOO_LARGE.items()}
    taken = {name: street.add(m=data) for name, data in UNTYPED.items()}
    street.at_rest()

    told = {name: dead(street.info(one)) for name, one in large.items()}
    assert told == dict.fromkeys(large, TOO_MUCH)
    for name, data in TOO_LARGE.items():
        assert street.info(large[name]).envelope == data, name
    states = {name: street.info(one).state for name, one in taken.items()}
    assert states == dict.fromkeys(taken, "succeeded")
    street.is_unharmed()


def test_mutants_end_in_the_dead_set_or_run_and_harm_nobody(street: Street) -> None:
    for crowd in range(ledger.times(1)):
        sent = {
            street.add(m=data): data for data in hostile.mutants(street.stage.seed + crowd, MUTANTS)
        }
        street.stage.until(lambda: lanes_are_empty(street.stage))
        found = {one: street.info(one) for one in sent}

        wrong = {one: complaint(found[one], data) for one, data in sent.items()}
        assert {one: (told, sent[one], found[one]) for one, told in wrong.items() if told} == {}
        for one, info in found.items():
            if info.state == "scheduled":
                assert street.app.job(one).cancel_sync() == "cancelled"
        assert sum(info.state == "dead" for info in found.values()) > MUTANTS / 2
        assert any(info.state == "succeeded" for info in found.values())
        street.app.inspector_sync.discard("default")
        ledger.note(mutants=len(sent))
    street.is_unharmed()


def complaint(info: JobInfo, data: bytes) -> str:
    """What is wrong with the end of a mutant, judged without rqueue's own reading."""
    told = named(data)
    if info.state == "succeeded":
        is_call = told.task == "work" and told.v in (0, 1)
        return "" if is_call else "ran, and is no call"
    if info.state == "expired":
        return "" if told.task and told.expires else "expired, and has no date"
    if info.state == "scheduled":
        return "" if told.task not in ("", "work") else "waits, and is no call"
    if dead(info) not in (UNREADABLE, UNFIT):
        return f"ended as {dead(info)}"
    if info.reason == "arguments" and told.task != "work":
        return "is no call of the task"
    return "" if info.envelope == data else "its bytes were not kept"


class Named(msgspec.Struct):
    """What decides where a call goes; the rest may be anything."""

    task: str = ""
    v: int = 0
    expires: int = 0


def named(data: bytes) -> Named:
    codec = msgspec.json if data[:1] == b"{" else msgspec.msgpack
    try:
        return codec.decode(data, type=Named)
    except (ValueError, RecursionError):
        return Named()


def lanes_are_empty(stage: Stage) -> bool:
    names = [stage.keys.stream(lane) for lane in ("critical", "high", "normal", "low")]
    return not any(stage.admin.xlen(name) for name in names)


def test_fields_that_make_no_sense_do_not_matter(street: Street) -> None:
    ids = [street.add_fields({**fields, "m": SOUND}) for fields in FIELDS.values()]
    stumbling = hostile.packed(task="stumble", args=[1])
    again = [street.add_fields({**fields, "m": stumbling}) for fields in FIELDS.values()]
    bare = street.add_fields({"x" * 70_000: "y" * 70_000})
    street.at_rest()

    named = dict(zip(FIELDS, (street.info(one) for one in ids), strict=True))
    assert {name: info.state for name, info in named.items()} == dict.fromkeys(FIELDS, "succeeded")
    assert {name: info.attempts for name, info in named.items()} == dict.fromkeys(FIELDS, 1)
    infos = dict(zip(FIELDS, (street.info(one) for one in again), strict=True))
    assert {name: info.attempts for name, info in infos.items()} == dict.fromkeys(FIELDS, 2)
    assert {info.crashes for info in infos.values()} == {0}
    assert dead(street.info(bare)) == UNREADABLE
    street.is_unharmed()


def test_an_entry_that_passes_for_rqueues_own_is_an_orphan(street: Street) -> None:
    ids = [street.add(i=f"own-{n}", t=token, m=SOUND) for n, token in enumerate(TOKENS)]
    street.at_rest()

    told = [street.info(f"own-{n}") for n in range(len(ids))]
    assert [(one.state, one.reason) for one in told] == [("dead", "orphan")] * len(ids)
    assert street.app.inspector_sync.requeue("default").count == len(ids)
    street.at_rest()
    assert {street.info(f"own-{n}").state for n in range(len(ids))} == {"succeeded"}
    street.is_unharmed()


def test_the_id_of_another_job_changes_nothing_of_that_job(street: Street) -> None:
    mine = street.app.remote("work").options(job_id="mine", delay=600).enqueue_sync(0)
    before = mine.info_sync()
    for lane in ("critical", "normal", "low"):
        street.add(lane, i="mine", m=SOUND)
        street.add(lane, i="mine", m=b"\xc1")
    street.stage.until(lambda: lanes_are_empty(street.stage))

    assert mine.info_sync() == before
    assert mine.cancel_sync() == "cancelled"
    street.is_unharmed()
