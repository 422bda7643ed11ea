"""Every check of the faults turns red for what it forbids, and for no more than that."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest

from rqueue.store.keys import LANES
from tests.faults import canaries, checker, fences, remains, ticks, timing
from tests.faults.evidence import Evidence, Violation
from tests.faults.scenario import Check, load
from tests.faults.scenarios import servers
from tests.support.queue_state import Entry, QueueState

Lines = list[dict[str, Any]]
LEASE_S = 2.0
EMPTY = QueueState()


def line(event: str, at: float = 1.0, **told: Any) -> dict[str, Any]:
    return {"event": event, "at": at, "wall": round(at * 1000), **told}


def asked(at: float = 1.0, **options: str) -> Lines:
    """A job that was asked for and accepted."""
    told = {"durability": "fsync"} if "durability" in options else {}
    return [
        line("asked", at, job="j1", options=options),
        line("answered", at, job="j1", status="accepted", **told),
    ]


def begin(at: float = 1.1, worker: str = "w1-a", **told: Any) -> dict[str, Any]:
    ran = {"job": "j1", "worker": worker, "attempt": 1, "token": 1, "crashes": 0}
    return line("begin", at, **ran | told)


def finished(ending: str, at: float = 1.2, worker: str = "w1-a", **told: Any) -> dict[str, Any]:
    said = {"job": "j1", "worker": worker, "attempt": 1, "ending": ending, "status": "recorded"}
    return line("JobFinished", at, seconds=0, **said | told)


def one(state: str = "succeeded", **fields: str) -> QueueState:
    """A queue with the record of one job, and what it counts."""
    verbs = {"succeeded": "complete", "dead": "bury", "cancelled": "cancel", "expired": "expire"}
    counts = {"enqueue": "1", verbs.get(state, ""): "1"}
    dead = {"j1": 1} if state == "dead" else {}
    return QueueState(records={"j1": {"state": state} | fields}, meta=counts, dead=dead)


@dataclass(frozen=True)
class Case:
    """A run that keeps what a check asks for, one that does not, and what is told of it."""

    check: Check
    told: str
    sound: Lines
    broken: Lines
    before: QueueState = EMPTY
    after: QueueState | None = None
    """What is in Redis when it is broken, where that is not the same."""

    def violations(self, *, is_broken: bool) -> list[Violation]:
        state = self.after if is_broken and self.after is not None else self.before
        lines = sorted(self.broken if is_broken else self.sound, key=lambda line: line["at"])
        return list(self.check(Evidence(lines, state, LEASE_S)))


RAN_TWICE = [begin(), begin(2.0, "w2-b", token=2, crashes=1)]
REAPED = line("WorkerReaped", 1.5, worker="w1-a", jobs=1)
REAPED_LATE = [
    line("ready", 0.5, name="s1"),
    line("ready", 0.5, name="w2"),
    line("killed", 0.6, name="w3"),
    line("WorkerReaped", 1.5, worker="w3-a", jobs=1),
    line("killed", 1.0, name="w1"),
    line("WorkerReaped", 6.0, worker="w1-a", jobs=1),
]
NOTICED = line("WorkerFenced", 1.5, worker="w1-a", jobs=1)
KEPT: dict[str, Any] = {
    "others": ["queues", "{default}:meta", *(f"{{default}}:stream:{one}" for one in LANES)],
    "past": {"{default}:minute:7": 90_000_000, "{default}:booked": 5},
}
HELD = {"j1": {"finished": "9", "created": "1"}, "j2": {"finished": "12", "created": "9"}}
KEYED = [line("asked", job=job, options={"unique": "key"}) for job in HELD]

CASES = (
    Case(
        checker.i1_every_accepted_job_has_ended, "I1: accepted, and now queued (job j1)",
        asked(), asked(), one(), one("queued"),
    ),
    Case(
        checker.i2_every_end_was_counted_once,
        "I2: complete was counted 0 times for 1 jobs (job j1)",
        [], [], one(), QueueState(records=one().records, meta={"enqueue": "1"}),
    ),
    Case(
        checker.i3_no_job_was_recorded_twice, "I3: 2 endings were recorded (job j1)",
        [finished("retry"), finished("complete", 2.0)],
        [finished("complete"), finished("complete", 2.0)],
        one(worker="w1-a"),
    ),
    Case(
        checker.i3_no_job_was_recorded_twice, "I3: recorded by w2-b, kept of w1-a (job j1)",
        [finished("complete")], [finished("complete", worker="w2-b")], one(worker="w1-a"),
    ),
    Case(
        checker.i4_what_succeeded_ran, "I4: succeeded without a run (job j1)",
        [begin()], [], one(),
    ),
    Case(
        checker.i4_a_job_runs_again_for_a_reason_only,
        "I4: ran 2 times, of which 1 had a reason (job j1)",
        [*RAN_TWICE, line("killed", 1.5, name="w1")], RAN_TWICE, one(),
    ),
    Case(
        checker.i4_a_job_runs_again_for_a_reason_only,
        "I4: ran 2 times, of which 1 had a reason (job j1)",
        [*RAN_TWICE, finished("snooze", status="already")],
        [*RAN_TWICE, finished("snooze", status="lost")],
        one(),
    ),
    Case(
        checker.i4_a_job_runs_again_for_a_reason_only,
        "I4: ran 2 times, of which 1 had a reason (job j1)",
        [*RAN_TWICE, line("ended", 1.5, name="w1", clean=False)],
        [*RAN_TWICE, line("ended", 1.5, name="w1", clean=True)],
        one(),
    ),
    Case(
        checker.i4_a_job_runs_again_for_a_reason_only,
        "I4: ran 2 times, of which 1 had a reason (job j1)",
        [*RAN_TWICE, line("ended", 1.5, name="w1", clean=False)],
        [*RAN_TWICE, line("ended", 1.5, name="w1", clean=False), finished("complete")],
        one(),
    ),
    Case(
        ticks.i8_ticks_stand_in_order, "I8: a tick at 1000, and the next at 3000",
        [line("ticks", ran=[1000, 2000, 3000])], [line("ticks", ran=[1000, 3000])],
    ),
    Case(
        ticks.i8_ticks_stand_in_order, "I8: the tick of a at 1000 ran twice",
        [
            line("ScheduleTicked", schedule=name, tick_ms=1000, said=said)
            for name, said in (("a", "ran"), ("a", "taken"), ("b", "ran"))
        ],
        [line("ScheduleTicked", schedule="a", tick_ms=1000, said="ran")] * 2,
    ),
    Case(
        checker.i5_no_job_is_in_two_places, "I5: stood in two places at once (job j1)",
        [], [line("twin", job="j1")],
    ),
    Case(
        remains.i6_nothing_is_left, "I6: left at the end: entries {'low': 1}",
        [], [], one(), QueueState(lanes={"low": [Entry({"id": "j1"})]}),
    ),
    Case(
        remains.i6_nothing_is_left, "I6: left at the end: locks {'key': 'j1'}",
        [], [], one(), QueueState(unique={"key": "j1"}),
    ),
    Case(
        remains.i6_nothing_is_left, "I6: left at the end: consumers {'low': ['w1-a']}",
        [], [], QueueState(groups={"low": []}), QueueState(groups={"low": ["w1-a"]}),
    ),
    Case(
        remains.i6_nothing_is_left, "I6: dead records and dead set differ: {'j1'}",
        [], [], one("dead"), QueueState(records=one("dead").records),
    ),
    Case(
        checker.i7_a_unique_key_has_one_holder,
        "I7: key was held by j1 and j2 at once (job j2)",
        KEYED, KEYED, QueueState(records=HELD),
        QueueState(records=HELD | {"j2": {"finished": "12", "created": "8"}}),
    ),
    Case(
        checker.i9_tokens_grow_and_no_entry_runs_twice,
        "I9: runs began with the tokens [1, 1] (job j1)",
        RAN_TWICE, [begin(), begin(2.0, "w2-b")],
    ),
    Case(
        timing.i10_no_delayed_job_is_early, "I10: began 500 ms early (job j1)",
        [*asked(delay="2"), begin(3.0)], [*asked(delay="2"), begin(2.5)],
    ),
    Case(
        timing.i10_no_delayed_job_is_late,
        "I10: began 1.60 s late, and nothing was wrong (job j1)",
        [*asked(delay="2"), begin(4.4)], [*asked(delay="2"), begin(4.6)],
    ),
    Case(
        timing.i10_no_delayed_job_is_late,
        "I10: began 9.00 s late, and nothing was wrong (job j1)",
        [*asked(20, delay="2"), line("connections killed", 13), begin(31.0)],
        [*asked(20, delay="2"), line("connections killed", 11), begin(31.0)],
    ),
    Case(
        timing.i10_no_delayed_job_is_late,
        "I10: began 9.00 s late, and nothing was wrong (job j1)",
        [*asked(20, delay="2"), line("memory free", 13), begin(31.0)],
        [*asked(20, delay="2"), line("memory full", 13), begin(31.0)],
    ),
    Case(
        timing.some_delayed_jobs_could_be_judged,
        "I10: no delayed job was due while nothing was wrong",
        [*asked(delay="2"), begin(3.1)], [*asked(delay="2"), begin(3.1, token=2)],
    ),
    Case(
        checker.i11_what_reached_the_disk_is_there,
        "I11: was on the disk when it was accepted, and is gone (job j1)",
        asked(durability="fsync"), asked(durability="fsync"), one(), QueueState(),
    ),
    Case(
        checker.i12_attempts_are_failures, "I12: 3 attempts charged, 1 errors kept (job j1)",
        [line("raise", job="j1", attempt=1)], [line("raise", job="j1", attempt=1)],
        one(attempts="2", error_1="no", error_c1="crash"),
        one(attempts="3", error_1="no", error_c1="crash"),
    ),
    Case(
        checker.i12_attempts_are_failures,
        "I12: errors of [1] kept that no handler raised (job j1)",
        [line("raise", job="j1", attempt=1)], [line("raise", job="j1", attempt=2)],
        one(attempts="2", error_1="no"),
    ),
    Case(
        checker.i12_every_recorded_failure_is_kept,
        "I12: failure 1 was recorded, not kept (job j1)",
        [line("raise", job="j1", attempt=1, worker="w1-a"), finished("retry", status="fenced")],
        [line("raise", job="j1", attempt=1, worker="w1-a"), finished("retry")],
        one(),
    ),
    Case(
        timing.i13_what_the_dead_held_is_moved_in_time,
        "I13: moved 3.60 s after a kill, bound 3.5",
        [line("killed", 1.0, name="w1"), line("WorkerReaped", 4.4, worker="w1-a", jobs=1)],
        [line("killed", 1.0, name="w1"), line("WorkerReaped", 4.6, worker="w1-a", jobs=1)],
    ),
    Case(
        timing.i13_what_the_dead_held_is_moved_in_time,
        "I13: moved 5.00 s after a kill, bound 3.5",
        [*REAPED_LATE, *(line("watch anew", 3.0, name=one, seconds=1.0) for one in ("s1", "w2"))],
        [*REAPED_LATE, line("watch anew", 3.0, name="w2", seconds=1.0)],
    ),
    Case(
        timing.i13_what_the_dead_held_is_moved_in_time,
        "I13: moved 5.00 s after a kill, bound 3.5",
        [*REAPED_LATE[1:], line("watch anew", 3.0, name="w2", seconds=1.0)],
        [*REAPED_LATE[1:], line("watch anew", 9.0, name="w2", seconds=1.0)],
    ),
    Case(
        timing.i13_what_the_dead_held_is_moved_in_time,
        "I13: 1 moves could not be judged, 0 could",
        [*REAPED_LATE[1:], line("watch anew", 3.0, name="w2", seconds=1.0)],
        [*REAPED_LATE[3:], line("watch anew", 3.0, name="w2", seconds=1.0)],
    ),
    Case(
        remains.i14_nobody_is_still_registered, "I14: still in the registry: ['w1-a']",
        [line("registry", workers=[])], [line("registry", workers=["w1-a"])],
    ),
    Case(
        remains.i14_every_key_is_explained,
        "I14: keys without a reason, or missing: ['{default}:leases']",
        [line("keys", jobs=1, **KEPT)],
        [line("keys", jobs=1, others=[*KEPT["others"], "{default}:leases"], past={})],
        one(),
    ),
    Case(
        remains.i14_every_key_is_explained, "I14: 2 keys of 1 records",
        [line("keys", jobs=1, **KEPT)], [line("keys", jobs=2, **KEPT)], one(),
    ),
    Case(
        fences.i17_no_healthy_worker_was_fenced, "I17: w1-a was fenced and had no fault",
        [line("frozen", 1.0, name="w1"), NOTICED], [NOTICED],
    ),
    Case(
        fences.i18_nobody_records_what_was_taken_from_it,
        "I18: w1-a recorded what had been taken from it (job j1)",
        [*RAN_TWICE, finished("retry", status="fenced")], [*RAN_TWICE, finished("retry")],
    ),
    Case(
        fences.i18_nobody_records_what_was_taken_from_it,
        "I18: w1-a recorded what had been taken from it (job j1)",
        [begin(), finished("snooze")], [begin(), finished("snooze")],
        one(), one("dead", reason="crashed", token="1"),
    ),
    Case(
        fences.i18_nobody_records_what_was_taken_from_it,
        "I18: w1-a recorded the end of 1, and [2] began (job j1)",
        [begin(), finished("retry"), begin(2.0, "w2-b", token=2, attempt=2)],
        [begin(), finished("complete"), begin(2.0, "w2-b", token=2, attempt=2)],
    ),
    Case(  # the line is late in both
        fences.i18_nobody_records_after_it_was_reaped,
        "I18: w1-a recorded 1 ms after its fence was told (job j1)",
        [REAPED, finished("complete", 1.9)], [REAPED, finished("complete", 1.9)],
        one(worker="w1-a", finished="1500"), one(worker="w1-a", finished="1501"),
    ),
    Case(
        fences.i18_nobody_records_after_its_notice,
        "I18: w1-a recorded after its fence (job j1)",
        [NOTICED, finished("retry", 2.4)], [NOTICED, finished("retry", 2.6)],
    ),
    Case(
        timing.released_jobs_run_elsewhere_at_once,
        "F30: a released job began only 1.60 s later",
        [finished("release", 1.0), begin(2.4, "w2-b")],
        [finished("release", 1.0), begin(2.6, "w2-b")],
    ),
    Case(
        timing.no_job_waits_for_three_seconds,
        "F10: began only 3.1 s after it was due (job j1)",
        [*asked(delay="1"), begin(4.9)], [*asked(delay="1"), begin(5.1)],
    ),
    Case(
        timing.probes_run_in_time,
        "F19: a probe began 6.10 s after it was sent, bound 6.0",
        [line("answered", job="probe-1", status="accepted"), begin(6.9, job="probe-1")],
        [line("answered", job="probe-1", status="accepted"), begin(7.1, job="probe-1")],
    ),
    Case(
        servers.loss_is_measured, "F23: WorkerFenced was told 1 times, counted 0",
        [NOTICED, line("shown", metrics={"rqueue_worker_fenced_total default": 1.0})],
        [NOTICED, line("shown", metrics={})],
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.told)
def test_a_broken_promise_is_told_of_and_nothing_else(case: Case) -> None:
    assert case.violations(is_broken=False) == []
    assert list(map(str, case.violations(is_broken=True))) == [case.told]


def test_every_check_has_been_seen_red() -> None:
    also = {check for one in load().values() for check in one.also}
    here = {canaries.i15_nothing_secret_is_told, *(case.check for case in CASES)}

    assert {*checker.ALWAYS, *also} - here == set()


@pytest.mark.parametrize(
    "harm",
    [
        [line("killed", 1.0, name="s1")],
        [line("black", 1.0)],
        [line("server killed", 1.0), line("server back", 2.0)],
        [line("frozen", 1.0, name="w1"), line("thawed", 3.5, name="w1")],
        [line("machine stalled", 3.5, seconds=0.5)],
        [line("LoopStalled", 3.5, seconds=1.0)],
    ],
    ids=lambda harm: harm[0]["event"],
)
def test_a_delayed_job_may_be_late_where_something_was_wrong(harm: Lines) -> None:
    lines = sorted([*asked(delay="2"), *harm, begin(9.0)], key=lambda line: line["at"])

    assert timing.times_late(Evidence(lines, EMPTY, LEASE_S)) == []


def test_an_answer_that_reaches_a_frozen_worker_is_told_late_and_proves_nothing() -> None:
    frozen = [line("frozen", 1.55, name="w1"), line("thawed", 6.0, name="w1")]
    lines = [NOTICED, *frozen, finished("retry", 6.1)]

    assert list(fences.i18_nobody_records_after_its_notice(Evidence(lines, EMPTY, LEASE_S))) == []


KEY = canaries.KEY
HEX, BASE64 = KEY.hex(), b64encode(KEY).decode()


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("the password", f"redis://:{canaries.PASSWORD}@host"),
        ("a sensitive argument", f"PermissionError: {canaries.SECRET!r}"),
        ("the key", repr(KEY)),
        ("the key", HEX),
        ("the key", BASE64),
        ("a payload", canaries.CANARY),
    ],
)
def test_a_secret_in_a_log_is_told_of(secret: str, text: str) -> None:
    evidence = Evidence([], EMPTY, LEASE_S, {"the log of w1": f"so {text} it is"})

    found = list(canaries.i15_nothing_secret_is_told(evidence))

    assert found == [Violation("I15", f"{secret} stands in the log of w1")]


def test_a_payload_may_be_seen_by_whoever_looks_at_the_job_but_a_secret_may_not() -> None:
    shown = {
        f"{canaries.SHOWN}a job": f"{canaries.CANARY} {canaries.SECRET}",
        "a log": "[redacted]",
    }
    evidence = Evidence([], EMPTY, LEASE_S, shown)

    found = list(canaries.i15_nothing_secret_is_told(evidence))

    assert found == [Violation("I15", "a sensitive argument stands in shown: a job")]
