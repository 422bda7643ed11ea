"""Checks of what outlives the server: its disk and its replicas."""

from __future__ import annotations

import re

from rqueue.doctor.exam import Exam
from rqueue.doctor.server import told
from rqueue.doctor.units import span
from rqueue.doctor.verdict import (
    INFO,
    Check,
    Verdict,
    failure,
    notice,
    ok,
    unknown,
    warning,
)
from rqueue.store.serverfacts import ServerFacts, fsync_problem

LAGGING_S = 10
SLOW_FORK_US = 500_000
_REPLICA = re.compile(r"slave\d+\Z")
_FILE = "CONFIG SET appendonly yes, and the same in its configuration file"


def _disk(exam: Exam) -> Verdict:
    facts = exam.last.server.facts
    if facts.has_aof is None:
        return unknown(*INFO)
    if exam.wants_fsync and (problem := fsync_problem(facts)) is not None:
        return told(problem, "")
    if facts.has_aof:
        return _file(facts)
    found = {
        True: "snapshots only: a crash loses all since the last one, minutes",
        False: "none: a restart of the server loses every job",
        None: "no append-only file; whether there are snapshots is not told",
    }[facts.has_snapshots]
    return warning(found, _FILE)


def _file(facts: ServerFacts) -> Verdict:
    """What an append-only file is worth."""
    when = facts.appendfsync or "unknown (CONFIG GET is not told)"
    waits = "met by WAITAOF" if facts.has_waitaof else "not met"
    lost = {
        "always": "nothing that was answered is lost in a crash; durability 'fsync' is met",
        "everysec": f"a crash loses the last second or two; durability 'fsync' is {waits}",
        "no": "a crash loses what the kernel had not written, some 30 seconds",
    }.get(facts.appendfsync, "what a crash loses depends on it")
    found = f"append-only file, appendfsync {when}: {lost}"
    if facts.appendfsync == "no":
        return warning(found, "CONFIG SET appendfsync everysec")
    return ok(found)


def _writing(exam: Exam) -> Verdict:
    info = exam.last.server.info
    names = ("aof_last_write_status", "rdb_last_bgsave_status", "aof_last_bgrewrite_status")
    if not any(name in info for name in names):
        return unknown(*INFO)
    failed = [name for name in names if info.get(name, "ok").strip() != "ok"]
    if not failed:
        return ok("the last writes went well")
    found = f"failed: {', '.join(failed)}"
    fix = (
        "df -h, and the server's log: is the disk full, or not writable? Then BGSAVE, BGREWRITEAOF"
    )
    is_refusing = any(name != "aof_last_bgrewrite_status" for name in failed)
    return failure(found, fix) if is_refusing else warning(found, fix)


def _fork(exam: Exam) -> Verdict:
    took = exam.last.server.number("latest_fork_usec")
    if took is None:
        return unknown(*INFO)
    found = f"the last fork held the server up for {took / 1000:,.0f} ms" if took else "no fork yet"
    if took < SLOW_FORK_US:
        return ok(found)
    return warning(
        found,
        "echo never > /sys/kernel/mm/transparent_hugepage/enabled; sysctl vm.overcommit_memory=1; "
        "two smaller servers fork faster than a large one",
    )


def _replicas(exam: Exam) -> Verdict:
    server = exam.last.server
    if "connected_slaves" not in server.info:
        return unknown(*INFO)
    lines = {name: line for name, line in server.info.items() if _REPLICA.match(name)}
    if not lines:
        return ok("no replica: the loss of this machine's disk is the loss of its jobs")
    bad: list[str] = []
    for name, line in sorted(lines.items()):
        pairs = (pair.partition("=") for pair in line.strip().split(","))
        fields = {field: value for field, _, value in pairs}
        lag = fields.get("lag", "")
        where = f"{fields.get('ip', name)}:{fields.get('port', '')}"
        if fields.get("state") != "online":
            bad.append(f"{where} is {fields.get('state')}")
        elif lag.isdecimal() and int(lag) > LAGGING_S:
            bad.append(f"{where} was last heard {span(int(lag))} ago")
    if bad:
        return warning("; ".join(bad), "INFO replication, and the log and disk of that replica")
    return ok(f"{len(lines)} in step")


def _snapshot_age(exam: Exam) -> Verdict:
    """How old the last snapshot is, where snapshots are all there is."""
    server = exam.last.server
    changes = server.number("rdb_changes_since_last_save")
    if changes is None:
        return unknown(*INFO)
    if server.facts.has_aof or not server.facts.has_snapshots:
        return ok("nothing rests on snapshots alone")
    found = f"{changes:,.0f} changes since the last one"
    return notice(found, _FILE) if changes else ok(found)


CHECKS = (
    Check(
        "persistence.disk",
        "It is what a restart keeps, and which durability there is.",
        _disk,
    ),
    Check(
        "persistence.writing",
        "A server that cannot write its file refuses jobs, or forgets them at the next restart.",
        _writing,
    ),
    Check(
        "persistence.snapshots",
        "What changed since the last snapshot is lost in a crash.",
        _snapshot_age,
    ),
    Check(
        "persistence.fork",
        "Snapshots and rewrites fork, and nothing else happens meanwhile.",
        _fork,
    ),
    Check(
        "persistence.replicas",
        "A replica that lags loses accepted jobs when it is promoted.",
        _replicas,
    ),
)
