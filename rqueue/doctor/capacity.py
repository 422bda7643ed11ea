"""Checks of memory: how much there is, what happens when it is full, and when that will be."""

from __future__ import annotations

from rqueue.doctor.exam import Exam
from rqueue.doctor.server import told
from rqueue.doctor.units import percent, size, span
from rqueue.doctor.verdict import (
    INFO,
    Check,
    Verdict,
    by_level,
    failure,
    notice,
    ok,
    unknown,
    warning,
)
from rqueue.store.serverfacts import eviction_problem

HIGH, FULL = 0.85, 0.95
"""Of maxmemory; the alert of deploy/prometheus has the first as well."""
FRAGMENTED = 1.5
FRAGMENTED_BYTES = 256 * 1024 * 1024
"""Less than this is the server's own, whatever the ratio."""
SOON_S, AT_ONCE_S = 3600, 600
_LARGE_NODE = 64 * 1024
_HALF = 0.5


def _limit(exam: Exam) -> Verdict:
    most = exam.last.server.number("maxmemory")
    if most is None:
        return unknown(*INFO)
    if most:
        return ok(f"maxmemory is {size(most)}")
    return warning(
        "maxmemory is not set: the server grows until the kernel kills it",
        "CONFIG SET maxmemory 2gb: what the machine has, less a third for copies while it forks",
    )


def _policy(exam: Exam) -> Verdict:
    facts = exam.last.server.facts
    if not facts.policy:
        return unknown(*INFO)
    return told(eviction_problem(facts), f"maxmemory-policy is {facts.policy}")


def _evicted(exam: Exam) -> Verdict:
    count = exam.last.server.number("evicted_keys")
    if count is None:
        return unknown(*INFO)
    if not count:
        return ok("no key was ever thrown away")
    return failure(
        f"{count:,.0f} keys were thrown away since the server started: jobs, locks or results",
        "CONFIG SET maxmemory-policy noeviction; send what is missing again; CONFIG RESETSTAT "
        "begins to count anew",
    )


def _used(exam: Exam) -> Verdict:
    server = exam.last.server
    used, most = server.number("used_memory"), server.number("maxmemory")
    if used is None or most is None:
        return unknown(*INFO)
    if not most:
        return ok(f"{size(used)}, without a bound")
    found = f"{size(used)} of {size(most)}, {percent(used / most)}"
    return Verdict(
        by_level(used / most, HIGH, FULL),
        found,
        "The families below tell what it is: start workers, shorten result_ttl, rqueue dead "
        "discard, or CONFIG SET maxmemory",
    )


def _fragmentation(exam: Exam) -> Verdict:
    server = exam.last.server
    ratio = server.number("mem_fragmentation_ratio")
    used, resident = server.number("used_memory"), server.number("used_memory_rss")
    if ratio is None or used is None or resident is None:
        return unknown(*INFO)
    found = f"{size(resident)} resident for {size(used)}, {ratio:.2f}"
    if ratio > FRAGMENTED and resident - used > FRAGMENTED_BYTES:
        return warning(found, "MEMORY PURGE; where that does not help, restart it")
    if ratio < 1 and used - resident > FRAGMENTED_BYTES:
        return warning(f"{found}: parts of it are swapped out", "Give the machine more memory")
    return ok(found)


def _nodes(exam: Exam) -> Verdict:
    settings = exam.last.server.settings
    told_ = [settings.get(f"stream-node-max-{what}", "") for what in ("bytes", "entries")]
    if not all(one.isdecimal() for one in told_):
        return unknown("CONFIG GET stream-node-max-bytes", "+config|get")
    large, many = map(int, told_)
    found = f"at most {size(large) if large else 'any size'}, {many or 'any number of'} entries"
    if (large and large <= _LARGE_NODE) or (many and many <= 1000):
        return ok(found)
    return warning(
        f"{found}: a node is freed only when all its jobs have ended",
        "CONFIG SET stream-node-max-bytes 4096, CONFIG SET stream-node-max-entries 100",
    )


def _expiry(exam: Exam) -> Verdict:
    found = exam.last.budget
    if found.refused:
        return unknown(found.refused, "+scan +memory|usage")
    if not found.lasting:
        return ok("ended jobs expire")
    return warning(
        f"{found.lasting} records of ended jobs, of those that were weighed, never expire",
        "Somebody persisted them: rqueue job show tells of each; PEXPIRE ends them",
    )


def _others(exam: Exam) -> Verdict:
    found = exam.last.budget
    if found.refused:
        return unknown(found.refused, "+scan +memory|usage")
    other, all_bytes = found.of("others").bytes, sum(one.bytes for one in found.families)
    said = f"{size(other)} in keys outside of the namespace"
    if not other or other < all_bytes * _HALF:
        return ok(said)
    return notice(said, "Give jobs a server of their own: what fills it up refuses jobs")


def _trend(exam: Exam) -> Verdict:
    first, last = (one.server.number("used_memory") for one in (exam.first, exam.last))
    bound = exam.last.server.number("maxmemory") or exam.last.server.number("total_system_memory")
    if first is None or last is None or not bound:
        return unknown(*INFO)
    if not exam.span_s:
        return ok("it takes two looks (--trend)")
    rate = (last - first) / exam.span_s
    found = f"{'+' if rate >= 0 else ''}{size(rate * 60)} a minute"
    if rate <= 0:
        return ok(found)
    left = max(0.0, bound - last) / rate
    found += f"; full in {span(left)} if it goes on"
    fix = "rqueue queues list: are workers there? rqueue queues limit QUEUE --waiting N caps it"
    if left < AT_ONCE_S:
        return failure(found, fix)
    return warning(found, fix) if left < SOON_S else ok(found)


CHECKS = (
    Check("memory.limit", "With a bound, new jobs are refused; without, all is killed.", _limit),
    Check("memory.policy", "Every key is a job, a lease or an answer somebody waits for.", _policy),
    Check("memory.evicted", "What was thrown away was a job, a lock or a result.", _evicted),
    Check("memory.used", "When it is full, new jobs are refused; the backlog drains.", _used),
    Check("memory.trend", "It tells how long there is to act.", _trend),
    Check("memory.fragmentation", "The kernel counts what is resident.", _fragmentation),
    Check("memory.nodes", "Large nodes of streams keep the memory of ended jobs.", _nodes),
    Check("memory.expiry", "A record that never expires stays for ever.", _expiry),
    Check("memory.others", "What others store counts against the same maxmemory.", _others),
)
