"""A server that dies, forgets, refuses, is flushed, or has a wrong clock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import RedisError, ResponseError

from rqueue.store.keys import GROUP, LANES
from tests.faults.canaries import i15_nothing_secret_is_told
from tests.faults.chaos import (
    Fault,
    flush_scripts,
    kill_a_worker,
    kill_connections,
    kill_the_server,
    rage,
)
from tests.faults.checker import ALWAYS
from tests.faults.evidence import Evidence, Violation
from tests.faults.remains import i6_nothing_is_left
from tests.faults.scenario import ALL, DESTROYED, scenario, times
from tests.faults.stage import LEASE_S, Stage
from tests.faults.timing import PROBE, no_job_waits_for_three_seconds, probes_run_in_time
from tests.support.clients import client

_OF_LOST_KEYS = [
    one.__name__ for one in ALWAYS if one not in (i6_nothing_is_left, i15_nothing_secret_is_told)
]

_MEASURED = {
    "WorkerFenced": "rqueue_worker_fenced_total default",
    "GroupsRestored": "rqueue_worker_groups_restored_total default",
}

_FILLERS = 100
_FILLER_BYTES = 4096
"""What is loaded for certain, in another database, however few jobs there are just then."""


@scenario("F5", ALL)
def the_server_is_killed(stage: Stage) -> None:
    """The server is killed and comes back with all it had promised to keep."""
    stage.start_server()
    stage.cast(jobs=400, rate=30, workers=3, durable=0.5)
    rage(
        stage,
        [
            Fault(kill_the_server((0.1, 2.0)), (3, 5), times=times(stage, 2)),
            Fault(kill_the_server((1.3 * LEASE_S, 1.6 * LEASE_S)), (6, 9), times=times(stage, 1)),
        ],
    )
    stage.drain()


@scenario(
    "F6",
    spared=dict.fromkeys(
        (
            "i1_every_accepted_job_has_ended",
            "i3_no_job_was_recorded_twice",
            "i4_a_job_runs_again_for_a_reason_only",
            "i9_tokens_grow_and_no_entry_runs_twice",
            "i12_every_recorded_failure_is_kept",
            "i18_nobody_records_what_was_taken_from_it",
            "i17_no_healthy_worker_was_fenced",
        ),
        "the last second of the server's life may be forgotten: counted, not forbidden",
    ),
)
def a_forgetful_server_is_killed(stage: Stage) -> None:
    """The server syncs its file once a second, and is killed: no more than that may be lost."""
    stage.appendfsync = "everysec"
    stage.start_server()
    # Redis 7.0 has no WAITAOF: there nothing of such a server can be promised.
    stage.cast(jobs=300, rate=30, workers=3, durable=0.3 * (stage.flavour == "valkey9"))
    rage(stage, [Fault(kill_the_server((0.1, 1.0)), (3, 5), times=times(stage, 2))])
    stage.drain()
    answered = {line["job"]: line["at"] for line in stage.history.of("answered")}
    kills = [line["at"] for line in stage.history.of("server killed")]
    lost = [job for job in answered if not stage.admin.exists(stage.keys.job(job))]
    lost = [job for job in lost if not stage.history.of("answered", job=job, status="locked")]
    late = [job for job in lost if not any(0 <= kill - answered[job] <= 2 for kill in kills)]
    stage.notes["lost"] = len(lost)
    assert not late, f"lost, though accepted long before: {late}"


@scenario("F10", also=(no_job_waits_for_three_seconds,))
def connections_are_killed(stage: Stage) -> None:
    """Every connection is cut once a second."""
    stage.start_server()
    stage.cast(jobs=600, rate=30, workers=3)
    rage(stage, [Fault(kill_connections, (0.9, 1.1), times=times(stage, 20))])
    stage.drain()


@scenario(
    "F19",
    spared={
        "i7_a_unique_key_has_one_holder": "the server dates created and finished with its clock",
        "i10_no_delayed_job_is_early": "the server's clock decides, and it jumps",
        "i18_nobody_records_after_it_was_reaped": "the server dates the end with its clock",
    },
    also=(probes_run_in_time,),
)
def the_servers_clock_jumps(stage: Stage) -> None:
    """The server's clock jumps an hour ahead and back; workers die meanwhile."""
    stage.start_server(clock=True)
    stage.schedulers(1)
    stage.workers(3)
    stage.produce(300, rate=20, mix="timeless")
    hours = iter([1, -1, 0, 1, -1] * times(stage, 1) + [2])

    def step(stage: Stage) -> None:
        hour = next(hours, 2)
        stage.history.write("server clock", hours=hour)
        stage.clock.step(3600 * hour)
        name = f"{PROBE}{len(stage.history.of('server clock'))}"
        stage.send((name, "work", [0]))
        stage.until(lambda: stage.history.of("begin", job=name))

    rage(
        stage,
        [
            Fault(step, (1.5, 2.5), times=5 * times(stage, 1) + 1),
            Fault(kill_a_worker, (2, 3), times=times(stage, 3)),
        ],
    )
    # Retries that were put off while the clock was ahead are due now.
    stage.clock.step(3600 * 3)
    stage.drain()


@scenario("F22")
def scripts_are_flushed(stage: Stage) -> None:
    """The server forgets the scripts ten times a second."""
    stage.start_server()
    stage.cast(jobs=600, rate=60, workers=2)
    rage(stage, [Fault(flush_scripts, (0.08, 0.12), times=times(stage, 100))])
    stage.drain()
    assert not stage.history.of("unknown"), "a caller noticed"
    assert not stage.history.of("refused"), "a caller noticed"


def loss_is_measured(evidence: Evidence) -> Iterator[Violation]:
    """What the events told, the metrics of the processes count."""
    counted: Counter[str] = Counter()
    for line in evidence.of("shown"):
        counted.update(line["metrics"])
    for event, metric in _MEASURED.items():
        told = len(evidence.of(event))
        if counted[metric] != told:
            yield Violation("F23", f"{event} was told {told} times, counted {counted[metric]}")


@scenario(
    "F23",
    spared=dict.fromkeys(_OF_LOST_KEYS, "what was flushed is gone"),
    also=(loss_is_measured,),
)
def keys_are_destroyed(stage: Stage) -> None:
    """Everything, a stream, or the groups are destroyed: new jobs run, and it is told."""
    stage.start_server()
    stage.schedulers(1)
    stage.workers(2)
    stream = stage.keys.stream("normal")
    streams = list(map(stage.keys.stream, LANES))
    destroyers: list[tuple[Callable[[], object], str]] = [
        (stage.admin.flushall, "WorkerFenced"),
        (lambda: stage.admin.delete(stream), "GroupsRestored"),
        (lambda: [stage.admin.xgroup_destroy(one, GROUP) for one in streams], "GroupsRestored"),
        (lambda: stage.admin.swapdb(0, 1), "WorkerFenced"),
    ]
    for turn in range(times(stage, len(destroyers))):
        stage.send(*((f"before-{turn}-{n}", "work", [200]) for n in range(20)))
        destroy, event = destroyers[turn % len(destroyers)]
        told = len(stage.history.of(event))
        destroy()
        stage.history.write("destroyed")
        began = stage.send((f"after-{turn}", "work", [0]))
        (probe,) = stage.until(lambda t=turn: stage.history.of("end", job=f"after-{t}"))
        took = probe["at"] - began
        stage.notes.setdefault("new jobs ran after, s", []).append(round(took, 2))
        assert took < 3, f"a new job ran only after {took:.1f} s"
        stage.until(lambda event=event, told=told: len(stage.history.of(event)) > told)
        # What is left of the jobs before may wait for streams that are gone.
        stage.until(stage.is_empty)
    ended = {line["job"] for line in stage.history.of("end")}
    accepted = {line["job"] for line in stage.history.of("answered")}
    stage.notes[DESTROYED] = len(accepted - ended)
    assert len(stage.living("worker")) == 2, "a worker died"
    assert len(stage.living("scheduler")) == 1, "the scheduler died"


@scenario("F29")
def the_server_refuses(stage: Stage) -> None:
    """No more clients, busy, loading, no writes, another password, a replica: all of it passes."""
    # While it loads it answers after every KiB.
    stage.start_server({"lua-time-limit": "100", "loading-process-events-interval-bytes": "1024"})
    stage.schedulers(1)
    stage.workers(2)
    stage.produce(400, rate=20)
    refusals = [
        _few_clients, _busy, _loading, _failed_save, _too_few_replicas, _other_password, _replica,
    ]  # fmt: skip
    for refuse in refusals * times(stage, 1):
        stage.history.write("trouble")
        refuse(stage)
        stage.history.write("trouble")
        stage.pause(1.0)
    stage.drain()


def _few_clients(stage: Stage) -> None:
    limit: Any = stage.admin.config_get("maxclients")
    stage.admin.config_set("maxclients", 3)
    kill_connections(stage)
    stage.pause(1.5)
    stage.admin.config_set("maxclients", limit["maxclients"])


def _busy(stage: Stage) -> None:
    def spin() -> None:
        try:
            stage.admin.eval("while true do redis.call('PING') end", 0)
        except ResponseError:
            return  # killed

    spinning = threading.Thread(target=spin)
    spinning.start()
    stage.pause(1.0)
    stage.admin.script_kill()
    spinning.join()


def _loading(stage: Stage) -> None:
    """It starts again and loads for two seconds: LOADING for everything."""
    with client(stage.url.removesuffix("/0") + "/1") as elsewhere:
        for number in range(_FILLERS):
            elsewhere.set(f"filler-{number}", stage.chance.randbytes(_FILLER_BYTES))
    _rewrite(stage)
    refused = len(stage.history.of("refused"))
    _load_slowly(stage, microseconds=2_000_000 // _FILLERS)
    with client(stage.url) as asking:
        restarting = threading.Thread(target=stage.server.restart)
        restarting.start()
        seen = set[str]()
        while restarting.is_alive():
            try:
                asking.dbsize()
            except RedisError as error:
                seen.add(type(error).__name__)
            stage.pause(0.02)
        restarting.join()
    assert "BusyLoadingError" in seen, f"it did not load for long: {seen}"
    found = stage.history.of("refused")[refused:]
    assert found == [], "a producer did not wait for it"
    stage.admin.connection_pool.disconnect()
    _load_slowly(stage, 0)


def _rewrite(stage: Stage) -> None:
    """So that what is loaded are keys, and not everything that was ever done to them."""

    def is_rewritten() -> bool:
        told: Any = stage.admin.info("persistence")
        return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]

    stage.admin.bgrewriteaof()
    stage.until(is_rewritten)


def _load_slowly(stage: Stage, microseconds: int) -> None:
    """How long the server takes for each key when it starts again."""
    stage.admin.config_set("key-load-delay", microseconds)
    stage.admin.config_rewrite()


def _failed_save(stage: Stage) -> None:
    """A snapshot fails, because a folder stands where it belongs: MISCONF for every write."""
    obstacle = stage.folder / "data" / "dump.rdb"
    (obstacle / "full").mkdir(parents=True)
    stage.admin.config_set("save", "3600 1")
    _save(stage, "err")
    with pytest.raises(ResponseError, match="MISCONF"):
        stage.admin.set("refused", "")
    stage.pause(1.0)
    (obstacle / "full").rmdir()
    obstacle.rmdir()
    _save(stage, "ok")
    stage.admin.config_set("save", "")


def _save(stage: Stage, ending: str) -> None:
    def is_saved() -> bool:
        told: Any = stage.admin.info("persistence")
        return not told["rdb_bgsave_in_progress"] and told["rdb_last_bgsave_status"] == ending

    stage.admin.bgsave()
    stage.until(is_saved)


def _too_few_replicas(stage: Stage) -> None:
    """NOREPLICAS for every write."""
    stage.admin.config_set("min-replicas-to-write", 1)
    stage.pause(1.0)
    stage.admin.config_set("min-replicas-to-write", 0)


def _other_password(stage: Stage) -> None:
    stage.admin.config_set("requirepass", "changed")
    kill_connections(stage)
    stage.pause(1.0)
    stage.admin.config_set("requirepass", stage.password)


def _replica(stage: Stage) -> None:
    stage.admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    stage.pause(1.0)
    stage.admin.execute_command("REPLICAOF", "NO", "ONE")
