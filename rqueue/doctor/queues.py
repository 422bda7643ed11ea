"""Checks of queues and schedules: is anything left lying?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rqueue.doctor.exam import Exam
from rqueue.doctor.units import percent, span
from rqueue.doctor.verdict import (
    Check,
    Status,
    Verdict,
    failure,
    notice,
    ok,
    unknown,
)
from rqueue.errors import CorruptKey
from rqueue.store.calls.health import SAMPLE, QueueHealth

OVERDUE_S, LATE_S = 60.0, 10.0
"""Late is above what a busy scheduler needs; the alerts have the first."""
OLD_S = 300.0
"""For a job to be ready in a queue without a target; the alert RqueueQueueStalled has it."""
MANY_DEAD = 1000
NEARLY = 0.8
"""Of a cap."""
_NAMED = 5


def _each(exam: Exam, say: Callable[[str, QueueHealth], str]) -> list[tuple[str, str]]:
    """(queue, what is said of it) of those of which something is said."""
    found = [(name, say(name, one)) for name, one in (exam.last.queues or {}).items()]
    return [(name, said) for name, said in found if said]


def _judged(
    exam: Exam, bad: list[tuple[str, str]], status: Status, fix: str, otherwise: str
) -> Verdict:
    if exam.last.queues is None:
        return unknown("SMEMBERS of its registry", "+smembers")
    if not bad:
        return ok(otherwise)
    said = "; ".join(f"{name}: {one}" for name, one in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED} queues more" if len(bad) > _NAMED else ""
    fix = fix.replace("QUEUE", bad[0][0])
    return Verdict(status, said + more, fix, [name for name, _ in bad])


def _readable(exam: Exam) -> Verdict:
    look = exam.last
    if look.queues is None:
        return unknown("SMEMBERS of its registry", "+smembers")
    if not look.unreadable:
        count = f"{len(look.queues)} looked at"
        if look.unseen:
            said = f"{count}, and {look.unseen} not: there are so many"
            return notice(said, "rqueue queues list shows all")
        return ok(count)
    said = "; ".join(f"{name}: {error}" for name, error in look.unreadable.items())
    if any(isinstance(error, CorruptKey) for error in look.unreadable.values()):
        return failure(said, "TYPE of its keys: delete what is no key of ours", [*look.unreadable])
    return Verdict(
        Status.UNKNOWN,
        said,
        "Give this user the commands of the exporter: deploy/redis/users.acl",
        [*look.unreadable],
    )


def _workers(exam: Exam) -> Verdict:
    def say(_: str, one: QueueHealth) -> str:
        ready = sum(one.info.ready.values())
        is_left = ready and not one.info.workers and not one.info.is_paused
        return f"{ready:,} ready, and no worker" if is_left else ""

    fix = "rqueue worker -q QUEUE; rqueue workers list"
    return _judged(exam, _each(exam, say), Status.FAILURE, fix, "jobs that are ready have workers")


def _age(exam: Exam) -> Verdict:
    def say(_: str, one: QueueHealth) -> str:
        bound = one.info.target_s or OLD_S
        if one.info.is_paused or one.ages.ready_s <= bound:
            return ""
        meant = f"target {span(bound)}" if one.info.target_s else "no target is set"
        return f"the oldest has been ready for {span(one.ages.ready_s)} ({meant})"

    fix = "rqueue scale QUEUE: how many replicas there should be; rqueue queues target QUEUE 30s"
    return _judged(exam, _each(exam, say), Status.WARNING, fix, "no job waits for too long")


def _paused(exam: Exam) -> Verdict:
    def say(_: str, one: QueueHealth) -> str:
        return f"paused, {sum(one.info.ready.values()):,} ready" if one.info.is_paused else ""

    fix = "rqueue queues resume QUEUE"
    return _judged(exam, _each(exam, say), Status.NOTICE, fix, "none is paused")


def _capped(exam: Exam) -> Verdict:
    is_full = False

    def say(_: str, one: QueueHealth) -> str:
        nonlocal is_full
        info, said = one.info, list[str]()
        held = {
            "waiting": (sum(info.ready.values()) + info.running, info.cap_waiting),
            "scheduled": (info.scheduled, info.cap_scheduled),
        }
        for name, (count, cap) in held.items():
            if cap and count >= cap * NEARLY:
                said.append(f"{count:,} of {cap:,} {name}, {percent(count / cap)}")
                is_full = is_full or count >= cap
        return ", ".join(said)

    bad = _each(exam, say)
    fix = "Start workers, or rqueue queues limit QUEUE --waiting N --scheduled N"
    status = Status.FAILURE if is_full else Status.WARNING
    return _judged(exam, bad, status, fix, "no queue is near its cap")


def _scheduler(exam: Exam) -> Verdict:
    worst = max((one.ages.overdue_s for one in (exam.last.queues or {}).values()), default=0.0)

    def say(_: str, one: QueueHealth) -> str:
        late = one.ages.overdue_s
        return f"due for {span(late)}, and not promoted" if late > LATE_S else ""

    status = Status.FAILURE if worst > OVERDUE_S else Status.WARNING
    fix = "rqueue scheduler, or rqueue worker --with-scheduler: one is enough"
    return _judged(exam, _each(exam, say), status, fix, "due jobs are promoted")


def _schedules(exam: Exam) -> Verdict:
    def say(_: str, one: QueueHealth) -> str:
        return f"a schedule is due for {span(one.late_s)}" if one.late_s > OVERDUE_S else ""

    fix = "rqueue scheduler; rqueue schedules list: can one not be read?"
    return _judged(exam, _each(exam, say), Status.FAILURE, fix, "schedules fire in time")


def _parked(exam: Exam) -> Verdict:
    def say(_: str, one: QueueHealth) -> str:
        if not one.parked:
            return ""
        return f"{len(one.parked)} of the {SAMPLE} that are due first, as {one.parked[0]}"

    bad = _each(exam, say)
    example = next((one.parked[0] for one in (exam.last.queues or {}).values() if one.parked), "")
    fix = (
        f"rqueue job show {example} -q QUEUE: which task? Deploy workers that know it within the "
        "hour, or run each app's jobs in a namespace of its own"
    )
    return _judged(exam, bad, Status.WARNING, fix, "workers know the tasks of the jobs")


def _dead(exam: Exam) -> Verdict:
    queues = (exam.last.queues or {}).values()

    def say(_: str, one: QueueHealth) -> str:
        if not one.info.dead:
            return ""
        reasons = Counter(one.deaths).most_common(_NAMED)
        return f"{one.info.dead:,} ({', '.join(f'{count} {why}' for why, count in reasons)})"

    is_many = any(one.info.dead >= MANY_DEAD for one in queues)
    fix = "rqueue dead list -q QUEUE; then rqueue dead retry or rqueue dead discard"
    status = Status.WARNING if is_many else Status.NOTICE
    return _judged(exam, _each(exam, say), status, fix, "none")


CHECKS = (
    Check("queues.readable", "What cannot be looked at is not looked after.", _readable),
    Check("queues.workers", "Nobody takes these jobs.", _workers),
    Check("queues.age", "It is the best single sign that there are too few workers.", _age),
    Check("queues.paused", "Workers leave a paused queue alone until it is resumed.", _paused),
    Check("queues.caps", "At its cap a queue refuses new jobs.", _capped),
    Check(
        "queues.scheduler", "Without a scheduler no delay or retry comes to its end.", _scheduler
    ),
    Check("queues.schedules", "Ticks that nobody fires are missed.", _schedules),
    Check("queues.parked", "A job that no worker knows is dead after an hour.", _parked),
    Check("queues.dead", "A dead job waits for a human, and takes memory meanwhile.", _dead),
)
