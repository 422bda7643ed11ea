"""Checks of the server itself: what it is, how busy it is, how it treats its clients."""

from __future__ import annotations

from rqueue.doctor.exam import Exam
from rqueue.doctor.units import percent, size, span
from rqueue.doctor.verdict import (
    INFO,
    Check,
    Status,
    Verdict,
    by_level,
    failure,
    notice,
    ok,
    unknown,
    warning,
)
from rqueue.store.serverfacts import Problem, age_problem, role_problem

BUSY, SATURATED = 0.7, 0.9
"""Of the one core that runs commands."""
CROWDED, FULL = 0.8, 0.95
"""Of maxclients."""
MOST_BLOCKED = 1000
"""With so many, XADD took 2.3 ms on Valkey 9 instead of 0.05 (one reader blocks a worker)."""
SLOW_SCRIPT_US = 10_000
"""No script of ours is meant to take longer."""
HELD_UP_US = 100_000
SHORTEST_TIMEOUT_S = 30
SMALLEST_BUFFER = 1024 * 1024
_STATUS = {"refuse": Status.FAILURE, "warn": Status.WARNING, "note": Status.NOTICE}


def told(problem: Problem | None, otherwise: str) -> Verdict:
    """What workers are told of the server before they start, as a verdict."""
    if problem is None:
        return ok(otherwise)
    return Verdict(_STATUS[problem.level], problem.what, problem.remedy)


def _version(exam: Exam) -> Verdict:
    facts = exam.last.server.facts
    if not exam.last.server.info:
        return unknown(*INFO)
    return told(age_problem(facts), f"{facts.product} {facts.version}")


def _role(exam: Exam) -> Verdict:
    if "role" not in exam.last.server.info:
        return unknown(*INFO)
    return told(role_problem(exam.last.server.facts), "a primary")


def _cluster(exam: Exam) -> Verdict:
    server = exam.last.server
    mode = server.info.get("server_mode") or server.info.get("redis_mode")
    if mode is None:
        return unknown(*INFO)
    if mode == "sentinel":
        return failure("this is a Sentinel, not a server", "Give the URL of the primary itself")
    if server.shards == 0:
        return ok("no cluster")
    if server.shards == 1:
        return notice("a cluster of one primary, which holds every slot")
    many = "a cluster" if server.shards is None else f"a cluster of {server.shards} primaries"
    return failure(
        f"{many}: rqueue does not follow redirections yet, so queues on other nodes are refused",
        "Use one primary for each namespace",
    )


def _load(exam: Exam) -> Verdict:
    # Of the pause between the looks, in which we ourselves did nothing.
    first = exam.first.server
    last = exam.second.before if exam.second else first
    names = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread", "total_commands_processed")
    spent = [(first.number(name), last.number(name)) for name in names]
    if None in (one for pair in spent for one in pair):
        return unknown(*INFO)
    if exam.second is None:
        return ok("it takes two looks (--trend)")
    span_s = exam.second.arrived - exam.first.at
    user, system, commands = ((after or 0) - (before or 0) for before, after in spent)
    busy = (user + system) / span_s
    found = f"{percent(busy)} of a core, {commands / span_s:,.0f} commands/s"
    fix = "INFO commandstats tells by what; then a second server, and a namespace on each"
    return Verdict(by_level(busy, BUSY, SATURATED), found, fix)


def _scripts(exam: Exam) -> Verdict:
    server = exam.last.server
    fared = server.commands.get("evalsha", {})
    if server.slow is None and not server.commands:
        return unknown("INFO commandstats, SLOWLOG", "+info +slowlog|get")
    found = f"{fared.get('calls', 0):,.0f} calls, {fared.get('usec_per_call', 0):,.0f} us each"
    slow = [one for one in server.slow or () if one.took_us >= SLOW_SCRIPT_US]
    if not slow:
        missing = "; SLOWLOG is not told" if server.slow is None else ", none of the latest slow"
        return ok(found + missing)
    worst = max(slow, key=lambda one: one.took_us)
    found += f"; {len(slow)} slow in SLOWLOG, the worst {worst.script}: {worst.took_us / 1000:,.0f}"
    status = Status.WARNING if worst.took_us >= HELD_UP_US else Status.NOTICE
    return Verdict(
        status,
        f"{found} ms",
        "SLOWLOG GET 10, LATENCY DOCTOR: was the machine short of CPU or memory, or did the server "
        "fork? SLOWLOG RESET forgets them",
        sorted({one.script for one in slow}),
    )


def _clients(exam: Exam) -> Verdict:
    server = exam.last.server
    there, most = server.number("connected_clients"), server.number("maxclients")
    if there is None or not most:
        return unknown(*INFO)
    found = f"{there:,.0f} of {most:,.0f} (maxclients)"
    fix = "CONFIG SET maxclients 15000, and ulimit -n; rqueue workers list: are all wanted?"
    return Verdict(by_level(there / most, CROWDED, FULL), found, fix)


def _rejected(exam: Exam) -> Verdict:
    rejected = exam.last.server.number("rejected_connections")
    if rejected is None:
        return unknown(*INFO)
    if not rejected:
        return ok("none")
    return warning(
        f"{rejected:,.0f} connections since it started, because there were maxclients already",
        "CONFIG SET maxclients 15000; CONFIG RESETSTAT begins to count anew",
    )


def _blocked(exam: Exam) -> Verdict:
    blocked = exam.last.server.number("blocked_clients")
    if blocked is None:
        return unknown(*INFO)
    found = f"{blocked:,.0f} clients wait in a blocking command; an idle worker is one"
    if blocked < MOST_BLOCKED:
        return ok(found)
    return warning(found, "Fewer, larger worker processes: --concurrency instead of --processes")


def _timeout(exam: Exam) -> Verdict:
    seconds = exam.last.server.settings.get("timeout", "")
    if not seconds.isdecimal():
        return unknown("CONFIG GET timeout", "+config|get")
    if not 0 < int(seconds) < SHORTEST_TIMEOUT_S:
        return ok(f"idle clients are kept ({'for ever' if seconds == '0' else span(int(seconds))})")
    return warning(f"idle clients are hung up on after {seconds} s", "CONFIG SET timeout 0")


def _buffers(exam: Exam) -> Verdict:
    words = exam.last.server.settings.get("client-output-buffer-limit", "").split()
    if "pubsub" not in words:
        return unknown("CONFIG GET client-output-buffer-limit", "+config|get")
    hard, soft, seconds = (int(one) for one in words[words.index("pubsub") + 1 :][:3])
    found = f"a client that reads too slowly is hung up on at {size(hard)}" if hard else "no bound"
    found += f", or at {size(soft)} for {seconds} s" if soft else ""
    if all(one == 0 or one >= SMALLEST_BUFFER for one in (hard, soft)):
        return ok(found)
    return warning(
        found, "CONFIG SET client-output-buffer-limit 'pubsub 33554432 8388608 60', the default"
    )


CHECKS = (
    Check("server.version", "The scripts rely on what these versions do.", _version),
    Check("server.role", "A replica refuses writes, or forgets them.", _role),
    Check("server.cluster", "All keys must be reached at one address.", _cluster),
    Check(
        "server.load",
        "One core runs all commands; when it is full, jobs wait however many workers there are.",
        _load,
    ),
    Check("server.scripts", "A script that is slow keeps everybody waiting.", _scripts),
    Check("server.clients", "Beyond maxclients workers cannot come back.", _clients),
    Check("server.rejected", "A worker that cannot connect takes no jobs.", _rejected),
    Check("server.blocked", "Each blocked client makes an XADD dearer.", _blocked),
    Check("server.timeout", "Hung-up connections cost a trip each to make again.", _timeout),
    Check(
        "server.buffers",
        "Results, cancels and wake-ups come by pub/sub; who is hung up on hears late of them.",
        _buffers,
    ),
)
