"""What is wrong with a server is told, with what mends it; nothing else is."""

from __future__ import annotations

import asyncio
import socket

import pytest
from msgspec.structs import replace
from redis.exceptions import ConnectionError as NoConnection

from rqueue.app import App
from rqueue.doctor.exam import Exam
from rqueue.doctor.report import CHECKS, Report, report_of
from rqueue.doctor.verdict import Status
from rqueue.errors import StoreUnavailable
from rqueue.store.calls.server import SlowCall, ping
from tests.doctor.patient import SOUND, Hands, Patient, ailments, finding, saying
from tests.support.clients import client
from tests.support.replication import Pair
from tests.support.servers import FLAVOURS, Server, only_valkey
from tests.support.waiting import PATIENCE_S, within
from tests.support.working import scheduling, working

GB = 1024**3


async def test_a_sound_server_at_work_is_well(patient: Patient, server: Server) -> None:
    app = App(server.url)

    @app.task
    async def double(n: int) -> int:
        return 2 * n

    async with working(app), scheduling(app):
        assert await (await double.enqueue(21)).result(PATIENCE_S) == 42
        await double.options(delay=3600).enqueue(1)
        await app.schedules.upsert("hourly", double.call(1), every=3600)
        leases = "rqueue:{default}:leases"

        def renewed() -> None:
            before = patient.redis.zrange(leases, 0, -1, withscores=True)
            within(
                PATIENCE_S, lambda: patient.redis.zrange(leases, 0, -1, withscores=True) != before
            )

        report = await asyncio.to_thread(patient.report, Hands(renewed), pause_s=10.0)
    await app.close()

    # Redis 6.2 has no ACL DRYRUN.
    untold = {"connection.rights": "unknown"} if server.flavour == "redis62" else {}
    assert ailments(report) == untold
    assert sorted(one.id for one in report.findings) == sorted(check.id for check in CHECKS)
    assert all(one.why for one in report.findings)
    assert (report.looked_s, report.namespace) == (10.0, "rqueue")
    assert "all heard within 10.0 s" in finding(report, "workers.silent").found
    assert "all workers run rqueue" in finding(report, "workers.releases").found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, {"memory.policy": "failure"}),
        ({"maxmemory-policy": "volatile-ttl"}, {"memory.policy": "warning"}),
        ({"maxmemory": "0"}, {"memory.limit": "warning"}),
        ({"maxmemory": "1000"}, {"memory.used": "failure"}),
        ({"appendonly": "no"}, {"persistence.disk": "warning"}),
        ({"appendfsync": "no"}, {"persistence.disk": "warning"}),
        ({"timeout": "5"}, {"server.timeout": "warning"}),
        (
            {"client-output-buffer-limit": "pubsub 1000 1000 1"},
            {"server.buffers": "warning"},
        ),
        (
            {"stream-node-max-bytes": "0", "stream-node-max-entries": "0"},
            {"memory.nodes": "warning"},
        ),
        ({"maxclients": "2"}, {"server.clients": "failure"}),
    ],
)
def test_a_setting_that_harms_is_told(
    patient: Patient, server: Server, settings: dict[str, str], said: dict[str, str]
) -> None:
    patient.transport.send(ping())
    patient.set(settings)
    report = patient.report()

    untold = {"connection.rights": "unknown"} if server.flavour == "redis62" else {}
    assert ailments(report) == {**said, **untold}
    (check,) = said
    assert report.status == said[check]
    assert finding(report, check).fix


def test_what_mends_a_setting_does_mend_it(patient: Patient) -> None:
    patient.set({"maxmemory-policy": "allkeys-lru", "stream-node-max-bytes": "0"})
    patient.set({"stream-node-max-entries": "0"})
    for check in ("memory.policy", "memory.nodes"):
        fix = finding(patient.report(), check).fix
        for part in fix.replace("Say ", "").split(", "):
            if part.startswith("CONFIG SET"):
                patient.redis.execute_command(*part.split())

    report = patient.report()
    assert finding(report, "memory.policy").status == "ok"
    assert finding(report, "memory.nodes").status == "ok"


def test_keys_that_were_thrown_away_are_a_failure(patient: Patient) -> None:
    used = int(patient.redis.info("memory")["used_memory"])  # pyright: ignore[reportIndexIssue, reportArgumentType]
    patient.set({"maxmemory-policy": "allkeys-random", "maxmemory": str(used + 200_000)})
    for n in range(400):
        patient.redis.set(f"cache:{n}", "x" * 5000)

    found = finding(patient.report(), "memory.evicted")
    assert found.status == "failure"
    assert "keys were thrown away" in found.found


def test_connections_that_were_turned_away_are_told(patient: Patient, server: Server) -> None:
    patient.transport.send(ping())
    patient.set({"maxclients": "2"})
    with client(server.url) as third, pytest.raises(NoConnection):
        third.ping()

    assert ailments(patient.report())["server.rejected"] == "warning"


def test_snapshots_alone_are_told_with_what_they_lack(patient: Patient) -> None:
    patient.set({"appendonly": "no", "save": "3600 1"})
    patient.redis.set("x", 1)

    report = patient.report()
    assert ailments(report).items() >= {
        ("persistence.disk", "warning"),
        ("persistence.snapshots", "notice"),
    }
    assert "snapshots only" in finding(report, "persistence.disk").found


def test_durability_that_the_app_asks_for_and_the_server_has_not_is_a_failure(
    patient: Patient,
) -> None:
    patient.set({"appendonly": "no"})
    found = finding(patient.report(wants_fsync=True), "persistence.disk")

    assert (found.status, found.fix[:26]) == ("failure", "Say CONFIG SET appendonly ")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_replica_is_a_failure_and_its_primary_is_not(flavour: str) -> None:
    with Pair(flavour) as pair:
        apps = [App(pair.primary.url), App(pair.replica.url)]
        clients = [pair.to_primary, pair.to_replica]
        primary, replica = (Patient(*one).report() for one in zip(apps, clients, strict=True))
        for app in apps:
            app.close_sync()

    assert finding(primary, "persistence.replicas").found == "1 in step"
    assert finding(primary, "server.role").status == "ok"
    assert finding(replica, "server.role").status == "failure"
    assert "Connect to 127.0.0.1:" in finding(replica, "server.role").fix


def free_port() -> str:
    """For the bus of a cluster: its usual one, 10,000 above the server, may be no port at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def test_a_cluster_of_one_is_told() -> None:
    cluster = {"cluster-enabled": "yes", "cluster-port": free_port()}
    with (
        Server("valkey9", tcp=True, config={**SOUND, **cluster}) as server,
        client(server.url) as redis,
    ):
        redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        within(
            PATIENCE_S, lambda: "cluster_state:ok" in str(redis.execute_command("CLUSTER", "INFO"))
        )
        app = App(server.url)
        found = finding(Patient(app, redis).report(), "server.cluster")
        app.close_sync()

    assert (found.status, found.fix) == ("notice", "")
    assert "one primary" in found.found


@only_valkey
@pytest.mark.parametrize(
    ("check", "status", "info"),
    [
        ("server.version", "failure", {"valkey_version": "7.9.0"}),
        ("server.cluster", "failure", {"server_mode": "sentinel"}),
        ("server.blocked", "warning", {"blocked_clients": 1000}),
        ("server.clients", "warning", {"connected_clients": 8100}),
        ("memory.used", "warning", {"used_memory": 460_000_000}),
        (
            "memory.fragmentation",
            "warning",
            {"mem_fragmentation_ratio": 2, "used_memory_rss": 3 * GB, "used_memory": GB},
        ),
        (
            "memory.fragmentation",
            "warning",
            {"mem_fragmentation_ratio": 0.5, "used_memory_rss": GB, "used_memory": 2 * GB},
        ),
        ("persistence.fork", "warning", {"latest_fork_usec": 700_000}),
        ("persistence.writing", "failure", {"aof_last_write_status": "err"}),
        ("persistence.writing", "failure", {"rdb_last_bgsave_status": "err"}),
        ("persistence.writing", "warning", {"aof_last_bgrewrite_status": "err"}),
        (
            "persistence.replicas",
            "warning",
            {"slave0": "ip=10.0.0.2,port=6379,state=online,offset=1,lag=30"},
        ),
        (
            "persistence.replicas",
            "warning",
            {"slave0": "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0"},
        ),
    ],
)
def test_what_a_server_says_of_itself_is_judged(
    patient: Patient, check: str, status: str, info: dict[str, object]
) -> None:
    exam = patient.exam()

    assert finding(saying(exam), check).status == "ok"
    assert finding(saying(exam, **info), check).status == status


def test_a_slow_script_of_ours_is_told_and_a_stranger_s_is_not(patient: Patient) -> None:
    patient.app.remote("add").enqueue_sync(1)  # the server has the script from now on
    patient.set({"slowlog-log-slower-than": "0"})
    patient.redis.eval("return 1", 0)
    patient.app.remote("add").enqueue_sync(1)
    patient.set({"slowlog-log-slower-than": "-1"})
    exam = patient.exam()
    slow = exam.last.server.slow

    assert slow is not None
    assert {one.script for one in slow} == {"enqueue"}
    said = {
        us: finding(_slow(exam, us), "server.scripts").status for us in (9_000, 11_000, 100_000)
    }
    assert said == {9_000: "ok", 11_000: "notice", 100_000: "warning"}


def _slow(exam: Exam, took_us: int) -> Report:
    """As if one call had taken so long."""
    server = replace(exam.first.server, slow=[SlowCall("enqueue", 1, took_us)])
    return report_of(replace(exam, first=replace(exam.first, server=server)))


def test_a_clock_that_is_wrong_is_told(patient: Patient) -> None:
    def said(skew_s: float) -> tuple[Status, str]:
        found = finding(patient.report(Hands(skew_s=skew_s)), "connection.clock")
        return found.status, found.found.partition(" the server")[0]

    assert said(0.5)[0] == "ok"
    assert said(5) == (Status.WARNING, "this machine is 5.0 s ahead of")
    assert said(-3600) == (Status.FAILURE, "this machine is 60.0 min behind")


def test_a_server_that_is_not_there_is_an_error_and_no_report(patient: Patient) -> None:
    app = App("redis://127.0.0.1:1/0")
    app.store = type(app.store)(url=app.store.url, retry_s=0)
    with pytest.raises(StoreUnavailable):
        Patient(app, patient.redis).report()
    app.close_sync()
